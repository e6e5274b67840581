"""
Why another user could not be become: what sudo, su and doas say, in the words of what to do.

Their messages are in the locale C. They are a host's words: bounded, on one line, not escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fleetctl.become.become import Become
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.model.secret import Secret

DENIED = "become.denied"
UNAVAILABLE = "become.unavailable"
MAX_SHOWN_CHARACTERS = 200

_GIVE_ONE = (
    "-K asks you for it; --become-password-file FILE reads it; ansible_become_password is the"
    " variable of a host"
)
_GIVE_ANOTHER = "try it there by hand; ansible_become_password is the variable for a host's own"
_WHOSE = "; with rootpw or targetpw in sudoers it is another user's"
_CHANGE_IT = "log in with ssh as {who}, and set a new one with passwd"


@dataclass(frozen=True, slots=True)
class _Reason:
    """
    What a message means.

    Attributes:
        pattern: Found in what was said, in any case.
        message: With the names ``{program}``, ``{user}``, ``{who}``, and the groups of the pattern.
        methods: Whose message it is.
    """

    pattern: str
    message: str
    hint: str
    kind: str = DENIED
    methods: Sequence[str] = ("sudo", "su", "doas")


#: In this order: what says more comes first.
#: Source: sudo 1.9.13 and 1.8, plugins/sudoers; util-linux, shadow and busybox su; opendoas 6.8;
#: Linux-PAM.
_REASONS = (
    _Reason(
        r"required to change your password|password has expired|password change required"
        r"|password is expired|password expired|token is no longer valid|token expired",
        "the password of {who} has expired",
        _CHANGE_IT,
    ),
    _Reason(
        r"account validation failure|account expired|account has expired|account is locked",
        "the account of {who} is locked or has expired",
        "on the host, as root: chage -l {who}; passwd -S {who}",
    ),
    _Reason(
        r"must have a tty",
        "{program} there wants a terminal (requiretty)",
        "--pty gives it one; or on the host, in sudoers: Defaults:{who} !requiretty",
        methods=("sudo",),
    ),
    _Reason(
        r"must be run from a terminal|a tty is required",
        "{program} there wants a terminal",
        "--pty gives it one",
    ),
    _Reason(
        r"unknown user\b|user \S+ does not exist|no passwd entry for|cannot find user",
        "there is no user {user} on the host",
        "check --become-user and ansible_become_user",
    ),
    _Reason(
        r"is not in the sudoers file",
        "{who} is not in the sudoers file of the host",
        "on the host, with visudo: {who} ALL=({user}) ALL",
        methods=("sudo",),
    ),
    _Reason(
        r"is not allowed to execute|is not allowed to run sudo|may not run sudo",
        "sudoers does not let {who} run /bin/sh as {user}, which becoming needs",
        "write {who} ALL=({user}) ALL with visudo; or leave --become out, and run the sudo command"
        " that is allowed",
        methods=("sudo",),
    ),
    _Reason(
        r"operation not permitted\s*$",
        "doas.conf does not let {who} become {user}",
        "on the host, in doas.conf: permit {who} as {user}",
        methods=("doas",),
    ),
    _Reason(
        r"su: permission denied",
        "the host does not let {who} use su",
        "on the host: see pam_wheel in /etc/pam.d/su; is {who} in its group?",
        methods=("su",),
    ),
    _Reason(
        r"setuid bit|effective uid is not 0|not installed setuid|must be suid|must be setuid"
        r"|no new privileges|cannot set groups",
        "{program} there cannot change the user: {last}",
        "on the host: look at the mode of {program} (4755 and root's), at nosuid in mount options"
        " and at how its containers are started",
        UNAVAILABLE,
    ),
    _Reason(
        r"no valid sudoers sources|unable to initialize policy|syntax error|parse error"
        r"|doas is not enabled|unable to open /etc/sudoers|is world writable|owned by uid",
        "{program} is not set up there: {last}",
        "on the host: check sudoers with visudo -c, doas.conf with doas -C /etc/doas.conf",
        UNAVAILABLE,
    ),
    _Reason(
        r"invalid option|unrecognized option|unknown option|illegal option|^usage:|\nusage:",
        "{program} there does not take the options it was given: {last}",
        "check --become-flags and ansible_become_flags; is it another program of that name?",
        UNAVAILABLE,
    ),
    _Reason(
        r"account is currently not available",
        "su starts the login shell of {user}, and that user has none",
        "become {user} by sudo, or log in as root",
        methods=("su",),
    ),
)

#: A new password is asked for next, and perhaps as often as there is no answer.
_HOPELESS = re.compile(
    rb"required to change your password|reset your password and try again", re.IGNORECASE
)
#: When nothing says more.
_WRONG = re.compile(
    r"incorrect password|authentication failure|authentication failed|authorization failed"
    r"|sorry, try again",
    re.IGNORECASE,
)
_NEEDED = re.compile(
    r"a password is required|no password was provided|terminal is required to read the password"
    r"|authentication required|authorization required|no askpass",
    re.IGNORECASE,
)


class PasswordNeeded(FleetError):
    """A password is asked for, and was not given."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    Somebody who tries to become somebody else.

    Attributes:
        who: Who logged in.
        password: Kept out of every message.
    """

    become: Become
    who: str
    password: Secret | None = None

    @staticmethod
    def is_hopeless(said: bytes) -> bool:
        """Tell whether it can only go wrong, and may go on for ever."""
        return _HOPELESS.search(said) is not None

    def refused(self, said: bytes, *, was_asked: bool, is_wrong: bool) -> FleetError:
        """
        Return what a program that ended without becoming anybody meant.

        Args:
            said: Everything that came from it.
            was_asked: It asked for a password.
            is_wrong: It asked again.
        """
        text = self._text(said)
        reason = self._reason(text)
        if reason is not None:
            return reason
        program, user = self.become.program, self.become.user
        if was_asked and self.password is None:
            return self._no_password()
        if is_wrong or _WRONG.search(text):
            hint = _GIVE_ANOTHER + (_WHOSE if self.become.method == "sudo" else "")
            return FleetError(DENIED, f"{program} refused {self._whose()}", hint=hint)
        if _NEEDED.search(text):
            return self._no_password()
        return FleetError(
            DENIED,
            f"{program} did not become {user}: {_last_line(text) or 'it said nothing'}",
            hint=f"log in with ssh and try: {program} {self._usual_words()}",
        )

    def not_begun(self, said: bytes) -> FleetError:
        """Return what it means that not even our own script ran."""
        text = self._text(said)
        return self._reason(text) or FleetError(
            UNAVAILABLE,
            "the host ran something else than what was sent: "
            f"{_last_line(text) or 'it said nothing'}",
            hint="has the account a forced command, or a login shell that is none? look with:"
            " fleetctl doctor",
        )

    def no_program(self) -> FleetError:
        """Return that there is no sudo, su or doas."""
        other = "doas or su" if self.become.method == "sudo" else "sudo"
        return FleetError(
            UNAVAILABLE,
            f"there is no {self.become.program} on the host",
            hint=f"install it there; or --become-method {other}; --become-exe PATH if it has"
            " another name",
        )

    def timed_out(self, said: bytes, limit_s: float) -> FleetError:
        """Return what it means that nothing more came."""
        last = _last_line(self._text(said))
        return FleetError(
            "become.timeout",
            f"{self.become.program} did not become {self.become.user} within {limit_s:g} s"
            + (f"; it said: {last}" if last else ""),
            hint="does it ask for something else, such as a code? log in with ssh and look",
        )

    def _no_password(self) -> FleetError:
        return PasswordNeeded(
            DENIED,
            f"{self.become.program} asks for {self._whose()}, and none was given",
            hint=_GIVE_ONE,
        )

    def _usual_words(self) -> str:
        user = self.become.user
        return f"- {user}" if self.become.method == "su" else f"-u {user} id"

    def _whose(self) -> str:
        # With rootpw or targetpw, sudo wants another one; only the host knows.
        whose = self.become.user if self.become.method == "su" else self.who
        return f"the password of {whose}"

    def _reason(self, text: str) -> FleetError | None:
        for reason in _REASONS:
            if self.become.method in reason.methods and re.search(
                reason.pattern, text, re.IGNORECASE
            ):
                message = self._fill(reason.message, text)
                return FleetError(reason.kind, message, hint=self._hint(reason.hint))
        return None

    def _hint(self, hint: str) -> str:
        return self._fill(hint, "")

    def _fill(self, template: str, text: str) -> str:
        names = {"program": self.become.program, "user": self.become.user, "who": self.who}
        return template.format(**names, last=_last_line(text))

    def _text(self, said: bytes) -> str:
        text = said.decode("utf-8", "replace")
        if self.password:
            text = text.replace(self.password.reveal(), "[secret]")
        return text


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())


def _last_line(text: str) -> str:
    """Return the last thing said."""
    return beginning(next(iter(reversed(list(_lines(text)))), ""), MAX_SHOWN_CHARACTERS)
