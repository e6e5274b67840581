r"""
What keeps a regular expression from being waited for.

Output comes in pieces of any size, and a match must not depend on how it was cut. So a match is
taken at the first character that completes one, as a person would who reads along. That makes sense
only for expressions which stay matched whatever comes next: ``$`` and ``(?!…)`` do not.
"""

from __future__ import annotations

import re

import regex

#: Longer texts and expressions are mistakes; a match is looked for in a bounded window.
MAX_LENGTH = 1000

_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\\\]])*\]|\(\?<?[=!]|\(\?P?<\w+>|\(|\)|\{\d*,?\d*\}|.", re.DOTALL
)
_NAMED_GROUP = re.compile(r"\(\?P?<\w+>")
_REPEAT = re.compile(r"[*+?]|\{\d*,\d*\}")
_LOOKS_AHEAD = {
    "$": "$ would match wherever the output pauses",
    r"\Z": r"\Z would match wherever the output pauses",
    "(?!": "(?!…) cannot know what comes next",
}


def objection(pattern: str) -> tuple[str, str | None] | None:
    """
    Say why a regular expression cannot be waited for, and what to write instead.

    Returns:
        None if it can be.
    """
    if len(pattern) > MAX_LENGTH:
        return f"a regex is at most {MAX_LENGTH} characters long", None
    try:
        compiled = regex.compile(pattern, regex.MULTILINE)
    except regex.error as error:
        return f"not a regex: {error}", "see the syntax of Python's re"
    if compiled.search("", timeout=1) is not None:
        return "this regex matches nothing at all, so it would match at once", None
    tokens = _TOKEN.findall(pattern)
    for token in tokens:
        if token in _LOOKS_AHEAD:
            hint = "leave it out: a match is taken as soon as it is complete"
            return _LOOKS_AHEAD[token], hint
    return _loose_end(tokens)


def group_names(pattern: str) -> tuple[frozenset[str], int]:
    """Return the names of the groups of a valid regular expression, and how many there are."""
    compiled = regex.compile(pattern, regex.MULTILINE)
    return frozenset(compiled.groupindex), compiled.groups


def _loose_end(tokens: list[str]) -> tuple[str, str] | None:
    """Object to an end that could be longer in the next moment."""
    closing = 0
    for part in reversed(tokens):
        if part != ")":
            break
        closing += 1
    last = len(tokens) - closing - 1
    if last < 0:
        return None
    if tokens[last] in (r"\b", r"\B"):
        return (
            f"{tokens[last]} at the end cannot know what comes next",
            r"say what comes next, such as \s or [^\w]",
        )
    if closing and _REPEAT.fullmatch(tokens[last]) and _ends_named(tokens, closing):
        return (
            "the last group ends with a repeat, and as little as possible of it is captured",
            r"say what comes after it, such as \s: a match is taken as soon as it is complete",
        )
    return None


def _ends_named(tokens: list[str], closing: int) -> bool:
    """Tell whether one of the groups that end with the expression has a name."""
    is_named: list[bool] = []
    for part in tokens[: len(tokens) - closing]:
        if part.startswith("("):
            is_named.append(_NAMED_GROUP.fullmatch(part) is not None)
        elif part == ")":
            is_named.pop()
    return any(is_named[-closing:])
