"""
``--become`` on real hosts, typed as people and scripts do.
"""

from __future__ import annotations

import hashlib
import json

import pytest

from fleetctl.inventory.vault import encrypt
from fleetctl.model.secret import Secret
from tests.cli.shell import fleetctl, on_terminal

pytestmark = pytest.mark.fleet


@pytest.fixture
def secret_file(tmp_path):
    def write(text, name="secret"):
        path = tmp_path / name
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return str(path)

    return write


def inventory(accounts, tmp_path, variables, **names):
    """Return an inventory of accounts with variables of each host."""
    path = accounts.inventory(names=names)
    content = json.loads(path.read_text())
    hosts = content["all"]["children"]["web"]["hosts"]
    for name, values in variables.items():
        hosts[name]["vars"] = values
    mine = tmp_path / "hosts.yml"
    mine.write_text(json.dumps(content))
    mine.chmod(0o600)
    return str(mine)


def test_a_password_from_a_file_is_nowhere_in_the_output(accounts, secret_file):
    """
    S24: not with -vvv either; the prompt is no output.
    """
    password = accounts.password("admin")
    words = ("run", "-i", str(accounts.inventory("admin")), "web", "-b", "-vvv")
    done = fleetctl(
        *words, "--become-password-file", secret_file(password), "--", "id -un; echo x >&2"
    )
    assert (done.code, done.out) == (0, "admin: root\n")
    assert "admin: x" in done.err
    assert password not in done.out + done.err


def test_a_password_is_asked_for_once(accounts):
    """
    -K asks before anybody is contacted, without echo, for all hosts.
    """
    path = str(accounts.inventory(names={"a": "admin", "b": "admin"}))
    password = accounts.password("admin")
    with on_terminal("run", "-i", path, "web", "-b", "-K", "--", "id", "-un") as screen:
        screen.read_until("become password: ")
        screen.type(f"{password}\n")
        done = screen.wait()
    assert done.code == 0
    assert done.out.count("become password") == 1
    assert "a,b (2)" in done.out
    assert password not in done.out


def test_the_login_password_can_stand_for_both(accounts, fleet):
    """
    With -k and -K, nothing means the same, as with Ansible.
    """
    host = accounts.host("passwords", PasswordAuthentication="yes", PubkeyAuthentication="no")
    password = accounts.password("admin")
    words = ("run", "-i", str(accounts.inventory("admin", host=host)), "web", "-k", "-b", "-K")
    with on_terminal(*words, "--", "id", "-un") as screen:
        screen.read_until("login password: ")
        screen.type(f"{password}\n")
        screen.read_until("become password (empty for the login password): ")
        screen.type("\n")
        done = screen.wait()
    assert done.code == 0, done.out
    assert "root" in done.out


def test_each_host_has_its_own_password_user_and_way(accounts, tmp_path):
    """
    S10: variables of the host; a host never gets another one's password.
    """
    variables = {
        "one": {"ansible_become": True, "ansible_become_password": accounts.password("admin")},
        "two": {
            "ansible_become": "yes",
            "ansible_become_method": "su",
            "ansible_become_user": "u-fish",
            "ansible_become_pass": accounts.password("u-fish"),
        },
        "three": {"ansible_become": "no", "ansible_become_password": "unused"},
        "four": {"ansible_become": True, "ansible_become_method": "doas"},
        "five": {},
    }
    path = inventory(
        accounts,
        tmp_path,
        variables,
        one="admin",
        two="admin",
        three="admin",
        four="doas-nopass",
        five="admin",
    )
    done = fleetctl("run", "-i", path, "web", "--", "id", "-un")
    assert done.code == 0, done.err
    assert sorted(done.out.splitlines()) == [
        "five: admin",
        "four: root",
        "one: root",
        "three: admin",
        "two: u-fish",
    ]


def test_a_password_in_a_vault(accounts, tmp_path, secret_file):
    """
    S24: opened when the inventory is read, and shown nowhere.
    """
    password = accounts.password("admin")
    vaulted = encrypt(password.encode(), Secret("vault password"))
    folder = tmp_path / "group_vars"
    folder.mkdir()
    lines = "".join(f"  {line}\n" for line in vaulted.splitlines())
    (folder / "web.yml").write_text(f"ansible_become_password: !vault |\n{lines}")
    path = inventory(accounts, tmp_path, {}, one="admin")
    vault = ("--vault-password-file", secret_file("vault password"))
    done = fleetctl("run", "-i", path, *vault, "web", "-b", "-vvv", "--", "id", "-un")
    assert (done.code, done.out) == (0, "one: root\n"), done.err
    assert password not in done.out + done.err


def test_the_command_line_comes_before_the_variables(accounts, tmp_path, secret_file):
    """
    But a host that says no becomes nobody.
    """
    variables = {
        "one": {"ansible_become_user": "u-sh", "ansible_become_password": "not this one"},
        "two": {"ansible_become": False},
    }
    path = inventory(accounts, tmp_path, variables, one="admin", two="admin")
    file = secret_file(accounts.password("admin"))
    options = ("-b", "--become-user", "u-zsh", "--become-password-file", file)
    done = fleetctl("run", "-i", path, "web", *options, "--", "id", "-un")
    assert (done.code, sorted(done.out.splitlines())) == (0, ["one: u-zsh", "two: admin"])


def test_a_program_knows_the_password_of_each_host(accounts, secret_file, tmp_path):
    """
    %n and %r are the host's name and who logs in.
    """
    for name, user in (("one", "admin"), ("two", "lecture")):
        secret_file(accounts.password(user), f"{name}-{user}")
    path = str(accounts.inventory(names={"one": "admin", "two": "lecture"}))
    source = f"cmd:cat {tmp_path}/%n-%r"
    words = ("run", "-i", path, "web", "-b", "--become-password-file", source)
    done = fleetctl(*words, "--", "id", "-un")
    assert (done.code, sorted(done.out.splitlines())) == (0, ["one: root", "two: root"])


def test_F55_a_failure_is_the_hosts_and_says_what_to_do(accounts):
    """
    F55: exit code 1, the host's status failed, nothing ran there.
    """
    path = str(accounts.inventory("admin", "nopass", "nosudo"))
    done = fleetctl("run", "-i", path, "web", "-b", "--format", "json", "--", "id", "-un")
    results = done.results()
    assert done.code == 1
    assert results["nopass"]["stdout"] == "root\n"
    for user in ("admin", "nosudo"):
        assert (results[user]["status"], results[user]["ran"]) == ("failed", "no")
        assert results[user]["failure"]["kind"] == "become.denied"
        assert results[user]["stdout"] + results[user]["stderr"] == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--become-user", "db"), "--become-user means nothing without --become\nhint: add -b"),
        (("-K",), "--ask-become-pass means nothing without --become"),
        (("-b", "-K"), "--ask-become-pass: there is no terminal to ask on"),
        (("-b", "--become-user", "-x"), '"-x" cannot be the name of a user'),
        (("-b", "--become-password-file", "/no/such"), "No such file or directory"),
        (("-b", "--become-password-file", "env:NO_SUCH"), "the variable NO_SUCH is not set"),
        (
            ("-b", "-K", "--become-password-file", "x"),
            "--ask-become-pass and --become-password-file cannot be combined",
        ),
        (("-b", "--become-method", "runas"), "'runas' is not one of"),
    ],
)
def test_mistakes_are_found_before_anybody_is_contacted(options, message):
    """
    Exit code 2; no host is there that could be.
    """
    done = fleetctl("run", "-i", "192.0.2.1,", "all", *options, "--", "uptime")
    assert done.code == 2
    assert message in done.err


def test_wrong_variables_name_their_hosts(tmp_path):
    """
    Folded, each mistake once.
    """
    file = tmp_path / "hosts.yml"
    file.write_text(
        "all: {hosts: {'web[1:3]': {ansible_become: true, ansible_become_method: runas}}}"
    )
    done = fleetctl("run", "-i", str(file), "all", "--", "uptime")
    assert done.code == 2
    assert (
        'web[1-3]: ansible_become_method: "runas" is not supported: there are sudo, su, doas'
        in done.err
    )


def become_phase(*words):
    done = fleetctl("doctor", *words, "--format", "json")
    (result,) = json.loads(done.out)["hosts"]
    findings = [each for each in result["data"]["findings"] if each["phase"] == "become"]
    return done.code, findings


def test_F55_doctor_becomes_too_when_it_is_told(accounts, secret_file):
    """
    F55: after everything else, with its time; how it went, and the fix if it did not.
    """
    path = str(accounts.inventory("admin", "nopass", "nosudo"))
    assert become_phase("-i", path, "nopass") == (0, [])
    code, (finding,) = become_phase("-i", path, "nopass", "-b")
    assert (code, finding["verdict"]) == (0, "ok")
    assert finding["summary"] == "root by sudo, without a password"
    assert finding["duration_s"] > 0
    file = secret_file(accounts.password("admin"))
    code, (finding,) = become_phase(
        "-i", path, "admin", "-b", "--become-user", "u-csh", "--become-password-file", file
    )
    assert (code, finding["summary"]) == (0, "u-csh by sudo, with a password")
    code, (finding,) = become_phase("-i", path, "nosudo", "-b")
    assert (code, finding["verdict"]) == (1, "failed")
    assert finding["summary"].startswith("become.denied: sudo asks for the password of nosudo")
    assert "-K" in finding["fix"]


def test_doctor_does_not_get_that_far_on_a_host_that_is_down():
    """
    The phase is shown as not reached.
    """
    code, (finding,) = become_phase("-i", "127.0.0.1:1,", "all", "-b", "-F", "none")
    assert (code, finding["verdict"]) == (4, "skipped")


def test_who_is_logged_in_already_needs_no_sudo(accounts):
    """
    Root becomes root in no way at all, without a word about it.
    """
    path = str(accounts.inventory("root"))
    done = fleetctl("run", "-i", path, "web", "-b", "--become-exe", "nosudo", "--", "id", "-un")
    assert (done.code, done.out) == (0, "root: root\n"), done.err


def test_conditions_hold_for_the_other_user(accounts):
    """
    --env and --cwd stay effective inside, `~` is that one's home.
    """
    path = str(accounts.inventory("nopass"))
    words = ("run", "-i", path, "web", "-b", "--become-user", "u-ksh")
    done = fleetctl(*words, "--env", "COLOUR=it's red", "--", 'echo "$COLOUR" $(pwd)')
    assert (done.code, done.out) == (0, "nopass: it's red /home/u-ksh\n"), done.err


def test_on_this_machine(tmp_path):
    """
    Becoming is nothing of SSH's: root becomes nobody here by sudo.
    """
    done = fleetctl("run", "localhost", "-b", "--become-user", "nobody", "--", "id", "-un")
    assert (done.code, done.out) == (0, "localhost: nobody\n"), done.err


#: Whose password becoming takes, by the way it is done.
WAYS = [("admin", "sudo", "admin"), ("admin", "su", "root"), ("doas-pass", "doas", "doas-pass")]


@pytest.mark.parametrize("pty", [(), ("--pty",)], ids=["streams", "terminal"])
@pytest.mark.parametrize(("user", "method", "whose"), WAYS)
def test_F55_scripts_and_shells_run_as_the_other_user(
    accounts, secret_file, tmp_path, user, method, whose, pty
):
    """
    F55: with a password, with a terminal and without, with input of their own.
    """
    path = str(accounts.inventory(user))
    password = secret_file(accounts.password(whose))
    become = ("-b", "--become-method", method, "--become-password-file", password)
    script = tmp_path / "who.sh"
    script.write_text('#!/bin/sh\nset -e\necho "$1: $(id -un) in $(pwd)"\nexit 3\n')

    done = fleetctl("script", "-i", path, user, *become, *pty, script, "--", "it's me")
    assert (done.code, done.out) == (1, f"{user}: it's me: root in /root\n"), done.err
    assert "exit status 3" in done.err

    script.write_text("id -un; exit 4\n")
    done = fleetctl("shell", "-i", path, user, *become, *pty, "--script", str(script))
    assert done.code == 1
    assert "root" in done.out
    assert "exit status 4" in done.err


def test_F55_the_input_of_a_script_reaches_it(accounts, secret_file, tmp_path):
    """
    F55: behind the password and behind the script, byte for byte.
    """
    path = str(accounts.inventory("admin"))
    become = ("-b", "--become-password-file", secret_file(accounts.password("admin")))
    script = tmp_path / "sum.sh"
    script.write_text("#!/bin/sh\nsha256sum\n")
    data = tmp_path / "data"
    data.write_bytes(bytes(range(256)) * 4096)
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    done = fleetctl("script", "-i", path, "admin", *become, "--stdin", str(data), str(script))
    assert (done.code, done.out) == (0, f"admin: {digest}  -\n"), done.err
