"""
What is said to people of a change that took keys away: lines made of an outcome's data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from fleetctl.model.result import ExecResult, Outcome
from fleetctl.ssh.fingerprint import label_of

_VERDICTS = {
    "refused": "is refused now",
    "accepted": "still logs in",
    "unproved": "was not tried: its private half is not here",
}


def with_words(outcome: Outcome, *, planned: bool = False) -> Outcome:
    """
    Return the outcome with lines for people, as what the host has to say: equal ones are shown
    once.

    Args:
        planned: Nothing was done.
    """
    text = "".join(f"{line}\n" for line in _lines(outcome.data, planned=planned))
    data = text.encode("utf-8", "surrogateescape")
    return replace(
        outcome, result=ExecResult(exit_status=None, stdout=data, stdout_bytes=len(data))
    )


def said_of_backups(backups: Sequence[Mapping[str, object]]) -> Outcome:
    """Return the outcome of a look at backups, newest first, one line each with its number."""
    lines = [
        f"{number}  {one['at']}  {one['size']} bytes\n   {str(one['path']).rpartition('/')[2]}\n"
        for number, one in enumerate(backups, 1)
    ]
    text = "".join(lines).encode("utf-8", "surrogateescape") or b"no backups\n"
    result = ExecResult(exit_status=None, stdout=text, stdout_bytes=len(text))
    return Outcome("ok", data={"backups": list(backups)}, result=result)


def _lines(data: Mapping[str, object], *, planned: bool) -> Iterator[str]:
    would = "would be " if planned else ""
    added, removed = _rows(data, "added"), _rows(data, "removed")
    proof = cast("Mapping[str, str]", data.get("proof") or {})
    restored = cast("Mapping[str, object] | None", data.get("restored"))
    if restored is not None:
        name = str(restored["path"]).rpartition("/")[2]
        yield f"{would}restored: {name}"
        yield f"  of {restored['at']}"
    for key in added:
        yield f"{would}added: {_show(key)}"
    shown = set()
    for key in removed:
        yield f"{would}removed: {_show(key)}"
        fingerprint = str(key["fingerprint"])
        if fingerprint in proof and fingerprint not in shown:
            yield f"  {_VERDICTS[proof[fingerprint]]}"
        shown.add(fingerprint)
    if not (restored or added or removed):
        yield "nothing to change"
    for fingerprint, verdict in proof.items():
        if fingerprint not in shown:
            yield f"{fingerprint} {_VERDICTS[verdict]}"
    yield f"file: {data['file']}"
    if data.get("confirmed_by"):
        yield f"confirmed by a login: {data['confirmed_by']}"
    for place in _rows(data, "elsewhere"):
        yield f"another way in: {place['setting']} {place['path']}"
    if data.get("forced"):
        yield f"forced, although {data['forced']}"
    for note in cast("Sequence[str]", data.get("notes") or ()):
        yield f"note: {note}"


def _rows(data: Mapping[str, object], name: str) -> Sequence[Mapping[str, object]]:
    return cast("Sequence[Mapping[str, object]]", data.get(name) or ())


def _show(key: Mapping[str, object]) -> str:
    parts = (label_of(str(key["type"])), key["fingerprint"], key["comment"])
    return " ".join(str(part) for part in parts if part)
