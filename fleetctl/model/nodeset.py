"""
Names of many hosts written short: ``web[01-18,20]``.

`fold` and `expand` are each other's inverse on sets of names. Pure text: what a name means in an
inventory, groups and globs are `fleetctl.inventory.pattern`'s business.
"""

from __future__ import annotations

import itertools
import math
import re
import string
from collections.abc import Iterable, Iterator, Sequence

MAX_NAMES = 1_000_000

_TERM = re.compile(r"(?:[^\[\],]|\[[^\[\]]*\])+")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_ITEM = re.compile(
    r"(?P<one>[0-9]{1,18})"
    r"|(?P<first>[0-9]{1,18})(?:"
    r"-(?P<dash_last>[0-9]{1,18})(?:/(?P<dash_step>[0-9]{1,9}))?"
    r"|:(?P<colon_last>[0-9]{1,18})(?::(?P<colon_step>[0-9]{1,9}))?)"
    r"|:(?P<from_0>[0-9]{1,18})(?::(?P<from_0_step>[0-9]{1,9}))?"
    r"|(?P<a>[A-Za-z]):(?P<z>[A-Za-z])(?::(?P<letter_step>[0-9]{1,9}))?"
)
# A run of more than 18 digits is an identifier, not a number to count with.
_NUMBER = re.compile(r"(?<![0-9])([0-9]{1,18})(?![0-9])")

#: The numbers that may stand at each place.
_Box = tuple[tuple[str, ...], ...]
_TOO_MANY = f'"{{}}" stands for more than {MAX_NAMES} names'


def expand(text: str) -> list[str]:
    """
    Return the names that ``text`` stands for, in its order, each once.

    Reads Ansible's ranges (``web[01:20]``, ``[01:50:2]``, ``[:9]``, ``[a:f]``) and ClusterShell's
    (``node[1-5,8,10-20/2]``, ``rack[1-2]-n[1-2]``). Both ends are included, padding is kept, and
    several names are separated by commas.

    Raises:
        ValueError: Says what is wrong with the text, or that it stands for more than
            `MAX_NAMES` names.
    """
    names: dict[str, None] = {}
    for term in _split_terms(text):
        pieces = _read_pieces(term)
        if math.prod(map(len, pieces)) + len(names) > MAX_NAMES:
            raise ValueError(_TOO_MANY.format(text))
        names.update(dict.fromkeys(map("".join, itertools.product(*pieces))))
    return list(names)


def fold(names: Iterable[str]) -> str:
    """
    Return a short text that stands for exactly these names: ``web[01-18,20]``.

    The order is natural (``web2`` before ``web10``) and depends on the set of names only. Names
    that do not fold are listed with commas. A name with a comma, a bracket or white space at an
    end is listed as it is and does not survive `expand`.
    """
    rows: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for name in set(names):
        parts = _NUMBER.split(name)
        rows.setdefault(tuple(parts[::2]), []).append(tuple(parts[1::2]))
    folded = [box for texts, numbers in rows.items() for box in _fold_alike(texts, numbers)]
    return ",".join(text for _, text in sorted(folded))


def name_pattern(names: Iterable[str]) -> str:
    """
    Return a pattern that means these hosts by name, to be pasted into a command.

    As `fold`, but ``web[10-12]`` is written ``web[10,11-12]``: where there is a group ``web`` the
    former may count in the group, and is refused.
    """

    def write(match: re.Match[str]) -> str:
        first, last = int(match[1]), int(match[2])
        return f"[{first},{last}]" if last == first + 1 else f"[{first},{first + 1}-{last}]"

    return re.sub(r"\[([1-9][0-9]*|0)-([0-9]+)\](?=,|$)", write, fold(names))


def natural_key(name: str) -> tuple[str | tuple[int, int], ...]:
    """Return a key that sorts ``web2`` before ``web10`` and both before ``web10a``."""
    parts = _NUMBER.split(name)
    return tuple((int(part), len(part)) if index % 2 else part for index, part in enumerate(parts))


def _split_terms(text: str) -> list[str]:
    """Split at the commas outside brackets."""
    terms, at = [], 0
    while True:
        match = _TERM.match(text, at)
        if not match or not match[0].strip():
            if text[at : at + 1] in ("[", "]"):
                raise ValueError(f'"{text}": the bracket at column {at + 1} has no partner')
            raise ValueError(f'"{text}": a name is missing at column {at + 1}')
        terms.append(match[0].strip())
        at = match.end()
        if at == len(text):
            return terms
        if text[at] != ",":
            raise ValueError(f'"{text}": the bracket at column {at + 1} has no partner')
        at += 1


def _read_pieces(term: str) -> list[Sequence[str]]:
    """Return, for each stretch of the term, the texts that may stand there."""
    pieces: list[Sequence[str]] = []
    for index, part in enumerate(_BRACKET.split(term)):
        if index % 2 == 0:
            pieces.append((part,))
            continue
        alternatives: list[str] = []
        for item in part.split(","):
            alternatives += _read_item(item.strip(), term)
            if len(alternatives) > MAX_NAMES:
                raise ValueError(_TOO_MANY.format(term))
        pieces.append(alternatives)
    return pieces


def _read_item(item: str, term: str) -> Sequence[str]:
    """Return the texts of one item between brackets: ``5``, ``01-20/2``, ``01:20:2`` or ``a:f``."""
    match = _ITEM.fullmatch(item)
    if not match:
        raise ValueError(f'"{term}": "{item}" is not a range such as "1-5", "01:20" or "a:f"')
    if match["one"]:
        return (item,)
    steps = (match["dash_step"], match["colon_step"], match["from_0_step"], match["letter_step"])
    step = int(next(filter(None, steps), 1))
    if step < 1:
        raise ValueError(f'"{term}": the step of "{item}" must be at least 1')
    if match["a"]:
        letters = string.ascii_letters
        chosen = letters[letters.index(match["a"]) : letters.index(match["z"]) + 1 : step]
        if not chosen:
            raise ValueError(f'"{term}": "{item}" counts down')
        return chosen
    last = match["dash_last"] or match["colon_last"] or match["from_0"]
    return _count(match["first"] or "0", last, step, item, term)


def _count(first: str, last: str, step: int, item: str, term: str) -> Sequence[str]:
    """Return the numbers from first to last, padded as first is."""
    padded = _is_padded(first)
    if (padded and len(last) < len(first)) or (_is_padded(last) and len(last) != len(first)):
        raise ValueError(f'"{term}": both ends of "{item}" need the same number of digits')
    numbers = range(int(first), int(last) + 1, step)
    if not numbers:
        raise ValueError(f'"{term}": "{item}" counts down')
    if (numbers[-1] - numbers[0]) // step >= MAX_NAMES:
        raise ValueError(_TOO_MANY.format(term))
    width = len(first) if padded else 0
    return [f"{number:0{width}d}" for number in numbers]


def _is_padded(digits: str) -> bool:
    return digits[0] == "0" and len(digits) > 1


def _fold_alike(
    texts: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> Iterator[tuple[tuple[object, ...], str]]:
    """
    Fold names that differ in their numbers only.

    Args:
        texts: What stands round the numbers, one more than there are numbers.
        rows: The numbers of each name, as written.

    Yields:
        A sort key and the text of each set of names that is a product of ranges.
    """
    boxes: list[_Box] = [tuple((number,) for number in row) for row in rows]
    for axis in reversed(range(len(texts) - 1)):
        alike: dict[_Box, list[str]] = {}
        for box in boxes:
            alike.setdefault(box[:axis] + box[axis + 1 :], []).extend(box[axis])
        boxes = [
            (*rest[:axis], tuple(sorted(numbers, key=_number_key)), *rest[axis:])
            for rest, numbers in alike.items()
        ]
    for box in boxes:
        first_name = _interleave(texts, [numbers[0] for numbers in box])
        yield natural_key(first_name), _interleave(texts, [_write_axis(n) for n in box])


def _interleave(texts: Sequence[str], between: Sequence[str]) -> str:
    return "".join(itertools.chain(*zip(texts, between, strict=False), texts[-1:]))


def _number_key(digits: str) -> tuple[int, int]:
    return int(digits), len(digits)


def _write_axis(numbers: Sequence[str]) -> str:
    """Write the numbers that may stand at one place: ``07`` or ``[01-18,20]``."""
    if len(numbers) == 1:
        return numbers[0]
    # "10" counts on from "09" if anything of its length is padded, else from "9".
    padded_lengths = {len(digits) for digits in numbers if _is_padded(digits)}
    runs: dict[int, list[list[str]]] = {}
    for digits in numbers:
        width = len(digits) if len(digits) in padded_lengths else 0
        alike = runs.setdefault(width, [])
        if alike and int(alike[-1][-1]) + 1 == int(digits):
            alike[-1][1:] = [digits]
        else:
            alike.append([digits])
    ordered = sorted(itertools.chain(*runs.values()), key=lambda run: _number_key(run[0]))
    return f"[{','.join('-'.join(run) for run in ordered)}]"
