"""
What was tried to log in, and what that comes to when it failed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fleetctl.model.challenge import Challenge
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning

#: What is shown of a server's words.
MAX_SHOWN_LENGTH = 200

#: A question that can stand between single quotes.
_PLAIN_QUESTION = re.compile(r"[\w .,:;?!()+-]{1,60}")

#: Methods that are not spoken here -> what to do instead.
_NOT_SPOKEN = {
    "gssapi-with-mic": "Kerberos (GSSAPI) is not supported: log in with a key or a password",
    "gssapi-keyex": "Kerberos (GSSAPI) is not supported: log in with a key or a password",
    "hostbased": "host-based login is not supported: log in with a key",
}


@dataclass(slots=True)
class LoginReport:
    """
    What was tried, for the error message and for people.

    Attributes:
        method: The method that ended the login, None if it failed.
        key: Fingerprint of the key that the server took, of a certificate its key's; else None.
        tried: One phrase per attempt.
        server_methods: The server's latest list of methods that can continue.
        partial: Methods that succeeded without being enough.
        left_out: Keys that were not offered, so that something else can still be tried.
        unanswered: Questions of the server to which nobody had the answers.
        is_withheld: A password or an answer was not sent, because the host's key was not checked.
        banner: What the server said to people.
    """

    method: str | None = None
    key: str | None = None
    tried: list[str] = field(default_factory=list)
    server_methods: tuple[str, ...] | None = None
    partial: list[str] = field(default_factory=list)
    left_out: int = 0
    unanswered: Challenge | None = None
    is_withheld: bool = False
    banner: bytes = b""


def denied(user: str, report: LoginReport, problems: Sequence[FleetError]) -> FleetError:
    """
    Return why the login failed: ``auth.partial``, ``auth.key_file``, ``auth.no_method`` or
    ``auth.denied``.

    Args:
        problems: Why identities that were configured could not be offered.
    """
    methods = ",".join(report.server_methods or ()) or "none"
    tried = "; tried " + ", ".join(report.tried) if report.tried else "; nothing to offer"
    if report.left_out:
        tried += f", and {report.left_out} more keys were not offered (MaxAuthTries)"
    if report.unanswered is not None:
        asked = ", ".join(f'"{prompt.text.strip()}"' for prompt in report.unanswered.prompts)
        tried += f"; it asks {beginning(asked, MAX_SHOWN_LENGTH)} and there is no answer"
    if report.is_withheld:
        tried += "; no password is sent to a host whose key was not checked"
    if report.partial:
        return FleetError(
            "auth.partial",
            f"{', '.join(report.partial)} accepted, but the server wants {methods} as well{tried}",
            hint=_missing_hint(report),
        )
    if problems and not report.tried:
        return problems[0]
    message = f"{user}: the server allows {methods}{tried}"
    message += "".join(f"; {problem}" for problem in problems) + _words_of(report.banner)
    if not report.tried:
        return FleetError("auth.no_method", message, hint=_missing_hint(report))
    broken = next((problem.failure.hint for problem in problems if problem.failure.hint), None)
    return FleetError("auth.denied", message, hint=broken or _denied_hint(user, report))


def cut_off(user: str, report: LoginReport, disconnected: tuple[int, str] | None) -> FleetError:
    """
    Return why a login ended with the connection: ``auth.too_many`` or ``auth.denied``.

    Args:
        disconnected: Code and text of the server's SSH_MSG_DISCONNECT, if it sent one.
    """
    text = disconnected[1] if disconnected else ""
    tried = ", ".join(report.tried) or "nothing yet"
    if "too many" in text.lower():
        return FleetError(
            "auth.too_many",
            f"{user}: {text}; tried {tried}",
            hint="set IdentityFile to the right key, and IdentitiesOnly yes",
        )
    reason = f": {text}" if text else ""
    return FleetError(
        "auth.denied",
        f"{user}: the server closed the connection during login{reason}; tried {tried}"
        f"{_words_of(report.banner)}",
        hint="see the server's log (journalctl -u ssh)",
    )


def password_expired(user: str) -> FleetError:
    """Return what to do about a server that wants a new password. Source: RFC 4252 section 8."""
    return FleetError(
        "auth.denied",
        f"{user}: the password has expired, the server wants a new password",
        hint="log in once with ssh and change it",
    )


def unreadable_question(user: str) -> FleetError:
    """Return what is said of a challenge that is damaged or asks too much."""
    return FleetError(
        "auth.denied",
        f"{user}: the server asks questions that cannot be read",
        hint="log in once with ssh -v and see what it asks",
    )


def endless(user: str, report: LoginReport) -> FleetError:
    """Return what is said of a server that is never content."""
    return FleetError(
        "auth.too_many",
        f"{user}: the server goes on asking after {len(report.tried)} attempts;"
        f" accepted so far: {', '.join(report.partial) or 'nothing'}",
        hint="see AuthenticationMethods in its sshd_config",
    )


def _missing_hint(report: LoginReport) -> str:
    methods = report.server_methods or ()
    if report.is_withheld:
        return "let the key be checked: -o StrictHostKeyChecking=accept-new, or yes"
    if report.unanswered is not None:
        question = report.unanswered.prompts[0].text.strip()
        # Whole and as it is, or not at all: a secret in it would not be found otherwise.
        text = question if _PLAIN_QUESTION.fullmatch(question) else "TEXT"
        return f"say where the answer is: --prompt '{text}=SOURCE', such as prompt or env:NAME"
    if "publickey" in methods:
        return "set IdentityFile, load a key into the agent, or give --identity FILE"
    if "password" in methods or "keyboard-interactive" in methods or not methods:
        return "give the password: -k asks for it, --password-file reads it"
    return next(
        (_NOT_SPOKEN[name] for name in methods if name in _NOT_SPOKEN),
        "none of these methods is supported: allow publickey there",
    )


def _denied_hint(user: str, report: LoginReport) -> str:
    if report.unanswered is not None or report.is_withheld:
        return _missing_hint(report)
    if "publickey" in (report.server_methods or ()):
        return f"is the key in {user}'s authorized_keys there, and is {user} the right user (-u)?"
    return "check the user (-u) and the password (-k)"


def _words_of(banner: bytes) -> str:
    """Return a server's words as one bounded line; sinks escape what is left."""
    line = " ".join(banner.decode("utf-8", "replace").split())
    return f"; it says: {beginning(line, MAX_SHOWN_LENGTH)}" if line else ""
