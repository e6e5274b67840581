"""
What is known about an installed sshd, and the configuration written for it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetctl.lab.layout import LabError, LabHost
from fleetctl.lab.sshd import (
    Sshd,
    check_config,
    daemon_argv,
    daemon_env,
    is_locked,
    parse_version,
    render_config,
)

HOST = LabHost(
    name="web01",
    address="127.77.0.1",
    port=22022,
    home=Path("/labs/one/hosts/web01/home"),
    log=Path("/labs/one/hosts/web01/sshd.log"),
)


def sshd(major: int, minor: int) -> Sshd:
    return Sshd(Path("/usr/sbin/sshd"), f"OpenSSH_{major}.{minor}", (major, minor))


def options_of(config: str) -> dict[str, str]:
    pairs = [line.split(" ", 1) for line in config.splitlines()]
    assert len({keyword.lower() for keyword, _ in pairs}) == len(pairs), "a keyword is there twice"
    return dict(pairs)


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("OpenSSH_9.2, OpenSSL 3.0.19 27 Jan 2026\n", "OpenSSH_9.2", (9, 2)),
        (
            "unknown option -- V\nOpenSSH_8.9p1 Ubuntu-3ubuntu0.10, OpenSSL 3.0.2\nusage: sshd",
            "OpenSSH_8.9p1",
            (8, 9),
        ),
        ("OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1\n", "OpenSSH_10.0p2", (10, 0)),
    ],
)
def test_version_is_read_from_either_form(text, name, version):
    """
    New releases answer -V, old ones complain about it and print their version all the same.
    """
    assert parse_version(Path("/usr/sbin/sshd"), text) == Sshd(
        Path("/usr/sbin/sshd"), name, version
    )


def test_another_server_is_not_taken_for_openssh():
    """
    A program that does not call itself OpenSSH gives no version.
    """
    assert parse_version(Path("/usr/sbin/sshd"), "Dropbear v2022.83\n") is None


def test_host_has_a_home_of_its_own():
    """
    The home, its authorized_keys and the start of sftp all lie in the host's directory.
    """
    options = options_of(render_config(HOST, sshd(9, 2), as_root=False))
    assert "HOME=/labs/one/hosts/web01/home" in options["SetEnv"].split()
    assert options["AuthorizedKeysFile"] == "/labs/one/hosts/web01/home/.ssh/authorized_keys"
    assert options["Subsystem"] == "sftp internal-sftp -d /labs/one/hosts/web01/home"
    assert options["ListenAddress"] == "127.77.0.1:22022"


def test_root_may_log_in_only_under_root():
    """
    PermitRootLogin is written when the daemon runs as root, and left alone otherwise.
    """
    assert options_of(render_config(HOST, sshd(9, 2), as_root=True))["PermitRootLogin"] == "yes"
    assert "PermitRootLogin" not in render_config(HOST, sshd(9, 2), as_root=False)


@pytest.mark.parametrize(("version", "known"), [((9, 7), False), ((9, 8), True), ((10, 0), True)])
def test_penalties_are_turned_off_where_they_exist(version, known):
    """
    An older sshd would not start with a keyword it does not know.
    """
    config = render_config(HOST, sshd(*version), as_root=True)
    assert ("PerSourcePenalties no" in config) is known


def test_options_replace_lines_in_any_spelling():
    """
    Each keyword is written once, since sshd takes the first; None removes a line.
    """
    options = options_of(
        render_config(
            HOST,
            sshd(9, 2),
            as_root=True,
            options={"maxsessions": "1", "Subsystem": None, "RekeyLimit": "1M none"},
        )
    )
    assert options["MaxSessions"] == "1"
    assert options["RekeyLimit"] == "1M none"
    assert "Subsystem" not in options


@pytest.mark.parametrize(
    ("line", "locked"),
    [
        ("root:*:20228:0:99999:7:::", False),
        ("root:$y$j9T$abc$def:20228:0:99999:7:::", False),
        ("root::20228:0:99999:7:::", False),
        ("root:!locked::0:99999:7:::", True),
        ("root:!:20228:0:99999:7:::", True),
        ("rooted:!:20228:0:99999:7:::", False),
    ],
)
def test_locked_account_is_let_in_through_pam(tmp_path, line, locked):
    """
    An account that sshd calls locked can log in by key only with PAM; others do without.
    """
    shadow = tmp_path / "shadow"
    shadow.write_text(f"daemon:!:20228::::::\n{line}\n")
    assert is_locked("root", shadow) is locked
    config = render_config(HOST, sshd(9, 2), as_root=True, locked=is_locked("root", shadow))
    assert options_of(config)["UsePAM"] == ("yes" if locked else "no")


def test_unreadable_password_file_locks_nobody(tmp_path):
    """
    What sshd cannot read either does not matter.
    """
    assert not is_locked("root", tmp_path / "absent")


@pytest.fixture
def fussy_sshd(tmp_path) -> Sshd:
    """A program that complains like sshd until its directory exists."""
    path = tmp_path / "sshd"
    path.write_text(
        "#!/bin/sh\n"
        f"[ -d {tmp_path}/run/sshd ] || "
        f"{{ echo Missing privilege separation directory: {tmp_path}/run/sshd >&2; exit 255; }}\n"
        f"[ $1 = -t ] && [ $2 = -f ] && [ -e $3 ] || {{ echo $3: No such file >&2; exit 1; }}\n"
    )
    path.chmod(0o755)
    return Sshd(path, "OpenSSH_9.2", (9, 2))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can separate privileges")
def test_missing_directory_of_sshd_is_made(tmp_path, fussy_sshd):
    """
    In a container nobody made the directory sshd needs; the lab does, and asks again.
    """
    (tmp_path / "config").touch()
    check_config(fussy_sshd, tmp_path / "config")
    assert (tmp_path / "run" / "sshd").is_dir()


def test_other_complaints_are_passed_on(tmp_path, fussy_sshd):
    """
    What sshd says about the configuration is the error, with the program that said it.
    """
    (tmp_path / "run" / "sshd").mkdir(parents=True)
    with pytest.raises(LabError, match=r"\(OpenSSH_9\.2\) cannot run: .*/config: No such file"):
        check_config(fussy_sshd, tmp_path / "config")


def test_environment_is_longer_than_what_the_title_adds():
    """
    The title is "sshd: " and the arguments, in the space of arguments and environment.
    """
    assert daemon_argv(sshd(9, 2), HOST)[-1] == "/labs/one/hosts/web01/sshd_config"
    assert sum(len(name) + len(value) for name, value in daemon_env(HOST).items()) > len("sshd: ")
