"""
What a YAML inventory says: hosts, groups, settings and variables in all their spellings.
"""

from __future__ import annotations


def test_the_shortest_inventory_is_one_host(load):
    """
    A lone name with a colon is a host; it is in `ungrouped` and `all`.
    """
    inventory = load("all: {hosts: {web1: }}")
    assert list(inventory.hosts) == ["web1"]
    assert inventory.hosts["web1"].groups == ("ungrouped", "all")
    assert inventory.groups == {"all": ("web1",), "ungrouped": ("web1",)}
    assert inventory.warnings == ()


def test_ranges_make_hosts_in_order(load):
    """
    A key with a range stands for its hosts, all with the same settings and variables.
    """
    inventory = load(
        """
        all:
          hosts:
            web[08:10]: {ssh: {Port: 2222}, vars: {weight: 2}}
            rack[1-2]-n[1-2]:
            db[1,3]:
        """
    )
    assert list(inventory.hosts) == [
        *("web08", "web09", "web10"),
        *("rack1-n1", "rack1-n2", "rack2-n1", "rack2-n2"),
        *("db1", "db3"),
    ]
    assert inventory.hosts["web10"].settings.port == 2222
    assert inventory.hosts["web10"].vars == {"weight": 2}


def test_hosts_of_a_range_can_be_changed_one_by_one(load):
    """
    What is said later about one host of a range does not touch the others.
    """
    inventory = load(
        """
        all:
          hosts:
            web[1:3]: {vars: {weight: 1}}
            web2: {ssh: {Port: 2222}, vars: {weight: 9}}
        """
    )
    assert [host.vars["weight"] for host in inventory.hosts.values()] == [1, 9, 1]
    assert [host.settings.port for host in inventory.hosts.values()] == [22, 2222, 22]


def test_one_name_may_stand_without_a_mapping(load):
    """
    Ansible reads `hosts: web1` and `children: web`, so it is read here.
    """
    inventory = load(
        """
        all: {children: web}
        web: {hosts: "web[1:2]"}
        """
    )
    assert inventory.groups["web"] == ("web1", "web2")
    assert inventory.hosts["web1"].groups == ("web", "all")


def test_groups_may_stand_anywhere_and_be_mentioned_again(load):
    """
    Groups nested below `all`, beside it, or in both places are one group.
    """
    inventory = load(
        """
        all:
          children:
            prod: {children: {web: , db: }}
        web:
          hosts: {web1: }
          vars: {a: 1, b: 1}
        db: {hosts: {db1: }}
        prod:
          children: {web: {hosts: {web2: }, vars: {b: 2}}}
        """
    )
    assert inventory.groups["prod"] == ("web1", "web2", "db1")
    assert inventory.hosts["web2"].groups == ("web", "prod", "all")
    assert inventory.hosts["web2"].vars == {"a": 1, "b": 2}


def test_ansibles_variables_are_settings(load):
    """
    Connection variables mean their option, on hosts and groups, and stay visible to templates.
    """
    inventory = load(
        """
        all:
          vars: {ansible_user: deploy, ansible_connection: ssh}
          hosts:
            db1:
              ansible_host: 10.0.4.1
              ansible_port: 2222
              ansible_ssh_private_key_file: /keys/db
              ansible_ssh_timeout: 30
              ansible_python_interpreter: /usr/bin/python3
              backup: nightly
        """
    )
    host = inventory.hosts["db1"]
    assert host.settings.hostname == "10.0.4.1"
    assert host.settings.port == 2222
    assert host.settings.user == "deploy"
    assert host.settings.identity_files == ("/keys/db",)
    assert host.settings.connect_timeout_s == 30
    assert host.settings.origin == {
        "HostName": "hosts.yml:5",
        "Port": "hosts.yml:6",
        "IdentityFile": "hosts.yml:7",
        "ConnectTimeout": "hosts.yml:8",
        "User": "hosts.yml:2",
    }
    assert host.vars["backup"] == "nightly"
    assert host.vars["ansible_host"] == "10.0.4.1"
    assert inventory.warnings == ()


def test_the_last_mention_of_ansibles_variable_counts(load):
    """
    Ansible lets a later mention of a host win, and so do we for its variables.
    """
    inventory = load(
        """
        web: {hosts: {web1: {ansible_port: 1, weight: 1}}}
        eu: {hosts: {web1: {ansible_port: 2, weight: 2}}}
        """
    )
    assert inventory.hosts["web1"].settings.port == 2
    assert inventory.hosts["web1"].vars["weight"] == 2


def test_a_port_may_be_part_of_the_name(load):
    """
    `web1:2222` is the host web1 on port 2222; an IPv6 address is a name as it is.
    """
    inventory = load(
        """
        all:
          hosts:
            web[1:2]:2222:
            "fe80::1":
            "[2001:db8::1]:22022":
        """
    )
    assert {name: host.settings.port for name, host in inventory.hosts.items()} == {
        "web1": 2222,
        "web2": 2222,
        "fe80::1": 22,
        "2001:db8::1": 22022,
    }


def test_values_are_read_as_ssh_config_reads_words(load):
    """
    Numbers, yes and no, text with quotes, and lists all end as the words of one line.
    """
    inventory = load(
        r"""
        all:
          ssh:
            port: 022
            Compression: on
            BATCHMODE: True
            TCPKeepAlive: "no"
            StrictHostKeyChecking: off
            IdentityFile: /my keys/id
            UserKnownHostsFile: '"/a b" /c'
            GlobalKnownHostsFile: [/d, /e f]
            Ciphers: [aes128-ctr, aes256-ctr]
            MACs: hmac-sha2-256,hmac-sha2-512
            SetEnv: {LANG: C, N: 1}
            ConnectTimeout: 1m30s
            HostName: 010.1
          hosts:
            web1:
        """
    )
    settings = inventory.hosts["web1"].settings
    assert settings.port == 22
    assert settings.compression is True
    assert settings.batch_mode is True
    assert settings.tcp_keep_alive is False
    assert settings.strict_host_key_checking == "no"
    assert settings.identity_files == ("/my keys/id",)
    assert settings.user_known_hosts_files == ("/a b", "/c")
    assert settings.global_known_hosts_files == ("/d", "/e f")
    assert settings.ciphers == ("aes128-ctr", "aes256-ctr")
    assert settings.macs == ("hmac-sha2-256", "hmac-sha2-512")
    assert settings.set_env == {"LANG": "C", "N": "1"}
    assert settings.connect_timeout_s == 90
    assert settings.hostname == "010.1"


def test_names_are_what_is_written(load):
    """
    YAML's types do not change names: 007 and yes are hosts of these names.
    """
    inventory = load("all: {hosts: {007: , yes: , 1.50: , null: }}")
    assert list(inventory.hosts) == ["007", "yes", "1.50", "null"]


def test_merge_keys_work_in_settings_and_groups(load):
    """
    `<<` gives defaults that what is written beside it replaces, whatever its case.
    """
    inventory = load(
        """
        a: {ssh: &ours {Port: 1, User: x}, hosts: {h1: }}
        b: {ssh: {<<: *ours, port: 2}, hosts: {h2: }}
        """
    )
    assert inventory.hosts["h2"].settings.port == 2
    assert inventory.hosts["h2"].settings.user == "x"


def test_a_refused_keyword_may_be_switched_off(load):
    """
    Turning off what is not there is no mistake.
    """
    inventory = load(
        "all: {ssh: {GSSAPIAuthentication: no, PKCS11Provider: none}, hosts: {web1: }}"
    )
    assert inventory.hosts["web1"].settings.origin == {}


def test_an_ignored_keyword_is_one_warning(load):
    """
    Keywords accepted without effect are named once each, at the first place.
    """
    inventory = load(
        """
        all:
          ssh: {VisualHostKey: yes}
          hosts:
            web1: {ssh: {visualhostkey: yes, LogLevel: DEBUG}}
            web2: {ssh: {LogLevel: DEBUG}}
        """
    )
    assert [str(warning) for warning in inventory.warnings] == [
        "hosts.yml:2:9: VisualHostKey has no effect here",
        "hosts.yml:4:38: LogLevel has no effect here",
    ]


def test_a_value_without_effect_is_a_warning(load):
    """
    Of two values for one host or group the first counts, and the other is not passed over.
    """
    inventory = load(
        """
        web:
          hosts: {"web[1:3]": {ssh: {Port: 22}}}
          ssh: {User: a}
        eu:
          hosts: {web2: {ssh: {Port: 2222}}, web3: {ssh: {Port: 22}}}
          children: {web: {ssh: {User: b}}}
        """
    )
    assert inventory.hosts["web2"].settings.port == 22
    assert inventory.hosts["web2"].settings.user == "a"
    hint = "hint: the first value counts; write the more special one first, or in one place only"
    assert "\n".join(map(str, inventory.warnings)).splitlines() == [
        "hosts.yml:5:24: web2: Port 2222 has no effect: hosts.yml:2 gives 22",
        hint,
        'hosts.yml:6:26: group "web": User b has no effect: hosts.yml:3 gives a',
        hint,
    ]


def test_probable_slips_are_warnings(load):
    """
    What can be meant but hardly is: a near miss of a variable or group, a name used twice.
    """
    inventory = load(
        """
        all:
          children: {prod: {children: {wbe: }}, db: }
        web: {hosts: {web1: {ansible_hots: 10.0.0.1}, db: }}
        """
    )
    assert "\n".join(map(str, inventory.warnings)).splitlines() == [
        'hosts.yml:2:32: group "wbe" has no hosts',
        "hint: did you mean web?",
        'hosts.yml:2:41: "db" is a group and a host; in patterns @db is the group',
        "hosts.yml:3:22: ansible_hots is an ordinary variable",
        "hint: did you mean ansible_host?",
    ]


def test_a_syntax_error_is_one_problem(mistakes):
    """
    What is no YAML says so with line and column.
    """
    assert mistakes("all:\n\thosts:\n") == [
        "hosts.yml:2:1: not YAML: found character that cannot start any token",
        "hint: indent with spaces, not tabs",
    ]
