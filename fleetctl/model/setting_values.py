"""
From the words behind a keyword of ssh_config to the value of a setting, one function per kind.

Each raises ValueError with what is expected. Which keyword has which kind is the table's business,
in `fleetctl.model.settings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

Strictness = Literal["yes", "ask", "accept-new", "no"]
AddressFamily = Literal["any", "inet", "inet6"]
UpdateHostKeys = Literal["yes", "ask", "no"]
RequestTty = Literal["no", "yes", "force", "auto"]

_TIME_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def parse_time_s(text: str) -> float:
    """
    Parse ``90``, ``1m30s`` or ``2h`` into seconds.

    Source: sshd_config(5), TIME FORMATS.
    """
    parts = re.findall(r"([0-9]{1,9})([smhdwSMHDW]?)", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f'a time such as "10" or "1m30s" is expected, not "{text}"')
    return float(sum(int(number) * _TIME_UNITS[unit.lower()] for number, unit in parts))


def parse_size_bytes(text: str) -> int:
    """Parse ``512``, ``16K``, ``1M`` or ``4G`` into bytes."""
    match = re.fullmatch(r"([0-9]{1,19})([kmgKMG]?)", text)
    if not match:
        raise ValueError(f'a size such as "512M" is expected, not "{text}"')
    return int(match[1]) * _SIZE_UNITS[match[2].lower()]


def one(words: tuple[str, ...]) -> str:
    """Return the only word."""
    if len(words) != 1:
        raise ValueError(f"one value is expected, not {len(words)}: {' '.join(words)}")
    return words[0]


def text(words: tuple[str, ...]) -> str:
    """One word, as it is."""
    return one(words)


def text_or_none(words: tuple[str, ...]) -> str | None:
    """One word; ``none`` for nothing."""
    value = one(words)
    return None if value.lower() == "none" else value


def flag(words: tuple[str, ...]) -> bool:
    """``yes`` or ``no``."""
    value = one(words).lower()
    if value not in ("yes", "no", "true", "false"):
        raise ValueError(f'"yes" or "no" is expected, not "{words[0]}"')
    return value in ("yes", "true")


def pubkey_authentication(words: tuple[str, ...]) -> bool:
    """``yes``, ``no`` or how signatures are bound."""
    # The other two bind the signature to the host or not; ours is never bound.
    return one(words).lower() in ("unbound", "host-bound") or flag(words)


def update_host_keys(words: tuple[str, ...]) -> UpdateHostKeys:
    """``yes``, ``no`` or ``ask``."""
    if one(words).lower() == "ask":
        return "ask"
    return "yes" if flag(words) else "no"


def forward_agent(words: tuple[str, ...]) -> str | None:
    """``yes``, ``no`` or another agent; None for no."""
    value = one(words)
    if value.lower() in ("yes", "no", "true", "false"):
        return "yes" if flag(words) else None
    return value


def ip_qos(words: tuple[str, ...]) -> str:
    """One or two classes."""
    if len(words) > 2:
        raise ValueError(f"one or two values are expected, not {len(words)}: {' '.join(words)}")
    return " ".join(words)


def escape_char(words: tuple[str, ...]) -> str:
    """A character, ``^`` and a letter, or ``none``; as ssh prints it, too."""
    value = one(words)
    # ssh prints a backslash before what cannot be shown as it is.
    value = {"\\040": " ", "\\\\": "\\"}.get(value, value)
    value = value.removeprefix("\\") if value.startswith("\\^") else value
    is_key = value.isascii() and (
        len(value) == 1 or (len(value) == 2 and value[0] == "^" and ord(value[1]) >= 64)
    )
    if value != "none" and not is_key:
        raise ValueError(f'a character, "^" and a letter, or "none" is expected, not "{value}"')
    return value


def request_tty(words: tuple[str, ...]) -> RequestTty:
    """``yes``, ``no``, ``force`` or ``auto``."""
    value = one(words).lower()
    if value == "force":
        return "force"
    if value == "auto":
        return "auto"
    return "yes" if flag(words) else "no"


def strictness(words: tuple[str, ...]) -> Strictness:
    """``yes``, ``ask``, ``accept-new`` or ``no``."""
    value = one(words).lower()
    if value in ("yes", "true"):
        return "yes"
    if value in ("no", "off", "false"):
        return "no"
    if value == "ask":
        return "ask"
    if value == "accept-new":
        return "accept-new"
    raise ValueError(f'"yes", "ask", "accept-new" or "no" is expected, not "{words[0]}"')


def address_family(words: tuple[str, ...]) -> AddressFamily:
    """``any``, ``inet`` or ``inet6``."""
    value = one(words).lower()
    if value == "any":
        return "any"
    if value == "inet":
        return "inet"
    if value == "inet6":
        return "inet6"
    raise ValueError(f'"any", "inet" or "inet6" is expected, not "{words[0]}"')


def number(lowest: int, highest: int) -> Callable[[tuple[str, ...]], int]:
    """Return the parser of a whole number between these two."""

    def parse(words: tuple[str, ...]) -> int:
        value = one(words)
        if not value.isascii() or not value.isdigit() or not lowest <= int(value) <= highest:
            raise ValueError(f'a number from {lowest} to {highest} is expected, not "{value}"')
        return int(value)

    return parse


def rsa_size(words: tuple[str, ...]) -> int:
    """A number of bits."""
    # Smaller keys than that are accepted by nobody, ssh included.
    return max(1024, number(0, 65536)(words))


def seconds(words: tuple[str, ...]) -> float:
    """A time."""
    return parse_time_s(one(words))


def connect_timeout(words: tuple[str, ...]) -> float:
    """A time above 0."""
    value = 10.0 if one(words).lower() == "none" else parse_time_s(words[0])
    if value <= 0:
        raise ValueError("a time above 0 is expected: every phase has a deadline here")
    return value


def comma_list(words: tuple[str, ...]) -> tuple[str, ...]:
    """Names with commas between them."""
    parts = tuple(part.strip() for part in one(words).split(","))
    if not all(parts):
        raise ValueError(f'a comma-separated list is expected, not "{words[0]}"')
    return parts


def all_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """All words, without ``none``."""
    return tuple(word for word in words if word.lower() != "none")


def environment(words: tuple[str, ...]) -> Mapping[str, str]:
    """``NAME=VALUE``, several; the first of a name counts."""
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f'NAME=VALUE is expected, not "{word}"')
        pairs.setdefault(name, value)
    return pairs


def rekey_limit(words: tuple[str, ...]) -> int | None:
    """Bytes; None for the default."""
    if words[0].lower() in ("default", "none", "0"):
        return None
    limit = parse_size_bytes(words[0])
    if limit < 16:
        raise ValueError("a limit of at least 16 bytes is expected")
    return limit


def octal_mask(words: tuple[str, ...]) -> int:
    """An octal mask."""
    value = one(words)
    if re.fullmatch(r"0*[0-7]{1,3}", value) is None:
        raise ValueError(f'an octal number up to 0777 is expected, not "{value}"')
    return int(value, 8)


def variable_names(words: tuple[str, ...]) -> tuple[str, ...]:
    """Names of environment variables, or patterns of them, each once."""
    for word in words:
        if "=" in word:
            raise ValueError(f'names of variables are expected, not "{word}"; SetEnv sets values')
    return tuple(dict.fromkeys(words))
