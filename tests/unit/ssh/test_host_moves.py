"""
A host of the inventory that is at another address: the same one, or somebody else's.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.ssh.host_key_check import HostKeyCheck
from fleetctl.ssh.host_key_learning import HostKeyLearner
from fleetctl.ssh.host_verdict import HostKeyFiles, ShownKey
from fleetctl.ssh.identity import fingerprint
from fleetctl.ssh.seen_host_keys import SeenHostKeys, Sighting, write_sightings
from tests.support.drive import run_async
from tests.unit.ssh.keys import ECDSA, ED25519, blob, known, line

INVENTORY = "/inventories/prod.yml"
OLD, NEW = "10.0.0.1", "[10.0.0.2]:2222"
MOVED = Host(
    "web1",
    settings=HostSettings(
        hostname="10.0.0.2",
        port=2222,
        strict_host_key_checking="yes",
        origin={"HostName": f"{INVENTORY}:7"},
    ),
)


def sha256(key_type: str, seed: int) -> str:
    return fingerprint(blob(key_type, seed))


def checked(tmp_path, host, *, trusted, seen, shown):
    """
    Return the check of a host, and what it says of the key a host shows.

    Args:
        trusted: Lines of known_hosts.
        seen: Name -> how it was seen the last time.
        shown: Type and seed of the key.
    """
    path = tmp_path / "seen"
    write_sightings(path, {(INVENTORY, name): sighting for name, sighting in seen.items()})
    remembered = SeenHostKeys(path)
    run_async(remembered.load)
    files = HostKeyFiles(known(tmp_path, *trusted))
    check = HostKeyCheck(host, files, None, print, HostKeyLearner(), seen=remembered)
    return check, check.judge(ShownKey(shown[0], blob(*shown)))


#: What the case is about -> how web1 was seen, what is trusted besides, the key shown, the verdict.
CASES = {
    "never seen": ({}, [], (ED25519, 2), "trusted"),
    "same key": (
        {"web1": Sighting(OLD, {ED25519: sha256(ED25519, 2)})},
        [],
        (ED25519, 2),
        "trusted",
    ),
    "other key": (
        {"web1": Sighting(OLD, {ED25519: sha256(ED25519, 1)})},
        [line(OLD, seed=1)],
        (ED25519, 2),
        "changed",
    ),
    "same place, other key": (
        {"web1": Sighting(NEW, {ED25519: sha256(ED25519, 1)})},
        [],
        (ED25519, 2),
        "trusted",
    ),
    "rotated before it moved": (
        {"web1": Sighting(OLD, {ED25519: sha256(ED25519, 1)})},
        [line(OLD, seed=2)],
        (ED25519, 2),
        "trusted",
    ),
    "key of another type": (
        {"web1": Sighting(OLD, {ED25519: sha256(ED25519, 1)})},
        [],
        (ECDSA, 2),
        "trusted",
    ),
    "another host's key of another type": (
        {
            "web1": Sighting(OLD, {ED25519: sha256(ED25519, 1)}),
            "web2": Sighting(NEW, {ECDSA: sha256(ECDSA, 2)}),
        },
        [],
        (ECDSA, 2),
        "changed",
    ),
    "one of two keys is the same": (
        {"web1": Sighting(OLD, {ECDSA: sha256(ECDSA, 2), ED25519: sha256(ED25519, 1)})},
        [],
        (ECDSA, 2),
        "trusted",
    ),
    "not trusted at all": (
        {"web1": Sighting(OLD, {ED25519: sha256(ED25519, 1)})},
        [line(NEW, seed=3)],
        (ED25519, 4),
        "changed",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_S15_a_host_at_another_address(tmp_path, case):
    """
    S15: trusted is who shows a key of the host that was there before; whose key was another host's
    is refused, though the files know the key at the new address.
    """
    seen, trusted, shown, expected = CASES[case]
    own = [] if case == "not trusted at all" else [line(NEW, *shown)]
    _, judgement = checked(tmp_path, MOVED, trusted=[*own, *trusted], seen=seen, shown=shown)
    assert judgement.verdict == expected


def test_S15_the_refusal_says_where_the_host_was(tmp_path):
    """
    S15: both addresses, both fingerprints, and the command that confirms the move.
    """
    seen, trusted, shown, _ = CASES["other key"]
    check, judgement = checked(
        tmp_path, MOVED, trusted=[line(NEW, seed=2), *trusted], seen=seen, shown=shown
    )
    error = check.refusal(judgement, ShownKey(ED25519, blob(*shown)))
    assert error.kind == "hostkey.changed"
    assert str(error) == (
        f"it was at 10.0.0.1 with {sha256(ED25519, 1)}; 10.0.0.2 port 2222 shows "
        f"{sha256(ED25519, 2)}, which is known as another host"
    )
    assert (error.failure.hint or "").endswith("fleetctl hostkeys replace web1")


def test_S15_all_keys_of_a_host_that_moved_are_in_doubt(tmp_path):
    """
    S15: whoever scans its other keys must not take those for trusted.
    """
    seen, trusted, shown, _ = CASES["other key"]
    lines = [line(NEW, seed=2), line(NEW, ECDSA, 5), *trusted]
    check, judgement = checked(tmp_path, MOVED, trusted=lines, seen=seen, shown=shown)
    assert judgement.verdict == "changed"
    assert check.judge(ShownKey(ECDSA, blob(ECDSA, 5))).verdict == "changed"


def test_nobody_is_held_to_his_place_without_checking(tmp_path):
    """
    StrictHostKeyChecking no takes what the files trust; so does a host given an address with -o.
    """
    seen, trusted, shown, _ = CASES["other key"]
    for change in (
        {"strict_host_key_checking": "no"},
        {"origin": {"HostName": "-o"}},
        {"origin": {"HostName": "/inventories/other.yml:7"}},
    ):
        host = replace(MOVED, settings=replace(MOVED.settings, **change))
        _, judgement = checked(
            tmp_path, host, trusted=[line(NEW, seed=2), *trusted], seen=seen, shown=shown
        )
        assert judgement.verdict == "trusted"


def test_an_alias_is_a_place_of_its_own(tmp_path):
    """
    A host with HostKeyAlias may have any address: the alias says who it is.
    """
    aliased = replace(MOVED, settings=replace(MOVED.settings, host_key_alias="web1.key"))
    seen = {"web1": Sighting("web1.key", {ED25519: sha256(ED25519, 1)})}
    trusted = [line("web1.key", seed=2)]
    _, judgement = checked(tmp_path, aliased, trusted=trusted, seen=seen, shown=(ED25519, 2))
    assert judgement.verdict == "trusted"
    trusted.append(line(NEW, seed=2))
    _, judgement = checked(tmp_path, MOVED, trusted=trusted, seen=seen, shown=(ED25519, 2))
    assert judgement.verdict == "trusted", "the same key as the alias has"
    _, judgement = checked(
        tmp_path, MOVED, trusted=[line(NEW, seed=3)], seen=seen, shown=(ED25519, 3)
    )
    assert judgement.verdict == "changed"
