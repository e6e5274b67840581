"""
Options of keys from the words of a command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleetctl.keys.options_from import problem_of_from
from fleetctl.keys.options_syntax import (
    BadOptions,
    KeyOption,
    parse_options,
    problem_of,
    problem_of_all,
)
from fleetctl.keys.options_times import moment_of, render_expiry_time
from fleetctl.model.errors import Problem, UsageError


@dataclass(frozen=True, slots=True)
class OptionFlags:
    """
    What somebody asked for. Each field is the option of authorized_keys with that name.

    Attributes:
        sources: Patterns for ``from``.
        expires: When the key stops working, as it was typed: see `moment_of`.
        principals: Names that certificates of a ``cert_authority`` may be for.
        environment: ``NAME=VALUE``.
        allowed: What ``restrict`` takes away and is given back: ``pty``, ``port-forwarding``,
            ``agent-forwarding``, ``x11-forwarding``, ``user-rc``.
        forbidden: The same names: what is taken away without ``restrict``.
        literal: Options as they stand in the file, such as ``no-pty,tunnel="1"``.

    Source: sshd(8), AUTHORIZED_KEYS FILE FORMAT.
    """

    restrict: bool = False
    cert_authority: bool = False
    principals: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    command: str | None = None
    expires: str | None = None
    environment: tuple[str, ...] = ()
    permitopen: tuple[str, ...] = ()
    permitlisten: tuple[str, ...] = ()
    tunnel: str | None = None
    no_touch_required: bool = False
    verify_required: bool = False
    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    literal: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return self == OptionFlags()


def build_options(flags: OptionFlags, *, now: int) -> tuple[KeyOption, ...]:
    """
    Return the options that were asked for, in the order in which people read them best.

    Times are in UTC; `adapt_options` makes them fit an older server.

    Args:
        now: Seconds since 1970.

    Raises:
        UsageError: With everything that is wrong, each with the flag it was given with.
    """
    problems: list[Problem] = []
    options: list[KeyOption] = []
    for option, flag in _options(flags, now, problems):
        problem = problem_of(option)
        if problem is None and option.name == "from" and option.value is not None:
            problem = problem_of_from(option.value)
        if problem is not None:
            problems.append(Problem(message=problem, file=flag))
        elif option not in options:
            options.append(option)
    together = problem_of_all(options)
    if together is not None:
        problems.append(Problem(message=together))
    if flags.principals and not flags.cert_authority:
        problems.append(
            Problem(
                message="only certificates have principals",
                file="--principals",
                hint="add --cert-authority, if the key is that of an authority",
            )
        )
    if problems:
        raise UsageError(problems=problems)
    return tuple(options)


def _options(
    flags: OptionFlags, now: int, problems: list[Problem]
) -> Iterator[tuple[KeyOption, str]]:
    """Yield each option and the flag it comes from."""
    yield from _switches(flags)
    for name, flag, values in _values(flags):
        for value in values:
            yield KeyOption(name, value), flag
    if flags.expires is not None:
        try:
            value = render_expiry_time(moment_of(flags.expires, now))
        except ValueError as error:
            problems.append(Problem(message=str(error), file="--expires"))
        else:
            yield KeyOption("expiry-time", value), "--expires"
    for text in flags.literal:
        try:
            for option in parse_options(text):
                yield option, "--option"
        except BadOptions as error:
            problems.append(Problem(message=str(error), file="--option"))


def _switches(flags: OptionFlags) -> Iterator[tuple[KeyOption, str]]:
    switches = {
        "cert-authority": flags.cert_authority,
        "restrict": flags.restrict,
        "no-touch-required": flags.no_touch_required,
        "verify-required": flags.verify_required,
    }
    given = [name for name, is_on in switches.items() if is_on]
    for name in (*given, *flags.allowed, *(f"no-{name}" for name in flags.forbidden)):
        yield KeyOption(name), f"--{name}"


def _values(flags: OptionFlags) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the option, the flag, and a value for each time it stands in the line."""
    yield "principals", "--principals", _joined(flags.principals)
    yield "from", "--from", _joined(flags.sources)
    yield "command", "--command", () if flags.command is None else (flags.command,)
    yield "environment", "--env", flags.environment
    yield "permitopen", "--permitopen", flags.permitopen
    yield "permitlisten", "--permitlisten", flags.permitlisten
    yield "tunnel", "--tunnel", () if flags.tunnel is None else (flags.tunnel,)


def _joined(words: tuple[str, ...]) -> tuple[str, ...]:
    return (",".join(words),) if words else ()
