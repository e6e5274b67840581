"""
What commands make of plain values before keys are changed.
"""

from __future__ import annotations

import pytest

from fleetctl.cli.keys_lockout import RemovalOptions, make_removal, with_canary
from fleetctl.cli.rollout import RolloutOptions
from fleetctl.keys.public_keys import FoundKey
from fleetctl.keys.revoke import Doomed
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.wiring.key_changes import (
    Removal,
    Rotation,
    begin_rotation,
    candidates_in,
    choose_doomed,
    make_exchange,
    make_way,
    moment_of,
    notes_of_addresses,
    resume_rotation,
    with_name,
)
from tests.unit.keys.fakes import NOON, make_key

RUN = "20261121T120000-7f3a91c0"
OLD, NEW = make_key("old"), make_key("")
ROLLOUT = RolloutOptions(
    serial=None,
    canary=None,
    any_output=False,
    gate=None,
    soak=None,
    pause=None,
    max_fail=None,
    max_down=(),
    order=None,
    once=False,
    total_timeout=None,
    yes=False,
)


def host(name: str, address: str, user: str = "deploy", port: int = 22) -> Host:
    return Host(name, settings=HostSettings(hostname=address, user=user, port=port))


def test_F90_two_names_for_one_address_are_noted():
    """
    Same address, port and user: each says which others there are, and what keeps them apart.
    """
    hosts = [
        host("web1", "192.0.2.1"),
        host("www", "192.0.2.1"),
        host("other-user", "192.0.2.1", "www-data"),
        host("other-port", "192.0.2.1", port=2222),
        host("web2", "192.0.2.2"),
    ]
    notes = notes_of_addresses(hosts, make_way(RUN))
    assert sorted(notes) == ["web1", "www"]
    assert "the same address as www" in notes["web1"]
    assert "by the lock beside it" in notes["www"]
    assert sorted(notes_of_addresses(hosts, make_way(RUN, user="root"))) == [
        *("other-user", "web1", "www")
    ]


def test_a_rotation_is_taken_up_again_as_it_was_planned(tmp_path):
    """
    Everything that was said comes out of the plan again; hosts without an end are left to do.
    """
    doomed = Doomed(
        (OLD.blob,), ("MD5:" + ":".join(["00"] * 16),), also_disabled=True, private_files={"a": "b"}
    )
    rotation = Rotation(
        make_exchange(FoundKey(NEW.public, "new.pub:1", "/k/new"), "/k/new", doomed),
        make_way(RUN, user="www", path="~/.keys", follow_links=True, sftp=True, non_atomic=True),
        Removal(fix_modes=True, dead_man_s=30),
        ("web1", "web/2"),
    )
    begin_rotation(rotation, state=tmp_path)
    again, _, left = resume_rotation(RUN, state=tmp_path)
    assert again == rotation
    assert left == ("web1", "web/2")
    assert NEW.private.reveal() not in (tmp_path / "keys" / RUN / "plan.json").read_text()


def test_a_change_begins_with_a_canary_unless_somebody_says_otherwise():
    """
    One host, then a hundredth; what hosts print never stops it.
    """
    many = [host(f"web{n}", "192.0.2.1") for n in range(5)]
    assert with_canary(ROLLOUT, many).canary == "1,1%"
    assert with_canary(ROLLOUT, many).any_output
    assert with_canary(ROLLOUT, many[:1]) == ROLLOUT


@pytest.mark.parametrize(
    ("force", "typed", "message"),
    [
        (True, None, "nobody is here to be asked"),
        (True, 3, "3 is not the number of the hosts, which is 2"),
        (False, 2, "only --force asks"),
    ],
)
def test_a_lock_out_takes_the_number_of_hosts(force, typed, message, monkeypatch):
    """
    Without the right number nobody is contacted; with --check nobody is asked.
    """
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    hosts = [host("web1", "192.0.2.1"), host("web2", "192.0.2.2")]
    options = RemovalOptions(
        fix_modes=False, dead_man=120, no_dead_man=False, force=force, yes_lock_out=typed
    )
    with pytest.raises(UsageError, match=message):
        make_removal(options, hosts)
    if force:
        assert make_removal(options, hosts, check=True).force


def test_private_halves_are_remembered_for_the_proof():
    """
    A key whose private half lies beside it is tried with that.
    """
    doomed = choose_doomed([FoundKey(OLD.public, "old.pub:1", "/k/old")])
    assert doomed.login(OLD.public, "deploy").identity_file == "/k/old"
    assert choose_doomed([FoundKey(OLD.public, "x")]).login(OLD.public, "deploy").key == OLD.blob


def test_times_are_understood_or_refused():
    """
    A span counts from now; what is over, or no time, is an error of --for.
    """
    assert moment_of("2h", NOON) == NOON + 7200
    for text in ("soon", "2020-01-01"):
        with pytest.raises(UsageError) as caught:
            moment_of(text, NOON)
        assert caught.value.problems[0].file == "--for"


def test_a_key_without_a_comment_gets_the_name():
    """
    Who it was granted to can be read in the file; a comment that is there stays.
    """
    found = with_name([FoundKey(NEW.public, "x"), FoundKey(OLD.public, "x")], "alice")
    assert [one.key.comment for one in found] == ["alice", "old"]


def test_no_result_has_no_candidates():
    """
    Nothing was found anywhere.
    """
    assert candidates_in([]) == {}
