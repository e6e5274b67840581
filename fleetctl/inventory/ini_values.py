"""
Values as they stand in an INI inventory: Python literals, and all else as text.

Source: ansible-core, `ansible.plugins.inventory.ini`.
"""

from __future__ import annotations

import ast
import re
import shlex
import warnings

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
#: What no Python literal begins with, so that most values need not be parsed.
_PLAIN = re.compile(r"[A-Za-z_/~@][A-Za-z0-9_./~@:+-]*")
_CONSTANTS = {"True": True, "False": False, "None": None}
#: Without any of these, splitting at spaces and tabs is all there is to do.
_SPECIAL = re.compile(r"[\"'\\#\x00-\x08\x0a-\x1f\x7f-\U0010ffff]")

#: All of a line up to the first # that is neither quoted nor escaped.
_BEFORE_COMMENT = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\\'"#])*""", re.DOTALL)


def split_line(line: str) -> tuple[list[str], str | None]:
    """
    Split a host line into words, quotes and backslashes as in a shell.

    Returns:
        The words, and what a ``#`` in the middle of a word has cut off, or None.

    Raises:
        ValueError: A quote is not closed.
    """
    if not _SPECIAL.search(line):
        return line.split(), None
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        raise ValueError("a quote is not closed") from None
    comment = line[_BEFORE_COMMENT.match(line).end() :]  # type: ignore[union-attr]
    is_cut = comment and not line[: -len(comment)].endswith((" ", "\t"))
    return words, comment.split()[0] if is_cut else None


def parse_value(text: str) -> object:
    """
    Return the Python literal the text is, lists for tuples and sets, else the text.

    Raises:
        ValueError: It is a literal that no variable can hold.
    """
    if _PLAIN.fullmatch(text):
        return _CONSTANTS.get(text, text)
    if _NUMBER.fullmatch(text):
        return int(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about backslashes, for the author of a program
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    except (TypeError, MemoryError, RecursionError):
        raise ValueError(f'"{text}" is not a value; quote it if it is text') from None
    return _plain_data(value)


def _plain_data(value: object) -> object:
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_data(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain_data(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if value is ...:
        return "..."
    return str(value) if isinstance(value, complex) else value
