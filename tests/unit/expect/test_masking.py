"""
Secrets in what a program writes back.
"""

from __future__ import annotations

import time

from fleetctl.expect.masking import MaskedStream, Masks


def masks_of(*secrets):
    masks = Masks()
    for secret in secrets:
        masks.add(secret)
    return masks


def test_a_secret_that_begins_with_another_is_masked_whole():
    """
    Of two that begin at the same place the longer counts, also when it comes in two pieces.
    """
    stream = MaskedStream(masks_of("hunt", "hunter2"))
    shown = [stream.add(b"a hunt"), stream.add(b"er2 b"), stream.add(b" hunt"), stream.add(b"ed ")]
    assert b"".join(shown) == b"a [secret] b [secret]ed "


def test_what_cannot_become_a_secret_is_shown_at_once():
    """
    Only what may be the beginning of one is held back, and not for longer than needed.
    """
    stream = MaskedStream(masks_of("hunter2"))
    assert stream.add(b"a hunter") == b"a "
    assert stream.add(b" b") == b"hunter b"
    assert (stream.add(b"hunt"), stream.add(b"", is_last=True)) == (b"", b"hunt")


def test_short_secrets_are_left_alone():
    """
    To mask every "y" would tell which letter it is.
    """
    assert MaskedStream(masks_of("y", "123", "")).add(b"yes 123") == b"yes 123"


def test_a_hostile_echo_costs_little():
    """
    Beginnings of a long secret, over and over, in many pieces, take no time to speak of.
    """
    stream = MaskedStream(masks_of("a" * 5000 + "b", "a" * 300))
    started = time.thread_time()
    for _ in range(200):
        stream.add(b"a" * 4999 + b"c")
    assert time.thread_time() - started < 5
