"""
Managed blocks of an authorized_keys file: the lines between two comments with a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleetctl.keys.authorized_keys_draft import (
    Draft,
    Edit,
    KeyConflict,
    OnOtherOptions,
    Replacement,
    by_class,
    class_of,
    conflict,
    each_once,
    is_same,
)
from fleetctl.keys.authorized_keys_lines import AuthorizedKey, KeyFileText, Line

_BEGIN, _END = "# BEGIN fleetctl ", "# END fleetctl "


def set_block(
    text: KeyFileText,
    name: str,
    wanted: Iterable[AuthorizedKey],
    *,
    on_other_options: OnOtherOptions = "fail",
) -> Edit:
    """
    Let exactly these keys in by a managed block: the lines between two comments with its name.

    Lines outside are somebody else's. A key that is there outside with the same options is not put
    into the block. Without keys there is no block.

    Args:
        name: What the block is called: no line break.
        on_other_options: What to do with a key outside that has other options; ``replace`` takes
            that line out.

    Raises:
        KeyConflict: ``on_other_options`` is ``fail``, and there are such keys; or the comments do
            not stand once each, in their order.
        BadOptions: A wanted key cannot be written.
    """
    bounds = _bounds(text, name)
    inside = range(0) if bounds is None else range(bounds[0] + 1, bounds[1])
    draft, conflicts = Draft(text), list[Line]()
    outside = by_class(
        text, lambda line: line.kind in ("key", "dead") and line.number not in inside
    )
    there = by_class(text, lambda line: line.kind in ("key", "dead") and line.number in inside)
    new: list[AuthorizedKey] = []
    kept_lines: set[int] = set()
    for key in each_once(wanted):
        foreign = outside.get(class_of(key), [])
        counting = [line for line in foreign if line.kind == "key"]
        if counting and is_same(counting[0], key):
            draft.unchanged.append(key)
            continue
        if counting and on_other_options == "keep":
            draft.kept.append(Replacement(counting[0], key))
            continue
        if counting and on_other_options == "fail":
            conflicts.extend(counting)
        for line in foreign:
            draft.remove(line)
        own = there.get(class_of(key), [])
        if own:
            kept_lines.add(own[0].number)
            if own[0].kind == "key" and is_same(own[0], key):
                draft.unchanged.append(key)
            else:
                draft.replace(own[0], key)
        else:
            new.append(key)
    for number in inside:
        if number not in kept_lines:
            draft.remove(text.lines[number - 1])
    _write_block(draft, name, bounds, new, is_kept=bool(kept_lines))
    edit = draft.finish()
    if conflicts:
        reason = "the key is there outside of the block, with other options"
        raise conflict(text, conflicts, edit, reason)
    return edit


def _write_block(
    draft: Draft,
    name: str,
    bounds: tuple[int, int] | None,
    new: Sequence[AuthorizedKey],
    *,
    is_kept: bool,
) -> None:
    """Put new keys into the block, make it if there is none, and take it out if it is empty."""
    draft.added.extend(new)
    lines = [key.render() for key in new]
    if bounds is None:
        if lines:
            draft.tail.extend([(_BEGIN + name).encode(), *lines, (_END + name).encode()])
        return
    begin, end = (draft.text.lines[number - 1] for number in bounds)
    if not lines and not is_kept:
        draft.remove(begin)
        draft.remove(end)
    elif lines:
        eol = begin.eol or draft.text.eol
        draft.new[end.number] = eol.join([*lines, end.raw])


def _bounds(text: KeyFileText, name: str) -> tuple[int, int] | None:
    """Return the numbers of the two comments around a block, None if there is none."""
    marks = {(_BEGIN + name).encode(): "begin", (_END + name).encode(): "end"}
    found = [
        (marks[line.raw.rstrip()], line)
        for line in text.lines
        if line.kind == "comment" and line.raw.rstrip() in marks
    ]
    if not found:
        return None
    if [mark for mark, _ in found] != ["begin", "end"]:
        where = ", ".join(str(line.number) for _, line in found)
        raise KeyConflict(
            f"line {where}: the comments around the block {name} do not stand once each, in order",
            [line for _, line in found],
        )
    return found[0][1].number, found[1][1].number


def block_names(text: KeyFileText) -> tuple[str, ...]:
    """Return the names of the managed blocks of a file, in their order."""
    begin = _BEGIN.encode()
    return tuple(
        line.raw.rstrip().removeprefix(begin).decode("utf-8", "surrogateescape")
        for line in text.lines
        if line.kind == "comment" and line.raw.startswith(begin)
    )
