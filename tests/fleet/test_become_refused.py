"""
Why another user cannot be become, by the real sudo, su and doas: each reason has words of its own.
"""

from __future__ import annotations

import pytest

from fleetctl.become import remote as become_remote
from fleetctl.become.become import Become
from tests.support.becoming import refused, run_as

pytestmark = pytest.mark.fleet

ROOT = Become()
SU = Become(method="su")
DOAS = Become(method="doas")


def explained(error):
    return error.kind, error.failure.message, error.failure.hint or ""


@pytest.mark.parametrize(
    ("user", "become", "whose"),
    [
        ("admin", ROOT, "admin"),
        ("insults", ROOT, "insults"),
        ("one-try", ROOT, "one-try"),
        ("lecture", ROOT, "lecture"),
        ("admin", SU, "root"),
        ("doas-pass", DOAS, "doas-pass"),
    ],
)
def test_F55_no_password_where_one_is_wanted(accounts, user, become, whose):
    """
    F55: says whose, and the three ways to give it. Nothing is typed.
    """
    error = refused(accounts.model_host(user), become)
    message = f"{become.method} asks for the password of {whose}, and none was given"
    assert explained(error)[:2] == ("become.denied", message)
    assert "-K asks you for it" in explained(error)[2]
    assert "ansible_become_password" in explained(error)[2]


@pytest.mark.parametrize(
    ("user", "become", "whose"),
    [
        ("admin", ROOT, "admin"),
        ("insults", ROOT, "insults"),
        ("one-try", ROOT, "one-try"),
        ("lecture", ROOT, "lecture"),
        ("usepty", ROOT, "usepty"),
        ("nosudo", ROOT, "nosudo"),
        ("admin", SU, "root"),
        ("doas-pass", DOAS, "doas-pass"),
    ],
)
def test_F55_a_wrong_password_is_given_once(accounts, user, become, whose):
    """
    F55: one mistake in the host's log, not three; and neither password nor insult is shown.
    """
    error = refused(accounts.model_host(user), become, password="Wrong-0ne")
    message = f"{become.method} refused the password of {whose}"
    assert explained(error)[:2] == ("become.denied", message)
    assert "Wrong-0ne" not in repr(explained(error))


@pytest.mark.parametrize("user", ["rootpw", "targetpw"])
def test_F55_another_users_password_may_be_wanted(accounts, user):
    """
    F55: with rootpw and targetpw one's own is wrong, and the hint says so.
    """
    error = refused(accounts.model_host(user), ROOT, password=accounts.password(user))
    assert error.failure.message == f"sudo refused the password of {user}"
    assert "rootpw or targetpw" in explained(error)[2]


def test_F55_the_host_logs_one_mistake(accounts):
    """
    F55: sudo itself counts one attempt, because it was left in peace to end.
    """
    host = accounts.host("mistakes", sudoers="Defaults logfile=/var/log/sudo.log\n")
    refused(accounts.model_host("admin", host), ROOT, password="Wrong-0ne")
    ran = run_as(accounts.model_host("root", host), ROOT, "cat /var/log/sudo.log")
    assert ran.output.count(b"1 incorrect password attempt") == 1
    assert b"3 incorrect" not in ran.output


@pytest.mark.parametrize(
    ("user", "become", "kind", "message"),
    [
        ("nosudo", ROOT, "become.denied", "nosudo is not in the sudoers file of the host"),
        (
            "limited",
            ROOT,
            "become.denied",
            "sudoers does not let limited run /bin/sh as root, which becoming needs",
        ),
        ("tty", ROOT, "become.denied", "sudo there wants a terminal (requiretty)"),
        ("tty-nopass", ROOT, "become.denied", "sudo there wants a terminal (requiretty)"),
        ("doas-deny", DOAS, "become.denied", "doas.conf does not let doas-deny become root"),
        ("admin", DOAS, "become.denied", "doas.conf does not let admin become root"),
        (
            "admin",
            Become("nobody9"),
            "become.denied",
            "there is no user nobody9 on the host",
        ),
        (
            "admin",
            Become("nobody9", "su"),
            "become.denied",
            "there is no user nobody9 on the host",
        ),
        (
            "doas-nopass",
            Become("nobody9", "doas"),
            "become.denied",
            "there is no user nobody9 on the host",
        ),
        (
            "admin",
            Become(exe="/opt/sudo"),
            "become.unavailable",
            "there is no /opt/sudo on the host",
        ),
        (
            "admin",
            Become(flags=("--preserve-everything",)),
            "become.unavailable",
            "sudo there does not take the options it was given",
        ),
        (
            "u-nologin",
            ROOT,
            "become.unavailable",
            "the host ran something else than what was sent: This account is currently not "
            "available.",
        ),
        (
            "u-false",
            ROOT,
            "become.unavailable",
            "the host ran something else than what was sent: it said nothing",
        ),
    ],
)
def test_F55_each_reason_has_its_own_message(accounts, user, become, kind, message):
    """
    F55: with the line that mends it; the command did not run.
    """
    error = refused(accounts.model_host(user), become, password=accounts.password(user))
    assert (error.kind, error.failure.message[: len(message)]) == (kind, message)
    assert error.failure.hint
    assert "{" not in f"{error.failure.message}{error.failure.hint}"


@pytest.fixture
def lenient(accounts):
    """A host that lets in whoever has a key, and leaves it to sudo to look at the account."""
    host = accounts.host("lenient")
    text = "account required pam_permit.so\nsession required pam_permit.so\n"
    (host.directory / "etc" / "pam.d" / "sshd").write_text(text)
    return host


def test_F55_a_password_that_has_expired(accounts, lenient):
    """
    F55: whether the login says so or sudo itself.
    """
    for host in (None, lenient):
        error = refused(
            accounts.model_host("expired", host), ROOT, password=accounts.password("expired")
        )
        assert explained(error) == (
            "become.denied",
            "the password of expired has expired",
            "log in with ssh as expired, and set a new one with passwd",
        )


def test_F55_a_locked_account(accounts, lenient):
    """
    F55: an account that is over is told from a wrong password.
    """
    root = accounts.model_host("root", lenient)
    assert run_as(root, ROOT, "chage -E 1 one-try").error is None
    error = refused(
        accounts.model_host("one-try", lenient), ROOT, password=accounts.password("one-try")
    )
    assert explained(error)[:2] == (
        "become.denied",
        "the account of one-try is locked or has expired",
    )


def test_F55_sudoers_that_cannot_be_read(accounts):
    """
    F55: a mistake in sudoers is the host's, and named.
    """
    host = accounts.host("broken-sudoers")
    root = accounts.model_host("root", host)
    assert run_as(root, SU, "echo 'this is (wrong' > /etc/sudoers").error is None
    error = refused(accounts.model_host("nopass", host), ROOT)
    assert error.kind in ("become.unavailable", "become.denied")
    assert error.failure.hint


def test_F34_a_forced_command_is_not_taken_for_sudo(accounts):
    """
    F34: nothing of ours ran; what it printed is in the message, and is not output.
    """
    host = accounts.host("forced-echo", ForceCommand="echo forced")
    error = refused(accounts.model_host("admin", host), ROOT, password=accounts.password("admin"))
    assert explained(error)[:2] == (
        "become.unavailable",
        "the host ran something else than what was sent: forced",
    )


@pytest.mark.parametrize("pty", [False, True])
def test_F55_a_program_that_never_gets_there_is_given_up(accounts, pty, monkeypatch):
    """
    F55: one that asks for something else, such as a code, is become.timeout with its words.
    """
    from fleetctl.model.operation import Pty

    monkeypatch.setattr(become_remote, "LIMIT_S", 4.0)
    host = accounts.host("asks-a-code")
    program = host.home / "admin" / "sudo"
    program.write_text("#!/bin/sh\nprintf 'Verification code: ' >&2\nread code\necho never\n")
    program.chmod(0o755)
    error = refused(
        accounts.model_host("admin", host),
        Become(exe="/home/admin/sudo"),
        password=accounts.password("admin"),
        pty=Pty() if pty else None,
    )
    assert explained(error)[:2] == (
        "become.timeout",
        "/home/admin/sudo did not become root within 4 s; it said: Verification code:",
    )


def test_the_time_limit_of_a_command_counts_for_becoming_too(accounts):
    """
    A command that did not begin within its time did not run, and the failure says so.
    """
    host = accounts.host("slow-sudo")
    program = host.home / "admin" / "sudo"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    error = refused(
        accounts.model_host("admin", host), Become(exe="/home/admin/sudo"), timeout_s=6.0
    )
    assert error.kind == "become.timeout"


def test_S10_a_program_that_shows_another_prompt_gets_nothing(accounts, monkeypatch):
    """
    S10: a prompt without our random words is not answered, whatever it looks like.
    """
    monkeypatch.setattr(become_remote, "LIMIT_S", 1.0)
    host = accounts.host("fake-sudo")
    program = host.home / "admin" / "sudo"
    program.write_text(
        "#!/bin/sh\nprintf '[sudo] password for admin: ' >&2\n"
        'read -r password; echo "$password" > stolen\n'
    )
    program.chmod(0o755)
    password = accounts.password("admin")
    error = refused(
        accounts.model_host("admin", host), Become(exe="/home/admin/sudo"), password=password
    )
    assert error.kind == "become.timeout"
    stolen = host.home / "admin" / "stolen"
    assert not stolen.exists() or password not in stolen.read_text()


def test_S24_a_host_that_shows_the_password_does_not_get_it_into_a_message(accounts):
    """
    S24: what a program repeats is masked in what we say.
    """
    host = accounts.host("repeats")
    program = host.home / "admin" / "sudo"
    program.write_text(
        '#!/bin/sh\nshift 2; printf "%s" "$1" | sed "s/%%/%/" >&2\n'
        'read -r password; echo "you typed $password" >&2; exit 1\n'
    )
    program.chmod(0o755)
    password = accounts.password("admin")
    error = refused(
        accounts.model_host("admin", host), Become(exe="/home/admin/sudo"), password=password
    )
    assert error.failure.message.endswith("did not become root: you typed [secret]")


def test_a_password_with_a_line_break_is_not_sent(accounts):
    """
    Its rest would be input of the command.
    """
    error = refused(accounts.model_host("admin"), ROOT, password="one\ntwo")
    assert explained(error)[:2] == (
        "become.denied",
        "the password for becoming holds a line break, and cannot be typed",
    )
