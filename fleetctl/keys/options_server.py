"""
Which server knows which option of a key, and which kind of key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fleetctl.keys.options_syntax import KeyOption, problem_of, problem_of_all
from fleetctl.keys.options_times import parse_expiry_time, render_expiry_time

Product = Literal["OpenSSH", "dropbear", ""]

_VERSION = re.compile(
    r"(?:SSH-[0-9.]+-)?(OpenSSH|dropbear)(?:_for_Windows)?(?:_([0-9]+)\.([0-9]+))?", re.IGNORECASE
)

#: Option -> the first OpenSSH with it. Source: auth-options.c of each release of openssh-portable.
_OPENSSH: Mapping[str, tuple[int, int]] = {
    "restrict": (7, 2),
    "port-forwarding": (7, 2),
    "agent-forwarding": (7, 2),
    "x11-forwarding": (7, 2),
    "pty": (7, 2),
    "user-rc": (7, 2),
    "expiry-time": (7, 7),
    "permitlisten": (7, 8),
    "touch-required": (8, 2),
    "no-touch-required": (8, 2),
    "verify-required": (8, 4),
    "no-verify-required": (8, 4),
    "principals": (5, 6),
    "cert-authority": (5, 4),
    "no-user-rc": (4, 9),
    "tunnel": (4, 3),
}
#: And the first dropbear; one that is not here is in none. Source: svr-authpubkeyoptions.c of each
#: release.
_DROPBEAR: Mapping[str, tuple[int, int]] = {
    "no-port-forwarding": (0, 0),
    "no-agent-forwarding": (0, 0),
    "no-x11-forwarding": (0, 0),
    "no-pty": (0, 0),
    "command": (0, 0),
    "restrict": (2022, 82),
    "permitopen": (2022, 83),
    "no-touch-required": (2022, 83),
    "verify-required": (2022, 83),
    "permitlisten": (2026, 90),
}
#: Since then ``expiry-time`` may be UTC. Source: OpenSSH 9.1, misc.c, parse_absolute_time.
_UTC_TIMES = (9, 1)

_OPENSSH_TYPES: Mapping[str, tuple[int, int]] = {
    "ecdsa-sha2-nistp256": (5, 7),
    "ecdsa-sha2-nistp384": (5, 7),
    "ecdsa-sha2-nistp521": (5, 7),
    "ssh-ed25519": (6, 5),
    "sk-ssh-ed25519@openssh.com": (8, 2),
    "sk-ecdsa-sha2-nistp256@openssh.com": (8, 2),
}
_DROPBEAR_TYPES: Mapping[str, tuple[int, int]] = {
    "ecdsa-sha2-nistp256": (2013, 61),
    "ecdsa-sha2-nistp384": (2013, 61),
    "ecdsa-sha2-nistp521": (2013, 61),
    "ssh-ed25519": (2020, 79),
    "sk-ssh-ed25519@openssh.com": (2022, 82),
    "sk-ecdsa-sha2-nistp256@openssh.com": (2022, 82),
}
#: Without DSA. Source: OpenSSH 10.0, release notes.
_NO_DSA = (10, 0)


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """
    What a server says it is.

    Attributes:
        product: ``OpenSSH``, ``dropbear``, or empty for any other.
        numbers: Such as ``(9, 2)`` or ``(2022, 83)``; empty where it does not say. Then it counts
            as the newest: whether a key works is proved by logging in.
        text: As it introduced itself.
    """

    product: Product = ""
    numbers: tuple[int, ...] = ()
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> ServerVersion:
        """
        Read ``OpenSSH_9.2p1 Debian-2+deb12u3`` or ``dropbear_2022.83``, with or without
        ``SSH-2.0-`` before it; never fails.

        Source: RFC 4253 section 4.2.
        """
        found = _VERSION.match(text)
        if found is None:
            return cls(text=text)
        product: Product = "OpenSSH" if found[1].lower() == "openssh" else "dropbear"
        numbers = (int(found[2]), int(found[3])) if found[2] else ()
        return cls(product, numbers, text)

    @property
    def is_dropbear(self) -> bool:
        return self.product == "dropbear"

    @property
    def name(self) -> str:
        """Return what to call it in a sentence."""
        return self.text.removeprefix("SSH-2.0-").partition(" ")[0] or "this server"

    def is_at_least(self, *numbers: int) -> bool:
        """Is it of this version or newer? One that does not say counts as newest."""
        return not self.numbers or self.numbers >= numbers

    @property
    def knows_utc_times(self) -> bool:
        """Whether ``expiry-time`` may end with ``Z``."""
        return not self.is_dropbear and (self.product != "OpenSSH" or self.is_at_least(*_UTC_TIMES))

    @property
    def knows_expiry(self) -> bool:
        """Whether it knows ``expiry-time`` at all."""
        return self.why_not_option("expiry-time") is None

    @property
    def max_line(self) -> int | None:
        """
        Return how long a line of authorized_keys may be, its end included; None for any length.

        Source: OpenSSH misc.c, read_keyfile_line, and SSH_MAX_PUBKEY_BYTES, up to 7.7.
        """
        if self.product != "OpenSSH" or self.is_at_least(7, 8):
            return None
        return 16383 if self.is_at_least(7, 2) else 8191

    def why_not_option(self, name: str) -> str | None:
        """Return why an option that the newest sshd knows kills a line there, or None."""
        if self.is_dropbear:
            since = _DROPBEAR.get(name)
            if since is None:
                return f"{name}: dropbear does not know the option and would skip the line"
        elif self.product == "OpenSSH":
            since = _OPENSSH.get(name)
            if since is None:
                return None
        else:
            return None
        return None if self.is_at_least(*since) else _too_old(self, name, since)

    def why_not_key_type(self, key_type: str) -> str | None:
        """Return why keys of this type are of no use there; None if nothing is known against it."""
        if key_type == "ssh-dss" and self.product == "OpenSSH" and self.is_at_least(*_NO_DSA):
            return "ssh-dss: OpenSSH has no DSA since 10.0"
        types = _DROPBEAR_TYPES if self.is_dropbear else _OPENSSH_TYPES
        since = types.get(key_type)
        if not self.product or since is None or self.is_at_least(*since):
            return None
        return _too_old(self, key_type, since)


def _too_old(server: ServerVersion, name: str, since: tuple[int, int]) -> str:
    major, minor = since
    return (
        f"{name}: {server.product} knows it since {major}.{minor}, but this is {server.name}, "
        "which would skip the line"
    )


def check_options(options: Sequence[KeyOption], server: ServerVersion) -> tuple[str, ...]:
    """
    Return what is wrong with options for a server: each would make it skip the line, or mean
    something else there; empty if all is well.
    """
    problems = list(dict.fromkeys(_problems(options, server)))
    names = {option.name for option in options}
    if "principals" in names and "cert-authority" not in names:
        problems.append("principals: only a key with cert-authority may have it")
    if server.is_dropbear and any('"' in (o.value or "") for o in options if o.name == "command"):
        problems.append("command: dropbear reads one with quotes in it otherwise")
    return tuple(problems)


def why_skipped(options: Sequence[KeyOption], server: ServerVersion) -> str | None:
    """Return why a server would skip a line with these options, or let nobody in by it."""
    problem = next(iter(_problems(options, server)), None)
    names = {option.name for option in options}
    if problem is None and "principals" in names and "cert-authority" not in names:
        return "principals: without cert-authority nobody is let in"
    return problem


def _problems(options: Sequence[KeyOption], server: ServerVersion) -> Iterator[str]:
    """Yield why the line would be skipped."""
    together = problem_of_all(options)
    if together is not None:
        yield together
    for option in options:
        problem = problem_of(option) or server.why_not_option(option.name)
        problem = problem or _misspelt(option, server)
        if problem is not None:
            yield problem


def _misspelt(option: KeyOption, server: ServerVersion) -> str | None:
    """Return what is wrong with a value that the newest sshd takes."""
    value = option.value or ""
    if not server.is_dropbear:
        is_utc = option.name == "expiry-time" and parse_expiry_time(value).is_utc
        if is_utc and not server.knows_utc_times:
            return _too_old(server, "expiry-time in UTC", _UTC_TIMES)
        return None
    if option.name == "permitlisten" and not value.isdigit():
        return "permitlisten: dropbear takes a port only"
    if option.name == "permitopen" and not re.fullmatch(r"\*|[0-9]+", value.rpartition(":")[2]):
        return "permitopen: dropbear takes a port as a number only"
    return None


def adapt_options(
    options: Iterable[KeyOption], server: ServerVersion, *, utc_offset: int
) -> tuple[KeyOption, ...]:
    """
    Return options as this server has to be told them: times in UTC where it knows them, else local.

    Args:
        utc_offset: Of the host's time zone, in seconds.
    """
    return tuple(_adapt(option, server, utc_offset) for option in options)


def _adapt(option: KeyOption, server: ServerVersion, utc_offset: int) -> KeyOption:
    if option.name != "expiry-time" or server.knows_utc_times or option.value is None:
        return option
    try:
        expiry = parse_expiry_time(option.value)
    except ValueError:
        return option
    if not expiry.is_utc:
        return option
    return replace(option, value=render_expiry_time(expiry.seconds, utc_offset=utc_offset))
