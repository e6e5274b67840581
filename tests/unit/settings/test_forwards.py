"""
Forwardings in settings: they add up over all sources, and some of them take trust.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.wiring import Selection, find_hosts
from fleetctl.wiring.forwards import configured_forwards


def test_forwardings_of_all_sources_add_up(project):
    """
    Command line, host, group and files, the strongest first, each once.
    """
    project.write("own", "LocalForward 84 e:84\nLocalForward /%n f:1\nRemoteForward 0 g:1\n")
    project.write(
        "hosts.yml",
        "ssh_config: own\n"
        "all:\n"
        "  ssh: {LocalForward: 83 d:83, DynamicForward: '[::1]:1080'}\n"
        "  hosts:\n"
        "    web1: {ssh: {LocalForward: ['81 b:81', '82 c:82']}}\n",
    )
    selection = Selection(
        ["hosts.yml"],
        "all",
        overrides=[
            ("LocalForward", ("80 a:80",), "-o"),
            ("LocalForward", ("81 b:81",), "-o"),
        ],
    )
    (host,) = find_hosts(selection, project.warnings.append, lambda _path, _data: True)
    assert [str(forward) for forward in configured_forwards(host)] == [
        *("-L 80:a:80", "-L 81:b:81", "-L 82:c:82", "-L 83:d:83", "-L 84:e:84", "-L /web1:f:1"),
        "-R 0:g:1",
        "-D [::1]:1080",
    ]
    assert project.warnings == []


def test_mistakes_name_the_line(project):
    """
    A forwarding that is none is an error wherever it stands.
    """
    project.write("hosts.yml", "all: {ssh: {LocalForward: '80'}, hosts: {a: }}\n")
    (mistake, *_) = project.mistakes()
    assert mistake.startswith("hosts.yml:1")
    assert "LocalForward" in mistake


def test_clear_all_forwardings_clears_those_of_settings(project):
    """
    Wherever it is said.
    """
    project.write("given", "LocalForward 80 a:80\nClearAllForwardings yes\n")
    (host,) = project.hosts("web1,", config="given").values()
    assert list(configured_forwards(host)) == []


@pytest.mark.parametrize("line", ["RemoteForward: 9000 localhost:1", "GatewayPorts: 'yes'"])
def test_S09_a_project_may_not_open_ways_into_this_machine(project, line):
    """
    Before its file is trusted: neither the host nor other machines get to connect from here.
    """
    project.write("hosts.yml", f"all: {{ssh: {{{line}}}, hosts: {{a: }}}}\n").chmod(0o666)
    with pytest.raises(UsageError, match="which only a file you trust may do"):
        project.hosts(is_trusted=False)
