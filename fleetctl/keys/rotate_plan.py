"""
A rotation as plain values: which key goes, which takes its place, and how far that came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fleetctl.keys.authorized_keys import AuthorizedKey, Edit, KeyFileText, parse
from fleetctl.keys.options import ServerVersion, adapt_options, check_options
from fleetctl.keys.place import Look, Swapped
from fleetctl.keys.revoke import Doomed
from fleetctl.model.errors import FleetError
from fleetctl.model.login import Login


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    Which key goes, and which takes its place.

    Attributes:
        new: Its options are those of the old key where it has none itself.
        new_file: The private half, on this machine.
        old: What goes.
    """

    new: AuthorizedKey
    new_file: str
    old: Doomed

    def login(self, user: str | None) -> Login:
        """Return the login with the new key and nothing else."""
        return Login(user, identity_file=self.new_file)

    def new_for(self, look: Look, text: KeyFileText) -> AuthorizedKey:
        """
        Return the new key as it is to stand in a file.

        Raises:
            FleetError: ``keys.option``: the server would skip the line.
        """
        options = self.new.options
        if not options:
            options = next((key.options for key in text.keys if self.old.has(key)), ())
        server = ServerVersion.parse(look.server_version)
        adapted = adapt_options(options, server, utc_offset=look.utc_offset)
        if problems := check_options(adapted, server):
            raise FleetError("keys.option", problems[0], hint="leave the option out")
        return replace(self.new, options=adapted)


@dataclass(frozen=True, slots=True)
class Staged:
    """
    A file that has the new key.

    Attributes:
        swapped: None if it had it already.
    """

    look: Look
    edit: Edit
    swapped: Swapped | None

    def key(self, exchange: Exchange) -> AuthorizedKey:
        """Return the new key as it stands in the file."""
        keys = parse(self.edit.data).keys
        return next((one for one in keys if one.blob == exchange.new.blob), exchange.new)
