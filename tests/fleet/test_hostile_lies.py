"""
Peers that speak SSH and lie in it, before anybody could trust them (F14 F16 F17 S06).
"""

from __future__ import annotations

import pytest

from tests.fleet.test_hostile_peers import meet, settings_for
from tests.support.lies import LIES
from tests.support.patience import PACES, SLACK_S
from tests.support.peers import hostile_peer

pytestmark = pytest.mark.fleet

#: Peer -> kinds it may end as; and words that must be in the message.
EXPECTED: dict[str, tuple[set[str], str]] = {
    "success_before_keys": ({"kex.protocol"}, "key exchange failed"),
    "bad_padding": ({"kex.protocol"}, "key exchange failed"),
    "drip_packets": ({"kex.timeout"}, "did not end within {limit_s:g} s"),
    # Cut off, or, where the system puts what was sent together, waited for.
    "storm_of_bytes": ({"kex.timeout", "kex.protocol"}, " end"),
    "long_kexinit": ({"kex.no_common"}, "no KexAlgorithms in common: the server has a0,a1,a2"),
    "long_reason": ({"kex.protocol"}, "go away"),
    "huge_number": ({"kex.protocol"}, "packet of"),
    "huge_host_key": ({"kex.protocol"}, "packet of"),
    "forged_host_key": ({"kex.protocol"}, "key exchange failed"),
}


def test_every_lie_is_met():
    """
    A peer that is added is expected to end somehow here.
    """
    assert set(EXPECTED) == set(LIES)


@pytest.mark.parametrize("kind", EXPECTED)
def test_F17_a_lie_ends_in_time_as_what_it_is(kind, loop):
    """
    F16, F17: whatever a peer claims, it ends at the deadline or before, the message is one line of
    a bounded length, nothing ran, and only what was slow is worth another try.
    """
    kinds, pattern = EXPECTED[kind]
    with hostile_peer(kind) as (address, port):
        for limit_s in PACES:
            error, trace, took_s = meet(settings_for(address, port, limit_s=limit_s), loop=loop)
            if error.kind in kinds:
                break
    assert error.kind in kinds, str(error)
    assert pattern.format(limit_s=limit_s) in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 2000
    assert error.failure.hint
    assert error.failure.retryable == error.kind.endswith("timeout")
    assert (trace.phase, trace.ran) == ("kex", "no")
    assert took_s < limit_s + SLACK_S
