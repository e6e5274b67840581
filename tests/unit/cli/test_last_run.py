"""
`@failed` and the like: hosts of the last run as targets of the next.
"""

from __future__ import annotations

import pytest

from tests.unit.cli.fakes import FakeEngine, failure, fleetctl, ok
from tests.unit.cli.recorded import HOSTS, MIXED, WAITING, record, run_id


def hosts(capsys, *words, inventory=HOSTS):
    code = fleetctl("hosts", "-i", inventory, *words)
    shown = capsys.readouterr()
    return code, shown.out.split(), shown.err


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("@failed",), ["web2"]),
        (("@unreachable",), ["web3"]),
        (("@changed",), ["web1", "web2", "web4"]),
        (("@class1",), ["web1"]),
        (("@failed,@unreachable",), ["web2", "web3"]),
        (("all:!@failed",), ["web1", "web3", "web4"]),
        (("web[3-4],@failed",), ["web3", "web4", "web2"]),
        (("all", "--limit", "@unreachable"), ["web3"]),
        (("all", "--exclude", "@ok"), ["web2", "web3"]),
        (("all:!@skipped",), ["web1", "web2", "web3", "web4"]),
    ],
)
def test_hosts_of_the_last_run_are_targets(capsys, words, names):
    """
    Wherever a pattern may stand; an empty group takes nothing away.
    """
    record({name: ok() for name in MIXED}, number=1)
    record(MIXED, number=2)
    code, found, err = hosts(capsys, *words)
    assert (code, found) == (0, names)
    assert f"run {run_id(2)} (" in err


def test_it_is_said_which_hosts_of_which_run(capsys):
    """
    Nobody has to guess what the last run was.
    """
    record(MIXED)
    _, _, err = hosts(capsys, "@failed")
    assert err.startswith(f"fleetctl: @failed: web2 of run {run_id()} (2")
    assert err.endswith(", run -i 'web[1-4],' 'web*' -- uptime)\n")


def test_a_group_of_that_name_wins(tmp_path, capsys):
    """
    What the inventory says counts, and the history is not even opened.
    """
    path = tmp_path / "hosts"
    path.write_text("[failed]\nweb1\n")
    record(MIXED)
    assert hosts(capsys, "@failed", inventory=str(path)) == (0, ["web1"], "")


def test_without_the_sign_it_is_a_name_as_any_other(capsys):
    """
    `failed` alone never means the history.
    """
    record(MIXED)
    code, _, err = hosts(capsys, "failed")
    assert code == 2
    assert 'no host, group or pattern "failed"' in err


@pytest.mark.parametrize(
    ("word", "code", "message"),
    [
        ("@skipped", 3, '"@skipped" means no host'),
        ("@class9", 2, f"run {run_id()} has no class9: it has 4 output classes"),
        ("@fialed", 2, 'no group "@fialed"'),
    ],
)
def test_what_means_nobody_is_told(capsys, word, code, message):
    """
    No host of that kind, no such class, no such word.
    """
    record(MIXED)
    ended, _, err = hosts(capsys, word)
    assert ended == code
    assert message in err


def test_no_run_is_recorded(capsys):
    """
    Without a history there is no last run.
    """
    code, _, err = hosts(capsys, "@failed")
    assert (code, err) == (
        2,
        "fleetctl: @failed: no run is recorded, and there is no group failed\n",
    )


def test_hosts_that_are_not_in_this_inventory(capsys):
    """
    Another inventory than that of the last run is an error, not fewer hosts.
    """
    record(MIXED)
    code, _, err = hosts(capsys, "@ok", inventory="web1,")
    assert code == 2
    assert '"@ok": web4 of the last run is not in this inventory' in err


def test_protected_hosts_are_not_named_by_it(tmp_path, capsys):
    """
    A protected host must be named; that it failed in the last run does not name it.
    """
    path = tmp_path / "hosts"
    path.write_text("web1 protected=true\nweb2\n")
    record({"web1": failure("auth.denied"), "web2": ok()}, sources=(str(path),), pattern="all")
    engine = FakeEngine()
    code = fleetctl("run", "-i", str(path), "@unreachable", "--", "uptime", engine=engine)
    assert (code, engine.runs) == (2, [])
    assert "web1 is protected and was not named" in capsys.readouterr().err


def test_a_lost_run_is_the_last_one_too(capsys):
    """
    What is known of a run that was cut short can be used.
    """
    record(MIXED, number=1)
    record({"web1": failure("connect.refused"), "web2": WAITING}, number=2, ends=False)
    assert hosts(capsys, "@unreachable")[1] == ["web1"]
