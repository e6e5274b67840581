"""
Putting together what a shell on a host is to do.

A program is one function and, in the last line, its call: of a transfer that is cut nothing runs.
It is sent to ``exec sh -s``, words that every login shell reads alike, so nothing of it is in the
arguments of a process.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from fleetctl.keys.remote.encoding import printing, quote

#: What every login shell understands: sh, csh, fish alike.
COMMAND = "exec sh -s"

#: Where programs are looked for; the environment of whoever logs in is not asked.
DEFAULT_PATH = (
    "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:/usr/pkg/bin:/boot/system/bin"
    ":/run/wrappers/bin:/run/current-system/sw/bin"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """
    What an answer's parts begin with. Nobody can know it before, and it does not stand in the
    program as such: a start-up file that shows commands would say it before its time.
    """

    first: str = field(default_factory=lambda: secrets.token_hex(8))
    second: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def text(self) -> bytes:
        """What is printed."""
        return f"{self.first}{self.second}".encode()


@dataclass(frozen=True, slots=True)
class Program:
    """
    A program and the mark of its answer.

    Attributes:
        text: For standard input of ``sh -s``.
    """

    text: bytes
    mark: Mark


@dataclass(frozen=True, slots=True)
class Body:
    """
    Some of the files in ``sh/``, one after the other.

    Attributes:
        parts: Their names, without ``.sh``.
        variables: What is set before them.
        functions: Further functions, in ``sh``.
    """

    parts: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    functions: Sequence[str] = ()

    def render(self, settings: Mapping[str, str]) -> str:
        """Return it; ``settings`` are variables of every program."""
        values = {**settings, **self.variables}
        lines = [f"{name}={quote(value)}\n" for name, value in values.items()]
        return "".join([*lines, *self.functions, *map(read_part, self.parts)])


def assemble(path: str, body: Body, *, then: Body | None = None) -> Program:
    """
    Return the program.

    Args:
        path: Where it looks for other programs, as in PATH.
        then: What another user, or root, does after it.
    """
    mark = Mark()
    settings = {"path_list": path, "m1": mark.first, "m2": mark.second}
    text = body.render(settings)
    if then is not None:
        rest = _called(then.render({}))
        text += printing("rest", rest.encode()) + read_part("pass_on")
    return Program(_called(text).encode(), mark)


def _called(text: str) -> str:
    """Return it as a function and its call; no beginning of that name is a command."""
    name = f"_{secrets.token_hex(8)}"
    return f"{name}() {{\n{text}}}\n{name}\n"


def read_part(name: str) -> str:
    """Return one of the files, without comments and indentation."""
    text = resources.files(__package__).joinpath("sh", f"{name}.sh").read_text("utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))
