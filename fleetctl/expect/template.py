"""
Text with variables in it: ``echo {greeting}``; ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
#: What a name of a variable looks like.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: The variable that every script has: the name of the host in the inventory.
HOST_VARIABLE = "host"
#: What stands before the name of a variable of the host.
HOST_PREFIX = "var:"


@dataclass(frozen=True, slots=True)
class Reference:
    """A variable: of the host if its name begins with ``var:``, else of the script."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """Text and variables, in order."""

    parts: tuple[str | Reference, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables in it."""
        return tuple(part.name for part in self.parts if isinstance(part, Reference))

    def render(self, values: Mapping[str, str]) -> str:
        """
        Return the text.

        Raises:
            KeyError: A variable has no value.
        """
        return "".join(
            values[part.name] if isinstance(part, Reference) else part for part in self.parts
        )


def parse_template(text: str, complain: Callable[[str, str], None]) -> Template:
    """
    Parse text with variables.

    Args:
        complain: Told what is wrong with a brace, and what to write instead.
    """
    parts: list[str | Reference] = []
    literal = ""
    end = 0
    for found in _PART.finditer(text):
        literal += text[end : found.start()]
        end = found.end()
        name = found[1]
        if found[0] in ("{{", "}}"):
            literal += found[0][0]
        elif name is not None and NAME.fullmatch(name.removeprefix(HOST_PREFIX)):
            parts += [literal, Reference(name)] if literal else [Reference(name)]
            literal = ""
        else:
            complain(
                f'"{found[0]}" is no variable',
                "write {{ and }} for braces that are to be sent",
            )
    literal += text[end:]
    return Template((*parts, literal) if literal else tuple(parts))
