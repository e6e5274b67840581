"""
Opening the vaulted values of an inventory, and remembering how they were written.

The text format is `fleetctl.inventory.vault`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleetctl.inventory.entries import Place
from fleetctl.inventory.vault import VaultError, VaultSecret, decrypt
from fleetctl.model.errors import Problem
from fleetctl.model.secret import Secret


@dataclass(slots=True)
class Vaults:
    """
    Opens vaulted texts, and remembers them as they were written.

    Attributes:
        secrets: Vault ids and passwords, in the order to be tried.
        written: The vaulted text of each value opened.
    """

    secrets: Sequence[VaultSecret] = ()
    written: dict[Secret, str] = field(default_factory=dict)

    def open_value(self, text: str, place: Place, problems: list[Problem]) -> Secret | None:
        """Return the secret in a vaulted value; a problem is reported with its place."""
        try:
            secret = Secret(decrypt(text, self.secrets).decode())
        except VaultError as error:
            line = None if place.line is None else place.line + error.line
            problems.append(Problem(str(error), place.file, line, None, error.hint))
        except UnicodeDecodeError:
            problems.append(place.problem("the vaulted value is not UTF-8 text"))
        else:
            self.written.setdefault(secret, text.strip() + "\n")
            return secret
        return None


def from_json(value: object, vaults: Vaults, place: Place, problems: list[Problem]) -> object:
    """Return a value that a program printed, ``__ansible_vault`` and ``__ansible_unsafe`` read."""
    if isinstance(value, Mapping):
        match dict(value):
            case {"__ansible_vault": str(text), **rest} if not rest:
                return vaults.open_value(text, place, problems)
            case {"__ansible_unsafe": str(text), **rest} if not rest:
                return text
        return {key: from_json(each, vaults, place, problems) for key, each in value.items()}
    if isinstance(value, list):
        return [from_json(each, vaults, place, problems) for each in value]
    return value
