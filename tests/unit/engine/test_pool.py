"""
Which connections are kept, reused and closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from fleetctl.engine.gate import HandshakeGate
from fleetctl.engine.pool import Pool, endpoint_of
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace
from fleetctl.testing import HostScript, ScriptedConnector, ScriptedLink, run_in_virtual_time

WEB1, WEB2, WEB3 = Host("web1"), Host("web2"), Host("web3")


def pooled(
    body: Callable[[Pool, ScriptedConnector], Awaitable[None]],
    *,
    keep: int = 8,
    connector: ScriptedConnector | None = None,
) -> ScriptedConnector:
    """Run the body with a pool, close the pool and return what the connector saw."""
    seen = connector or ScriptedConnector()

    async def main() -> None:
        pool = Pool(seen, HandshakeGate(total=8, per_endpoint=8), keep=keep)
        await body(pool, seen)
        await pool.close()

    run_in_virtual_time(main)
    return seen


async def acquire(pool: Pool, host: Host) -> ScriptedLink:
    link = pool.take_idle(host) or await pool.connect(host, Trace(), open_session=False)
    assert isinstance(link, ScriptedLink)
    return link


def test_a_released_connection_is_used_again():
    """
    The next operation on a host gets the connection of the last one.
    """

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        first = await acquire(pool, WEB1)
        pool.release(WEB1, first)
        assert await acquire(pool, WEB1) is first
        pool.release(WEB1, first)

    assert len(pooled(body).links) == 1


def test_one_caller_at_a_time_has_a_connection():
    """
    A connection in use is not given out again.
    """

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        first, second = await acquire(pool, WEB1), await acquire(pool, WEB1)
        assert first is not second
        pool.release(WEB1, first)
        pool.release(WEB1, second)

    pooled(body)


def test_two_idle_connections_to_one_host_are_both_kept_track_of():
    """
    Taking one of two idle connections leaves the other usable, and eviction still works.
    """

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        first, second = await acquire(pool, WEB1), await acquire(pool, WEB1)
        pool.release(WEB1, first)
        pool.release(WEB1, second)
        taken = {id(await acquire(pool, WEB1)), id(await acquire(pool, WEB1))}
        assert taken == {id(first), id(second)}
        pool.release(WEB1, first)
        pool.release(WEB1, second)
        again = await acquire(pool, WEB1)
        for host in (WEB2, WEB3):
            pool.release(host, await acquire(pool, host))
        pool.release(WEB1, again)

    seen = pooled(body, keep=2)
    assert [link.closings for link in seen.links] == [1] * 4


def test_changed_settings_need_another_connection():
    """
    A connection made with other settings is closed, not used.
    """
    changed = replace(WEB1, settings=HostSettings(user="deploy"))

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        first = await acquire(pool, WEB1)
        pool.release(WEB1, first)
        second = await acquire(pool, changed)
        assert second is not first
        pool.release(changed, second)

    assert [link.closings for link in pooled(body).links] == [1, 1]


def test_a_connection_that_was_lost_is_not_given_out():
    """
    What is no longer open is closed for good, whether it was idle or in use.
    """

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        idle = await acquire(pool, WEB1)
        pool.release(WEB1, idle)
        idle.drop()
        used = await acquire(pool, WEB1)
        assert used is not idle
        used.drop()
        pool.release(WEB1, used)
        await asyncio.sleep(1)
        assert (idle.closings, used.closings) == (1, 1)
        assert pool.take_idle(WEB1) is None

    pooled(body)


def test_the_connection_idle_longest_is_closed_first():
    """
    The pool never keeps more idle connections than it may.
    """

    async def body(pool: Pool, seen: ScriptedConnector) -> None:
        links = [await acquire(pool, host) for host in (WEB1, WEB2, WEB3)]
        for host, link in zip((WEB1, WEB2, WEB3), links, strict=True):
            pool.release(host, link)
        await asyncio.sleep(1)
        assert [link.is_open for link in seen.links] == [False, True, True]

    assert [link.closings for link in pooled(body, keep=2).links] == [1, 1, 1]


def test_the_newest_connection_to_a_host_is_kept_and_used_first():
    """
    Of several connections to one host the one used last is the likeliest to be alive.
    """

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        links = [await acquire(pool, WEB1) for _ in range(3)]
        for link in links:
            pool.release(WEB1, link)
        await asyncio.sleep(1)
        assert [link.is_open for link in links] == [False, True, True]
        assert pool.take_idle(WEB1) is links[2]
        pool.release(WEB1, links[2])

    pooled(body, keep=2)


def test_keeping_nothing_closes_each_after_use():
    """
    With no place to keep them, connections are closed as soon as they are given back.
    """

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        link = await acquire(pool, WEB1)
        pool.release(WEB1, link)
        await asyncio.sleep(1)
        assert link.closings == 1

    pooled(body, keep=0)


def test_closing_waits_until_every_connection_is_closed():
    """
    After `close` nothing is open and nothing is still being closed.
    """
    slow = ScriptedConnector({"web1": HostScript(closing_s=30)})

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        pool.release(WEB1, await acquire(pool, WEB1))

    assert [link.closings for link in pooled(body, connector=slow).links] == [1]


def test_a_connection_given_back_after_the_end_is_closed():
    """
    A pool that was closed keeps nothing any more.
    """
    links: list[ScriptedLink] = []

    async def main() -> None:
        pool = Pool(ScriptedConnector(), HandshakeGate(total=8, per_endpoint=8), keep=8)
        links.append(await acquire(pool, WEB1))
        await pool.close()
        pool.release(WEB1, links[0])
        await asyncio.sleep(1)

    run_in_virtual_time(main)
    assert links[0].closings == 1


def test_endpoints_are_servers():
    """
    The same address behind other gateways is another server; a host of this machine itself shares
    no server with anybody.
    """
    gate, other = HostSettings(hostname="gate"), HostSettings(hostname="other")
    direct = Host("web1", settings=HostSettings(hostname="192.0.2.1"))
    again = replace(direct, name="web2")
    behind = replace(direct, settings=replace(direct.settings, gateways=(gate,)))
    behind_other = replace(direct, settings=replace(direct.settings, gateways=(other,)))
    local = replace(direct, connection="local")
    assert endpoint_of(direct) == endpoint_of(again)
    different = (direct, behind, behind_other, local, replace(local, name="web2"))
    assert len({endpoint_of(host) for host in different}) == len(different)


def test_a_connection_made_for_a_host_that_is_cancelled_is_closed():
    """
    A host that lent its turn and is cancelled when it wants it back leaves no connection.
    """

    class Turn:
        def lend(self) -> None: ...

        async def take_back(self) -> None:
            if seen.links:
                raise asyncio.CancelledError

        def notice(self, message: str) -> None: ...

    seen = ScriptedConnector()

    async def body(pool: Pool, _: ScriptedConnector) -> None:
        with pytest.raises(asyncio.CancelledError):
            await pool.connect(WEB1, Trace(turn=Turn()), open_session=False)

    assert [link.closings for link in pooled(body, connector=seen).links] == [1]
