"""
Secret sources as they are written: ``prompt``, ``file:PATH``, ``env:NAME``, ``cmd:COMMAND``.

Files and variables are read at once, so that a mistake is found before anybody is contacted.
Programs run when their secret is needed; see `fleetctl.secrets.reader`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret

MAX_FILE_BYTES = 64 * 1024

#: ``TEXT=SOURCE``; the text may hold equals signs.
_RULE = re.compile(r"(.+?)=(prompt|(?:file|env|cmd):.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A program that prints the secret on the first line of its output."""

    text: str


@dataclass(frozen=True, slots=True)
class AskPerson:
    """Somebody at the terminal knows it."""


#: A secret that is there, or where it will come from.
SecretSource: TypeAlias = Secret | Command | AskPerson


@dataclass(frozen=True, slots=True)
class PromptRule:
    """
    The answer to questions that hold a text.

    Attributes:
        text: Found in the question in any case.
    """

    text: str
    source: SecretSource

    def fits(self, question: str) -> bool:
        """Tell whether this rule answers a host's question."""
        return self.text.strip().lower() in question.lower()


def parse_source(
    text: str,
    *,
    where: str,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
    trusted: bool = True,
) -> SecretSource:
    """
    Return what a source says.

    Args:
        where: What named it, for messages, such as ``--prompt`` or ``prod.yml:14``.
        environ: Where variables are looked up.
        warn: Told about a file that others can read.
        trusted: False for a project file that may not read secrets or run anything.

    Raises:
        UsageError: It is no source, or its file or variable is missing or empty.
    """
    kind, _, value = text.partition(":")
    if text != "prompt" and (kind not in ("file", "env", "cmd") or not value.strip()):
        raise UsageError(
            f"{where}: a secret source is expected, not a value",
            hint="write prompt, file:PATH, env:NAME or cmd:COMMAND",
        )
    if text == "prompt":
        return AskPerson()
    if not trusted:
        raise UsageError(
            f"{where}: {kind}: is not allowed in a file that is not trusted",
            hint=f"look at the file, then: fleetctl trust {where.partition(':')[0]}",
        )
    if kind == "cmd":
        return Command(value.strip())
    if kind == "file":
        return read_secret_file(value, option=where, warn=warn)
    if not environ.get(value):
        raise UsageError(
            f"{where}: the variable {value} is {'empty' if value in environ else 'not set'}",
            hint=f"export {value}, or use prompt or file:PATH",
        )
    return Secret(environ[value])


def parse_prompt_rule(
    text: str, *, environ: Mapping[str, str], warn: Callable[[str], None]
) -> PromptRule:
    """
    Parse the value of ``--prompt``.

    Raises:
        UsageError: It is not TEXT=SOURCE, or the source cannot be had.
    """
    match = _RULE.fullmatch(text)
    if match is None or not match[1].strip():
        raise UsageError(
            f"--prompt: TEXT=SOURCE is expected, not {text.partition('=')[0]}=...",
            hint="such as --prompt 'Verification code:=env:TOTP'; a source is prompt, file:PATH,"
            " env:NAME or cmd:COMMAND",
        )
    return PromptRule(
        match[1], parse_source(match[2], where="--prompt", environ=environ, warn=warn)
    )


def read_secret_file(path: str, *, option: str, warn: Callable[[str], None]) -> Secret:
    """
    Return the first line of a file.

    Args:
        option: The option that named it, for messages.
        warn: Told if others can read the file.

    Raises:
        UsageError: It cannot be read, is empty or is no text.
    """
    try:
        with open(os.path.expanduser(path), "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            line = stream.read(MAX_FILE_BYTES).partition(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise UsageError(f"{option}: {path}: {error.strerror}") from None
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warn(f"{option}: {path} can be read by others: chmod 600 {path}")
    if not line:
        raise UsageError(f"{option}: the first line of {path} is empty")
    try:
        return Secret(line.decode())
    except UnicodeDecodeError:
        raise UsageError(f"{option}: the first line of {path} is not UTF-8") from None
