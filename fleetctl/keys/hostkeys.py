"""
The life-cycle of host keys over a fleet: looked at, enrolled, checked, replaced.

`ScanHostKeys` is what runs on each host. What its result means, and which keys may be written down,
is decided here from plain values; who writes them is somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from fleetctl.keys.evidence import Evidence, MeansName
from fleetctl.model.failure import Failure
from fleetctl.model.remote import Remote
from fleetctl.model.result import HostResult, Outcome

Verdict = Literal["trusted", "unknown", "changed", "revoked"]


@dataclass(frozen=True, slots=True)
class ScanHostKeys:
    """Look at the keys a host shows. Logs in to nobody, so it does the same in check mode."""

    @property
    def kind(self) -> str:
        return "hostkeys.scan"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Look; the host is ok if it showed a key, whatever that is worth.

        Raises:
            FleetError: ``resolve`` to ``kex`` and ``gateway``.
        """
        return Outcome(status="ok", data=dict(await remote.connect()))


@dataclass(frozen=True, slots=True)
class ScannedKey:
    """
    One key a host showed, and proved to hold.

    Attributes:
        key: The blob in base64.
        label: The type as ``ssh-keygen -l`` prints it.
        where: Lines of files the verdict comes from.
        note: What else there is to say about it.
    """

    key_type: str
    key: str
    bits: int
    label: str
    sha256: str
    md5: str
    randomart: tuple[str, ...]
    verdict: Verdict
    where: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ScannedHost:
    """
    What a host showed.

    Attributes:
        host: Name in the inventory.
        name: What it is called in known_hosts.
        verdict: On the key a login would see.
        message: Why, unless it is trusted.
    """

    host: str
    name: str
    verdict: Verdict
    message: str
    keys: tuple[ScannedKey, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All that somebody may call it."""
        return tuple(dict.fromkeys((self.name, self.host, _without_port(self.name))))


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What becomes of a host.

    Attributes:
        accepted: Keys to be written down.
        asked: Keys nobody vouches for; a person may.
        failure: Why nothing may be written, or None.
    """

    accepted: tuple[ScannedKey, ...] = ()
    asked: tuple[ScannedKey, ...] = ()
    failure: Failure | None = None


def read_scan(result: HostResult) -> ScannedHost:
    """Return what the result of `ScanHostKeys` says."""
    data = result.outcome.data
    return ScannedHost(
        host=result.host.name,
        name=str(data["name"]),
        verdict=cast("Verdict", data["verdict"]),
        message=str(data["message"]),
        keys=tuple(_read_key(key) for key in cast("Sequence[Mapping[str, object]]", data["keys"])),
    )


def _read_key(data: Mapping[str, object]) -> ScannedKey:
    return ScannedKey(
        key_type=str(data["type"]),
        key=str(data["key"]),
        bits=int(str(data["bits"])),
        label=str(data["label"]),
        sha256=str(data["sha256"]),
        md5=str(data["md5"]),
        randomart=tuple(cast("Sequence[str]", data["randomart"])),
        verdict=cast("Verdict", data["verdict"]),
        where=tuple(cast("Sequence[str]", data["where"])),
        note=str(data["note"]),
    )


def _without_port(name: str) -> str:
    host, bracket, _ = name.removeprefix("[").partition("]:")
    return host if bracket else name


def check_failure(scanned: ScannedHost) -> Failure | None:
    """Return why a host would be refused, or None if it is trusted."""
    if scanned.verdict == "trusted":
        return None
    return Failure(f"hostkey.{scanned.verdict}", scanned.message, hint=_hint(scanned))


def _hint(scanned: ScannedHost) -> str:
    match scanned.verdict:
        case "unknown":
            return "compare the fingerprint, then: fleetctl hostkeys enroll"
        case "changed":
            return "was it rebuilt? Compare the fingerprint, then: fleetctl hostkeys replace"
    return "do not log in; find out who answers at this address"


def decide(
    scanned: ScannedHost,
    evidence: Sequence[Evidence],
    means: MeansName,
    *,
    accept_all: bool,
    replacing: bool,
) -> Decision:
    """
    Decide which keys of a host may be written down.

    Args:
        evidence: What somebody vouches for; if there is any for the host, only that counts.
        means: How the names of evidence are read.
        accept_all: Take every key that is not known, as it is.
        replacing: A key that is known may make way for another.
    """
    if any(key.verdict == "revoked" for key in scanned.keys):
        return Decision(failure=check_failure(_as(scanned, "revoked")))
    unknown = tuple(key for key in scanned.keys if key.verdict != "trusted")
    is_changed = any(key.verdict == "changed" for key in unknown)
    is_trusted = any(key.verdict == "trusted" for key in scanned.keys)
    if not unknown or (is_trusted and not evidence):
        return Decision()
    if is_changed and not is_trusted and not replacing:
        return Decision(failure=check_failure(_as(scanned, "changed")))
    own = [one for one in evidence if one.is_for(scanned.names, means)]
    if evidence:
        vouched = tuple(
            key for key in unknown if any(one.shows(key.key, key.sha256, key.md5) for one in own)
        )
        if vouched or is_trusted:
            return Decision(accepted=vouched)
        return Decision(failure=_not_vouched(unknown, own))
    if accept_all:
        return Decision(accepted=unknown)
    return Decision(asked=unknown)


def _as(scanned: ScannedHost, verdict: Verdict) -> ScannedHost:
    """Return the host with this verdict, which one of its keys has, and what to say of it."""
    if scanned.verdict == verdict:
        return scanned
    key = next(key for key in scanned.keys if key.verdict == verdict)
    where = f" by {', '.join(key.where)}" if key.where else ""
    message = f"its key {key.sha256} is {verdict}{where}{f': {key.note}' if key.note else ''}"
    return ScannedHost(scanned.host, scanned.name, verdict, message, scanned.keys)


def _not_vouched(unknown: Sequence[ScannedKey], own: Sequence[Evidence]) -> Failure:
    shown = ", ".join(key.sha256 for key in unknown)
    if own:
        expected = ", ".join(dict.fromkeys(one.where or one.token for one in own))
        return Failure(
            "hostkey.changed",
            f"it shows {shown}, and none of that is what {expected} says",
            hint="do not log in; find out who answers at this address",
        )
    return Failure(
        "hostkey.unknown",
        f"nobody vouches for {shown}",
        hint="put its fingerprint into the file, as its console shows it",
    )


def shared_keys(hosts: Sequence[ScannedHost]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the fingerprints that several hosts show, each with those hosts' names."""
    found: dict[str, dict[str, None]] = {}
    for scanned in hosts:
        for key in scanned.keys:
            found.setdefault(key.sha256, {})[scanned.host] = None
    return tuple((sha256, tuple(names)) for sha256, names in found.items() if len(names) > 1)
