"""
Reading what a program has answered: parts with names, each behind the mark.

Whatever start-up files, banners and other programs say before the first mark is not ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleetctl.keys.remote.program import Mark
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.model.result import ExecResult

#: What accounts without a shell say. Source: nologin(8) of util-linux, shadow and the BSDs; OpenSSH
#: session.c, internal-sftp; git-shell(1); rssh(1).
_SAYINGS = {
    b"This account is currently not available.": "its shell is nologin",
    b"This service allows sftp connections only.": "it is for sftp only",
    b"fatal: What do you think I am? A shell?": "its shell is git-shell",
    b"This account is restricted by rssh.": "its shell is rssh",
}
#: Of what another command wrote, in a message.
_SHOWN_CHARACTERS = 200
_SHELL_HINT = "on the host: usermod -s /bin/sh USER; or do without a shell: --sftp"
_FORCED_HINT = (
    "see ForceCommand in its sshd_config and command= in its authorized_keys; --sftp needs no shell"
)


@dataclass(frozen=True, slots=True)
class Part:
    """
    One part of an answer.

    Attributes:
        data: Any bytes; of a part that is text with the last newline.
    """

    name: str
    data: bytes

    @property
    def lines(self) -> list[str]:
        """The lines of a text; bytes that are no UTF-8 are surrogates (PEP 383)."""
        return self.data.decode("utf-8", "surrogateescape").split("\n")[:-1]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said, in order."""

    parts: tuple[Part, ...]

    def find(self, name: str) -> Part | None:
        """Return the first part of that name."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[Part]:
        """Yield all parts of that name."""
        return (part for part in self.parts if part.name == name)

    def data(self, name: str) -> bytes | None:
        """Return the bytes of the first part of that name, or None."""
        part = self.find(name)
        return None if part is None else part.data


def read_answer(result: ExecResult, mark: Mark) -> Answer:
    """
    Return the parts of an answer.

    Raises:
        FleetError: ``session.no_shell``: the account has none; ``keys.protocol``: another command
            ran, or the answer is not whole.
    """
    noise, *pieces = result.stdout.split(mark.text)
    parts = []
    for piece in pieces:
        name, _, data = piece.partition(b"\n")
        parts.append(Part(name.decode("ascii", "replace"), data))
    if not parts:
        raise _nothing_of_ours(result, noise)
    if result.truncated or parts[-1].name not in ("end", "fail", "busy"):
        wrote = _shown(result.stderr)
        raise FleetError(
            "keys.protocol",
            "the answer of the shell is not whole" + (f"; it wrote: {wrote}" if wrote else ""),
            hint="try again; if it stays like that, do without a shell: --sftp",
            retryable=True,
            result=result,
        )
    return Answer(tuple(parts))


def _nothing_of_ours(result: ExecResult, noise: bytes) -> FleetError:
    wrote = (noise + result.stderr).strip()
    for saying, why in _SAYINGS.items():
        if wrote.startswith(saying):
            return _no_shell(f"{why}: {saying.decode()}", result)
    if not wrote and result.exit_status == 1:
        return _no_shell("it ends every command with exit status 1, as /bin/false does", result)
    shown = _shown(noise) or _shown(result.stderr)
    if result.exit_status in (126, 127):
        return _no_shell(f"it could not start sh: {shown}", result)
    return FleetError(
        "keys.protocol",
        "another command ran than the one that was sent"
        + (f"; it wrote: {shown}" if shown else ""),
        hint=_FORCED_HINT,
        result=result,
    )


def _no_shell(why: str, result: ExecResult) -> FleetError:
    return FleetError(
        "session.no_shell", f"the account has no shell: {why}", hint=_SHELL_HINT, result=result
    )


def _shown(data: bytes) -> str:
    line = next(iter(data.strip().splitlines()), b"")
    return beginning(line.decode("utf-8", "replace"), _SHOWN_CHARACTERS)
