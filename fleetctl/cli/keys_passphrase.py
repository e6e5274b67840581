"""
Passphrases of private keys that a command makes or uses: read from where somebody says, or asked
for.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from fleetctl.cli.errors import say
from fleetctl.cli.invocation import known_secrets
from fleetctl.cli.terminal import Terminal
from fleetctl.model.errors import FleetError, UsageError
from fleetctl.model.secret import Secret

if TYPE_CHECKING:
    from fleetctl.secrets.source import SecretSource


def new_passphrase(file: str, source: str | None, *, without: bool) -> Secret | None:
    """
    Return the passphrase for a new private key, typed twice; None if there shall be none.

    Args:
        source: Where it is: a file, ``env:NAME``, ``cmd:COMMAND``; None to ask.
        without: There shall be none.

    Raises:
        UsageError: It cannot be had, or was not typed the same twice.
    """
    if source is not None and without:
        raise UsageError("--passphrase-file and --no-passphrase cannot be combined")
    if without:
        return None
    if source is not None:
        return given_passphrase(source)
    first = _ask(f"passphrase for {file} (empty for none): ")
    if first is None:
        raise UsageError(
            "there is no terminal to ask for a passphrase on",
            hint="give --passphrase-file FILE, or --no-passphrase for a key that is not encrypted",
        )
    if not first:
        return None
    if _ask("the same again: ") != first:
        raise UsageError("the two are not the same: no key was made")
    return _known(Secret(first))


def given_passphrase(source: str) -> Secret:
    """
    Return the passphrase of ``--passphrase-file``.

    Raises:
        UsageError: It cannot be had, or is empty.
    """
    from fleetctl.secrets.source import parse_source, read_secret_file

    option = "--passphrase-file"
    if not source.startswith(("env:", "cmd:", "file:")):
        return _known(read_secret_file(source, option=option, warn=say))
    found = parse_source(source, where=option, environ=os.environ, warn=say)
    secret = asyncio.run(_read(found))
    if secret is None or not secret.reveal():
        raise UsageError(f"{option}: {source}: there is no passphrase")
    return _known(secret)


async def _read(source: SecretSource) -> Secret | None:
    from fleetctl.secrets.reader import SecretReader

    reader = SecretReader(lambda text: Terminal().ask(text, echo=False))
    try:
        return await reader.read(source, question="passphrase: ", tokens={})
    except FleetError as error:
        raise UsageError(str(error), hint=error.failure.hint) from error


def ask_passphrase(file: str, *, again: bool = False) -> Secret | None:
    """
    Ask for the passphrase of a private key that is there; None if there is nobody to ask.

    Args:
        again: The one that was typed is wrong.
    """
    answer = _ask(f"{'wrong; ' if again else ''}passphrase for {file}: ")
    return _known(Secret(answer)) if answer else None


def _known(secret: Secret) -> Secret:
    known_secrets().add(secret)
    return secret


def _ask(question: str) -> str | None:
    return asyncio.run(Terminal().ask(question, echo=False))
