"""
What `fleetctl.ssh` does itself in a key exchange is what Paramiko does, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any

import paramiko
import pytest
from paramiko.message import Message

from fleetctl.model.settings import HostSettings
from fleetctl.ssh.algorithms import HOST_KEYS, algorithms_for
from fleetctl.ssh.loop_transport import (
    AGREED_ATTRIBUTES,
    COOKIE_BYTES,
    Agreements,
    LoopTransport,
)
from fleetctl.ssh.wire import SocketWire
from tests.support.drive import run_async

STOCK = paramiko.Transport
STRICT = "kex-strict-s-v00@openssh.com"


def on_a_loop(check: Callable[[], None]) -> None:
    async def main() -> None:
        check()

    coroutine: Callable[[], Coroutine[Any, Any, None]] = main
    run_async(coroutine)


def transport(agreements: Agreements | None = None, **settings: Any) -> LoopTransport:
    """Return a transport that was not started."""
    made = LoopTransport(SocketWire(), identification="test", agreements=agreements)
    made.use_algorithms(algorithms_for(HostSettings(**settings)), host_keys=HOST_KEYS)
    return made


def offer(
    *,
    kex: str = "curve25519-sha256,ecdh-sha2-nistp256",
    keys: str = "ssh-ed25519,rsa-sha2-256",
    cipher: str = "aes128-ctr,aes256-gcm@openssh.com",
    mac: str = "hmac-sha2-256",
    compression: str = "none",
    tail: bytes = b"",
) -> Message:
    """Return a KEXINIT of a server behind its number, with a random cookie."""
    m = Message()
    m.add_bytes(os.urandom(COOKIE_BYTES))
    for names in (kex, keys, cipher, cipher, mac, mac, compression, compression, "", ""):
        m.add_string(names)
    m.add_boolean(False)
    m.add_int(0)
    m.add_bytes(tail)
    received = Message(m.asbytes())
    received.seqno = 0
    return received


OFFERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "strict": {"kex": f"curve25519-sha256,{STRICT}"},
    "extensions": {"kex": f"ext-info-s,ecdh-sha2-nistp256,{STRICT}"},
    "second choices": {"keys": "rsa-sha2-512", "cipher": "aes256-ctr", "mac": "hmac-sha2-512"},
    "bytes behind it": {"tail": b"\0"},
    "old name": {"kex": "curve25519-sha256@libssh.org"},
}


def agreed(of: LoopTransport) -> dict[str, object]:
    values = {name: getattr(of, name) for name in AGREED_ATTRIBUTES}
    return {**values, "engine": type(of.kex_engine), "hashed": of.remote_kex_init}


@pytest.mark.parametrize("settings", [{}, {"compression": True}, {"ciphers": ("+3des-cbc",)}])
def test_our_offer_is_the_one_paramiko_would_send(settings, monkeypatch):
    """
    KEXINIT has the same lists, markers and trailer as Paramiko's own, and the state beside it is
    the same.
    """

    def check() -> None:
        ours, stock = transport(**settings), transport(**settings)
        sent: list[bytes] = []
        for subject, send in ((ours, LoopTransport._send_kex_init), (stock, STOCK._send_kex_init)):
            monkeypatch.setattr(subject, "_send_message", lambda m: sent.append(m.asbytes()))
            subject.clear_to_send.set()
            send(subject)
            assert subject.local_kex_init == subject._latest_kex_init == sent[-1]
            assert subject.in_kex
            assert not subject.clear_to_send.is_set()
        assert sent[0][:1] == sent[1][:1]
        assert sent[0][1 + COOKIE_BYTES :] == sent[1][1 + COOKIE_BYTES :]
        assert sent[0][1 : 1 + COOKIE_BYTES] != sent[1][1 : 1 + COOKIE_BYTES]

    on_a_loop(check)


@pytest.mark.parametrize("name", OFFERS)
def test_remembered_agreement_is_the_one_paramiko_makes(name):
    """
    A second transport that gets an equal offer agrees on exactly what Paramiko works out.
    """

    def check() -> None:
        agreements: Agreements = {}
        first, second, alone = transport(agreements), transport(agreements), transport()
        message, again = offer(**OFFERS[name]), offer(**OFFERS[name])
        first._parse_kex_init(message)
        assert len(agreements) == 1
        stock_parse = STOCK._parse_kex_init
        try:
            STOCK._parse_kex_init = None
            second._parse_kex_init(again)
        finally:
            STOCK._parse_kex_init = stock_parse
        again.rewind()
        stock_parse(alone, again)
        assert agreed(second) == agreed(alone)
        assert second.kex_engine is not first.kex_engine
        assert second.kex_engine.transport is second
        tail = len(OFFERS[name].get("tail", b""))
        whole = again.asbytes()
        assert alone.remote_kex_init == b"\x14" + whole[: len(whole) - tail]

    on_a_loop(check)


def test_everything_paramiko_notes_of_an_agreement_is_remembered():
    """
    `_parse_kex_init` sets no attribute that the memory of agreements does not have.
    """

    def check() -> None:
        subject = transport()
        before = dict(vars(subject))
        STOCK._parse_kex_init(subject, offer(kex=f"ext-info-s,curve25519-sha256,{STRICT}"))
        changed = {
            name for name, value in vars(subject).items() if before.get(name, before) is not value
        }
        assert changed - {"kex_engine", "remote_kex_init"} <= set(AGREED_ATTRIBUTES)
        assert set(AGREED_ATTRIBUTES) <= set(vars(subject))

    on_a_loop(check)


def test_agreements_are_not_mixed_up():
    """
    Another offer, ours or theirs, is another agreement.
    """

    def check() -> None:
        agreements: Agreements = {}
        one, two = transport(agreements), transport(agreements, ciphers=("aes256-ctr",))
        for subject in (one, two):
            subject._parse_kex_init(offer(cipher="aes256-ctr,aes128-ctr"))
        assert (one.local_cipher, two.local_cipher) == ("aes128-ctr", "aes256-ctr")
        three = transport(agreements)
        three._parse_kex_init(offer(cipher="aes192-ctr"))
        assert three.local_cipher == "aes192-ctr"
        assert len(agreements) == 3

    on_a_loop(check)


@pytest.mark.parametrize("warm", [False, True])
def test_strict_key_exchange_is_kept_when_a_later_offer_does_not_repeat_it(warm):
    """
    An agreement that another connection made without the strict marker does not take it away from
    one that has it, nor give it to one that has not (RFC 4253 numbers packets by it).
    """

    def check() -> None:
        agreements: Agreements = {}
        plain, strict = offer(), offer(kex=f"curve25519-sha256,ecdh-sha2-nistp256,{STRICT}")
        if warm:
            transport(agreements)._parse_kex_init(offer())
        subject = transport(agreements)
        subject._parse_kex_init(strict)
        assert subject.agreed_on_strict_kex
        subject.initial_kex_done = True
        subject._parse_kex_init(plain)
        assert subject.agreed_on_strict_kex
        other = transport(agreements)
        other._parse_kex_init(offer())
        assert not other.agreed_on_strict_kex

    on_a_loop(check)


@pytest.mark.parametrize("warm", [False, True])
def test_strict_key_exchange_wants_kexinit_first(warm):
    """
    With the strict marker a KEXINIT that is not the first packet is refused, remembered or not.
    """

    def check() -> None:
        agreements: Agreements = {}
        kex = f"curve25519-sha256,{STRICT}"
        if warm:
            transport(agreements)._parse_kex_init(offer(kex=kex))
        late = offer(kex=kex)
        late.seqno = 1
        with pytest.raises(paramiko.MessageOrderError):
            transport(agreements)._parse_kex_init(late)

    on_a_loop(check)


@pytest.mark.parametrize("secret", [123456789**9, b"k" * 32])
@pytest.mark.parametrize("kex", ["curve25519-sha256", "ecdh-sha2-nistp521"])
def test_keys_are_derived_as_paramiko_does(secret, kex):
    """
    Each letter and length gives the key Paramiko derives, with a number or a string as secret, in
    the first exchange and a later one.
    """

    def check() -> None:
        subject = transport()
        subject.kex_engine = LoopTransport._kex_info[kex](subject)
        for exchange in (b"h" * 32, b"i" * 32):
            subject._set_K_H(secret, exchange)
            for letter in "ABCDEF":
                for size in (8, 12, 16, 32, 64, 150):
                    key = subject._compute_key(letter, size)
                    assert key == STOCK._compute_key(subject, letter, size)
                    assert len(key) == size

    on_a_loop(check)


def test_memory_of_agreements_is_bounded():
    """
    Peers that each offer something else do not fill the memory.
    """

    def check() -> None:
        agreements: Agreements = {}
        for number in range(300):
            transport(agreements)._parse_kex_init(offer(kex=f"curve25519-sha256,x{number}"))
        assert 200 < len(agreements) < 300

    on_a_loop(check)
