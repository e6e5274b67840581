"""
ProxyJump: which hosts are gone through, each with settings of its own.
"""

from __future__ import annotations

import pytest

from fleetctl.model.settings import HostSettings


def chain(settings: HostSettings) -> list[tuple[str | None, int, str | None]]:
    return [(hop.hostname, hop.port, hop.user) for hop in settings.gateways]


def test_each_hop_has_its_own_settings_from_the_file(project):
    """
    Address, port, user and keys of a hop are those that ssh would take for it.
    """
    project.write(
        "given",
        "Host web*\n  ProxyJump gate,inner\n  User deploy\n  Port 2222\n"
        "Host gate\n  HostName 192.0.2.1\n  Port 443\n  User hop\n  IdentityFile /k/%n\n"
        "Host inner\n  HostName %h.example.org\n  StrictHostKeyChecking yes\n  User own\n",
    )
    found = project.settings("web1,", config="given")
    assert chain(found) == [("192.0.2.1", 443, "hop"), ("inner.example.org", 22, "own")]
    gate, inner = found.gateways
    assert gate.identity_files == ("/k/gate",)
    assert gate.origin["Port"] == "given:7"
    assert (inner.identity_files, inner.strict_host_key_checking) == ((), "yes")
    assert (found.user, found.port, found.proxy_jump) == ("deploy", 2222, "gate,inner")


def test_what_is_written_with_the_hop_is_stronger(project):
    """
    user@ and :port of ProxyJump stand before the hop's own lines, as -l and -p do.
    """
    project.write("given", "Host gate\n  User a\n  Port 1\n")
    found = project.settings("web1,", config="given", options=["ProxyJump=b@gate:2"])
    assert chain(found) == [("gate", 2, "b")]


def test_a_hop_of_the_inventory_has_the_settings_it_has_there(project):
    """
    Also when it is known there by another address; the file still adds what is not said.
    """
    project.write(
        "hosts.yml",
        "all:\n"
        "  children:\n"
        "    web: {ssh: {ProxyJump: gate}, hosts: {web1: }}\n"
        "    gates: {ssh: {User: hop}, hosts: {gate: {ansible_host: 192.0.2.1}}}\n",
    )
    project.write("given", "Host 192.0.2.1\n  Port 443\nHost gate\n  Port 1\n")
    hosts = project.hosts(config="given")
    assert chain(hosts["web1"].settings) == [("192.0.2.1", 443, "hop")]
    assert hosts["gate"].settings.gateways == ()


def test_the_command_line_is_not_about_hops(project):
    """
    -u, -o and their like are for the host; only -J says anything about the way to it.
    """
    options = ["ProxyJump=gate", "User=kim", "Port=33", "IdentityFile=/k/mine"]
    project.write("hosts.yml", "all: {ssh: {User: hop}, hosts: {gate: , web1: }}\n")
    found = project.hosts(config="none", options=options, pattern="web1")["web1"].settings
    assert chain(found) == [("gate", 22, "hop")]
    assert found.gateways[0].identity_files == ()
    assert (found.user, found.port) == ("kim", 33)


def test_only_the_first_hop_may_have_hops_of_its_own(project):
    """
    The hosts before the first one are prepended; what later ones say about the way is not asked.
    """
    project.write(
        "given",
        "Host web1\n  ProxyJump first,second\n"
        "Host first\n  ProxyJump outer\n"
        "Host outer\n  ProxyCommand nc %h %p\n"
        "Host second\n  ProxyJump elsewhere\n  ProxyCommand false\n  Port 2\n",
    )
    found = project.settings("web1,", config="given")
    assert [hop.hostname for hop in found.gateways] == ["outer", "first", "second"]
    assert [hop.proxy_command for hop in found.gateways] == ["nc outer 22", None, None]
    assert [hop.gateways for hop in found.gateways] == [(), (), ()]
    assert found.gateways[2].port == 2


def test_tokens_in_hops_are_about_the_host(project):
    """
    ProxyJump takes %h %n %p %r; in every hop they mean the host that is reached.
    """
    project.write("given", "Host web*\n  ProxyJump %r@gate-%h:221,in-%n\n  User kim\n")
    found = project.settings("web1,", config="given", options=["Port=1"])
    assert chain(found)[0] == ("gate-web1", 221, "kim")
    assert chain(found)[1][0] == "in-web1"


@pytest.mark.parametrize("options", [["ProxyJump=none"], ["ProxyJump=NONE"]])
def test_none_is_directly(project, options):
    """
    `ProxyJump none` takes back what is said behind it, and leaves a ProxyCommand alone.
    """
    project.write("given", "ProxyJump gate\n")
    found = project.settings("web1,", config="given", options=options)
    assert (found.gateways, found.proxy_jump, found.proxy_command) == ((), None, None)
    project.write("hosts.yml", "all: {hosts: {web1: {ssh: {ProxyCommand: nc %h %p}}}}\n")
    assert project.settings(config="given", options=options).proxy_command == "nc web1 22"


def test_the_stronger_of_jump_and_command_counts(project):
    """
    Whichever is said first takes the place of the other.
    """
    for host, group, expected in (
        ("ProxyJump: gate", "ProxyCommand: nc", (1, None)),
        ("ProxyCommand: nc", "ProxyJump: gate", (0, "nc")),
    ):
        text = f"all: {{ssh: {{{group}}}, hosts: {{web1: {{ssh: {{{host}}}}}}}}}\n"
        project.write("hosts.yml", text)
        found = project.settings(config="none")
        assert (len(found.gateways), found.proxy_command) == expected


def test_a_host_that_is_its_own_gateway_is_refused(project):
    """
    `ProxyJump gate` for all, gate included: the line is named.
    """
    project.write("hosts.yml", "all:\n  ssh: {ProxyJump: gate}\n  hosts: {gate: , web1: }\n")
    (line, *_) = project.mistakes(config="none")
    assert line.startswith("hosts.yml:2")
    assert "loop via gate" in line


def test_gateways_that_need_each_other_are_refused(project):
    """
    The error names the line that closes the circle, and how to break it.
    """
    project.write("given", "Host web1 b\n  ProxyJump a\nHost a\n  ProxyJump b\n")
    assert project.mistakes("web1,", config="given") == [
        "given:2: ProxyJump: a would be reached through itself",
        "hint: give a its own line: ProxyJump none",
    ]


def test_a_row_of_gateways_that_never_ends_is_refused(project):
    """
    A pattern that gives every gateway another one is found, and nobody is contacted.
    """
    project.write("given", "Match host *\n  ProxyJump x-%h\n")
    line, hint = project.mistakes("web1,", config="given")
    assert line.startswith("given:2: ProxyJump: x-x-")
    assert "more than 16 jump hosts" in line
    assert hint == "hint: say which one is reached directly: ProxyJump none for x-web1"


def test_sixteen_gateways_each_behind_the_next_are_possible(project):
    """
    The limit is far from what people have.
    """
    lines = [f"Host h{n}\n  ProxyJump h{n + 1}\n" for n in range(16)]
    project.write("given", "".join(lines))
    found = project.settings("h0,", config="given")
    assert [hop.hostname for hop in found.gateways] == [f"h{n}" for n in range(16, 0, -1)]


def test_a_command_that_hands_over_a_connection_is_refused(project):
    """
    ProxyUseFdpass is not understood, which is said with the line.
    """
    project.write("given", "ProxyCommand nc -F %h %p\nProxyUseFdpass yes\n")
    line, hint = project.mistakes("web1,", config="given")
    assert line.startswith("given:2: ProxyUseFdpass")
    assert hint == "hint: let the command carry the data: ProxyUseFdpass no"
