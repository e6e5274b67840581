"""
Who gets in, for people at a terminal, and as comma-separated values. Text of hosts is escaped here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fleetctl.wiring.access import owner_of, safe_cell, visible_line, words

if TYPE_CHECKING:
    from fleetctl.wiring.access import (
        Access,
        Declared,
        HostAudit,
        HostPart,
        KeyFinding,
        Printer,
        Style,
        UserPart,
    )

#: Columns, where the output is no terminal.
COLUMNS = 80
#: Names of people are padded to the longest, and to no more than that.
_MAX_WHO = 14
_LABEL = 10
#: Files and hosts beyond that are only counted.
_MAX_NAMES = 400

_STYLES: Mapping[str, Style] = {"bad": "failed", "warning": "cancelled", "note": "faint"}
_WORDS = {"bad": "bad", "warning": "warn", "note": "note"}
_CHANGE_STYLES: Mapping[str, Style] = {"came": "ok", "went": "failed", "options": "cancelled"}
_CHANGES = {"came": "+", "went": "-", "options": "~"}

CSV_COLUMNS = (
    "host",
    "user",
    "person",
    "state",
    "why",
    "type",
    "bits",
    "fingerprint",
    "comment",
    "options",
    "path",
    "line",
    "sudo",
    "first_seen",
    "last_login",
    "findings",
)


def show_access(access: Access, out: Printer, *, with_notes: bool) -> None:
    """
    Print hosts with their users and keys, then what is wrong.

    Args:
        with_notes: Show what is only worth knowing, too; else it is counted.
    """
    columns = out.width or COLUMNS
    for number, part in enumerate(access.hosts):
        if number:
            out.write("\n")
        for line in _host_lines(part, out, columns):
            out.write(line + "\n")
    for block in (
        list(_failure_lines(access, out, columns)),
        list(_change_lines(access, out, columns)),
        list(_finding_lines(access, out, columns, with_notes=with_notes)),
    ):
        if block:
            out.write("\n" if access.hosts else "")
            for line in block:
                out.write(line + "\n")
    out.flush()


def summary_line(access: Access) -> str:
    """Return ``18 hosts, 5 keys that let in, 90 lines, 3 people``."""
    return ", ".join(f"{count} {noun}" for count, noun in access.counts)


def _host_lines(part: HostPart, out: Printer, columns: int) -> Iterator[str]:
    for line in words(_names(part.names, part.count), columns, separator=","):
        yield out.paint("strong", line)
    for source in part.sources:
        yield from _wrapped("  also ", visible_line(source), columns, indent=4)
    if not part.users:
        yield out.paint("faint", "  no keys")
    longest = max((len(key.who) for user in part.users for key in user.keys), default=0)
    width = min(longest, _MAX_WHO)
    for user in part.users:
        yield from _user_lines(user, out, columns)
        for key in user.keys:
            who = f"{visible_line(key.who):<{width}}  " if width else ""
            row = f"    {who}{key.label:<{_LABEL}} {key.fingerprint}"
            yield row if key.is_open else out.paint("faint", row)
            details = "; ".join(visible_line(detail) for detail in key.details)
            indent = 4 + len(who)
            for line in _wrapped(" " * indent, details, columns, indent=indent) if details else ():
                yield out.paint("faint", line)


def _user_lines(user: UserPart, out: Printer, columns: int) -> Iterator[str]:
    count = f" ({len(user.names)})" if len(user.names) > 1 else ""
    names = visible_line(", ".join(user.names)) + count
    notes = f" [{', '.join(user.notes)}]" if user.notes else ""
    yield from _wrapped("  ", names + notes, columns, indent=4)
    for path in user.paths:
        for line in _wrapped("    ", visible_line(path), columns, indent=4):
            yield out.paint("faint", line)


def _wrapped(lead: str, text: str, columns: int, *, indent: int) -> Iterator[str]:
    """Yield the text in lines, the first behind the lead, the others set in."""
    room = max(columns - max(len(lead), indent), 20)
    first, *rest = words(text, room, indent="")
    yield lead + first
    for line in rest:
        yield " " * indent + line


def _names(names: str, count: int) -> str:
    shown = visible_line(names)
    if len(shown) > _MAX_NAMES:
        shown = shown[: _MAX_NAMES - 1] + "…"
    return shown if count == 1 else f"{shown} ({count})"


def _failure_lines(access: Access, out: Printer, columns: int) -> Iterator[str]:
    for one in access.failures:
        text = f"{_names(one.names, one.count)}: {visible_line(one.message)}"
        for line in words(text, columns):
            yield out.paint("failed", line)


def _change_lines(access: Access, out: Printer, columns: int) -> Iterator[str]:
    if not access.changes:
        return
    since = min(one.before for one in access.changes)
    yield f"since the last audit ({since:%Y-%m-%d %H:%M}):"
    for one in access.changes:
        comment = f" ({visible_line(one.comment)})" if one.comment else ""
        other = ", with other options" if one.what == "options" else ""
        text = (
            f"{_names(one.names, one.count)} {visible_line(one.user)}: "
            f"{one.fingerprint}{comment}{other}"
        )
        for line in _wrapped(f"  {_CHANGES[one.what]} ", text, columns, indent=4):
            yield out.paint(_CHANGE_STYLES[one.what], line)


def _finding_lines(
    access: Access, out: Printer, columns: int, *, with_notes: bool
) -> Iterator[str]:
    for one in access.findings:
        if one.severity == "note" and not with_notes:
            continue
        users = f" {visible_line(_few(one.users))}" if one.users else ""
        word = f"{_WORDS[one.severity]:<4}"
        text = f"{one.kind}: {_names(one.names, one.count)}{users}: {visible_line(one.message)}"
        first, *rest = _wrapped(" " * len(word) + " ", text, columns, indent=7)
        yield out.paint(_STYLES[one.severity], word) + first[len(word) :]
        yield from rest
    notes = access.count_of("note")
    if notes and not with_notes:
        yield out.paint("faint", f"and {notes} note{'s' * (notes > 1)}: show them with --notes")


def _few(names: Sequence[str]) -> str:
    return ",".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def csv_lines(
    audits: Sequence[HostAudit],
    declared: Declared | None,
    findings: Iterable[KeyFinding],
    since: Mapping[tuple[str, str, str], str],
) -> Iterator[str]:
    """
    Yield one record per key, the header first; no spreadsheet takes a cell for a formula.

    Args:
        since: (host, user, fingerprint) -> when the key was seen first, RFC 3339.

    Source: RFC 4180.
    """
    kinds: dict[tuple[str, str, str], dict[str, None]] = {}
    for one in findings:
        kinds.setdefault((one.host, one.user, one.fingerprint), {})[one.kind] = None
    yield _record(CSV_COLUMNS)
    for audit in audits:
        for user in audit.users:
            for key in user.keys:
                place = audit.host, user.name, key.fingerprint
                options = (
                    name if value is None else f'{name}="{value}"' for name, value in key.options
                )
                yield _record(
                    (
                        audit.host,
                        user.name,
                        owner_of(key, declared),
                        key.state,
                        key.why,
                        key.type,
                        str(key.bits),
                        key.fingerprint,
                        key.comment,
                        ",".join(options),
                        key.path,
                        str(key.line),
                        user.sudo or "",
                        since.get(place, ""),
                        key.last_login or "",
                        " ".join(kinds.get(place, ())),
                    )
                )


def _record(cells: Sequence[str]) -> str:
    record = io.StringIO(newline="")
    csv.writer(record).writerow([safe_cell(cell) for cell in cells])
    return record.getvalue()
