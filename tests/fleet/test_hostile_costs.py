"""
What a bad peer may cost before login: little memory, little work, and nothing afterwards (S06).

The peers play in a process of their own, so that what is counted here is the client's alone. The
promised figures, 1 MiB and 0.1 s of CPU, are measured by ``benchmarks/hostile.py``; what is counted
here does not depend on the machine.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from greenlet import greenlet
from paramiko.transport import _active_threads

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace
from fleetctl.ssh.loop_transport import (
    MAX_EARLY_BYTES,
    MAX_EARLY_PACKETS,
    LoopTransport,
)
from tests.support.drive import connecting, run_async, until
from tests.support.lies import LIES
from tests.support.patience import PATIENCE_S
from tests.support.peer_process import peers_apart
from tests.support.peers import SCRIPTS

pytestmark = pytest.mark.fleet

Endpoints = dict[str, tuple[str, int]]

MEBIBYTE = 1024 * 1024
#: Ten times what is promised: a machine may be slow, and CPU time includes its cache misses.
MOST_CPU_S = 1.0
LIMIT_S = 1.0
#: Each costs a turn of the loop; a login takes some dozens.
MOST_READS = 6_000

FLOODS = ("flood_no_newline", "flood_lines", "ignore_flood", "huge_packet")


@pytest.fixture(scope="module")
def endpoints() -> Iterator[Endpoints]:
    with peers_apart([*SCRIPTS, *LIES]) as endpoints:
        yield dict(endpoints)


def stranger(endpoint: tuple[str, int], *, limit_s: float = LIMIT_S) -> Host:
    address, port = endpoint
    settings = HostSettings(
        hostname=address,
        port=port,
        user="somebody",
        identity_agent="none",
        connect_timeout_s=limit_s,
        user_known_hosts_files=(),
        global_known_hosts_files=(),
        strict_host_key_checking="yes",
    )
    return Host("peer", settings=settings)


def threads() -> set[threading.Thread]:
    """Return the threads there are, but for those of the one pool, which are kept."""
    return {t for t in threading.enumerate() if not t.name.startswith("fleetctl")}


def transports() -> int:
    return sum(isinstance(transport, LoopTransport) for transport in _active_threads)


def greenlets() -> int:
    """Count greenlets that have not ended; each loop transport has one, a thread's own aside."""
    gc.collect()
    found = [thing for thing in gc.get_objects() if isinstance(thing, greenlet)]
    return sum(not thing.dead and thing.parent is not None for thing in found)


def sockets() -> int:
    """Count this process's open sockets."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except FileNotFoundError:
            continue
    return found


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def failed(connector, host: Host) -> FleetError:
    with pytest.raises(FleetError) as caught:
        await connector.connect(host, Trace(), open_session=True)
    return caught.value


@pytest.mark.parametrize("kind", [*SCRIPTS, *LIES])
def test_S06_a_bad_peer_costs_at_most_a_mebibyte_and_little_work(endpoints, kind):
    """
    F06-F18, F20, F21: whatever it sends, at its worst moment a peer takes no more than 1 MiB of
    memory, and it keeps no core busy.
    """

    async def main():
        async with connecting() as connector:
            # What is made once per process is not this peer's.
            await failed(connector, stranger(endpoints["http"]))
            gc.collect()
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                tracemalloc.reset_peak()
                await failed(connector, stranger(endpoints[kind]))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            # Again, without the tracing that makes everything slow.
            cpu_s = time.thread_time()
            await failed(connector, stranger(endpoints[kind]))
            return peak - before, time.thread_time() - cpu_s

    peak_bytes, cpu_s = run_async(main)
    assert peak_bytes <= MEBIBYTE
    assert cpu_s < MOST_CPU_S


@pytest.mark.parametrize("kind", [*FLOODS, "drip_packets", "endless_lines", "storm_of_bytes"])
def test_S06_what_is_read_of_a_peer_is_counted(endpoints, kind, monkeypatch, loop):
    """
    F10, F11, F16, F17: of bytes no more is taken than 1 MiB and what one read brings, of packets no
    more than 1 000, and bytes that come one by one are not taken for long.
    """
    taken: list[int] = []
    packets: list[None] = []
    receive, count = LoopTransport.bytes_received, LoopTransport.count_packet

    def noted(self, data):
        taken.append(len(data))
        receive(self, data)

    def counted(self):
        packets.append(None)
        count(self)

    monkeypatch.setattr(LoopTransport, "bytes_received", noted)
    monkeypatch.setattr(LoopTransport, "count_packet", counted)

    async def main():
        async with connecting() as connector:
            return await failed(connector, stranger(endpoints[kind]))

    run_async(main, loop=loop)
    assert sum(taken) <= MAX_EARLY_BYTES + max(taken)
    assert len(packets) <= MAX_EARLY_PACKETS + 1
    assert len(taken) <= MOST_READS


@pytest.mark.parametrize("kind", ["huge_number", "huge_host_key", "long_kexinit", "storm_of_bytes"])
def test_S06_no_peer_keeps_the_loop_to_itself(endpoints, kind, monkeypatch):
    """
    One packet of a stranger is worked on for a moment: for as long as it takes, all other hosts
    wait.
    """
    longest: list[float] = []
    read = LoopTransport._resume

    def timed(self):
        began = time.thread_time()
        read(self)
        longest.append(time.thread_time() - began)

    monkeypatch.setattr(LoopTransport, "_resume", timed)

    async def main():
        async with connecting() as connector:
            return await failed(connector, stranger(endpoints[kind]))

    run_async(main)
    assert max(longest) < 0.5


@pytest.mark.slow
def test_S05_a_thousand_failed_connects_leave_nothing(endpoints, loop):
    """
    F06-F21: a thousand connects to every kind of bad peer leave no descriptor, thread, transport,
    greenlet or task, and after the first hundreds memory does not grow any more.
    """
    kinds = sorted(set(endpoints) - {"huge_number", "huge_host_key"})
    grown: list[int] = []

    async def main():
        before = sockets(), threads(), transports(), greenlets()
        limit = asyncio.Semaphore(50)
        async with connecting() as connector:

            async def one(number: int) -> str:
                endpoint = endpoints[kinds[number % len(kinds)]]
                async with limit:
                    return (await failed(connector, stranger(endpoint, limit_s=0.3))).kind

            # Each quarter sees every peer.
            seen: set[str] = set()
            for _ in range(4):
                seen.update(await asyncio.gather(*map(one, range(250))))
                await until(lambda: transports() == before[2])
                await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
                await until(lambda: sockets() <= before[0])
                gc.collect()
                grown.append(resident_bytes())
        assert threads() <= before[1]
        assert greenlets() <= before[3]
        return seen

    seen = run_async(main, loop=loop, limit_s=PATIENCE_S * 2)
    assert {
        "banner.timeout",
        "banner.not_ssh",
        "kex.timeout",
        "kex.no_common",
        "kex.protocol",
    } <= seen
    # 500 connects that kept 16 KiB each would be 8 MiB.
    assert grown[-1] - grown[1] < 8 * MEBIBYTE
