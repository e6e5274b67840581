"""
Which host keys may be written down: evidence, and the decision about each host.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from fnmatch import fnmatchcase
from typing import Literal

import pytest

from fleetctl.keys.evidence import Evidence, parse_evidence, parse_fingerprint
from fleetctl.keys.hostkeys import (
    ScanHostKeys,
    ScannedHost,
    ScannedKey,
    check_failure,
    decide,
    read_scan,
    shared_keys,
)
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.result import HostResult
from fleetctl.testing import ScriptedRemote

Verdict = Literal["trusted", "unknown", "changed", "revoked"]

A43, B43, C43 = "A" * 43, "B" * 43, "C" * 43
MD5 = "47:75:8e:28:df:b9:a7:98:ed:e2:80:58:0c:a8:6d:2e"
LINE_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAINd0nxsCD3CnT/L6Enxu/VvrjOTXfS1xSWSai8pff3ve"


def key(
    letter: str = "A", verdict: Verdict = "unknown", key_type: str = "ssh-ed25519"
) -> ScannedKey:
    return ScannedKey(
        key_type=key_type,
        key=f"key-{letter}",
        bits=256,
        label="ED25519",
        sha256=f"SHA256:{letter * 43}",
        md5=f"MD5:{letter.lower() * 2}:",
        randomart=(),
        verdict=verdict,
        where=("known_hosts:3",) if verdict != "unknown" else (),
    )


def host(
    *keys: ScannedKey, verdict: Verdict | None = None, name: str = "[web1]:2222"
) -> ScannedHost:
    return ScannedHost("web1.example.org", name, verdict or keys[0].verdict, "why", keys)


def means(names: str, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in names.replace("[", "[[]").split(","))


def decision(scanned: ScannedHost, *evidence: Evidence, accept_all=False, replacing=False):
    return decide(scanned, evidence, means, accept_all=accept_all, replacing=replacing)


# -- evidence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"SHA256:{A43}", f"SHA256:{A43}"),
        (f"  {A43}=\n", f"SHA256:{A43}"),
        (MD5, f"MD5:{MD5}"),
        (f"MD5:{MD5.upper()}", f"MD5:{MD5}"),
        (A43[:-1], None),
        (f"sha1:{A43}", None),
        ("yes", None),
        ("", None),
    ],
)
def test_fingerprints_are_recognised_in_every_way_they_are_written(text, expected):
    """
    With or without the name of the digest and the padding; nothing else is one.
    """
    assert parse_fingerprint(text) == expected


def test_a_file_of_evidence_has_lines_of_several_kinds():
    """
    ssh-keyscan, ssh-keygen -l, a name and a fingerprint, a fingerprint alone; no comments.
    """
    found = parse_evidence(
        f"""
# from the consoles
web1,10.0.0.1 ssh-ed25519 {LINE_KEY} a comment
256 SHA256:{A43} root@web2 (ED25519)
256 SHA256:{B43} no comment (ED25519)
256 MD5:{MD5} [web3]:2222 (ED25519)
web4 SHA256:{C43}
{MD5}
""",
        file="list",
    )
    assert [(one.names, one.token, one.where) for one in found] == [
        ("web1,10.0.0.1", LINE_KEY, "list:3"),
        ("web2", f"SHA256:{A43}", "list:4"),
        ("", f"SHA256:{B43}", "list:5"),
        ("[web3]:2222", f"MD5:{MD5}", "list:6"),
        ("web4", f"SHA256:{C43}", "list:7"),
        ("", f"MD5:{MD5}", "list:8"),
    ]


@pytest.mark.parametrize(
    "line", ["web1", f"@revoked * ssh-ed25519 {LINE_KEY}", f"web1 ssh-rsa {LINE_KEY}", "a b c"]
)
def test_a_line_that_is_no_evidence_is_a_problem(line):
    """
    All bad lines are told, each with its number; an empty file is a mistake, too.
    """
    with pytest.raises(UsageError) as caught:
        parse_evidence(f"{line}\n\n{line}\n", file="list")
    assert [problem.where for problem in caught.value.problems] == ["list:1", "list:3"]
    with pytest.raises(UsageError, match="no host key and no fingerprint"):
        parse_evidence("# nothing\n", file="list")


# -- decisions


def test_S12_without_anybody_to_vouch_a_person_is_asked():
    """
    S12: an unknown key is neither taken nor forgotten.
    """
    found = decision(host(key("A"), key("B")))
    assert (found.accepted, found.failure) == ((), None)
    assert [one.sha256[7] for one in found.asked] == ["A", "B"]


def test_accepting_all_takes_what_is_not_known():
    """
    --yes takes unknown keys of an unknown host.
    """
    found = decision(host(key("A"), key("B")), accept_all=True)
    assert [one.sha256[7] for one in found.accepted] == ["A", "B"]


def test_a_known_host_has_nothing_to_be_written():
    """
    A trusted key vouches for no other key of its host: who is in the middle could show it.
    """
    scanned = host(key("A", "trusted"), key("B", "changed"))
    for replacing in (False, True):
        found = decision(scanned, accept_all=True, replacing=replacing)
        assert (found.accepted, found.asked, found.failure) == ((), (), None)


def test_evidence_takes_the_key_it_is_for_and_no_other():
    """
    Only keys that somebody vouches for are written, also of a host that is known already.
    """
    evidence = Evidence(f"SHA256:{B43}", "web1.example.org")
    assert [one.sha256[7] for one in decision(host(key("A"), key("B")), evidence).accepted] == ["B"]
    known = host(key("A", "trusted"), key("B", "changed"))
    assert [one.sha256[7] for one in decision(known, evidence).accepted] == ["B"]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("", None),
        ("web1", None),
        ("web1.example.org", None),
        ("[web1]:2222", None),
        ("web*", None),
        ("web2", "hostkey.unknown"),
    ],
)
def test_evidence_counts_for_the_hosts_it_names(names, kind):
    """
    Its name in the inventory, in known_hosts, or the first label; no name is any host's.
    """
    found = decision(host(key("A")), Evidence(f"SHA256:{A43}", names))
    assert (found.failure.kind if found.failure else None) == kind


def test_F23_a_host_that_shows_something_else_than_vouched_for_is_refused():
    """
    F23: somebody knows its key, and that is not what it shows.
    """
    found = decision(host(key("A")), Evidence(f"SHA256:{B43}", "web1", "list:7"), accept_all=True)
    assert found.failure.kind == "hostkey.changed"
    assert "list:7" in found.failure.message


def test_F23_a_changed_key_needs_replacing():
    """
    F23: enrolling never gives a known host another key; replacing does, with the same care.
    """
    scanned = host(key("A", "changed"))
    assert decision(scanned, accept_all=True).failure.kind == "hostkey.changed"
    assert decision(scanned, replacing=True).asked
    assert decision(scanned, accept_all=True, replacing=True).accepted
    vouched = decision(scanned, Evidence(f"SHA256:{A43}"), replacing=True)
    assert vouched.accepted


@pytest.mark.parametrize("replacing", [False, True])
def test_F24_a_revoked_key_ends_it(replacing):
    """
    F24: whoever vouches, a host with a revoked key gets nothing written.
    """
    scanned = host(key("A"), key("B", "revoked"))
    found = decision(scanned, Evidence(f"SHA256:{A43}"), accept_all=True, replacing=replacing)
    assert found.failure.kind == "hostkey.revoked"
    assert "known_hosts:3" in found.failure.message


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [("trusted", None), ("unknown", "hostkey.unknown"), ("changed", "hostkey.changed")],
)
def test_a_check_fails_as_a_run_would(verdict, kind):
    """
    The kind is the one a run would end with, and the hint says what to type.
    """
    failure = check_failure(host(key("A", verdict)))
    assert (failure.kind if failure else None) == kind
    assert failure is None or "fleetctl hostkeys" in (failure.hint or "")


def test_hosts_with_one_key_are_found():
    """
    S15: each fingerprint that several hosts show, with their names.
    """
    one, two = host(key("A"), key("B")), host(key("A"))
    other = ScannedHost("web2", "web2", "unknown", "", (key("A"),))
    assert shared_keys([one, two]) == ()
    assert shared_keys([one, other]) == ((f"SHA256:{A43}", ("web1.example.org", "web2")),)


def test_a_scan_is_read_back_from_its_result():
    """
    What the operation returns is JSON, and nothing is lost on the way.
    """
    scanned = ScannedHost("web1", "[web1]:2222", "unknown", "nobody knows it", (key("A"),))
    [shown] = dataclasses.asdict(scanned)["keys"]
    facts = {
        "name": scanned.name,
        "verdict": scanned.verdict,
        "message": scanned.message,
        "keys": [{**shown, "type": shown["key_type"]}],
    }
    remote = ScriptedRemote(facts=json.loads(json.dumps(facts)))
    outcome = asyncio.run(ScanHostKeys().run(remote, check=True))
    assert (outcome.status, outcome.changed) == ("ok", False)
    assert read_scan(HostResult(host=Host("web1"), outcome=outcome)) == scanned
