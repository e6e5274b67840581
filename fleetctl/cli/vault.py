"""
The passwords of vaulted values: from files named on the command line, or typed on the terminal.
"""

from __future__ import annotations

import asyncio

from fleetctl.cli.errors import say
from fleetctl.cli.invocation import known_secrets
from fleetctl.cli.options import TargetOptions
from fleetctl.cli.terminal import Terminal
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret

#: In place of the name of a file: ask for it.
PROMPT = "prompt"


def vault_secrets(targets: TargetOptions) -> list[tuple[str | None, Secret]]:
    """
    Return vault ids with their passwords, those of ``--vault-id`` first.

    ``LABEL@prompt``, ``@prompt`` and ``--vault-password-file prompt`` ask for the password, once.
    From then on the command knows them, and shows none.

    Raises:
        UsageError: A file cannot be read, a label has none, or there is nobody to ask.

    Source: ansible-vault(1), --vault-id.
    """
    found: list[tuple[str | None, Secret]] = []
    for text in targets.vault_id:
        label, at, path = text.partition("@")
        if not at or not path:
            raise UsageError(
                f"--vault-id: {text}: LABEL@FILE is expected",
                hint="--vault-id prod@FILE, or --vault-id prod@prompt to be asked",
            )
        found.append((label or None, _secret(path, label, "--vault-id")))
    if targets.vault_password_file:
        path = targets.vault_password_file
        found.append((None, _secret(path, "", "--vault-password-file")))
    known_secrets().update(secret for _, secret in found)
    return found


def _secret(path: str, label: str, option: str) -> Secret:
    if path != PROMPT:
        from fleetctl.secrets.source import read_secret_file

        return read_secret_file(path, option=option, warn=say)
    question = f"vault password ({label}): " if label else "vault password: "
    answer = asyncio.run(Terminal().ask(question, echo=False))
    if answer is None:
        raise UsageError(
            f"{option}: there is no terminal to ask for the vault password on",
            hint=f"{option} {label + '@' if label else ''}FILE reads it from a file",
        )
    if not answer:
        raise UsageError(f"{option}: no vault password was typed")
    return Secret(answer)
