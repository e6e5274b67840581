"""
Where passwords and passphrases come from: the terminal, or files named on the command line.

Each is asked for at most once. Nothing here shows, logs or stores one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from fleetctl.cli.terminal import Person
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from fleetctl.wiring import one_visible_line

MAX_FILE_BYTES = 64 * 1024


class GivenSecrets:
    """
    The `SecretProvider` of the command line.

    A passphrase file answers for all identity files. Without one the person is asked, as often as
    the connection layer wants to know.
    """

    def __init__(
        self,
        person: Person,
        *,
        password: Secret | None = None,
        passphrase: Secret | None = None,
    ) -> None:
        self._person = person
        self._password = password
        self._passphrase = passphrase

    async def password(self, host: Host, user: str) -> Secret | None:
        """Return the one login password that was given, whatever the host."""
        return self._password

    async def passphrase(self, path: str, attempt: int) -> Secret | None:
        """Return the passphrase from the file at the first attempt, which is 0, or ask."""
        if self._passphrase is not None:
            return self._passphrase if attempt == 0 else None
        again = "wrong passphrase; " if attempt else ""
        question = f"{again}passphrase of {one_visible_line(path)}: "
        answer = await self._person.ask(question, echo=False)
        return Secret(answer) if answer else None


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
