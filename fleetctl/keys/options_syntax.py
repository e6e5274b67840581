"""
The options before a key in authorized_keys: reading them as sshd does, and writing them.

Which server knows which option is the business of `fleetctl.keys.options_server`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleetctl.keys.options_times import parse_expiry_time

#: Source: OpenSSH auth-options.h, SSH_AUTHOPT_PERMIT_MAX and SSH_AUTHOPT_ENV_MAX; one more passes.
_MOST = {"permitopen": 4097, "permitlisten": 4097, "environment": 1025}
_NEGATABLE = frozenset(
    {
        "port-forwarding",
        "agent-forwarding",
        "x11-forwarding",
        "pty",
        "user-rc",
        "touch-required",
        "verify-required",
    }
)
FLAGS = frozenset({"restrict", "cert-authority", *_NEGATABLE, *(f"no-{f}" for f in _NEGATABLE)})
VALUED = frozenset(
    "command principals from expiry-time environment permitopen permitlisten tunnel".split()
)
#: A second one of those kills the line.
_ONCE = ("command", "principals", "from")
#: Source: OpenSSH misc.c, a2port: a number, or the name of a service.
_PORT = re.compile(r"\*|\s*\+?0*[1-9][0-9]{0,4}|[A-Za-z][A-Za-z0-9+-]*")
_HOST_PORT = re.compile(r"(\[[^\]]*\]|[^:/\[][^:/]*|)(?:[:/](.*))?", re.DOTALL)
_MAX_HOST = 1024
_MAX_TUNNEL = 0x7FFFFFFF - 2


class BadOptions(ValueError):
    """sshd would skip the line because of its options; the text says why."""


@dataclass(frozen=True, slots=True)
class KeyOption:
    """
    One option of a key.

    Attributes:
        name: In lower case, such as ``restrict`` or ``no-pty``.
        value: Without its quotes; None if the option has none. Bytes that are no UTF-8 are kept as
            surrogates.
    """

    name: str
    value: str | None = None

    def render(self) -> str:
        """
        Return the option as it stands in a line.

        Raises:
            BadOptions: It cannot stand there, or sshd would not read it so.
        """
        problem = problem_of(self)
        if problem is not None:
            raise BadOptions(problem)
        if self.value is None:
            return self.name
        quoted = self.value.replace('"', '\\"')
        return f'{self.name}="{quoted}"'


def problem_of(option: KeyOption) -> str | None:
    """Return why an option would kill its line, or could not be written; None if it is right."""
    name, value = option.name, option.value
    if name not in FLAGS and name not in VALUED:
        return f"{name}: no option of authorized_keys{_near(name)}"
    if name in FLAGS:
        return None if value is None else f"{name}: the option takes no value"
    if value is None:
        return f'{name}: a value is missing: {name}="…"'
    if re.search(r"[\n\0]", value):
        return f"{name}: a line break or a zero byte cannot stand in a line"
    if value.endswith("\\"):
        # The only escape is \", so that the closing quote would not be one.
        return f"{name}: a value cannot end with a backslash"
    return _problem_of_value(name, value)


def _problem_of_value(name: str, value: str) -> str | None:
    match name:
        case "expiry-time":
            try:
                parse_expiry_time(value)
            except ValueError as error:
                return f"{name}: {error}"
        case "environment":
            variable, equals, _ = value.partition("=")
            if not equals or not re.fullmatch(r"[A-Za-z0-9_]+", variable):
                return f"{name}: {value!r} is not NAME=VALUE"
        case "permitopen" | "permitlisten":
            if not _is_permit(value, needs_host=name == "permitopen"):
                expected = "HOST:PORT" if name == "permitopen" else "[HOST:]PORT"
                return f"{name}: {value!r} is not {expected}"
        case "tunnel":
            if value.lower() != "any" and not (
                re.fullmatch(r"\s*\+?[0-9]{1,10}", value) and int(value) <= _MAX_TUNNEL
            ):
                return f"{name}: {value!r} is no number of a device, nor any"
    return None


def _is_permit(value: str, *, needs_host: bool) -> bool:
    if not needs_host and ":" not in value:
        value = f"*:{value}"
    found = _HOST_PORT.fullmatch(value)
    if found is None or len(found[1]) >= _MAX_HOST or found[2] is None:
        return False
    port = found[2]
    return bool(_PORT.fullmatch(port)) and (not port.strip().isdigit() or int(port) <= 65535)


def _near(name: str) -> str:
    wanted = name.replace("_", "-")
    found = sorted(o for o in FLAGS | VALUED if o in {wanted, f"no-{wanted}"} or wanted in o)
    return f"; is {found[0]} meant?" if found and len(wanted) > 2 else ""


def end_of_options(data: bytes, begin: int = 0) -> int | None:
    """
    Return where options end that begin there: at the first blank outside of quotes.

    Returns:
        The position, or None where quotes are not closed.

    Source: OpenSSH authfile.c, sshkey_advance_past_options.
    """
    position, is_quoted = begin, False
    for found in _MILESTONES.finditer(data, begin):
        mark = found[0]
        position = found.start()
        if mark == b'"':
            is_quoted = not is_quoted
        elif mark != b'\\"' and not is_quoted:
            return position
    return None if is_quoted else len(data)


_MILESTONES = re.compile(rb'\\"|["\t ]')
_SEPARATORS = re.compile(rb'\\"|[",]')


def split_options(data: bytes) -> tuple[KeyOption, ...]:
    """Return options as far as they can be told apart, whatever they are; never raises."""
    return tuple(option for option, _ in _split(data))


def _split(data: bytes) -> Iterable[tuple[KeyOption, str | None]]:
    """Yield each option, and what is wrong with the way it is written."""
    for token in _tokens(data):
        written, equals, rest = token.partition(b"=")
        name = _text(written.lower())
        if not equals:
            yield KeyOption(name), None
            continue
        end = _closing_quote(rest)
        if not rest.startswith(b'"'):
            yield KeyOption(name, _text(rest)), f"{name}: a quote is missing before the value"
        elif end is None:
            yield KeyOption(name, _text(rest[1:])), f"{name}: the quotes are not closed"
        else:
            value = _text(rest[1:end].replace(b'\\"', b'"'))
            behind = rest[end + 1 :]
            yield (
                KeyOption(name, value),
                f"{name}: something follows the quotes" if behind else None,
            )


def _tokens(data: bytes) -> Iterable[bytes]:
    begin, is_quoted = 0, False
    for found in _SEPARATORS.finditer(data):
        if found[0] == b'"':
            is_quoted = not is_quoted
        elif found[0] == b"," and not is_quoted:
            if found.start() > begin:
                yield data[begin : found.start()]
            begin = found.end()
    if len(data) > begin:
        yield data[begin:]


def _closing_quote(rest: bytes) -> int | None:
    for found in re.finditer(rb'\\"|"', rest[1:]):
        if found[0] == b'"':
            return found.start() + 1
    return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def parse_options(data: bytes | str) -> tuple[KeyOption, ...]:
    """
    Read options as the newest sshd does, such as ``restrict,command="date",no-pty``.

    Raises:
        BadOptions: sshd would skip the line.

    Source: OpenSSH auth-options.c, sshauthopt_parse; misc.c, opt_flag, opt_match, opt_dequote.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    options = []
    for option, fault in _split(data):
        is_known = option.name in VALUED if option.value is not None else option.name in FLAGS
        problem = fault if fault is not None and is_known else problem_of(option)
        if problem is not None:
            raise BadOptions(problem)
        options.append(option)
    problem = problem_of_all(options)
    if problem is not None:
        raise BadOptions(problem)
    return tuple(options)


def problem_of_all(options: Sequence[KeyOption]) -> str | None:
    """Return why options that are right one by one would kill a line together."""
    counts = Counter(option.name for option in options)
    for name in _ONCE:
        if counts[name] > 1:
            return f"{name}: the option may stand once only"
    for name, most in _MOST.items():
        if counts[name] > most:
            return f"{name}: there are more than {most}"
    return None


def render_options(options: Iterable[KeyOption]) -> str:
    """
    Return options as they stand before a key, without a blank.

    Raises:
        BadOptions: One of them cannot stand there.
    """
    given = tuple(options)
    problem = problem_of_all(given)
    if problem is not None:
        raise BadOptions(problem)
    return ",".join(option.render() for option in given)


def same_options(one: Iterable[KeyOption], other: Iterable[KeyOption]) -> bool:
    """Do these say the same? The order does not matter."""
    return Counter(one) == Counter(other)
