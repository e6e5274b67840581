"""
``fleetctl keys audit`` on hosts of all kinds: shells, busybox, dropbear, and many users.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from fleetctl.keys.audit_judge import judge_host
from fleetctl.keys.audit_program import make_program, read_records
from fleetctl.keys.audit_read import read_host
from tests.support.audits import audit, keys_of
from tests.support.key_files import fingerprint_of, inventory, own_file, public_key
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.fixture
def machine(accounts):
    """A machine with many users, for one test; its files can be changed."""
    host = accounts.host("audit-hosts")
    yield host
    accounts.stop(host)


@pytest.fixture
def env(tmp_path):
    return {"FLEETCTL_STATE": str(tmp_path / "state"), "HOME": str(tmp_path)}


@pytest.mark.parametrize("user", ["u-ash", "u-ksh", "u-zsh", "u-csh", "u-tcsh", "u-fish"])
def test_any_login_shell_will_do(accounts, env, user):
    """
    It sees three words; the program is read by the host's sh.
    """
    document, code = audit(env, "-i", inventory(accounts, accounts.host(), one=user), "one")
    assert code == 0
    assert {key["state"] for key in keys_of(document, user).values()} == {"live"}


def test_accounts_that_run_no_commands_are_said_to(accounts, env):
    """
    Nologin and false: that is the failure, with what was said in place of an answer.
    """
    names = {"one": "u-nologin", "two": "u-false"}
    document, code = audit(env, "-i", inventory(accounts, accounts.host(), **names), "all")
    assert code == 4
    assert {one["failure"]["kind"] for one in document["failures"]} == {"session.no_shell"}


@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox ash", "ksh"])
def test_every_posix_shell_gives_the_same_answer(accounts, shell):
    """
    dash, bash, busybox and ksh read the program alike, and their tools answer alike.
    """
    host = accounts.host()
    program = make_program("0123456789abcdef")

    def run(command):
        done = subprocess.run(
            [*accounts.ssh_argv("root", host=host), command],
            input=program,
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
        )
        assert done.stderr == b""
        records = read_records(done.stdout, "0123456789abcdef")
        return [one for one in records if one.kind not in ("clock",)]

    assert run(f"exec {shell} -s") == run("exec sh -s")


def test_the_tools_of_busybox_will_do(accounts, machine):
    """
    Where there is nothing else, such as on Alpine or OpenWrt: root's own file, its path and modes.
    """
    tools = machine.directory / "etc" / "tools"
    tools.mkdir()
    subprocess.run(["busybox", "--install", "-s", tools], check=True)
    path = b"PATH=/etc/tools"
    program = re.sub(rb"(?m)^PATH=.*$", path, make_program("0123456789abcdef", users=("root",)))
    done = subprocess.run(
        [*accounts.ssh_argv("root", host=machine), "exec busybox ash -s"],
        input=program,
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stderr == b""
    [root] = judge_host(
        "one", read_host(read_records(done.stdout, "0123456789abcdef")), "OpenSSH_9.2"
    ).users
    [file] = root.files
    assert (file.path, file.mode, file.owner) == ("/root/.ssh/authorized_keys", 0o600, "root")
    assert [key.state for key in root.keys] == ["live"]


def test_dropbear_has_one_file_and_no_settings(accounts, env, tmp_path):
    """
    Its keys are read as dropbear reads them, whatever an sshd_config on that host says.
    """
    host = accounts.dropbear("audit-dropbear")
    bound = public_key(tmp_path, "bound")
    own_file(accounts, host, "u-bash", f'from="10.0.0.1" {bound}')
    own_file(accounts, host, "u-dash", bound, name="authorized_keys2")
    document, code = audit(env, "-i", inventory(accounts, host, one="root"), "one")
    accounts.stop(host)
    assert code == 0
    [found] = document["hosts"]
    assert (found["server"].startswith("dropbear"), found["config"]) == (True, "")
    [key] = keys_of(document, "u-bash").values()
    assert (key["state"], "dropbear does not know" in key["why"]) == ("dead", True)
    assert fingerprint_of(bound) not in keys_of(document, "u-dash")


def test_thousands_of_users_are_looked_at_in_one_go(accounts, env, tmp_path):
    """
    Ten thousand accounts, each looked at by its own settings' file; those without keys cost little.
    """
    host = accounts.host("audit-many")
    passwd = host.directory / "etc" / "passwd"
    with passwd.open("a") as stream:
        stream.writelines(
            f"many{n}:x:{n}:{n}::/home/many{n}:/bin/sh\n" for n in range(70000, 79000)
        )
    document, code = audit(env, "-i", inventory(accounts, host, one="root"), "one")
    accounts.stop(host)
    assert code == 0
    assert document["hosts"][0]["accounts"] > 9000
    assert "u-bash" in {user["name"] for user in document["hosts"][0]["users"]}
