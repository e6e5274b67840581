"""
Letting keys log in, on a host in memory.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from fleetctl.keys.authorized_keys import KeyOption
from fleetctl.keys.deploy import DeployKeys
from fleetctl.keys.deploy_plan import Wanted
from fleetctl.keys.guarded import Way
from fleetctl.model.errors import FleetError
from fleetctl.model.result import Outcome
from tests.unit.keys.fakes import FakeHost, FakeKey, host_with, lost, make_key, names

OLD, NEW, OTHER = make_key("old"), make_key("new"), make_key("other")


def wanted(key: FakeKey, *options: KeyOption, file: str | None = "new_file") -> Wanted:
    return Wanted(replace(key.public, options=options), file)


DEPLOY = DeployKeys((wanted(NEW),), Way("run1"))


def a_host(*keys: FakeKey) -> FakeHost:
    fake = host_with(*(keys or (OLD,)))
    fake.private_halves["new_file"] = NEW.blob
    return fake


def deploy(fake: FakeHost, what: DeployKeys = DEPLOY, *, check: bool = False) -> Outcome:
    async def main() -> Outcome:
        remote = fake.remote()
        facts = await remote.connect()
        return await what.deploy(remote, fake.file(), facts, check=check)

    return asyncio.run(main())


def keys_of(outcome: Outcome) -> list[dict[str, Any]]:
    """Return what the outcome says of each key."""
    return cast("list[dict[str, Any]]", outcome.data["keys"])


def test_a_key_is_added_and_proved_by_logging_in():
    """
    Other lines stay; a random key is refused, the new one gets in, and so does who manages the
    host.
    """
    fake = a_host()
    outcome = deploy(fake)
    assert (outcome.status, outcome.changed) == ("ok", True)
    assert fake.data == OLD.line + NEW.line
    assert fake.log.count("login") == 1 + 3
    assert outcome.data["control"] == "refused"
    [key] = keys_of(outcome)
    assert (key["state"], key["proof"]["verdict"]) == ("added", "ran")
    session = cast("dict[str, str]", outcome.data["session"])
    assert session["verdict"] == "authenticated"
    assert outcome.diff is not None
    assert outcome.diff.splitlines()[-1] == "+" + NEW.line.decode().strip()


def test_a_key_that_is_there_is_proved_by_one_login():
    """
    The second time nothing is changed, and nothing is taken for granted either.
    """
    fake = a_host(OLD, NEW)
    outcome = deploy(fake)
    assert (outcome.status, outcome.changed, outcome.diff) == ("ok", False, None)
    assert fake.log.count("login") == 1 + 1
    assert "swap" not in fake.log
    assert fake.lock is None


def test_a_key_that_does_not_log_in_is_taken_out_again():
    """
    No success is reported, the bytes are as before, and it is said that they are.
    """
    fake = a_host()
    fake.never_live.add(NEW.blob)
    before = fake.data
    outcome = deploy(fake)
    assert outcome.status == "failed"
    assert outcome.failure is not None
    assert outcome.failure.kind == "keys.not_proved"
    assert NEW.fingerprint in outcome.failure.message
    assert outcome.failure.message.endswith("the old file was put back")
    assert not outcome.changed
    assert fake.data == before


def test_a_key_that_is_there_and_does_not_log_in_is_no_success():
    """
    ssh-copy-id says that it exists already; here its login decides.
    """
    fake = a_host(OLD, NEW)
    fake.never_live.add(NEW.blob)
    outcome = deploy(fake)
    assert outcome.failure is not None
    assert outcome.failure.kind == "keys.not_proved"
    assert "put back" not in outcome.failure.message
    assert fake.data == OLD.line + NEW.line


def test_S11_a_host_that_takes_everything_keeps_its_file():
    """
    It proves nothing that the new key logs in.
    """
    fake = a_host()
    fake.takes_everything = True
    before = fake.data
    with pytest.raises(FleetError) as caught:
        deploy(fake)
    assert caught.value.kind == "keys.unverifiable"
    assert fake.data == before


@pytest.mark.parametrize(
    ("step", "passed"), [("login", 1), ("login", 2), ("login", 3), ("exec", 0)]
)
def test_a_host_that_is_lost_during_the_proof_gets_its_old_file_back(step, passed):
    """
    Whatever is cut between the swap and the last proof: the old file, and no success.
    """
    fake = a_host()
    fake.faults[step] = [*[None] * passed, *[lost()] * 9]
    before = fake.data
    patient = replace(DEPLOY, delays_s=())
    with pytest.raises(FleetError) as caught:
        deploy(fake, patient)
    assert caught.value.kind == "session.lost"
    assert fake.data == before


def test_a_key_with_other_options_is_a_conflict_with_a_diff():
    """
    Never a second line with one key; what to do is the user's choice.
    """
    fake = a_host(OLD, NEW)
    restricted = replace(DEPLOY, wanted=(wanted(NEW, KeyOption("restrict")),))
    outcome = deploy(fake, restricted)
    assert outcome.failure is not None
    assert outcome.failure.kind == "keys.conflict"
    assert outcome.diff is not None
    assert "+restrict ssh-ed25519" in outcome.diff
    assert fake.lock is None
    replaced = deploy(fake, replace(restricted, on_other_options="replace"))
    assert replaced.status == "ok"
    assert fake.data == OLD.line + b"restrict " + NEW.line
    kept = deploy(fake, replace(DEPLOY, on_other_options="keep"))
    assert (kept.status, kept.changed) == ("ok", False)


def test_an_option_the_server_does_not_know_is_refused_before_anything_is_opened():
    """
    expiry-time would make an old sshd skip the line.
    """
    fake = a_host()
    fake.server_version = "OpenSSH_7.4"
    expires = replace(DEPLOY, wanted=(wanted(NEW, KeyOption("expiry-time", "20300101Z")),))
    with pytest.raises(FleetError) as caught:
        asyncio.run(expires.run(fake.remote(), check=False))
    assert caught.value.kind == "keys.option"
    assert "7.7" in str(caught.value)
    assert names(fake.log) == ["login"]


def test_check_changes_nothing_and_shows_the_difference():
    """
    No lock, no swap, no further login.
    """
    fake = a_host()
    before = fake.data
    outcome = deploy(fake, check=True)
    assert (outcome.status, outcome.changed) == ("ok", True)
    assert outcome.diff is not None
    assert "+ssh-ed25519" in outcome.diff
    assert fake.data == before
    assert names(fake.log) == ["login", "look"]


def test_a_key_without_its_private_half_is_not_put_there_unless_forced():
    """
    Nothing would prove it; with --force it is there, and the result says that nothing was proved.
    """
    fake = a_host()
    before = fake.data
    foreign = replace(DEPLOY, wanted=(wanted(OTHER, file=None),))
    outcome = deploy(fake, foreign)
    assert outcome.failure is not None
    assert outcome.failure.hint is not None
    assert "--force" in outcome.failure.hint
    assert fake.data == before
    forced = deploy(fake, replace(foreign, force=True))
    assert forced.status == "ok"
    assert fake.data == OLD.line + OTHER.line
    assert forced.result is not None
    assert b"was not tried" in forced.result.stdout


def test_force_does_not_keep_a_key_that_is_refused():
    """
    It stands for what cannot be tried, not for what was tried and failed.
    """
    fake = a_host()
    fake.never_live.add(NEW.blob)
    before = fake.data
    outcome = deploy(fake, replace(DEPLOY, force=True))
    assert outcome.status == "failed"
    assert fake.data == before


def test_keys_of_several_people_go_in_by_one_edit():
    """
    One swap; each is proved.
    """
    fake = a_host()
    fake.private_halves["other_file"] = OTHER.blob
    both = replace(DEPLOY, wanted=(wanted(NEW), wanted(OTHER, file="other_file")))
    outcome = deploy(fake, both)
    assert outcome.status == "ok"
    assert fake.log.count("swap") == 1
    assert fake.data == OLD.line + NEW.line + OTHER.line


def test_a_file_that_somebody_else_changed_meanwhile_is_looked_at_again():
    """
    The other one's line stays.
    """
    fake = a_host()

    def other_writes(step: str) -> None:
        if step == "look.done" and fake.data == OLD.line:
            fake.data = OLD.line + OTHER.line

    fake.watchers.append(other_writes)
    assert deploy(fake).status == "ok"
    assert fake.data == OLD.line + OTHER.line + NEW.line


def test_a_command_that_a_key_forces_is_not_run_to_prove_it():
    """
    It might do anything; that the key logs in has to do.
    """
    fake = a_host()
    forcing = replace(DEPLOY, wanted=(wanted(NEW, KeyOption("command", "/sbin/reboot")),))
    outcome = deploy(fake, forcing)
    assert outcome.status == "ok"
    assert "exec" not in fake.log
    [key] = keys_of(outcome)
    assert key["proof"]["verdict"] == "authenticated"


@pytest.mark.parametrize("verify", ["parse", "none"])
def test_without_a_login_nobody_logs_in(verify):
    """
    What is claimed is less, and the data say so.
    """
    fake = a_host()
    outcome = deploy(fake, replace(DEPLOY, verify=verify))
    assert outcome.status == "ok"
    assert fake.log.count("login") == 1
    assert outcome.data["verify"] == verify


def test_parse_finds_what_a_login_would_and_changes_nothing():
    """
    A line that is expired the moment it is written is not written.
    """
    fake = a_host()
    before = fake.data
    expired = DeployKeys(
        (wanted(NEW, KeyOption("expiry-time", "20200101Z")),), Way("run1"), verify="parse"
    )
    outcome = deploy(fake, expired)
    assert outcome.failure is not None
    assert "expired" in outcome.failure.message
    assert fake.data == before
    assert fake.lock is None


def test_a_sample_of_the_hosts_is_proved_by_logging_in():
    """
    The others as parse.
    """
    for sample, logins in ((frozenset({"web1"}), 4), (frozenset({"web2"}), 1)):
        fake = a_host()
        deploy(fake, replace(DEPLOY, sample=sample))
        assert fake.log.count("login") == logins


def test_an_interruption_in_the_proof_puts_the_old_file_back():
    """
    Nothing unproved stays, whoever ends the run.
    """
    fake = a_host()
    before = fake.data

    def interrupt(step: str) -> None:
        if step == "exec":
            raise KeyboardInterrupt

    fake.watchers.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        deploy(fake)
    assert fake.data == before


class Killed(BaseException):
    """The controller is gone."""


STEPS = ["login", "look", "swap", "exec"]


@pytest.mark.parametrize("ending", ["", ".done"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("time", [1, 2, 3, 4])
def test_F72_a_controller_that_is_killed_leaves_a_file_that_lets_in_whom_it_let_in(
    step, time, ending
):
    """
    Wherever kill -9 strikes, the file is the old or the new one, and a rerun finishes.
    """
    fake = a_host()
    left = [time]

    def kill(reached: str) -> None:
        if reached == step + ending:
            left[0] -= 1
        if left[0] <= 0:
            raise Killed

    fake.watchers.append(kill)
    try:
        deploy(fake)
    except Killed:
        assert left[0] <= 0
    assert fake.data in (OLD.line, OLD.line + NEW.line)
    assert fake.takes(OLD.blob)
    fake.watchers.clear()
    fake.lock = None  # taken over, because its holder is gone
    again = deploy(fake)
    assert again.status == "ok"
    assert fake.data == OLD.line + NEW.line


def test_an_authority_is_put_there_although_no_login_can_prove_it():
    """
    Only its certificates log in; the result says so.
    """
    fake = a_host()
    authority = replace(DEPLOY, wanted=(wanted(NEW, KeyOption("cert-authority")),))
    outcome = deploy(fake, authority)
    assert outcome.status == "ok"
    assert fake.data == OLD.line + b"cert-authority " + NEW.line
    assert outcome.result is not None
    assert b"only its certificates can prove" in outcome.result.stdout
