"""
A change of authorized_keys that takes something away, as plain values: where, how it is guarded,
and what came of it. `fleetctl.keys.guarded` does it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fleetctl.keys.authorized_keys import Edit
from fleetctl.keys.deploy_words import show_path
from fleetctl.keys.hearing import Quiet
from fleetctl.keys.place import DEAD_MAN_S, KeysFile, Look, Swapped, Target
from fleetctl.keys.prove import RETRY_DELAYS_S
from fleetctl.model.remote import Remote

#: How an authorized_keys is got at; see `fleetctl.keys.opening`.
How = Literal["auto", "shell", "sftp"]


@dataclass(frozen=True, slots=True)
class Way:
    """
    Whose authorized_keys, and how to get at it.

    Attributes:
        run_id: Backups are named with it.
        non_atomic: Do it where files cannot be replaced in one step.
    """

    run_id: str
    target: Target = field(default_factory=Target)
    how: How = "auto"
    non_atomic: bool = False

    async def open(self, remote: Remote, hint_blobs: Collection[bytes] = ()) -> KeysFile:
        """
        Return the file on a host; what is said to get at it is shown to nobody. See
        `fleetctl.keys.opening.open_keys_file`.

        Args:
            hint_blobs: Of several files the one with one of these keys is meant.
        """
        from fleetctl.keys.opening import open_keys_file

        return await open_keys_file(
            Quiet(remote),
            self.target,
            run_id=self.run_id,
            how=self.how,
            non_atomic=self.non_atomic,
            hint_blobs=hint_blobs,
        )


@dataclass(frozen=True, slots=True)
class Guarding:
    """
    How a removal is guarded.

    Attributes:
        local_user: Who logs in where the settings of a host name nobody.
        dead_man_s: How long the host waits for a confirmation before it puts the old file back;
            None leaves no dead man.
        is_compromised: Others may have what is taken away. The old file has it and is never put
            back; so only the lock-out guard decides, before the swap.
        force: Do it although the lock-out guard refuses; and then without a dead man, whom nobody
            might be able to tell that all is well.
        fix_modes: Mend what StrictModes of sshd objects to.
        delays_s: Before each further try of a login, while the host drops connections.
        lock_patience_s: How much longer than usual to wait for a lock.
    """

    local_user: str = ""
    dead_man_s: int | None = DEAD_MAN_S
    is_compromised: bool = False
    force: bool = False
    fix_modes: bool = False
    delays_s: Sequence[float] = RETRY_DELAYS_S
    lock_patience_s: float = 0.0

    def manager_of(self, remote: Remote) -> str:
        """Return who logs in to a host for the work; empty if that is not known."""
        return remote.host.settings.user or self.local_user


@dataclass(frozen=True, slots=True)
class Guarded:
    """
    What became of a change.

    Attributes:
        look: What was found before it.
        edit: What was changed, or would be in check mode.
        swapped: None if nothing was, or only looked at.
        confirmed_by: What logged in afterwards, in words; None if nothing had to.
        forced: What the lock-out guard had to say and was not heard; None if nothing.
        notes: What else the user may want to know.
    """

    look: Look
    edit: Edit
    swapped: Swapped | None = None
    confirmed_by: str | None = None
    forced: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the new bytes are others than the old ones; no file and an empty one are one."""
        return differs(self.look, self.edit)

    @property
    def data(self) -> dict[str, object]:
        """The same for `Outcome.data`."""
        swapped = self.swapped
        return {
            "user": self.look.user,
            "path": self.look.path,
            "file": show_path(self.look),
            "backup": swapped.backup if swapped else None,
            "guard": swapped.guard if swapped else None,
            "confirmed_by": self.confirmed_by,
            "forced": self.forced,
            "notes": list(self.notes),
        }


def differs(look: Look, edit: Edit) -> bool:
    """Tell whether an edit changes a file; one that is absent is not made to be empty."""
    return edit.data != (look.data or b"")
