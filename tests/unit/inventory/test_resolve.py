"""
Inheritance: which value a host ends up with, and where it was written.
"""

from __future__ import annotations

import pwd

import pytest

from fleetctl.inventory.load import load_inventory
from fleetctl.inventory.tokens import LocalAccount, current_account
from fleetctl.model.errors import UsageError

TREE = """
all:
  ssh: {User: all, Port: 1, ConnectTimeout: 1, Compression: yes, IdentityFile: /all}
  vars: {where: all, only_all: 1}
  children:
    far:
      ssh: {Port: 2, ConnectTimeout: 2, IdentityFile: [/far, /all]}
      vars: {where: far, only_far: 1}
      children:
        near:
          ssh: {ConnectTimeout: 3}
          vars: {where: near}
          hosts:
            web1:
              ssh: {IdentityFile: /web1, HostName: 10.0.0.1}
              vars: {where: web1}
            web2:
"""


def test_the_nearest_value_wins(load):
    """
    Host before group before parent before all; IdentityFile is joined, nearest first.
    """
    inventory = load(TREE)
    settings = inventory.hosts["web1"].settings
    assert inventory.hosts["web1"].groups == ("near", "far", "all")
    assert settings.hostname == "10.0.0.1"
    assert settings.connect_timeout_s == 3
    assert settings.port == 2
    assert settings.user == "all"
    assert settings.identity_files == ("/web1", "/far", "/all")
    assert inventory.hosts["web2"].settings.identity_files == ("/far", "/all")


def test_every_value_knows_where_it_was_written(load):
    """
    The origin is file and line; an option that nobody set has none.
    """
    assert load(TREE).hosts["web1"].settings.origin == {
        "HostName": "hosts.yml:14",
        "ConnectTimeout": "hosts.yml:10",
        "Port": "hosts.yml:6",
        "User": "hosts.yml:2",
        "Compression": "hosts.yml:2",
        "IdentityFile": "hosts.yml:14, hosts.yml:6, hosts.yml:2",
    }


def test_variables_come_from_the_furthest_to_the_nearest(load):
    """
    A variable replaces that of the same name further away.
    """
    inventory = load(TREE)
    assert inventory.hosts["web1"].vars == {"where": "web1", "only_far": 1, "only_all": 1}
    assert inventory.hosts["web2"].vars["where"] == "near"


def test_the_command_line_wins(load):
    """
    Overrides come before everything, the first of them before the others.
    """
    overrides = [
        ("port", ("2222",), "-o"),
        ("Port", ("3333",), "-o"),
        ("IdentityFile", ("/mine",), "--identity"),
        ("User", ("root",), "-u"),
    ]
    settings = load(TREE, overrides=overrides).hosts["web1"].settings
    assert settings.port == 2222
    assert settings.user == "root"
    assert settings.identity_files == ("/mine", "/web1", "/far", "/all")
    assert settings.origin["Port"] == "-o"
    assert settings.origin["User"] == "-u"
    assert settings.origin["IdentityFile"] == ("--identity, hosts.yml:14, hosts.yml:6, hosts.yml:2")


def test_mistakes_on_the_command_line_are_shown_with_those_of_the_file(mistakes):
    """
    Overrides are checked as the file is, and everything is shown at once.
    """
    overrides = [
        ("Prot", ("22",), "-o"),
        ("Port", ("0",), "-o"),
        ("User", (), "-u"),
        ("RemoteCommand", ("uptime",), "-o"),
    ]
    assert mistakes("all: {hosts: {web1: 5}}", overrides=overrides) == [
        '-o: "Prot" is not a keyword of ssh_config',
        "hint: did you mean Port?",
        '-o: Port: a number from 1 to 65535 is expected, not "0"',
        "-o: RemoteCommand cannot be used: give the command to `fleetctl run`",
        "-u: User: the value is empty",
        'hosts.yml:1:21: host "web1": a mapping is expected, not the text "5"',
        "hint: web1: {ssh: {HostName: 5}}",
    ]


def test_an_ignored_option_on_the_command_line_is_a_warning(load):
    """
    It is named with where it was given.
    """
    warnings = load("all: {hosts: {a: }}", overrides=[("LogLevel", ("QUIET",), "-o")]).warnings
    assert [str(warning) for warning in warnings] == ["-o: LogLevel has no effect here"]


def test_groups_of_one_depth_are_ranked_by_priority_then_name(load):
    """
    Deeper groups first, then the higher priority, then the later name, as Ansible merges them.
    """
    inventory = load(
        """
        a: {hosts: {h: }, vars: {v: a, ansible_group_priority: 2}, ssh: {User: a}}
        b: {hosts: {h: }, vars: {v: b}, ssh: {User: b, Port: 2}}
        c: {hosts: {h: }, vars: {v: c, w: c}, ssh: {User: c, Port: 3}}
        z: {children: {deep: {hosts: {h: }, vars: {w: deep}}}}
        """
    )
    host = inventory.hosts["h"]
    assert host.groups == ("deep", "a", "z", "c", "b", "all")
    assert host.vars == {"v": "a", "w": "deep"}
    assert host.settings.user == "a"
    assert host.settings.port == 3


def test_depth_is_the_longest_way_from_all(load):
    """
    A group that is both a child and a grandchild counts as the grandchild.
    """
    inventory = load(
        """
        a: {children: {b: {children: {c: }}, c: {hosts: {h: }, vars: {v: c}}}}
        b: {vars: {v: b}}
        """
    )
    assert inventory.hosts["h"].groups == ("c", "b", "a", "all")
    assert inventory.hosts["h"].vars == {"v": "c"}


def test_groups_list_their_hosts_before_those_of_children(load):
    """
    A group's own hosts come first, then level by level, each host once, as Ansible lists them.
    """
    inventory = load(
        """
        top: {children: {mid: {children: {low: {hosts: {l: , t: }}}, hosts: {m: }}}, hosts: {t: }}
        """
    )
    assert inventory.groups["top"] == ("t", "m", "l")
    assert inventory.groups["all"] == ("t", "m", "l")
    assert list(inventory.hosts) == ["l", "t", "m"]
    assert inventory.groups["ungrouped"] == ()


def test_tokens_and_homes_are_expanded(load):
    """
    %h is the address, %n the name, %r the remote user; ~ is the home in the password database.
    """
    inventory = load(
        """
        all:
          ssh:
            HostName: "%h.example.com"
            IdentityFile: ["~/%r@%h:%p", "~/%n-%u-%d-%%", plain]
            UserKnownHostsFile: ~/known/%n
            IdentityAgent: ~/agent
          hosts:
            web1: {ssh: {User: deploy, Port: 2222}}
            web2:
        """
    )
    settings = inventory.hosts["web1"].settings
    assert settings.hostname == "web1.example.com"
    assert settings.identity_files == (
        "/home/me/deploy@web1.example.com:2222",
        "/home/me/web1-me-/home/me-%",
        "plain",
    )
    assert settings.user_known_hosts_files == ("/home/me/known/web1",)
    assert settings.identity_agent == "/home/me/agent"
    other = inventory.hosts["web2"].settings
    assert other.hostname == "web2.example.com"
    assert other.identity_files[0] == "/home/me/me@web2.example.com:22"


@pytest.mark.parametrize("agent", ["none", "SSH_AUTH_SOCK", "$MY_AGENT"])
def test_an_agent_that_is_no_file_name_is_kept(agent, load):
    """
    The special values of IdentityAgent are not paths.
    """
    inventory = load(f"all: {{ssh: {{IdentityAgent: {agent}}}, hosts: {{a: }}}}")
    assert inventory.hosts["a"].settings.identity_agent == agent


def test_defaults_are_expanded_too(load):
    """
    A host without any settings still has usable known_hosts files, and no origin.
    """
    settings = load("all: {hosts: {a: }}").hosts["a"].settings
    assert settings.user_known_hosts_files == (
        "/home/me/.ssh/known_hosts",
        "/home/me/.ssh/known_hosts2",
    )
    assert settings.origin == {}


def test_the_home_of_another_user_is_looked_up(load):
    """
    ~root is root's home, as in a shell.
    """
    inventory = load("all: {ssh: {IdentityFile: ~root/id}, hosts: {a: }}")
    home = pwd.getpwnam("root").pw_dir
    assert inventory.hosts["a"].settings.identity_files == (f"{home}/id",)


def test_the_local_user_comes_from_the_password_database(monkeypatch):
    """
    As ssh does, HOME and USER of the environment are not asked.
    """
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("LOGNAME", "nobody-special")
    account = current_account()
    assert account.home != "/nowhere"
    assert account.name != "nobody-special"


def test_hosts_that_say_nothing_share_what_they_inherit(load):
    """
    Ten thousand hosts of one group need one settings object, not ten thousand.
    """
    hosts = load("web: {hosts: {'web[1:3]': }, ssh: {Port: 2}, vars: {a: 1}}").hosts
    assert hosts["web1"].settings is hosts["web3"].settings
    assert hosts["web1"].vars is hosts["web3"].vars


def test_later_sources_win(tmp_path, monkeypatch):
    """
    With several -i, what a later one says about a host or group replaces what an earlier one said.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yml").write_text(
        "web: {hosts: {web1: {ssh: {Port: 1, User: a}, vars: {v: 1, w: 1}}}, "
        "ssh: {Compression: yes}}"
    )
    (tmp_path / "b.yml").write_text(
        "web: {hosts: {web2: , web1: {ssh: {Port: 2}, vars: {v: 2}}}, ssh: {Compression: no}}"
    )
    inventory = load_inventory(["a.yml", "b.yml", "web3,"], account=LocalAccount("me", "/home/me"))
    host = inventory.hosts["web1"]
    assert (host.settings.port, host.settings.user, host.settings.compression) == (2, "a", False)
    assert host.vars == {"v": 2, "w": 1}
    assert host.settings.origin["Port"] == "b.yml:1"
    assert inventory.groups["web"] == ("web1", "web2")
    assert inventory.groups["all"] == ("web3", "web1", "web2")
    assert inventory.warnings == ()


def test_a_cycle_through_two_files_is_found(tmp_path, monkeypatch):
    """
    Groups of all sources together form one graph.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yml").write_text("a: {children: {b: }}")
    (tmp_path / "b.yml").write_text("b:\n  children: {a: }")
    with pytest.raises(UsageError) as caught:
        load_inventory(["a.yml", "b.yml"])
    assert str(caught.value) == (
        'b.yml:2:14: groups form a cycle: a -> b -> a\nhint: take "a" out of the children of "b"'
    )
