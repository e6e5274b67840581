"""
What a gateway's refusals mean, and which hosts share a gateway.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetctl.model.settings import HostSettings
from fleetctl.ssh.gateway import (
    MAX_STREAMS,
    Gateways,
    _Shared,
    chain_key,
    hop_name,
)
from fleetctl.ssh.stream_refusal import StreamRefused, refused_open

GATE = HostSettings(hostname="gate.example.org", user="jump")
CHAIN = (GATE,)


@pytest.mark.parametrize(
    ("code", "text", "kind", "hop", "is_full"),
    [
        (1, "open failed", "connect.refused", "gate", False),
        (1, "", "connect.refused", "gate", False),
        (2, "Port forwarding not allowed", "connect.refused", "gate", False),
        (2, "Connection refused", "connect.refused", None, False),
        (2, "Name or service not known", "resolve.dns", None, False),
        (2, "Temporary failure in name resolution", "resolve.dns", None, False),
        (2, "nodename nor servname provided, or not known", "resolve.dns", None, False),
        (2, "No route to host", "connect.unreachable", None, False),
        (2, "Network is unreachable", "connect.unreachable", None, False),
        (2, "Connection timed out", "connect.unreachable", None, False),
        (2, "open failed", "connect.unreachable", None, True),
        (2, "", "connect.unreachable", None, True),
        (2, "Too many open files", "connect.unreachable", "gate", True),
        (4, "", "connect.unreachable", "gate", True),
        (3, "unknown channel type", "connect.refused", "gate", False),
        (99, "made-up text", "connect.refused", None, False),
    ],
)
def test_refusal_is_named_for_whose_fault_it_is(code, text, kind, hop, is_full):
    """
    What the gateway forbids or lacks is its own failure; what it says of the host is the host's.
    """
    error = refused_open("gate", "web1 port 22", code, text)
    assert (error.kind, error.failure.hop) == (kind, hop)
    assert isinstance(error, StreamRefused) == is_full
    assert error.failure.hint
    assert text in str(error)
    if hop is None:
        assert "web1 port 22, from gateway gate" in str(error)


def test_chains_are_equal_if_every_setting_is():
    """
    Where a setting was written makes no difference; what it says does.
    """
    assert chain_key(CHAIN) == chain_key((replace(GATE, origin={"User": "x.yml:1"}),))
    assert chain_key(CHAIN) != chain_key((replace(GATE, user="root"),))
    assert chain_key(CHAIN) != chain_key((replace(GATE, set_env={"A": "1"}),))
    assert chain_key(CHAIN) != chain_key((GATE, GATE))
    assert len({chain_key(CHAIN), chain_key((replace(GATE),))}) == 1


def test_a_hop_is_called_by_its_address():
    """
    The name of a gateway in failures is what it is reached at.
    """
    assert hop_name(GATE) == "gate.example.org"


async def _nobody(_: object) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("room", "others", "may_be_full", "room_after"),
    [
        # nothing else on the connection: the reason is the host's
        (MAX_STREAMS, 0, False, MAX_STREAMS),
        (8, 0, False, MAX_STREAMS),
        # the first hint of a limit
        (MAX_STREAMS, 29, True, 29),
        (MAX_STREAMS, 1, True, 1),
        # the limit is lower still
        (29, 28, True, 28),
        (29, 8, True, 8),
        # another connection refuses although it carries far less than one can
        (29, 7, False, MAX_STREAMS),
    ],
)
def test_a_refusal_is_worth_another_connection_only_if_it_may_be_full(
    room, others, may_be_full, room_after
):
    """
    How many streams fit on a connection is learned from refusals; a host that cannot be reached is
    not taken for a full gateway.
    """
    gateways = Gateways(_nobody)  # type: ignore[arg-type] # never called
    shared = gateways._shared[chain_key(CHAIN)] = _Shared(CHAIN, room)
    refused = StreamRefused("connect.unreachable", "open failed")
    refused.others = others
    assert gateways.may_be_full(CHAIN, refused) is may_be_full
    assert shared.room == room_after
