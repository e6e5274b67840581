"""
Taking keys away, on a host in memory.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.keys.guarded import Guarding
from fleetctl.keys.place import DEAD_MAN_S, KeySource
from fleetctl.keys.revoke import Doomed, revoke
from fleetctl.model.errors import FleetError
from fleetctl.model.result import Outcome
from fleetctl.ssh.fingerprint import md5_fingerprint
from tests.unit.keys.fakes import FakeHost, host_with, lost, make_key, names, rows, why

MINE, GONE, OTHER = make_key("mine"), make_key("gone"), make_key("other")
GUARDING = Guarding(delays_s=(0, 0))
GONE_KEY = Doomed(blobs=(GONE.blob,))


def a_host() -> FakeHost:
    return host_with(MINE, GONE, OTHER)


def take_away(
    fake: FakeHost, doomed: Doomed = GONE_KEY, guarding: Guarding = GUARDING, *, check: bool = False
) -> Outcome:
    return asyncio.run(revoke(fake.remote(), fake.file(), doomed, guarding, check=check))


def test_a_key_is_taken_away_and_proved_to_be_refused():
    """
    Only its line is gone; a login with a key that remains confirmed that, and the key is refused.
    """
    fake = a_host()
    outcome = take_away(fake)
    assert (outcome.status, outcome.changed) == ("ok", True)
    assert fake.data == MINE.line + OTHER.line
    assert outcome.data["proof"] == {GONE.fingerprint: "refused"}
    assert outcome.data["confirmed_by"] == f"key {MINE.fingerprint}"
    assert [(one["fingerprint"], one["line"]) for one in rows(outcome, "removed")] == [
        (GONE.fingerprint, 2)
    ]
    assert fake.guards == []


def test_every_line_of_the_key_goes_but_not_a_commented_one():
    """
    Live, restricted and dead lines with the blob go; a line commented out only if asked for.
    """
    fake = a_host()
    line = GONE.line
    fake.data = MINE.line + line + b"restrict " + line + b"no-such-option " + line + b"# " + line
    take_away(fake)
    assert fake.data == MINE.line + b"# " + line
    take_away(fake, Doomed(blobs=(GONE.blob,), also_disabled=True))
    assert fake.data == MINE.line


@pytest.mark.parametrize(
    "fingerprint", [GONE.fingerprint, md5_fingerprint(GONE.blob)], ids=["sha256", "md5"]
)
def test_a_fingerprint_will_do(fingerprint):
    """
    SHA256 or MD5: what the host has of it goes.
    """
    fake = a_host()
    outcome = take_away(fake, Doomed(fingerprints=(fingerprint,)))
    assert fake.data == MINE.line + OTHER.line
    assert outcome.data["proof"] == {GONE.fingerprint: "refused"}


def test_a_second_run_changes_nothing_and_proves_again():
    """
    What is gone is gone; that it is refused is proved each time.
    """
    fake = a_host()
    take_away(fake)
    outcome = take_away(fake)
    assert (outcome.status, outcome.changed, outcome.diff) == ("ok", False, None)
    assert names(fake.log).count("swap") == 1
    assert fake.lock is None


def test_the_key_of_this_session_is_refused():
    """
    Whoever logs in with the key they revoke is stopped before anything is written.
    """
    fake = a_host()
    fake.session_key = GONE.blob
    before = fake.data
    with pytest.raises(FleetError) as caught:
        take_away(fake)
    assert caught.value.kind == "keys.lockout"
    assert fake.data == before
    assert fake.lock is None
    assert "swap" not in fake.log


def test_with_force_the_key_of_this_session_goes():
    """
    Who insists gets it, without a dead man whom nobody could tell; the outcome says what was not
    heard.
    """
    fake = a_host()
    fake.session_key = GONE.blob
    outcome = take_away(fake, guarding=Guarding(force=True, delays_s=(0,)))
    assert fake.data == MINE.line + OTHER.line
    assert fake.guards == []
    assert "this session logged in" in str(outcome.data["forced"])


def test_check_refuses_what_the_run_would_refuse():
    """
    With ``--check`` the guard is asked too, and nothing is written or locked.
    """
    fake = a_host()
    outcome = take_away(fake, check=True)
    assert outcome.changed
    assert outcome.diff is not None
    assert f"-{GONE.line.decode()}" in outcome.diff
    assert fake.data == MINE.line + GONE.line + OTHER.line
    assert names(fake.log) == ["login", "look"]
    fake.session_key = GONE.blob
    with pytest.raises(FleetError, match="this session"):
        take_away(fake, check=True)


def test_if_nobody_gets_in_afterwards_the_old_file_comes_back():
    """
    The login after the swap fails, for a reason nobody foresaw: put back at once, and said.
    """
    fake = a_host()
    fake.faults["login"] = [None, FleetError("auth.denied", "no")]
    before = fake.data
    with pytest.raises(FleetError, match="nobody could log in: no; the old file is back") as caught:
        take_away(fake)
    assert caught.value.kind == "keys.lockout"
    assert fake.data == before
    assert fake.guards == []


def test_if_even_that_fails_the_dead_man_puts_it_back():
    """
    No login and no connection: the message says that the host itself will, and it does.
    """
    fake = a_host()
    fake.faults["login"] = [None, FleetError("connect.refused", "no")]
    fake.faults["swap_back"] = [lost()]
    before = fake.data
    with pytest.raises(FleetError, match=f"the host itself does that after {DEAD_MAN_S} s"):
        take_away(fake)
    assert fake.data != before
    fake.advance(DEAD_MAN_S)
    assert fake.data == before


def test_a_login_that_is_dropped_is_tried_again():
    """
    A host that has no room for a connection for a moment is not a lock-out.
    """
    fake = a_host()
    dropped = FleetError("connect.dropped", "no room", retryable=True)
    fake.faults["login"] = [None, dropped, dropped]
    assert take_away(fake).status == "ok"


def test_a_compromised_key_never_comes_back():
    """
    Without a dead man, and without putting the old file back when the login afterwards fails.
    """
    fake = a_host()
    fake.faults["login"] = [None, FleetError("auth.denied", "no")]
    compromised = Guarding(is_compromised=True, delays_s=(0,))
    with pytest.raises(FleetError, match="compromised key in it and stays away"):
        take_away(fake, guarding=compromised)
    assert fake.data == MINE.line + OTHER.line
    assert fake.guards == []


def test_a_key_that_still_logs_in_is_not_a_success():
    """
    authorized_keys2 has it too: the host is not ok, and the hint takes it away there.
    """
    fake = a_host()
    second = "/home/deploy/.ssh/authorized_keys2"
    fake.sources = (KeySource("authorized_keys2", second, GONE.line),)
    fake.also_live.add(GONE.blob)
    outcome = take_away(fake)
    assert outcome.status == "failed"
    assert outcome.changed
    assert why(outcome).kind == "keys.still_accepted"
    assert second in why(outcome).message
    assert f"--target-path {second}" in (why(outcome).hint or "")


def test_a_key_elsewhere_is_no_success_even_if_it_cannot_be_tried():
    """
    Its private half is not here, but another file has it for certain.
    """
    fake = a_host()
    fake.private_halves = {}
    fake.sources = (KeySource("authorizedkeysfile", "/etc/keys/deploy", GONE.line),)
    outcome = take_away(fake)
    assert why(outcome).kind == "keys.still_accepted"
    assert outcome.data["proof"] == {GONE.fingerprint: "unproved"}


def test_places_where_nobody_can_tell_are_reported():
    """
    Certificates and commands may let the key in: named in the data, and no failure.
    """
    fake = a_host()
    fake.data = b"cert-authority " + OTHER.line + (fake.data or b"")
    fake.sources = (
        KeySource("authorizedkeyscommand", "/usr/bin/sss_ssh_authorizedkeys %u"),
        KeySource("trustedusercakeys", "/etc/ssh/ca.pub", OTHER.line),
    )
    outcome = take_away(fake)
    assert outcome.status == "ok"
    assert [one["setting"] for one in rows(outcome, "elsewhere")] == [
        *("cert-authority", "authorizedkeyscommand", "trustedusercakeys")
    ]


def test_what_an_earlier_try_could_not_confirm_is_confirmed():
    """
    The controller died between swap and confirmation; the next run finds the key gone, logs in and
    tells the dead man, or the key would come back.
    """
    fake = a_host()
    fake.faults["confirm"] = [KeyboardInterrupt()]  # type: ignore[list-item]  # a kill
    with pytest.raises(KeyboardInterrupt):
        take_away(fake)
    assert fake.guards
    assert GONE.blob not in fake.live_blobs()
    outcome = take_away(fake)
    assert outcome.status == "ok"
    assert "not been confirmed" in str(outcome.data["notes"])
    fake.advance(2 * DEAD_MAN_S)
    assert GONE.blob not in fake.live_blobs()


def test_an_earlier_dead_man_that_acts_meanwhile_is_no_end():
    """
    It puts the old file back just before it is told: the key is taken away once more.
    """
    fake = a_host()
    fake.faults["confirm"] = [KeyboardInterrupt()]  # type: ignore[list-item]  # a kill
    with pytest.raises(KeyboardInterrupt):
        take_away(fake)
    left = ["once"]

    def sleep(step: str) -> None:
        if step == "confirm" and left:
            left.pop()
            fake.advance(DEAD_MAN_S)

    fake.watchers.append(sleep)
    outcome = take_away(fake)
    assert outcome.status == "ok"
    assert GONE.blob not in fake.live_blobs()
    fake.advance(2 * DEAD_MAN_S)
    assert GONE.blob not in fake.live_blobs()


def test_a_dead_man_that_has_acted_already_is_told():
    """
    The confirmation came too late: the key is back, and the host is not ok.
    """
    fake = a_host()

    def sleep(step: str) -> None:
        if step == "confirm":
            fake.advance(DEAD_MAN_S)

    fake.watchers.append(sleep)
    with pytest.raises(FleetError) as caught:
        take_away(fake)
    assert caught.value.kind == "keys.restored"
    assert GONE.blob in fake.live_blobs()


def test_a_proof_that_cannot_be_made_is_not_a_success():
    """
    The host is gone when the key is to be tried: what was done is said, and that it is not proved.
    """
    fake = a_host()
    fake.faults["login"] = [None, None, *[lost()] * 9]
    outcome = take_away(fake)
    assert outcome.changed
    assert why(outcome).kind == "keys.not_proved"
    assert "the key is gone from the file" in why(outcome).message
