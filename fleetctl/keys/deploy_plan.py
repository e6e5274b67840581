"""
A deployment of keys as plain values: what is wanted, what was worked out, what proves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fleetctl.keys.authorized_keys import AuthorizedKey, Edit
from fleetctl.keys.place import Look, Swapped
from fleetctl.keys.prove import Proof
from fleetctl.keys.strict_modes import PathProblem


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    A key that is to log in.

    Attributes:
        identity_file: Path of its private half; None to look for that in the agent and in the files
            that the host's settings name.
        owner: Whose it is, for messages; empty if that is not known.
    """

    key: AuthorizedKey
    identity_file: str | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class KeyProof:
    """
    What became of the proof of one key.

    Attributes:
        key: None for the credential that manages the host.
        proof: None for a key that no login can prove: an authority for certificates.
        is_enough: Whether the proof will do.
    """

    key: AuthorizedKey | None
    proof: Proof | None
    is_enough: bool


@dataclass(frozen=True, slots=True)
class Proofs:
    """
    What proves a deployment.

    Attributes:
        how: As what was asked for.
        is_controlled: A random key was refused.
        keys: In the order of the keys that are wanted, as far as it came.
        manager: The credential that manages the host, if it was tried.
    """

    how: Literal["login", "parse", "none"] = "login"
    is_controlled: bool = False
    keys: tuple[KeyProof, ...] = ()
    manager: KeyProof | None = None

    @property
    def failed(self) -> KeyProof | None:
        """The first that will not do."""
        found = (*self.keys, *([self.manager] if self.manager else []))
        return next((one for one in found if not one.is_enough), None)


@dataclass(frozen=True, slots=True)
class Deployed:
    """
    What is to be done on one host, and how far that came.

    Attributes:
        keys: With options as this server is told them, in the order of what is wanted.
        mends: Owners and modes that will be mended.
        swapped: None where the file is as it was.
    """

    look: Look
    keys: tuple[AuthorizedKey, ...]
    edit: Edit
    mends: tuple[PathProblem, ...] = ()
    swapped: Swapped | None = None
    proofs: Proofs = field(default_factory=Proofs)

    @property
    def needs_swap(self) -> bool:
        """Whether there is anything to do."""
        return self.edit.changed or bool(self.mends)
