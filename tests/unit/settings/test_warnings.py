"""
Keywords without effect: said of files that were named to us, and of no others.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import Problem

IDLE = "ControlMaster auto\nStdinNull yes\nGSSAPIAuthentication yes\nTunnel yes\n"
SAID = "ControlMaster, GSSAPIAuthentication, StdinNull, Tunnel have no effect here"


def test_one_line_for_each_file_that_was_named(project):
    """
    The inventory's ssh_config, what it includes, and -F; however many hosts and lines there are.
    """
    project.write("hosts.yml", "ssh_config: own\nall: {hosts: {'web[1:9]': }}\n")
    project.write("own", f"{IDLE}Include {project.folder}/part\n{IDLE}")
    project.write("part", "VisualHostKey yes\n")
    project.write("given", "LogLevel QUIET\nHost web3\n  TunnelDevice 1\nHost db\n  Tunnel yes\n")
    project.hosts(config="given")
    assert sorted(project.warnings, key=lambda each: each.file or "") == [
        Problem("VisualHostKey has no effect here", f"{project.folder}/part"),
        Problem("LogLevel, TunnelDevice have no effect here", "given"),
        Problem(SAID, "own"),
    ]


def test_files_written_for_ssh_are_read_in_silence(project):
    """
    ~/.ssh/config, the system's file, and whatever these include from elsewhere.
    """
    elsewhere = project.write("elsewhere/ssh.conf", "VisualHostKey yes\nCompressionLevel 3\n")
    project.write_user(f"{IDLE}Include {elsewhere}\n")
    project.write_system(f"{IDLE}Include {elsewhere}\n")
    project.hosts("web1,")
    assert project.warnings == []


def test_a_keyword_that_is_idle_in_both_is_said_of_the_file_that_was_named(project):
    """
    Whichever of them says it first.
    """
    project.write_user("Host a\n  LogLevel QUIET\n")
    project.write("hosts.yml", "ssh_config: own\nall: {hosts: {a: , b: }}\n")
    project.write("own", "Host b\n  LogLevel QUIET\n")
    project.hosts()
    assert project.warnings == [Problem("LogLevel has no effect here", "own")]


@pytest.mark.parametrize(
    "line", ["GSSAPIAuthentication no", "KnownHostsCommand none", "SessionType default"]
)
def test_turning_off_what_is_not_there_is_no_news(project, line):
    """
    The file says what is so anyway.
    """
    project.write("given", f"{line}\n")
    project.hosts("web1,", config="given")
    assert project.warnings == []


def test_keywords_that_ssh_does_not_support_any_more_are_named(project):
    """
    As ssh says on its standard error.
    """
    project.write("given", "CompressionLevel 3\n")
    project.hosts("web1,", config="given")
    assert project.warnings == [
        Problem('Unsupported option "compressionlevel" has no effect here', "given")
    ]


def test_options_of_the_command_line_and_inventory_warn_once(project):
    """
    Each with its own place; the joined settings do not say it again.
    """
    project.write("hosts.yml", "all: {ssh: {LogLevel: QUIET}, hosts: {a: , b: }}\n")
    project.write("given", "Port 33\n")
    project.hosts(config="given", options=["VisualHostKey=yes"])
    assert [str(each.file) for each in project.warnings] == ["-o", "hosts.yml"]
