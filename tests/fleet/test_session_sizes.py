"""
Much output of many hosts: each byte arrives, on its stream, in its order, and memory is bounded.

`make soak` runs these at their full size, 100 hosts with up to 100 MiB on each stream.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fleetctl.engine.local import LocalEngine
from fleetctl.model.events import HostFinished, Output
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.result import HostResult, Outcome
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.ssh.loop_channel import WINDOW_BYTES
from tests.support.drive import connecting, run_async

pytestmark = [pytest.mark.fleet, pytest.mark.slow]

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE
STREAMS = ("stdout", "stderr")
KEPT = 64 * KIBIBYTE
#: What a run may need: what it keeps, one window (RFC 4254 section 5.2) per host, and slack.
MOST_MEMORY = 32 * MEBIBYTE
MOST_MEMORY_PER_HOST = WINDOW_BYTES + 2 * KEPT


@dataclass(frozen=True)
class Writes:
    """Writes ``size`` bytes to each stream at once; they look random and can be made again."""

    seed: int
    size: int
    kind: str = "writes"

    def key(self, stream: str) -> str:
        return hashlib.sha256(f"{self.seed} {stream}".encode()).hexdigest()[:32]

    def command(self) -> str:
        writers = {
            stream: f"head -c {self.size} /dev/zero"
            f" | openssl enc -aes-128-ctr -K {self.key(stream)} -iv {'0' * 32}"
            for stream in STREAMS
        }
        return f"{writers['stdout']} & {writers['stderr']} >&2; wait"

    def digest(self, stream: str) -> str:
        """Return SHA-256 of what the command writes to a stream."""
        cipher = Cipher(algorithms.AES(bytes.fromhex(self.key(stream))), modes.CTR(bytes(16)))
        encryptor, digest = cipher.encryptor(), hashlib.sha256()
        for start in range(0, self.size, MEBIBYTE):
            digest.update(encryptor.update(bytes(min(MEBIBYTE, self.size - start))))
        return digest.hexdigest()

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        request = ExecRequest(self.command(), max_output_bytes=KEPT, timeout_s=3600)
        result = await remote.exec(request)
        return Outcome("ok" if result.exit_status == 0 else "failed", result=result)


def peak_memory() -> int:
    """Return the most bytes this process has had in memory since `forget_peak_memory`."""
    [line] = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return int(line.split()[1]) * KIBIBYTE


def forget_peak_memory() -> None:
    # Source: proc(5), /proc/pid/clear_refs.
    Path("/proc/self/clear_refs").write_text("5")


def assert_arrives(fleet, sizes: list[int], *, forks: int) -> None:
    """Run one host per size, over few daemons, and compare every stream's digest and count."""
    lab_hosts = fleet.hosts(10)
    writes = {f"host{seed:03d}": Writes(seed, size) for seed, size in enumerate(sizes)}
    expected = {
        (name, stream): operation.digest(stream)
        for name, operation in writes.items()
        for stream in STREAMS
    }
    assignments = [
        Assignment(replace(fleet.model_host(lab_hosts[n % 10]), name=name), operation)
        for n, (name, operation) in enumerate(writes.items())
    ]
    digests = {key: hashlib.sha256() for key in expected}
    results: dict[str, HostResult] = {}

    async def main() -> None:
        async with connecting() as connector:
            engine = LocalEngine(connector, keep_connections=0, live_output=True)
            run = Run("r1", "sizes", assignments, limits=Limits(forks=forks))
            async for event in engine.execute(run):
                if isinstance(event, Output):
                    digests[event.host.name, event.stream].update(event.data)
                elif isinstance(event, HostFinished):
                    results[event.result.host.name] = event.result
            await engine.aclose()

    forget_peak_memory()
    before = peak_memory()
    run_async(main, limit_s=3600)
    grown = peak_memory() - before
    assert sorted(results) == sorted(writes)
    for name, operation in writes.items():
        outcome = results[name].outcome
        assert outcome.status == "ok", (name, outcome)
        assert outcome.result is not None
        assert (outcome.result.stdout_bytes, outcome.result.stderr_bytes) == (
            operation.size,
            operation.size,
        )
        assert outcome.result.output_complete
    assert {key: digest.hexdigest() for key, digest in digests.items()} == expected
    assert grown < MOST_MEMORY + forks * MOST_MEMORY_PER_HOST, grown
    assert grown < sum(sizes)  # or the limit would say nothing


def test_F38_F40_all_sizes_arrive_whole_on_both_streams_at_once(fleet, is_full_size):
    """
    From nothing to many MiB on each stream, many hosts at once: counts and SHA-256 are those of
    what was written, and memory does not grow with it.

    Here 16 hosts with 0 B to 40 MiB, 340 MB in all; at full size 100 hosts with 0 B to 100 MiB,
    5 GB in all.
    """
    sizes = [0, 1, 32 * KIBIBYTE, 32 * KIBIBYTE + 1, MEBIBYTE]
    if is_full_size:
        sizes = [*sizes, *[10 * MEBIBYTE] * 3, *[100 * MEBIBYTE] * 2] * 10
    else:
        sizes = [*sizes, *sizes, MEBIBYTE + 1, MEBIBYTE - 1, *[40 * MEBIBYTE] * 4]
    assert_arrives(fleet, sizes, forks=len(sizes))


def test_F41_all_of_it_is_in_ndjson(fleet, is_full_size):
    """
    The command line passes every byte on as it comes, whatever it is: the digests of the events
    are those of what was written.

    Here 4 hosts with 1 MiB on each stream; at full size 10 hosts with 20 MiB.
    """
    count, size = (10, 20 * MEBIBYTE) if is_full_size else (4, MEBIBYTE)
    operation = Writes(0, size)
    inventory = fleet.inventory(fleet.hosts(count))
    words = ["-m", "fleetctl", "run", "-i", inventory, "web*", "--format", "ndjson"]
    words += ["--max-output", str(KEPT), "--", operation.command()]
    expected = {
        (f"web{number:02d}", stream): operation.digest(stream)
        for number in range(1, count + 1)
        for stream in STREAMS
    }
    digests = {key: hashlib.sha256() for key in expected}
    finished = []
    with subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "host.output":
                is_text = "data" in event
                content = event["data"].encode() if is_text else base64.b64decode(event["data_b64"])
                digests[event["host"], event["stream"]].update(content)
            elif event["event"] == "host.finished":
                finished.append(event)
    assert process.returncode == 0
    assert len(finished) == count
    assert {key: digest.hexdigest() for key, digest in digests.items()} == expected
