"""
Deploying a key in the situations in which ssh-copy-id reports success for a key that does not log
in, and in pairs of them: real sshd, real accounts, OpenSSH's client as the judge.
"""

from __future__ import annotations

import itertools
import random

import pytest

from tests.fleet.keys.deploying import (
    FAULTS,
    HOME_FAULTS,
    SERVER_FAULTS,
    TEXT_FAULTS,
    Fault,
    Place,
    deploy,
    make_new_key,
    make_place,
)

pytestmark = pytest.mark.fleet

USER = "u-sh"


@pytest.fixture(scope="module")
def new_key(tmp_path_factory):
    return make_new_key(tmp_path_factory.mktemp("keys"))


def words_of(*faults: Fault) -> list[str]:
    return [word for fault in faults for word in fault.words]


def judge(place: Place, *faults: Fault) -> None:
    """
    Deploy, and let OpenSSH's client say whether that is true.

    What must hold: success if and only if the key logs in; after a failure the bytes and modes are
    those of before, and the reason is one of those that there are.
    """
    before = place.bytes_of_all()
    outcome = deploy(place, *faults)
    message = outcome.failure.message if outcome.failure is not None else ""
    names = "+".join(fault.name for fault in faults)
    if outcome.status == "ok":
        assert place.lets_in(), f"{names}: reported as done, and the key is refused"
        return
    # An empty folder may stay where there was none.
    left = {
        path: found
        for path, found in place.bytes_of_all().items()
        if path in before or found[0] is not None
    }
    assert left == before, f"{names}: not as it was, after: {message}"
    wrong = [fault for fault in faults if not fault.harmless]
    assert wrong, f"{names}: {outcome.failure}"
    assert any(word in message for word in words_of(*faults)), f"{names}: {message}"
    assert outcome.failure is not None
    assert outcome.failure.hint, f"{names}: what to do is not said"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_F63_F64_F66_a_situation_ends_in_a_key_that_logs_in_or_in_the_reason(
    accounts, new_key, fault
):
    """
    No success for a key that does not log in; the right reason; the old bytes and modes back.
    """
    place = make_place(accounts, USER, new_key, fault)
    judge(place, fault)
    if fault.harmless:
        assert place.lets_in()


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.mends], ids=lambda fault: fault.name
)
def test_F63_modes_that_sshd_objects_to_are_mended_when_that_is_asked_for(accounts, new_key, fault):
    """
    With --fix-modes the key logs in.
    """
    place = make_place(accounts, USER, new_key, fault)
    outcome = deploy(place, fault, fix_modes=True)
    assert outcome.status == "ok", outcome.failure
    assert outcome.data["mended"]
    assert place.lets_in()


def pairs() -> list[tuple[Fault, Fault]]:
    """
    Return the pairs that can be arranged: not two of the text, which would overwrite each other,
    nor two servers.
    """
    found = [
        *itertools.product(HOME_FAULTS, TEXT_FAULTS),
        *itertools.product(HOME_FAULTS, SERVER_FAULTS),
        *itertools.product(TEXT_FAULTS, SERVER_FAULTS),
        *itertools.combinations([fault for fault in HOME_FAULTS if fault.mends], 2),
    ]
    # A text is written to the file that the home fault is about, and would undo it.
    return [
        (one, other)
        for one, other in found
        if not (other in TEXT_FAULTS and one.name in ("no-folder", "no-file", "folder-is-file"))
    ]


def test_F63_F64_F66_pairs_of_situations_end_so_as_well(accounts, new_key, is_full_size):
    """
    Whatever two things are wrong at once, one of them is the reason, and nothing is claimed.
    """
    chosen = pairs()
    if not is_full_size:
        chosen = random.Random(20261121).sample(chosen, 60)
    wrong = []
    for pair in chosen:
        first, second = sorted(pair, key=lambda fault: fault in HOME_FAULTS)
        place = make_place(accounts, USER, new_key, first, second)
        try:
            judge(place, first, second)
        except AssertionError as error:
            wrong.append(str(error).splitlines()[0])
    assert wrong == []


def test_F63_pairs_of_modes_are_all_mended(accounts, new_key):
    """
    Two modes at once: both are named, and both are mended.
    """
    mending = [fault for fault in HOME_FAULTS if fault.mends]
    for one, other in itertools.combinations(mending, 2):
        place = make_place(accounts, USER, new_key, one, other)
        outcome = deploy(place, one, other, fix_modes=True)
        assert outcome.status == "ok", (one.name, other.name, outcome.failure)
        assert place.lets_in()
