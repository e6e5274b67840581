"""
A recorded command line, to be given again for some of its hosts.

Only words here; what is done with them is `fleetctl.cli.history_again`'s business.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import click

from fleetctl.model.errors import UsageError

#: Options that chose among the hosts; the hosts are known now, one by one.
_CHOOSING = frozenset({"--limit", "-l", "--exclude", "-x"})
_ASKS_NOTHING = "--yes"
#: What stands in a record in the place of a secret.
_HIDDEN = "[secret]"


@dataclass(frozen=True, slots=True)
class _Piece:
    """
    Words that belong together.

    Attributes:
        option: Its longest name; None for a word that is no option.
        words: As they are to be given again.
    """

    option: str | None
    words: tuple[str, ...]


def with_hosts(
    argv: Sequence[str],
    command: click.Command,
    names: Sequence[str],
    *,
    pattern: str,
    depth: int = 1,
    yes: bool = False,
) -> list[str]:
    """
    Return the words behind ``fleetctl`` that do the same on exactly these hosts.

    Each host is named by itself: a folded name may count in a group, and another host may have come
    to a wildcard. What chose among the hosts is left out.

    Args:
        argv: As recorded, ``fleetctl`` and the command's name included.
        command: The command of that name.
        depth: Words of the name: 2 for ``keys deploy``.
        names: Of hosts, at least one.
        pattern: The word that named the hosts.
        yes: Do not ask whether so many hosts are meant.

    Raises:
        UsageError: The command line is not one that can be given again.
    """
    name, words = argv[1 : 1 + depth], argv[1 + depth :]
    if any(_HIDDEN in word for word in argv):
        raise UsageError(
            "the command line has a secret in it, which is not recorded",
            hint=f"type it again: {shlex.join(argv)}",
        )
    place = list(words).index("--") if "--" in words else len(words)
    given: list[str] = []
    has_pattern = False
    for piece in _pieces(words[:place], command):
        if piece.option is None and not has_pattern:
            has_pattern = piece.words == (pattern,)
            given.append(",".join(names))
        elif piece.option not in _CHOOSING:
            given += piece.words
    if not has_pattern or not _takes_hosts(command):
        raise UsageError(
            f"it is not clear which word named the hosts: {shlex.join(argv)}",
            hint="type it again, with the hosts that you mean",
        )
    asks = any(_ASKS_NOTHING in param.opts for param in command.params)
    if yes and asks and _ASKS_NOTHING not in given:
        given.insert(0, _ASKS_NOTHING)
    return [*name, *given, *words[place:]]


def reads_stdin(argv: Sequence[str]) -> bool:
    """Tell whether the command line takes our standard input."""
    words = list(argv[: argv.index("--")]) if "--" in argv else list(argv)
    return "--stdin=-" in words or ("--stdin", "-") in pairwise(words)


def _takes_hosts(command: click.Command) -> bool:
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    return bool(arguments) and arguments[0].name == "pattern"


def _pieces(words: Sequence[str], command: click.Command) -> Iterator[_Piece]:
    """Split words as the command's parser does."""
    options = {
        name: param
        for param in command.params
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    }
    at = 0
    while at < len(words):
        word = words[at]
        following = words[at + 1 : at + 2]
        at += 1
        if word.startswith("--"):
            name, equals, _ = word.partition("=")
            takes_next = not equals and _takes_value(options.get(name))
            yield _Piece(name, (word, *following) if takes_next else (word,))
            at += len(following) if takes_next else 0
        elif word.startswith("-") and len(word) > 1:
            # Several letters may stand together, the last one with its value: -bl web
            flags, letter, value = _cluster(word, options)
            if flags:
                yield _Piece("-", (f"-{flags}",))
            if letter:
                takes_next = not value
                yield _Piece(
                    f"-{letter}",
                    (f"-{letter}", *following) if takes_next else (f"-{letter}{value}",),
                )
                at += len(following) if takes_next else 0
        else:
            yield _Piece(None, (word,))


def _cluster(word: str, options: dict[str, click.Option]) -> tuple[str, str, str]:
    """Return the letters without a value, the one that takes one, and what stands behind it."""
    for index, letter in enumerate(word[1:], 1):
        if _takes_value(options.get(f"-{letter}")):
            return word[1:index], letter, word[index + 1 :]
    return word[1:], "", ""


def _takes_value(option: click.Option | None) -> bool:
    return option is not None and not option.is_flag and not option.count
