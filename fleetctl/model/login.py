"""
A login apart from all others, with one credential, to find out what that credential is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleetctl.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Login:
    """
    How to log in anew. At most one of the three credentials; without any it is the host's own way:
    whatever its settings, files, agent and passwords allow.

    With a credential nothing else is offered: no other key, no certificate, no password, and no
    connection that is open already is used.

    Attributes:
        user: Whom to log in as; None for the host's user.
        identity_file: Path of a private key; its passphrase is asked for where it has one.
        key: A public key blob; its private half is the agent's, or in a file that the host's
            settings name. Source: RFC 4253 section 6.6.
        private_key: A private key itself, not encrypted, in OpenSSH's or PEM format.
    """

    user: str | None = None
    identity_file: str | None = None
    key: bytes | None = None
    private_key: Secret | None = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.identity_file, self.key, self.private_key)) > 1:
            raise ValueError("a login has one credential")

    @property
    def is_usual(self) -> bool:
        """Whether it is the host's own way."""
        return self.identity_file is None and self.key is None and self.private_key is None
