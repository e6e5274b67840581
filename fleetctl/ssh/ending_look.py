"""
What a shell sees of the host on which a command is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from fleetctl.ssh.ending_shell import EndingShell, NoShell, Table
from fleetctl.ssh.remote_processes import (
    INIT,
    Family,
    RemoteProcess,
    Serving,
    descendants,
    server_of,
)

#: What a process takes to end after KILL.
_END_S = 0.02


class Look:
    """
    What a shell sees of the host.

    Args:
        client: The client's end of the connection that matters, if it is not the shell's own.
    """

    def __init__(self, shell: EndingShell, client: tuple[str, int] | None) -> None:
        self.shell = shell
        self.table = Table(0, {}, is_whole=False)
        self.serving = Serving(0, (), frozenset(), is_ours_alone=False, is_shared_session=False)
        self._client = client
        self._server = 0

    async def near(self, pids: Collection[int]) -> None:
        """
        Look at these processes and those of our connection.

        Raises:
            NoShell: They cannot be seen, or not who serves the connection.
        """
        if self._client is not None:
            await self.everywhere()
        else:
            self._show(await self.shell.look_near(pids))

    async def everywhere(self) -> None:
        """Look at all processes; same errors as `near`."""
        table = await self.shell.look()
        if self._client is not None and not self._server:
            found = await self.shell.of_connection(self._client)
            self._server = server_of(table.processes, found)
            if not self._server:
                raise NoShell("its processes cannot be found over another connection")
        self._show(table)

    def _show(self, table: Table) -> None:
        self.table = table
        if self._server:
            self.serving = Serving.of(table.processes, self._server)
        else:
            self.serving = Serving.find(table.processes, table.shell)

    async def leaders(self) -> Sequence[RemoteProcess]:
        """Return what the sessions of the connection have started and still lives."""
        leaders = self.serving.leaders
        if self.serving.is_ours_alone or self._client is not None:
            return leaders
        ours = await self.shell.of_our_connection([process.pid for process in leaders])
        return [process for process in leaders if process.pid in ours]

    def members(self, family: Family) -> list[RemoteProcess]:
        """Return who lives of a family."""
        others = [p.pid for p in self.serving.leaders if p.pid != family.root.pid]
        strangers = (
            self.serving.own | descendants(self.table.processes, others) | {self.serving.pid}
        )
        return family.look(self.table.processes, strangers)

    async def left_behind(self, family: Family) -> list[RemoteProcess]:
        """Return what a command has left in sessions of their own before anybody looked."""
        suspects = family.runaways(self.table.processes, self.serving)
        if not suspects:
            return []
        if self._client is None:
            ours = await self.shell.of_our_connection([process.pid for process in suspects])
        else:
            ours = await self.shell.of_connection(self._client)
        return [process for process in suspects if process.pid in ours]

    async def hides(self, family: Family) -> bool:
        """
        Tell whether others may be left of a family of which nobody is seen any more, because the
        host shows nobody the processes of other users.

        Source: proc(5), hidepid.
        """
        group = family.root.group
        if INIT in self.table.processes or not await self.shell.has_group(group):
            return False
        # Whom we may signal, such as sudo, may be hidden too.
        await self.shell.signal("KILL", [group], [], [])
        await asyncio.sleep(_END_S)
        return await self.shell.has_group(group)
