"""
Which connector a host is given to.
"""

from __future__ import annotations

from fleetctl.engine.by_connection import ByConnection
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from fleetctl.testing import ScriptedConnector, run_in_virtual_time

WEB = Host("web1")
HERE, THERE = Host("here", connection="local"), Host("there", connection="local")


def connect_all(hosts: list[Host]) -> tuple[list[list[str]], list[bool]]:
    """
    Connect to the hosts, one after another, and close.

    Returns:
        The names that each connector was given, the one for SSH first, the others in the order in
        which they were made; and whether each was closed.
    """
    made = [ScriptedConnector()]

    def make_local() -> ScriptedConnector:
        made.append(ScriptedConnector())
        return made[-1]

    async def main() -> None:
        connector = ByConnection(made[0], make_local)
        for host in hosts:
            link = await connector.connect(host, Trace(), open_session=True)
            await link.close()
        await connector.aclose()

    run_in_virtual_time(main)
    given = [[name for name, _ in connector.attempts] for connector in made]
    return given, [connector.is_closed for connector in made]


def test_each_host_is_reached_as_it_says():
    """
    There are two ways to reach a host, and both connectors are closed at the end; the one for this
    machine is made once.
    """
    given, closed = connect_all([HERE, WEB, THERE])
    assert given == [["web1"], ["here", "there"]]
    assert closed == [True, True]


def test_without_local_hosts_nothing_is_made_for_them():
    """
    The connector of this machine is made for the first host that needs it.
    """
    assert connect_all([WEB]) == ([["web1"]], [True])
