"""
The arguments of one keyword on one line, before anybody knows what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from fleetctl.sshconfig.dialect import Dialect

#: A value as ``ssh -G`` prints it: the words of one line, or a line each for keywords that add up.
Value: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arguments:
    """
    What stands behind a keyword.

    Attributes:
        keyword: In lower case.
        words: Split and unquoted.
        raw: As written, for keywords that take the rest of the line.
        environment: For values that are expanded while they are read.
        dialect: For values that depend on what ssh supports.
    """

    keyword: str
    words: tuple[str, ...]
    raw: str
    environment: Mapping[str, str]
    dialect: Dialect

    def one(self) -> str:
        """
        Return the only word.

        Raises:
            ValueError: There is none, or it is empty, or there are more.
        """
        return self.up_to(1)[0]

    def up_to(self, most: int) -> tuple[str, ...]:
        """
        Return the words, at least one and at most so many.

        Raises:
            ValueError: There are none, or the first is empty, or there are more.
        """
        if not self.words or not self.words[0]:
            raise ValueError("missing argument")
        if len(self.words) > most:
            raise ValueError(f"extra arguments at end of line: {' '.join(self.words[most:])}")
        return self.words


#: Turns arguments into the value; None if the line, though right, sets nothing.
#: Raises ValueError with what is wrong.
Parse: TypeAlias = Callable[[Arguments], Value | None]
