"""
What sudo, su and doas say, and what is made of it. The texts are those of their sources.
"""

from __future__ import annotations

import pytest

from fleetctl.become.become import Become
from fleetctl.become.refusal import Attempt, PasswordNeeded
from fleetctl.model.secret import Secret


def refused(method, said, *, password="geheim", was_asked=False, is_wrong=False):
    secret = None if password is None else Secret(password)
    attempt = Attempt(Become(method=method), "deploy", secret)
    return attempt.refused(said.encode(), was_asked=was_asked, is_wrong=is_wrong)


@pytest.mark.parametrize(
    ("method", "said", "kind", "message"),
    [
        (
            "sudo",
            "sudo: Account or password is expired, reset your password and try again",
            "denied",
            "the password of deploy has expired",
        ),
        (
            "sudo",
            "sudo: Password expired, contact your system administrator",
            "denied",
            "the password of deploy has expired",
        ),
        (
            "su",
            "You are required to change your password immediately (administrator enforced).\n"
            "Current password: ",
            "denied",
            "the password of deploy has expired",
        ),
        (
            "sudo",
            "sudo: account validation failure, is your account locked?",
            "denied",
            "the account of deploy is locked or has expired",
        ),
        (
            "sudo",
            'sudo: Account expired, or PAM config lacks an "account" section for sudo, contact your'
            " system administrator",
            "denied",
            "the account of deploy is locked or has expired",
        ),
        (
            "sudo",
            "sudo: sorry, you must have a tty to run sudo",
            "denied",
            "sudo there wants a terminal (requiretty)",
        ),
        ("su", "su: must be run from a terminal", "denied", "su there wants a terminal"),
        ("doas", "doas: a tty is required", "denied", "doas there wants a terminal"),
        ("sudo", "sudo: unknown user: root", "denied", "there is no user root on the host"),
        ("sudo", "sudo: unknown user root", "denied", "there is no user root on the host"),
        ("su", "su: unknown user root", "denied", "there is no user root on the host"),
        (
            "su",
            "su: user root does not exist or the user entry does not contain all the required"
            " fields",
            "denied",
            "there is no user root on the host",
        ),
        ("su", "No passwd entry for user 'root'", "denied", "there is no user root on the host"),
        ("doas", "doas: unknown user", "denied", "there is no user root on the host"),
        (
            "sudo",
            "deploy is not in the sudoers file.  This incident will be reported.",
            "denied",
            "deploy is not in the sudoers file of the host",
        ),
        (
            "sudo",
            "Sorry, user deploy may not run sudo on web01.",
            "denied",
            "sudoers does not let deploy run /bin/sh as root, which becoming needs",
        ),
        (
            "sudo",
            "deploy is not allowed to run sudo on web01.",
            "denied",
            "sudoers does not let deploy run /bin/sh as root, which becoming needs",
        ),
        (
            "doas",
            "doas: Operation not permitted\n",
            "denied",
            "doas.conf does not let deploy become root",
        ),
        ("su", "su: Permission denied", "denied", "the host does not let deploy use su"),
        (
            "sudo",
            "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set",
            "unavailable",
            "sudo there cannot change the user: sudo: /usr/bin/sudo must be owned by uid 0 and have"
            " the setuid bit set",
        ),
        (
            "sudo",
            "sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid'"
            " option set or an NFS file system without root privileges?",
            "unavailable",
            "sudo there cannot change the user: ",
        ),
        (
            "sudo",
            'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
            "unavailable",
            "sudo there cannot change the user: ",
        ),
        (
            "doas",
            "doas: not installed setuid",
            "unavailable",
            "doas there cannot change the user: doas: not installed setuid",
        ),
        (
            "su",
            "su: cannot set groups: Operation not permitted",
            "unavailable",
            "su there cannot change the user: ",
        ),
        (
            "sudo",
            "/etc/sudoers:1:6: syntax error\nsudo: no valid sudoers sources found, quitting",
            "unavailable",
            "sudo is not set up there: sudo: no valid sudoers sources found, quitting",
        ),
        (
            "doas",
            "doas: doas is not enabled, /etc/doas.conf: No such file or directory",
            "unavailable",
            "doas is not set up there: doas: doas is not enabled, /etc/doas.conf: No such file or"
            " directory",
        ),
        (
            "su",
            "su: unrecognized option '--no'\nTry 'su --help' for more information.",
            "unavailable",
            "su there does not take the options it was given: ",
        ),
        (
            "doas",
            "usage: doas [-Lns] [-C config] [-u user] command [args]",
            "unavailable",
            "doas there does not take the options it was given: ",
        ),
        (
            "su",
            "This account is currently not available.",
            "denied",
            "su starts the login shell of root, and that user has none",
        ),
        ("sudo", "sudo: 3 incorrect password attempts", "denied", "sudo refused the password of"),
        ("su", "su: Authentication failure", "denied", "su refused the password of root"),
        ("su", "su: incorrect password", "denied", "su refused the password of root"),
        ("doas", "doas: Authentication failed", "denied", "doas refused the password of deploy"),
        ("doas", "doas: Authorization failed", "denied", "doas refused the password of deploy"),
        (
            "sudo",
            "\x1b[31msudo: something new\x1b[0m\n\n",
            "denied",
            "sudo did not become root: \x1b[31msudo: something new\x1b[0m",
        ),
        ("sudo", "", "denied", "sudo did not become root: it said nothing"),
    ],
)
def test_F55_each_reason_is_told_from_the_others(method, said, kind, message):
    """
    F55: in words of ours, and with a hint; text of the host is shown where it says more.
    """
    error = refused(method, said)
    assert error.kind == f"become.{kind}"
    assert error.failure.message.startswith(message)
    assert error.failure.hint
    assert "{" not in error.failure.hint
    assert "\n" not in error.failure.message + error.failure.hint


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("sudo", "sudo: a password is required"),
        ("sudo", "sudo: no password was provided\nsudo: a password is required"),
        (
            "sudo",
            "sudo: a terminal is required to read the password; either use the -S option to read"
            " from standard input or configure an askpass helper",
        ),
        ("doas", "doas: Authentication required"),
        ("doas", "doas: Authorization required"),
    ],
)
def test_a_password_that_is_needed(method, said):
    """
    Told from one that is wrong; whoever has one may try again in another way.
    """
    assert isinstance(refused(method, said, password=None), PasswordNeeded)
    assert isinstance(refused(method, said), PasswordNeeded)


def test_being_asked_again_means_a_wrong_password():
    """
    Whatever is said about it, insults included.
    """
    error = refused("sudo", "Where did you learn to type?", was_asked=True, is_wrong=True)
    assert error.failure.message == "sudo refused the password of deploy"


def test_what_a_host_says_is_bounded():
    """
    A page of text does not become a message.
    """
    message = refused("sudo", "x" * 100_000).failure.message
    assert len(message) < 300


def test_names_with_braces_are_names():
    """
    What the host or the inventory says is put in, and not read.
    """
    attempt = Attempt(Become(user="{who}", exe="{last}"), "{user}")
    error = attempt.refused(b"sudo: no new privileges {0}", was_asked=False, is_wrong=False)
    assert error.failure.message == (
        "{last} there cannot change the user: sudo: no new privileges {0}"
    )
