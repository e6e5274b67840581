"""
Keys looked for by their comments: candidates, no more. Anybody may write any comment.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from fleetctl.keys.authorized_keys import parse
from fleetctl.keys.guarded import Way
from fleetctl.keys.revoke import describe_lines
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome


@dataclass(frozen=True, slots=True)
class FindKeys:
    """
    Look which keys of one user's authorized_keys have a comment. Changes nothing.

    Attributes:
        comment: A pattern with ``*``, ``?`` and ``[…]`` for the whole comment.
    """

    comment: str
    way: Way

    @property
    def kind(self) -> str:
        return "keys.find"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """Return them in the data, ``keys``; errors as of `KeysFile.look`."""
        file = await self.way.open(remote)
        look = await file.look()
        lines = [
            line
            for line in parse(look.data).lines
            if line.key is not None and fnmatchcase(line.key.comment, self.comment)
        ]
        data = {"user": look.user, "path": look.path, "keys": describe_lines(lines)}
        return Outcome("ok", data=data)
