"""
One host, all files: which value counts, and where it was written.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.dump import dump
from fleetctl.sshconfig.keywords import BY_NAME
from fleetctl.sshconfig.parse import read_options
from fleetctl.sshconfig.resolve import resolve


class Shell:
    """Notes the commands and runs none."""

    def __init__(self, status: int = 0) -> None:
        self.ran: list[str] = []
        self.status = status

    def __call__(self, command: str) -> int:
        self.ran.append(command)
        return self.status


def test_the_first_value_counts_across_files(load, tmp_path):
    """
    The user's file is stronger than the system's, the first line stronger than the second.
    """
    config = load("Port 1\nPort 2\n", "Port 3\nUser bob\n")
    resolved = resolve(config, "web1")
    assert resolved.values["port"] == ("1",)
    assert resolved.values["user"] == ("bob",)
    assert resolved.origin == {"port": f"{tmp_path}/user:1", "user": f"{tmp_path}/second:2"}


def test_lists_add_up_and_name_all_their_lines(load, tmp_path):
    """
    IdentityFile and its like collect from every file, each element once, with every origin.
    """
    config = load("IdentityFile a\nSendEnv A B\n", "IdentityFile b\nIdentityFile a\nSendEnv -A C\n")
    resolved = resolve(config, "web1")
    assert resolved.values["identityfile"] == ("a", "b")
    assert resolved.values["sendenv"] == ("B", "C")
    assert resolved.origin["identityfile"] == f"{tmp_path}/user:1, {tmp_path}/second:1"
    assert resolved.origin["sendenv"] == f"{tmp_path}/user:2, {tmp_path}/second:3"


def test_what_nothing_sets_has_its_default_and_no_origin(load):
    """
    Every keyword with a default has a value; user and names are filled in.
    """
    resolved = resolve(load(), "Web1")
    assert resolved.origin == {}
    assert resolved.values["user"] == ("me",)
    assert resolved.values["host"] == ("Web1",)
    assert resolved.values["hostname"] == ("web1",)
    assert resolved.values["port"] == ("22",)
    assert resolved.values["userknownhostsfile"] == (
        "/home/me/.ssh/known_hosts",
        "/home/me/.ssh/known_hosts2",
    )
    assert set(resolved.values) <= set(BY_NAME)
    assert "proxyjump" not in resolved.values


def test_what_the_caller_gives_comes_before_all_files(load):
    """
    User and port, then options, then files.
    """
    config = load("User a\nPort 1\nCompression no\nMatch user me2\nBatchMode yes\n")
    options = read_options(["Port=2", "Compression=yes", "User=c"])
    resolved = resolve(config, "web1", user="me2", overrides=options)
    assert resolved.values["user"] == ("me2",)
    assert resolved.values["port"] == ("2",)
    assert resolved.values["compression"] == ("yes",)
    assert resolved.values["batchmode"] == ("yes",)
    assert resolved.origin["port"] == "-o"
    assert resolve(config, "web1", port=7, overrides=options).values["port"] == ("7",)


@pytest.mark.parametrize("host", ["", "-a", "a;b", "a b", "$(id)"])
def test_a_bad_name_is_refused_before_anything_is_done(host, load):
    """
    As on the command line of ssh (S18).
    """
    shell = Shell()
    config = load('Match exec "echo %h"\n', run=shell)
    with pytest.raises(UsageError, match="invalid characters"):
        resolve(config, host)
    with pytest.raises(UsageError, match="invalid characters"):
        resolve(config, "web1", user="a`id`")
    assert shell.ran == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("HostName $(id)\n", 1),
        ("User a;id\n", 1),
        ("HostKeyAlias a|id\n", 1),
        ("Port 1\nHostName -oX\n", 2),
    ],
)
def test_a_bad_name_from_a_file_is_refused_with_its_line(text, line, load, tmp_path):
    """
    What ssh overlooks in files is refused as well, for the hosts that it counts for (S18).
    """
    with pytest.raises(UsageError) as caught:
        resolve(load(text), "web1")
    assert (caught.value.problems[0].file, caught.value.problems[0].line) == (
        str(tmp_path / "user"),
        line,
    )
    resolve(load(f"Host db\n{text}"), "web1")


def test_a_bad_name_never_reaches_the_command_of_match(load):
    """
    The command is not run if a name in it would mean something to the shell (S18).
    """
    shell = Shell()
    text = 'HostName $(id)\nMatch exec "echo %h"\nUser bob\n'
    with pytest.raises(UsageError, match="kept from the shell") as caught:
        resolve(load(text, run=shell), "web1")
    assert caught.value.problems[0].line == 2
    assert shell.ran == []


def test_commands_are_run_once_per_text(load):
    """
    Two hosts with the same command ask once, two with different ones twice.
    """
    shell = Shell()
    config = load(
        'Match exec "check %u"\nPort 1\nMatch exec "check %n"\nUser bob\n',
        run=shell,
    )
    for host in ("web1", "web2", "web1"):
        assert resolve(config, host).values["user"] == ("bob",)
    assert shell.ran == ["check me", "check web1", "check web2"]


def test_commands_see_what_is_known_by_then(load):
    """
    Tokens have the values that the lines above have set.
    """
    shell = Shell()
    resolve(
        load(
            'HostName b-%h\nPort 7\nUser bob\nMatch exec "%h %n %p %r %k %%"\nPort 8\n',
            run=shell,
        ),
        "web1",
    )
    assert shell.ran == ["b-web1 web1 7 bob b-web1 %"]


def test_commands_see_gateway_and_alias(load):
    """
    What lines say that count for many hosts is known to commands as well.
    """
    shell = Shell()
    text = 'ProxyJump u@gate\nHostKeyAlias other\nMatch exec "%j %k"\nPort 8\n'
    resolve(load(text, run=shell), "web1")
    assert shell.ran == ["gate other"]


def test_commands_are_run_whatever_stands_behind_them(load):
    """
    Criteria are asked from left to right, so a later one that cannot hold comes too late.
    """
    shell = Shell()
    text = "Match exec a user nobody\nPort 1\nMatch exec b !all\nMatch user nobody exec c\nPort 2\n"
    assert resolve(load(text, run=shell), "web1").values["port"] == ("22",)
    assert shell.ran == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("RefuseConnection x\nHostName %n\nMatch host a\nPort 1\n", 1),
        ("HostName %n\nMatch host zzz\nPort 1\nMatch all\nRefuseConnection x\n", 1),
        ("HostName %n\nRefuseConnection x\nMatch host a\nPort 1\n", 2),
        ("HostName %n\nMatch user nobody host a\nPort 1\nMatch all\nRefuseConnection x\n", 5),
    ],
)
def test_of_two_mistakes_the_one_that_is_reached_first_is_told(text, line, load):
    """
    HostName is wrong as soon as somebody asks for it, and not before.
    """
    with pytest.raises(UsageError) as caught:
        resolve(load(text), "web1")
    assert caught.value.problems[0].line == line


def test_a_percent_sign_in_the_name_that_is_dialled_is_no_token(load):
    """
    The second time through the files, HostName is a name and nothing is replaced in it.
    """
    assert resolve(load("Match final host a%b\nPort 7\n"), "a%b").values["port"] == ("7",)


def test_commands_are_refused_without_a_runner(load, tmp_path):
    """
    The error names the line and the command that gives trust; other hosts are not affected.
    """
    config = load('Match host web* exec "id %h"\nUser bob\n')
    with pytest.raises(UsageError) as caught:
        resolve(config, "web1")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(tmp_path / "user"), 1)
    assert "id web1" in problem.message
    assert problem.hint == f"fleetctl trust {tmp_path / 'user'}"
    assert resolve(config, "db1").values["user"] == ("me",)


def test_a_command_ended_by_a_signal_is_an_error(load):
    """
    That is neither yes nor no.
    """
    with pytest.raises(UsageError, match="ended by a signal"):
        resolve(load("Match exec x\n", run=lambda _command: -9), "web1")


def test_an_ignored_keyword_can_depend_on_the_host(load, tmp_path):
    """
    IgnoreUnknown in a block counts where the block does; elsewhere the line is an error.
    """
    config = load("Host web*\nIgnoreUnknown foo\nHost *\nFoo 1\n")
    resolve(config, "web1")
    with pytest.raises(UsageError) as caught:
        resolve(config, "db1")
    assert (caught.value.problems[0].file, caught.value.problems[0].line) == (
        str(tmp_path / "user"),
        4,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ConnectionAttempts 0\n", "Invalid number of ConnectionAttempts"),
        ("ProxyJump web1\n", "jumphost loop via web1"),
        ("ProxyCommand -\nProxyUseFdpass yes\n", "incompatible"),
        ("HostKeyAlgorithms *,!ssh-rsa\n", "negated"),
        ("ControlPath %z\n", "unknown key %z"),
        ("UserKnownHostsFile ${NOT_SET}\n", "has no value"),
        ("ControlPath ~nobody/x\n", "No such user nobody"),
        ("LocalForward /%z /b\n", "unknown key %z"),
        ("HostName %n\n", "unknown key %n"),
        ("RefuseConnection 'use the other one'\n", "use the other one"),
    ],
)
def test_values_that_do_not_work_out_are_errors_for_their_hosts_only(text, message, load):
    """
    They are told with their line when they count, and cost other hosts nothing.
    """
    with pytest.raises(UsageError, match=message) as caught:
        resolve(load(text), "web1")
    assert caught.value.problems[0].line is not None
    resolve(load(f"Host db\n{text}"), "web1")


def test_too_many_files_are_an_error_where_they_count(load):
    """
    There is room for 100 identities and 32 known_hosts files.
    """
    text = "".join(f"IdentityFile f{n}\n" for n in range(101))
    with pytest.raises(UsageError, match="at most 100"):
        resolve(load(text), "web1")
    text = f"UserKnownHostsFile {' '.join(f'f{n}' for n in range(33))}\n"
    with pytest.raises(UsageError, match="at most 32"):
        resolve(load(text), "web1")
    resolve(load(f"Host db\n{text}"), "web1")


def test_local_networks_are_those_of_the_interfaces(load):
    """
    Match localnetwork asks the addresses of this machine.
    """
    text = "Match localnetwork {}\nUser bob\n"
    for networks in ("10.0.0.0/8", "192.0.2.0/24,2001:db8::/32", "127.0.0.1"):
        assert resolve(load(text.format(networks)), "a").values["user"] == ("bob",)
    assert resolve(load(text.format("192.0.2.0/24")), "a").values["user"] == ("me",)
    for networks in ("10.0.0.1/8", "10.0.0.0/33", "x", "", "10.0.0.0/255.0.0.0", "10.0.0.0/8,"):
        with pytest.raises(UsageError):
            load(text.format(networks))


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [("tagged blue", True), ("tagged red,b*", True), ("!tagged blue", False), ('tagged ""', False)],
)
def test_tags_select_blocks(criterion, expected, load):
    """
    Match tagged compares the value of Tag with patterns.
    """
    resolved = resolve(load(f"Tag blue\nMatch {criterion}\nUser bob\n"), "a")
    assert resolved.values["user"] == (("bob",) if expected else ("me",))


def test_the_empty_tag_is_no_tag(load):
    """
    Only the empty argument matches a host without a tag.
    """
    assert resolve(load('Match tagged ""\nUser bob\n'), "a").values["user"] == ("bob",)
    assert resolve(load("Match tagged *\nUser bob\n"), "a").values["user"] == ("me",)


def test_values_can_be_had_as_they_are_used(load):
    """
    Tokens, variables and tildes that ssh -G leaves alone are replaced on request.
    """
    text = (
        "HostName 10.0.0.1\nUser bob\nIdentityFile ~/k-%n-${WHO}\nIdentityFile %d/%r\n"
        "ProxyCommand nc %h %p %%\nLocalCommand echo %z\nGlobalKnownHostsFile ~/g\n"
        "RemoteCommand echo %%n\n"
    )
    resolved = resolve(load(text), "web1")
    assert resolved.values["identityfile"] == ("~/k-%n-${WHO}", "%d/%r")
    assert resolved.expanded("IdentityFile") == ("/home/me/k-web1-someone", "/home/me/bob")
    assert resolved.expanded("proxycommand") == ("nc 10.0.0.1 22 %",)
    assert resolved.expanded("globalknownhostsfile") == ("/home/me/g",)
    assert resolved.expanded("remotecommand") == ("echo %n",)
    assert resolved.expanded("port") == ("22",)
    assert resolved.expanded("bindaddress") == ()
    assert resolve(load("LocalCommand up %T\n"), "a").expanded("localcommand") == ("up NONE",)
    with pytest.raises(UsageError, match="unknown key %z") as caught:
        resolved.expanded("localcommand")
    assert caught.value.problems[0].line == 6


def test_the_dump_has_every_value_on_its_line(load):
    """
    Words of a value share a line, elements of what adds up have one each.
    """
    text = dump(resolve(load("IdentityFile a\nIdentityFile b\nUserKnownHostsFile x y\n"), "web1"))
    lines = text.splitlines()
    assert lines[:4] == ["host web1", "user me", "hostname web1", "port 22"]
    assert [line for line in lines if line.startswith("identityfile")] == [
        "identityfile a",
        "identityfile b",
    ]
    assert "userknownhostsfile x y" in lines
    assert "canonicalizePermittedcnames none" in lines
    assert text.endswith("\n")
