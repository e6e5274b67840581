"""
Enrolling and replacing: decides for each scanned host, asks a person, and writes keys down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleetctl.cli.errors import say
from fleetctl.cli.hostkeys_scan import person_is_there
from fleetctl.cli.hostkeys_show import Line, brief, fingerprint_line
from fleetctl.cli.terminal import Person, Terminal
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.wiring import one_visible_line
from fleetctl.wiring.hostkeys import (
    Decision,
    Evidence,
    ScannedHost,
    ScannedKey,
    confirm_hosts,
    decide,
    learn_keys,
    means_name,
    parse_fingerprint,
    replace_keys,
)


@dataclass(frozen=True, slots=True)
class Vouching:
    """
    Who vouches for keys.

    Attributes:
        evidence: What files and the command line say; if there is any, only that counts.
        accept_all: Nobody needs to.
    """

    evidence: Sequence[Evidence] = ()
    accept_all: bool = False


@dataclass(slots=True)
class Enrolment:
    """
    One command's work after the scan.

    Attributes:
        replacing: A known key may make way for another.
        dry_run: Write nothing.
        seen_host_keys: File that remembers which key each host showed, and where.
        failures: Host name -> why nothing was written for it.
    """

    hosts: Mapping[str, Host]
    vouching: Vouching
    replacing: bool
    dry_run: bool
    seen_host_keys: Path
    failures: dict[str, Failure | None] = field(default_factory=dict)

    async def run(self, scanned: Sequence[ScannedHost], terminal: Terminal) -> list[Line]:
        """Decide, ask and write; return a line for each host."""
        accepted: list[tuple[ScannedHost, Sequence[ScannedKey]]] = []
        lines: dict[str, Line] = {}
        for found in scanned:
            decision = decide(
                found,
                self.vouching.evidence,
                means_name,
                accept_all=self.vouching.accept_all,
                replacing=self.replacing,
            )
            if decision.asked:
                decision = await self._asked(found, decision, terminal)
            if decision.failure is not None:
                lines[found.host] = self._failed(found, decision.failure)
            elif decision.accepted:
                accepted.append((found, decision.accepted))
            else:
                known = [key for key in found.keys if key.verdict == "trusted"]
                lines[found.host] = Line(found.host, "known", brief(known))
        if self.vouching.accept_all and accepted:
            who = "1 host was" if len(accepted) == 1 else f"{len(accepted)} hosts were"
            word = "its word" if len(accepted) == 1 else "their word"
            say(f"warning: {who} taken at {word}: nobody compared keys")
        if self.replacing:
            for found, keys in accepted:
                lines[found.host] = self._replace(found, keys)
        else:
            lines |= self._learn(accepted)
        self._confirm(accepted)
        return [lines[found.host] for found in scanned]

    async def _asked(self, found: ScannedHost, decision: Decision, terminal: Terminal) -> Decision:
        unknown = decision.asked
        may_ask = person_is_there(terminal) and not self.hosts[found.host].settings.batch_mode
        accepted = await ask_about(found, unknown, terminal) if may_ask else ()
        if accepted:
            return Decision(accepted=accepted)
        failure = Failure(
            "hostkey.changed" if found.verdict == "changed" else "hostkey.unknown",
            f"nobody vouched for {', '.join(key.sha256 for key in unknown)}",
        )
        return Decision(failure=failure)

    def _learn(
        self, accepted: Sequence[tuple[ScannedHost, Sequence[ScannedKey]]]
    ) -> dict[str, Line]:
        word = "would be enrolled" if self.dry_run else "enrolled"
        try:
            learned = learn_keys(
                [(self.hosts[found.host], keys) for found, keys in accepted], dry_run=self.dry_run
            )
        except (OSError, ValueError) as error:
            return {found.host: self._not_written(found, error) for found, _ in accepted}
        lines = {}
        for found, keys in accepted:
            refused = learned[found.host].refused
            if refused:
                failure = Failure(
                    "hostkey.changed", f"the file knows it otherwise by now: {refused}"
                )
                lines[found.host] = self._failed(found, failure)
            else:
                lines[found.host] = Line(found.host, word, brief(keys))
        return lines

    def _replace(self, found: ScannedHost, keys: Sequence[ScannedKey]) -> Line:
        trusted = [key for key in found.keys if key.verdict == "trusted"]
        try:
            learned = replace_keys(self.hosts[found.host], [*trusted, *keys], dry_run=self.dry_run)
        except (OSError, ValueError) as error:
            return self._not_written(found, error)
        if learned.kept:
            where = ", ".join(learned.kept)
            say(f"{found.host}: {where} still has another key: edit it by hand")
        word = "would be replaced" if self.dry_run else "replaced"
        places = f" | {', '.join(learned.lines)}" if learned.lines else ""
        return Line(found.host, word, f"{brief(keys)}{places}")

    def _confirm(self, accepted: Sequence[tuple[ScannedHost, Sequence[ScannedKey]]]) -> None:
        """Remember that these hosts may be where they are, with all keys that are theirs now."""
        confirmed = [
            (
                self.hosts[found.host],
                [key for key in found.keys if key in keys or key.verdict == "trusted"],
            )
            for found, keys in accepted
            if found.host not in self.failures
        ]
        if confirmed and not self.dry_run:
            try:
                confirm_hosts(self.seen_host_keys, confirmed)
            except OSError as error:
                say(f"warning: {self.seen_host_keys}: it was not written: {error.strerror}")

    def _not_written(self, found: ScannedHost, error: OSError | ValueError) -> Line:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        failure = Failure("hostkey.unknown", f"it could not be written: {where}{reason}")
        return self._failed(found, failure)

    def _failed(self, found: ScannedHost, failure: Failure) -> Line:
        self.failures[found.host] = failure
        return Line(found.host, failure.kind, failure.message)


async def ask_about(
    found: ScannedHost, keys: Sequence[ScannedKey], person: Person
) -> tuple[ScannedKey, ...]:
    """
    Show the keys of a host and return those a person vouches for.

    ``yes`` takes all, a fingerprint that key alone, ``no`` and no answer none.
    """
    lines = [f"{_title(found)} shows:"]
    for key in keys:
        lines.append(fingerprint_line(found, key, md5=False))
        lines += key.randomart
    if found.verdict == "changed":
        lines.append(one_visible_line(f"Careful: {found.message}"))
    question = "\n".join([*lines, "Write it down (yes/no/fingerprint)? "])
    while True:
        answer = await person.ask(question)
        if answer is None or answer.strip().lower() in ("no", "n"):
            return ()
        if answer.strip().lower() == "yes":
            return tuple(keys)
        token = parse_fingerprint(answer)
        matching = tuple(key for key in keys if token in (key.sha256, key.md5))
        if matching:
            return matching
        question = "Type yes, no or a fingerprint: "


def _title(found: ScannedHost) -> str:
    """Return the host's name in the inventory, and in known_hosts if that is another."""
    shown = found.host if found.host == found.name else f"{found.host} ({found.name})"
    return one_visible_line(shown)
