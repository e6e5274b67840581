"""
Values of one word or number: how each kind is read, and how ssh prints it.

Lists, forwardings and algorithms have modules of their own.

Source: ssh_config(5); measured against ``ssh -G``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fleetctl.sshconfig.arguments import Arguments, Parse, Value
from fleetctl.sshconfig.lexer import BLANKS, lower_ascii
from fleetctl.sshconfig.names import parse_number, parse_port
from fleetctl.sshconfig.tokens import expand

_INT_MAX = 2**31 - 1
_LONG_LONG_MAX = 2**63 - 1
_TIME_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME_PART = re.compile(r"[ \t-\r]*\+?0*([0-9]+)([smhdwSMHDW]?)")
_SIZE = re.compile(
    r"[ \t-\r]*(?P<sign>[+-]?)(?P<whole>[0-9]*)(?P<part>\.[0-9]*)?"
    r"(?:(?P<unit>[bkmgtpe])(?![0-9a-z]).*)?",
    re.DOTALL | re.IGNORECASE,
)
_MOST_SIZE_DIGITS = 21
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]+")


def choice(*names: str, **printed: str) -> Parse:
    """
    Return a parser for an enumeration, written in any case.

    Args:
        names: Words that are printed as they are.
        printed: Other words, and how ssh prints them.
    """
    known = {name: (name,) for name in names} | {word: (name,) for word, name in printed.items()}

    def parse(arguments: Arguments) -> Value:
        word = arguments.one()
        value = known.get(lower_ascii(word))
        if value is None:
            raise ValueError(f'unsupported option "{word}"; one of {", ".join(known)} is expected')
        return value

    return parse


def text(arguments: Arguments) -> Value:
    """Any single word."""
    return (arguments.one(),)


def command(arguments: Arguments) -> Value:
    """The rest of the line, quotes and ``#`` included."""
    return (arguments.raw.lstrip(BLANKS + "="),)


def version_addendum(arguments: Arguments) -> Value:
    """The rest of the line up to ``#``; ``none`` is nothing."""
    written = arguments.raw.partition("#")[0].rstrip(BLANKS)
    return ("" if lower_ascii(written) == "none" else written,)


def number(arguments: Arguments) -> Value:
    """A whole number from 0."""
    try:
        return (str(parse_number(arguments.one(), 0, _INT_MAX)),)
    except ValueError as error:
        raise ValueError(f"integer value {error}") from None


def port(arguments: Arguments) -> Value:
    """A port from 1, or the name of a service."""
    word = arguments.one()
    found = parse_port(word)
    if found == 0:
        raise ValueError(f"Bad port '{word}'; a number from 1 to 65535 is expected")
    return (str(found),)


def parse_time_s(word: str) -> int:
    """
    Parse a time such as ``90``, ``1m30s`` or ``2h`` into seconds.

    Raises:
        ValueError: It is not one, or too long for ssh.

    Source: sshd_config(5), TIME FORMATS.
    """
    total, at = 0, 0
    while at < len(word):
        part = _TIME_PART.match(word, at)
        if part is None:
            break
        total += int(part[1][:20]) * _TIME_UNITS[part[2].lower()]
        at = part.end()
    if not word or at < len(word) or total > _INT_MAX:
        raise ValueError(f'invalid time value "{word}"; "10" or "1m30s" would be one')
    return total


def time(arguments: Arguments) -> Value | None:
    """A time; ``none`` sets nothing."""
    word = arguments.one()
    return None if word == "none" else (str(parse_time_s(word)),)


def parse_size_bytes(word: str) -> int:
    """
    Parse a size such as ``512``, ``1.5K`` or ``4G`` into bytes.

    Raises:
        ValueError: It is not one, or does not fit into 63 bits.

    Source: scan_scaled(3).
    """
    found = _SIZE.fullmatch(word)
    if found is None or len(found["whole"]) >= _MOST_SIZE_DIGITS:
        raise ValueError(f'Bad number "{word}"; a size such as "512M" is expected')
    factor: int = 1024 ** "bkmgtpe".index((found["unit"] or "b").lower())
    digits = (found["part"] or "")[1:_MOST_SIZE_DIGITS]
    # Without a unit the fraction is dropped.
    fraction = int(digits or "0") * factor // 10 ** len(digits) if found["unit"] else 0
    size = int(found["whole"] or "0") * factor + fraction
    if size > _LONG_LONG_MAX:
        raise ValueError(f'Bad number "{word}"; it is too large')
    return -size if found["sign"] == "-" else size


def rekey_limit(arguments: Arguments) -> Value:
    """A size and perhaps a time: two words, empty where nothing is set."""
    size, *interval = arguments.up_to(2)
    limit = 0 if size == "default" else parse_size_bytes(size)
    if limit < 16 and limit != 0:
        raise ValueError("RekeyLimit too small; at least 16 bytes are expected")
    if not interval or interval[0] == "none":
        return str(limit), ""
    return str(limit), str(parse_time_s(interval[0]))


def add_keys_to_agent(arguments: Arguments) -> Value:
    """``yes``, ``no``, ``ask``, ``confirm``, a lifetime, or ``confirm`` with a lifetime."""
    words = arguments.up_to(2)
    named = {"true": "true", "yes": "true", "false": "false", "no": "false"}
    name = ({"ask": "ask", "confirm": "confirm"} | named).get(lower_ascii(words[0]))
    if len(words) == 2:
        if name != "confirm":
            raise ValueError(f'unsupported option "{words[0]}" before a lifetime')
        lifetime = parse_time_s(words[1])
        return ("confirm", str(lifetime)) if lifetime else ("confirm",)
    if name is not None:
        return (name,)
    lifetime = parse_time_s(words[0])
    return (str(lifetime),) if lifetime else ("true",)


def control_persist(arguments: Arguments) -> Value:
    """``yes``, ``no`` (in lower case), or a time."""
    word = arguments.one()
    if word in ("yes", "true", "no", "false"):
        return ("yes" if word in ("yes", "true") else "no",)
    seconds = parse_time_s(word)
    return (str(seconds) if seconds else "yes",)


def _check_agent(path: str, environment: Mapping[str, str]) -> None:
    expand(path, environment=environment)
    is_variable = path.startswith("$") and not path.startswith("${")
    if is_variable and _VARIABLE_NAME.fullmatch(path[1:]) is None:
        raise ValueError(f"Invalid environment name {path}")


def agent(arguments: Arguments) -> Value:
    """Path of a socket, ``none``, ``SSH_AUTH_SOCK`` or ``$NAME``."""
    word = arguments.one()
    _check_agent(word, arguments.environment)
    return (word,)


def forward_agent(arguments: Arguments) -> Value:
    """``yes``, ``no``, or an agent."""
    word = lower_ascii(arguments.one())
    if word in ("yes", "true", "no", "false"):
        return ("yes" if word in ("yes", "true") else "no",)
    return agent(arguments)


def escape_char(arguments: Arguments) -> Value:
    """A character, ``^`` and a letter, or ``none``; printed as vis(3) does."""
    word = arguments.one()
    if word == "none":
        return (word,)
    if len(word) == 1 and word.isascii():
        code = ord(word)
    elif len(word) == 2 and word[0] == "^" and 64 <= ord(word[1]) < 128:
        code = ord(word[1]) & 31
    else:
        raise ValueError(f'Bad escape character "{word}"')
    if code == ord(" "):
        return ("\\040",)
    if code == ord("\\"):
        return ("\\\\",)
    return (chr(code) if 32 < code < 127 else f"\\^{chr(code ^ 64)}",)


def tunnel_device(arguments: Arguments) -> Value:
    """``local[:remote]``, each a number or ``any``."""
    word = arguments.one()
    local, _, remote = word.partition(":")
    return (f"{_device(local, word)}:{_device(remote, word) if ':' in word else 'any'}",)


def _device(name: str, whole: str) -> str:
    if lower_ascii(name) == "any":
        return "any"
    try:
        return str(parse_number(name, 0, _INT_MAX - 2))
    except ValueError:
        raise ValueError(f'Bad tun device "{whole}"') from None


def octal_mask(arguments: Arguments) -> Value:
    """An octal number up to 777; ssh ignores what follows it."""
    word = arguments.one()
    found = re.match(r"[ \t-\r]*\+?([0-7]+)", word)
    if found is None or int(found[1][-20:], 8) > 0o777 or len(found[1].lstrip("0")) > 3:
        raise ValueError(f'Bad mask "{word}"; an octal number up to 0777 is expected')
    return (f"0{int(found[1], 8):o}",)


_SERVICES = (
    {f"af{c}{d}": c * 32 + d * 8 for c in (1, 2, 3, 4) for d in (1, 2, 3)}
    | {f"cs{c}": c * 32 for c in range(8)}
    | {"ef": 0xB8, "le": 0x01, "lowdelay": 0x10, "throughput": 0x08, "reliability": 0x04}
)


def ip_qos(arguments: Arguments) -> Value:
    """One or two classes of service: interactive, and everything else."""
    words = arguments.up_to(2)
    return _service(words[0]), _service(words[-1])


def _service(word: str) -> str:
    name = lower_ascii(word)
    if name == "none" or name in _SERVICES:
        return name if name == "none" else _service_name(_SERVICES[name])
    found = re.fullmatch(r"[ \t-\r]*[+]?(0[xX][0-9a-fA-F]+|[0-9]+)", word)
    try:
        digits = found[1] if found else "bad"
        is_octal = digits.startswith("0") and digits.isdigit()
        code = int(digits, 8 if is_octal else 0)
    except ValueError:
        code = -1
    if not 0 <= code <= 255:
        raise ValueError(f"Bad IPQoS value: {word}")
    return _service_name(code)


def _service_name(code: int) -> str:
    for name, known in _SERVICES.items():
        if known == code:
            return name
    return f"0x{code:02x}"


#: SILENT is the name that Debian gives to QUIET.
_LEVELS = ("SILENT", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG2", "DEBUG3")
log_level = choice(**{n.lower(): n for n in _LEVELS}, quiet="SILENT", debug1="DEBUG")
_FACILITIES = ("DAEMON", "USER", "AUTH", "AUTHPRIV", *(f"LOCAL{n}" for n in range(8)))
log_facility = choice(**{name.lower(): name for name in _FACILITIES})
fingerprint_hash = choice(**{n.lower(): n for n in ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")})

flag = choice("yes", "no", true="yes", false="no")
flag_or_ask = choice("true", "false", "ask", yes="true", no="false")
host_key_check = choice("true", "false", "ask", "accept-new", yes="true", no="false", off="false")
address_family = choice("inet", "inet6", "any")
compression = choice("yes", "no")
control_master = choice("true", "false", "auto", "ask", "autoask", yes="true", no="false")
tunnel = choice(
    "ethernet", "point-to-point", "false", no="false", yes="point-to-point", true="point-to-point"
)
request_tty = choice("true", "false", "force", "auto", yes="true", no="false")
session_type = choice("none", "subsystem", "default")
canonicalize_hostname = choice("true", "false", "always", yes="true", no="false")
pubkey_authentication = choice("true", "false", "unbound", "host-bound", yes="true", no="false")
