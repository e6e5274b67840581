"""
What people and scripts see of bad peers: the rows of the fault catalogue, at the command line.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import ExitStack

import pytest

from fleetctl.model.errors import FleetError
from tests.cli.shell import fleetctl, on_terminal
from tests.fleet.test_hostile_peers import meet, settings_for
from tests.support.drive import failed_login, log_in
from tests.support.patience import PACES, PATIENCE_S, SLACK_S
from tests.support.peers import SCRIPTS, hostile_peer

pytestmark = pytest.mark.fleet

#: Whatever a terminal could take for an order. Source: ECMA-48.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
#: What our own colours and cursor movements look like.
OURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

#: How a peer ends for which this machine had no time.
TOO_SLOW = {"connect.timeout", "banner.timeout", "kex.timeout"}


def words(address: str, port: int, limit_s: float) -> tuple[str, ...]:
    return (
        *("run", "-i", f"{address}:{port},", "all", "-T", f"{limit_s:g}"),
        *("-o", "UserKnownHostsFile=none"),
    )


def failure_at(kind: str, kinds: set[str], **options) -> tuple[dict, float]:
    """Run a command line against a peer; return the failure and the limit it was given."""
    with hostile_peer(kind) as (address, port):
        for limit_s in PACES:
            done = fleetctl(*words(address, port, limit_s), "--format", "json", "--", "true")
            assert done.code == 4, done.err
            assert "Traceback" not in done.err
            [host] = json.loads(done.out)["hosts"]
            if host["failure"]["kind"] in kinds or host["failure"]["kind"] not in TOO_SLOW:
                break
    assert host["failure"]["kind"] in kinds, host["failure"]
    assert (host["status"], host["ran"]) == ("unreachable", "no")
    assert host["failure"]["hint"]
    assert host["duration_s"] < limit_s + SLACK_S
    return host["failure"], limit_s


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        pytest.param("silent", "banner.timeout", id="F06"),
        pytest.param("half_banner", "banner.timeout", id="F09"),
        pytest.param("drip_banner", "banner.timeout", id="F10"),
        pytest.param("endless_lines", "banner.timeout", id="F10-endlessh"),
        pytest.param("stall_after_banner", "kex.timeout", id="F15"),
        pytest.param("stall_mid_kex", "kex.timeout", id="F15-mid-kex"),
        pytest.param("drip_kex", "kex.timeout", id="F16"),
    ],
)
def test_F06_F09_F10_F15_F16_who_is_too_slow_is_told_apart(kind, ends):
    """
    Silence, half a version, drips and stalls end with the deadline, named by what was missing; they
    may be tried again.
    """
    failure, limit_s = failure_at(kind, {ends})
    assert f"within {limit_s:g} s" in failure["message"]
    assert failure["retryable"]


@pytest.mark.parametrize(
    ("kind", "ends", "said"),
    [
        pytest.param("flood_no_newline", "banner.too_long", "does not end", id="F11"),
        pytest.param("flood_lines", "banner.too_long", "without end", id="F11-lines"),
        pytest.param("http", "banner.not_ssh", "HTTP/1.1 400 Bad Request", id="F12"),
        pytest.param("ssh1", "banner.ssh1", "SSH 1.5", id="F13"),
        pytest.param("ignore_flood", "kex.protocol", "without end", id="F16"),
        pytest.param("huge_packet", "kex.protocol", "key exchange failed", id="F17"),
        pytest.param("zero_packet", "kex.protocol", "key exchange failed", id="F17-zero"),
    ],
)
def test_F11_F12_F13_F16_F17_who_speaks_no_ssh_is_told_so_at_once(kind, ends, said):
    """
    Floods, other protocols, SSH 1 and broken packets are named by what came, before the deadline,
    and are not worth another try.
    """
    failure, _ = failure_at(kind, {ends})
    assert said in failure["message"]
    assert not failure["retryable"]


def test_F08_a_reset_at_the_start_is_tried_again(loop):
    """
    A peer that resets every connection is tried until that is no use, and named for it.
    """
    with hostile_peer("reset") as (address, port):
        error, trace, _ = meet(settings_for(address, port, limit_s=PATIENCE_S), loop=loop)
    assert error.kind == "connect.reset"
    assert "(tried 3 times)" in str(error)
    assert error.failure.retryable
    assert trace.ran == "no"


def test_F18_a_reset_in_the_key_exchange_may_be_tried_again():
    """
    The connection is reset after the versions: phase kex, nothing ran, and --retries tries again.
    """
    with hostile_peer("reset_mid_kex") as (address, port):
        done = fleetctl(
            *words(address, port, PATIENCE_S), "--retries", "2", "--format", "json", "--", "true"
        )
    [host] = json.loads(done.out)["hosts"]
    assert done.code == 4
    assert host["failure"]["kind"] == "connect.reset"
    assert "during the key exchange" in host["failure"]["message"]
    assert host["failure"]["retryable"]
    assert (host["ran"], host["attempts"]) == ("no", 3)
    assert host["phases"]["kex_s"] is not None


@pytest.mark.parametrize("kind", ["no_common_kex", "no_common_hostkey"])
def test_F20_no_algorithm_in_common_is_not_tried_again(kind):
    """
    Both lists are in the message, and --retries changes nothing about it.
    """
    with hostile_peer(kind) as (address, port):
        done = fleetctl(
            *words(address, port, PATIENCE_S), "--retries", "2", "--format", "json", "--", "true"
        )
    [host] = json.loads(done.out)["hosts"]
    assert host["failure"]["kind"] == "kex.no_common"
    assert "made-up-" in host["failure"]["message"]
    assert "; offered " in host["failure"]["message"]
    assert (host["ran"], host["attempts"]) == ("no", 1)


def test_F21_a_real_sshd_with_weak_algorithms_needs_an_opt_in(fleet):
    """
    An sshd that has nothing but 3des and SHA-1 is refused, the option that lets it in is named, and
    with that option for this host, the login works.
    """
    lab_host = fleet.sshd("weak", {"Ciphers": "3des-cbc", "MACs": "hmac-sha1"})
    try:
        error = failed_login(fleet.model_host(lab_host))
        opted_in = fleet.model_host(lab_host, ciphers=("+3des-cbc",), macs=("+hmac-sha1",))
        login = log_in(opted_in)
    finally:
        fleet.stop(lab_host)
    assert error.kind == "kex.no_common"
    assert "no Ciphers in common: the server has 3des-cbc; offered" in str(error)
    assert "Ciphers: +NAME" in (error.failure.hint or "")
    assert login == (7, "publickey")


def test_F21_what_has_no_opt_in_says_so_too(fleet):
    """
    A server whose only key exchange uses SHA-1 is refused with both lists, whatever is set.
    """
    lab_host = fleet.sshd("sha1", {"KexAlgorithms": "diffie-hellman-group14-sha1"})
    try:
        errors = [
            failed_login(fleet.model_host(lab_host, kex_algorithms=lists))
            for lists in ((), ("+diffie-hellman-group14-sha1",))
        ]
    finally:
        fleet.stop(lab_host)
    for error in errors:
        assert isinstance(error, FleetError)
        assert error.kind == "kex.no_common"
        assert "diffie-hellman-group14-sha1" in str(error)
        assert error.failure.hint


# -- on a screen


@pytest.mark.parametrize("kind", ["binary_banner", "escape_lines", "disconnect", "long_reason"])
@pytest.mark.parametrize("style", ["stream", "gather", "oneline", "json", "ndjson"])
def test_F14_no_escape_of_a_peer_reaches_the_terminal(kind, style):
    """
    Whatever a peer says before anybody could trust it is shown, if at all, as visible text, in
    every format, on a real terminal, with colours on.
    """
    with (
        hostile_peer(kind) as (address, port),
        on_terminal(
            *words(address, port, 2.0), "--format", style, "--color", "always", "--", "true"
        ) as screen,
    ):
        ended = screen.wait(limit_s=PATIENCE_S)
    assert ended.code == 4
    shown = OURS.sub("", ended.out.replace("\r", ""))
    assert not FORBIDDEN.search(shown), FORBIDDEN.search(shown)
    # "owned" would be the title of the window, "31m" a colour: without their ESC they are words.
    assert "\x1b]" not in ended.out
    assert "\x1b[31mred" not in ended.out


def test_F14_the_words_of_a_peer_are_still_there_to_read():
    """
    Escapes become visible; what the peer said is not lost.
    """
    with hostile_peer("disconnect") as (address, port):
        done = fleetctl(*words(address, port, PATIENCE_S), "--", "true")
    assert "go away" in done.err + done.out
    assert r"\x1b]0;owned\x07" in done.err + done.out


# -- and all at once


def test_F06_F21_every_peer_in_one_run(tmp_path):
    """
    One run over all of them: each has its one result in time, of the kind it has alone, and the
    summary counts them.
    """
    with ExitStack() as stack:
        peers = {kind: stack.enter_context(hostile_peer(kind)) for kind in SCRIPTS}
        inventory = {
            kind: {"ssh": {"HostName": address, "Port": port}}
            for kind, (address, port) in peers.items()
        }
        path = tmp_path / "hosts.yml"
        path.write_text(json.dumps({"all": {"hosts": inventory}}))
        done = fleetctl(
            *("run", "-i", str(path), "all", "-T", "3", "-o", "UserKnownHostsFile=none"),
            *("--format", "json", "--", "true"),
        )
    assert done.code == 4, done.err
    results = done.results()
    assert set(results) == set(SCRIPTS)
    assert Counter(result["status"] for result in results.values()) == {"unreachable": len(SCRIPTS)}
    assert {result["ran"] for result in results.values()} == {"no"}
    assert all(result["failure"]["hint"] for result in results.values())
    assert max(result["duration_s"] for result in results.values()) < 3 + SLACK_S
