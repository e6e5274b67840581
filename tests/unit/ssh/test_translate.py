"""
What a peer did before login, as a stable failure kind with a hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import paramiko
import pytest

from fleetctl.model.failure import KINDS
from fleetctl.ssh.loop_transport import LoopTransport, PeerMisbehaved
from fleetctl.ssh.translate import foreign_greeting, negotiation_failure, negotiation_timeout

OPENSSH = "SSH-2.0-OpenSSH_9.2"


@dataclass
class Ended:
    """What is looked at of a transport that came to its end."""

    saved_exception: BaseException | None = None
    stream_error: BaseException | None = None
    disconnected: tuple[int, str] | None = None
    remote_version: str = ""
    banner_lines: list[str] = field(default_factory=list)
    peer_offer: Mapping[str, list[str]] = field(default_factory=dict)
    preferred_kex: tuple[str, ...] = ("curve25519-sha256",)
    preferred_keys: tuple[str, ...] = ("ssh-ed25519",)
    preferred_ciphers: tuple[str, ...] = ("aes128-ctr",)
    preferred_macs: tuple[str, ...] = ("hmac-sha2-256",)
    preferred_compression: tuple[str, ...] = ("none",)

    @property
    def transport(self) -> LoopTransport:
        return cast("LoopTransport", self)  # has what translating looks at


CASES: list[tuple[str, str, Ended, str, bool]] = [
    ("F07", "closed at once", Ended(saved_exception=EOFError()), "connect.dropped", True),
    (
        "F07",
        "MaxStartups",
        Ended(banner_lines=["Exceeded MaxStartups"], saved_exception=EOFError()),
        "connect.dropped",
        True,
    ),
    (
        "F31",
        "penalty",
        Ended(banner_lines=["Not allowed at this time"], saved_exception=EOFError()),
        "connect.dropped",
        True,
    ),
    ("F08", "reset at accept", Ended(stream_error=ConnectionResetError()), "connect.reset", True),
    (
        "F11",
        "flood",
        Ended(saved_exception=PeerMisbehaved("banner.too_long", "text without end")),
        "banner.too_long",
        False,
    ),
    ("F12", "http", Ended(banner_lines=["HTTP/1.1 400 Bad Request"]), "banner.not_ssh", False),
    ("F12", "prose", Ended(banner_lines=["hello"]), "banner.not_ssh", False),
    (
        "F13",
        "ssh 1",
        Ended(
            saved_exception=PeerMisbehaved("banner.ssh1", "speaks SSH 1.5"),
            remote_version="SSH-1.5-x",
        ),
        "banner.ssh1",
        False,
    ),
    (
        "F14",
        "disconnected",
        Ended(disconnected=(2, "go away"), remote_version=OPENSSH),
        "kex.protocol",
        False,
    ),
    (
        "F31",
        "disconnected by limit",
        Ended(disconnected=(12, "Too many connections from you"), remote_version=OPENSSH),
        "connect.dropped",
        True,
    ),
    (
        "F17",
        "garbage",
        Ended(saved_exception=paramiko.SSHException("Bad\npacket"), remote_version=OPENSSH),
        "kex.protocol",
        False,
    ),
    ("F18", "closed mid-kex", Ended(remote_version=OPENSSH), "connect.dropped", True),
    (
        "F18",
        "reset mid-kex",
        Ended(
            saved_exception=EOFError(),
            stream_error=ConnectionResetError(),
            remote_version=OPENSSH,
        ),
        "connect.reset",
        True,
    ),
    (
        "F23",
        "key changed in a rekey",
        Ended(saved_exception=PeerMisbehaved("hostkey.changed", "x"), remote_version=OPENSSH),
        "hostkey.changed",
        False,
    ),
]


@pytest.mark.parametrize(
    ("ended", "kind", "retryable"),
    [case[2:] for case in CASES],
    ids=[f"{row} {name}" for row, name, *_ in CASES],
)
def test_every_end_before_login_has_its_kind(ended, kind, retryable):
    """
    F07, F08, F11 to F14, F17, F18, F31: one stable kind each, a line of text, and a hint.
    """
    failure = negotiation_failure(ended.transport).failure
    assert (failure.kind, failure.retryable) == (kind, retryable)
    assert failure.kind in KINDS
    assert failure.hint
    assert len(failure.message.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "option", "theirs", "ours"),
    [
        ("kex algorithm", "KexAlgorithms", "kex_algo_list", "curve25519-sha256"),
        ("host key", "HostKeyAlgorithms", "server_key_algo_list", "ssh-ed25519"),
        ("ciphers", "Ciphers", "server_encrypt_algo_list", "aes128-ctr"),
        ("macs", "MACs", "server_mac_algo_list", "hmac-sha2-256"),
    ],
)
def test_F20_no_algorithm_in_common_shows_both_lists(words, option, theirs, ours):
    """
    F20, F21: what the server has, what was offered, and the option that would change it.
    """
    ended = Ended(
        saved_exception=paramiko.IncompatiblePeer(f"Incompatible ssh peer (no acceptable {words})"),
        remote_version=OPENSSH,
        peer_offer={theirs: ["weak1", "weak2"]},
    )
    failure = negotiation_failure(ended.transport).failure
    assert failure.kind == "kex.no_common"
    assert failure.message == (f"no {option} in common: the server has weak1,weak2; offered {ours}")
    assert f"`{option}: +NAME`" in (failure.hint or "")
    assert not failure.retryable


@pytest.mark.parametrize(
    ("ended", "kind", "text"),
    [
        (Ended(), "banner.timeout", "no SSH version came within 10 s"),
        (Ended(banner_lines=["wait..."]), "banner.timeout", '(it sent "wait...")'),
        (Ended(remote_version=OPENSSH), "kex.timeout", "did not end within 10 s"),
    ],
)
def test_F15_a_stall_says_what_was_missing(ended, kind, text):
    """
    F06, F09, F10, F15: a deadline names the phase it ended, and may be met by trying again.
    """
    failure = negotiation_timeout(ended.transport, 10.0).failure
    assert failure.kind == kind
    assert text in failure.message
    assert failure.retryable


@pytest.mark.parametrize(
    "greeting",
    ["HTTP/1.0 200 OK", "220 mail.example.org ESMTP", "+OK POP3", "* OK IMAP4", "RFB 003.008"],
)
def test_F12_other_protocols_are_recognised(greeting):
    """
    F12: a mail server on the port is not waited for until the deadline.
    """
    failure = foreign_greeting([greeting])
    assert failure is not None
    assert failure.kind == "banner.not_ssh"
    assert greeting in str(failure)


@pytest.mark.parametrize("lines", [[], ["Welcome to web1"], ["", "HTTP/1.0"]])
def test_a_banner_is_not_another_protocol(lines):
    """
    Servers may send text before their version; only a known greeting in the first line ends it.
    """
    assert foreign_greeting(lines) is None


def test_F14_text_of_the_peer_is_bounded():
    """
    F14: what is quoted of a peer is short, whatever it sent.
    """
    endless: Any = Ended(banner_lines=["x" * 5000])
    assert len(negotiation_failure(endless.transport).failure.message) < 200
    wordy = Ended(saved_exception=paramiko.SSHException("y" * 5000), remote_version=OPENSSH)
    assert len(negotiation_failure(wordy.transport).failure.message) < 300
    rude = Ended(disconnected=(2, "z" * 5000 + "\n\x1b[2J"), remote_version=OPENSSH)
    message = negotiation_failure(rude.transport).failure.message
    assert len(message) < 300
    assert len(message.splitlines()) == 1
    picky = Ended(
        saved_exception=paramiko.IncompatiblePeer("Incompatible ssh peer (no acceptable ciphers)"),
        remote_version=OPENSSH,
        peer_offer={"server_encrypt_algo_list": ["a" * 20 + "\n"] * 10_000},
    )
    message = negotiation_failure(picky.transport).failure.message
    assert len(message) < 1000
    assert len(message.splitlines()) == 1
