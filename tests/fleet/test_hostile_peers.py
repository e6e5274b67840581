"""
Peers that stall, lie, flood or hang up: each ends in time, as what it is, and leaves nothing.

That nothing is left is checked after every test by the guard in ``tests/conftest.py``.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from fleetctl.lab.layout import LabHost
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace
from fleetctl.ssh.loop_transport import MAX_EARLY_BYTES
from tests.support import peers
from tests.support.drive import connecting, failed_login, run_async
from tests.support.patience import PACES, PATIENCE_S, SLACK_S, at_some_pace
from tests.support.peers import SCRIPTS, Visitor, hostile_peer, kexinit

pytestmark = pytest.mark.fleet

LIMIT_S = 1.0


def settings_for(
    address: str, port: int, *, limit_s: float = LIMIT_S, **changes: Any
) -> HostSettings:
    return HostSettings(
        hostname=address,
        port=port,
        user="somebody",
        identity_agent="none",
        connect_timeout_s=limit_s,
        user_known_hosts_files=(),
        global_known_hosts_files=(),
        strict_host_key_checking="yes",
        **changes,
    )


def meet(settings: HostSettings, *, loop: str | None = None) -> tuple[FleetError, Trace, float]:
    """Connect, and return why that failed, the trace and how long it took."""

    async def main():
        async with connecting() as connector:
            trace = Trace()
            started = monotonic()
            with pytest.raises(FleetError) as caught:
                await connector.connect(Host("peer", settings=settings), trace, open_session=True)
            return caught.value, trace, monotonic() - started

    return run_async(main, loop=loop)


#: Peer -> kinds it may end as; and words that must be in the message.
EXPECTED: dict[str, tuple[set[str], str]] = {
    "silent": ({"banner.timeout"}, "no SSH version came within {limit_s:g} s"),
    # The kernel sends RST instead of FIN if our bytes were not read.
    "close": ({"connect.dropped", "connect.reset"}, "before"),
    "reset": ({"connect.reset"}, "reset"),
    "half_banner": ({"banner.timeout"}, "no SSH version"),
    "drip_banner": ({"banner.timeout"}, "no SSH version"),
    "endless_lines": ({"banner.timeout"}, 'it sent "0"'),
    "flood_no_newline": ({"banner.too_long"}, "does not end"),
    "flood_lines": ({"banner.too_long"}, "without end"),
    "http": ({"banner.not_ssh"}, '"HTTP/1.1 400 Bad Request"'),
    "ssh1": ({"banner.ssh1"}, "SSH 1.5"),
    "binary_banner": ({"banner.timeout"}, "no SSH version"),
    "escape_lines": ({"connect.dropped"}, "during the key exchange"),
    "stall_after_banner": ({"kex.timeout"}, "did not end within {limit_s:g} s"),
    "garbage_after_banner": ({"kex.protocol"}, "packet of"),
    "huge_packet": ({"kex.protocol"}, "key exchange failed"),
    "zero_packet": ({"kex.protocol"}, "key exchange failed"),
    "ignore_flood": ({"kex.protocol"}, "without end before login"),
    "disconnect": ({"kex.protocol"}, "go away"),
    "maxstartups": ({"connect.dropped"}, "Exceeded MaxStartups"),
    "stall_mid_kex": ({"kex.timeout"}, "did not end within {limit_s:g} s"),
    "drip_kex": ({"kex.timeout"}, "did not end within {limit_s:g} s"),
    "reset_mid_kex": ({"connect.reset"}, "reset during the key exchange"),
    "no_common_kex": ({"kex.no_common"}, "made-up-kex@example.org"),
    "no_common_hostkey": ({"kex.no_common"}, "made-up-key@example.org"),
    "weak_only": ({"kex.no_common"}, "diffie-hellman-group1-sha1"),
}

RETRYABLE = {"banner.timeout", "connect.dropped", "connect.reset", "kex.timeout"}


def test_every_peer_is_met():
    """
    A peer that is added to the catalogue is expected to end somehow here.
    """
    assert set(EXPECTED) == set(SCRIPTS)


@pytest.mark.parametrize("kind", EXPECTED)
def test_peer_ends_in_time_as_what_it_is(kind, loop):
    """
    The deadline holds whatever arrives, the failure has the right kind and words, the command did
    not run, and trying again is suggested only where it may help (F06-F18, F20, F21).
    """
    kinds, pattern = EXPECTED[kind]
    with hostile_peer(kind) as (address, port):
        for limit_s in PACES:
            error, trace, took_s = meet(settings_for(address, port, limit_s=limit_s), loop=loop)
            words = pattern.format(limit_s=limit_s)
            # Only a deadline can come before its time, on a machine that is too slow for it.
            if not error.kind.endswith("timeout") or (error.kind in kinds and words in str(error)):
                break
    assert error.kind in kinds, str(error)
    assert words in str(error)
    assert "\n" not in str(error)
    assert error.failure.retryable == (error.kind in RETRYABLE)
    assert error.failure.hint
    assert trace.ran == "no"
    assert trace.address == (None if trace.phase == "connect" else address)
    assert took_s < limit_s + SLACK_S
    if error.kind.endswith("timeout"):
        assert took_s >= 0.9 * limit_s
    phase_s = getattr(trace, f"{trace.phase}_s")
    assert 0 <= phase_s <= took_s


@pytest.mark.parametrize("kind", ["stall_mid_kex", "endless_lines", "drip_kex", "silent"])
def test_peer_that_is_slow_costs_nothing_while_waited_for(kind):
    """
    Waiting for a slow peer uses no CPU to speak of (F10 F15 F16).
    """
    with hostile_peer(kind) as (address, port):
        before_s = time.thread_time()
        meet(settings_for(address, port, limit_s=3.0))
        assert time.thread_time() - before_s < 1


def kernel_buffers_bytes() -> int:
    """Return what the two ends of a connection may hold on their own. Source: tcp(7)."""
    folder = Path("/proc/sys/net/ipv4")
    if not folder.exists():
        return 16 * 1024 * 1024
    return sum(int((folder / name).read_text().split()[2]) for name in ("tcp_rmem", "tcp_wmem"))


@pytest.mark.parametrize("kind", ["flood_no_newline", "flood_lines", "ignore_flood", "huge_packet"])
def test_flood_is_not_read_for_long(kind, monkeypatch):
    """
    Of a flood no more is taken than the limit before login, buffers of the kernel aside (F11 F16
    F17).
    """
    sent: list[int] = []

    def counted(self: Visitor, chunk: bytes) -> None:
        while True:
            self.sock.sendall(chunk)
            sent.append(len(chunk))

    monkeypatch.setattr(peers.Visitor, "flood", counted)
    with hostile_peer(kind) as (address, port):
        error, _, _ = meet(settings_for(address, port, limit_s=PATIENCE_S))
    assert error.kind in EXPECTED[kind][0]
    assert sum(sent) < MAX_EARLY_BYTES + kernel_buffers_bytes()


def test_many_peers_at_once_do_not_hold_up_each_other():
    """
    Forty slow peers at once end at the one deadline, not one after the other (F06 F10 F15).
    """
    kinds = ("silent", "endless_lines", "stall_after_banner", "stall_mid_kex")

    async def main(endpoints):
        async with connecting() as connector:
            started = monotonic()
            results = await asyncio.gather(
                *(
                    connector.connect(
                        Host(f"peer{number}", settings=settings_for(*endpoint)),
                        Trace(),
                        open_session=True,
                    )
                    for number, endpoint in enumerate(endpoints * 10)
                ),
                return_exceptions=True,
            )
            return results, monotonic() - started

    with (
        hostile_peer(kinds[0]) as a,
        hostile_peer(kinds[1]) as b,
        hostile_peer(kinds[2]) as c,
        hostile_peer(kinds[3]) as d,
    ):
        results, took_s = run_async(lambda: main([a, b, c, d]))
    assert {type(result) for result in results} == {FleetError}
    assert took_s < LIMIT_S + SLACK_S


# -- algorithms


@contextmanager
def offering(monkeypatch: pytest.MonkeyPatch, **lists: bytes) -> Iterator[tuple[str, int]]:
    """Play a server that offers exactly this."""

    def play(visitor: Visitor) -> None:
        visitor.send(peers.BANNER + kexinit(**lists))
        visitor.stall()

    monkeypatch.setitem(SCRIPTS, "offering", play)
    with hostile_peer("offering") as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    ("lists", "option", "theirs", "ours"),
    [
        ({"kex": b"kex-a,kex-b"}, "KexAlgorithms", "kex-a,kex-b", "curve25519-sha256"),
        ({"host_key": b"ssh-rsa,ssh-dss"}, "HostKeyAlgorithms", "ssh-rsa,ssh-dss", "ssh-ed25519"),
        ({"cipher": b"arcfour,3des-cbc"}, "Ciphers", "arcfour,3des-cbc", "aes128-gcm@openssh.com"),
        ({"mac": b"hmac-md5,hmac-sha1"}, "MACs", "hmac-md5,hmac-sha1", "hmac-sha2-256"),
    ],
)
def test_nothing_in_common_names_the_option_and_both_lists(
    monkeypatch, lists, option, theirs, ours
):
    """
    The error shows what the server has, what was offered, and the setting to change (F20 F21).
    """
    with offering(monkeypatch, **lists) as endpoint:
        error, _, _ = meet(settings_for(*endpoint, limit_s=PATIENCE_S))
    assert error.kind == "kex.no_common"
    assert f"no {option} in common: the server has {theirs}; offered " in str(error)
    assert ours in str(error)
    assert f"{option}: +NAME" in (error.failure.hint or "")
    assert not error.failure.retryable


def test_weak_cipher_is_offered_only_where_asked_for(monkeypatch):
    """
    A server with nothing but 3des is refused by default; the opt-in of one host gets further, and
    only for that host (F21).
    """
    with offering(monkeypatch, cipher=b"3des-cbc", mac=b"hmac-sha1") as endpoint:
        by_default = settings_for(*endpoint, limit_s=PATIENCE_S)

        def check(pace):
            assert meet(by_default)[0].kind == "kex.no_common"
            opted_in = replace(
                by_default, connect_timeout_s=pace, ciphers=("+3des-cbc",), macs=("+hmac-sha1",)
            )
            assert meet(opted_in)[0].kind == "kex.timeout"
            assert meet(by_default)[0].kind == "kex.no_common"

        at_some_pace(check)


def test_setting_that_names_nothing_supported(monkeypatch):
    """
    A list of the user's own that leaves nothing to offer is an error before anything is sent.
    """
    with hostile_peer("silent") as endpoint:
        error, trace, _ = meet(settings_for(*endpoint, ciphers=("made-up",)))
    assert error.kind == "kex.no_common"
    assert "Ciphers made-up" in str(error)
    assert trace.address is None


# -- real servers that turn people away


@contextmanager
def occupied(lab_host: LabHost) -> Iterator[None]:
    """Be the one who is let in at MaxStartups 1, once nobody else is there any more."""
    until = monotonic() + PATIENCE_S
    while True:
        with socket.create_connection((lab_host.address, lab_host.port)) as filler:
            if filler.recv(64).startswith(b"SSH-"):
                yield
                return
        assert monotonic() < until


def test_throttling_sshd(fleet):
    """
    A real sshd that stays at its MaxStartups is tried until the deadline; that is retryable and
    says where to look (F07).
    """
    lab_host = fleet.sshd("throttled", {"MaxStartups": "1:100:1", "LoginGraceTime": "600"})

    def check(pace):
        error = failed_login(fleet.model_host(lab_host, connect_timeout_s=2 * pace))
        assert error.kind in ("connect.dropped", "connect.reset"), str(error)
        assert error.failure.retryable
        assert re.search("MaxStartups", f"{error} {error.failure.hint}")
        assert re.search(r"\(tried ([2-9]|\d\d+) times\)", str(error))

    try:
        with occupied(lab_host):
            at_some_pace(check)
    finally:
        fleet.stop(lab_host)
