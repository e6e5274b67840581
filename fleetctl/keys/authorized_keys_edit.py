"""
Changing an authorized_keys file: keys go in and out, all other lines stay byte for byte.

No edit leaves two lines with one key that it was asked about. A key is put behind a last line
without a newline by ending that line first; the new line then ends in a mark of two blanks, so that
taking it out again gives the bytes there were. What an edit cannot give back is the absence of a
file: it leaves an empty one, which lets in as many.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from fleetctl.keys.authorized_keys_draft import (
    Draft,
    Edit,
    OnOtherOptions,
    Replacement,
    by_class,
    class_of,
    conflict,
    each_once,
    is_same,
    readable,
)
from fleetctl.keys.authorized_keys_lines import AuthorizedKey, KeyFileText, Line
from fleetctl.keys.authorized_keys_live import LETS_IN, LineState


def add_keys(
    text: KeyFileText,
    wanted: Iterable[AuthorizedKey],
    *,
    on_other_options: OnOtherOptions = "fail",
    states: Sequence[LineState] = (),
) -> Edit:
    """
    Let keys in.

    A key that is there with the same options is left as it is, its comment and place, too. A line
    with it that sshd skips is put right in its place if it has the same options.

    Args:
        on_other_options: What to do with a key that is there with other options.
        states: What `liveness` says of the lines; without it an expired line, and one that this
            server cannot read, is taken for one that counts.

    Raises:
        KeyConflict: ``on_other_options`` is ``fail``, and there are such keys.
        BadOptions: A wanted key cannot be written.
    """
    draft = Draft(text)
    skipped = {state.line.number for state in states if state.state not in LETS_IN}
    lines = by_class(text, lambda line: line.kind in ("key", "dead"))
    conflicts: list[Line] = []
    for key in each_once(wanted):
        there = lines.get(class_of(key), [])
        counting = [line for line in there if line.kind == "key" and line.number not in skipped]
        if not there:
            draft.append(key)
        elif any(is_same(line, key) for line in (counting or readable(there))[:1]):
            draft.unchanged.append(key)
        elif on_other_options == "replace" or _is_broken(there, counting, key):
            _put(draft, there, key)
        elif on_other_options == "keep":
            draft.kept.append(Replacement((counting or there)[0], key))
        else:
            conflicts.extend(there)
            _put(draft, there, key)
    edit = draft.finish()
    if conflicts:
        raise conflict(text, conflicts, edit, "the key is there with other options")
    return edit


def _is_broken(there: Sequence[Line], counting: Sequence[Line], key: AuthorizedKey) -> bool:
    """Is the wanted line there, in a form that sshd skips?"""
    return not counting and all(line.kind == "dead" and is_same(line, key) for line in there)


def _put(draft: Draft, there: Sequence[Line], key: AuthorizedKey) -> None:
    """Put a key in the place of the first of its lines, and take out the others."""
    draft.replace(there[0], key)
    for line in there[1:]:
        draft.remove(line)


def remove_keys(
    text: KeyFileText,
    blobs: Collection[bytes],
    *,
    also_disabled: bool = False,
    also_authorities: bool = True,
) -> Edit:
    """
    Take keys out: every line that has one of these blobs, whether sshd takes it or skips it.

    Args:
        also_disabled: Lines that are commented out, too.
        also_authorities: Lines that make the key an authority for certificates, too.
    """
    draft, unwanted = Draft(text), frozenset(blobs)
    kinds = {"key", "dead", "disabled"} if also_disabled else {"key", "dead"}
    for line in text.lines:
        if line.key is None or line.kind not in kinds or line.key.blob not in unwanted:
            continue
        if also_authorities or not line.key.is_authority:
            draft.remove(line)
    return draft.finish()


def set_exact(text: KeyFileText, wanted: Iterable[AuthorizedKey]) -> Edit:
    """
    Let these keys in, and no others. Comments, commented keys and blank lines stay.

    Lines that sshd skips go if there is a key in them: a newer sshd may read them.

    Raises:
        BadOptions: A wanted key cannot be written.
    """
    draft, keys = Draft(text), {class_of(key): key for key in each_once(wanted)}
    lines = by_class(text, lambda line: line.kind in ("key", "dead"))
    for identity, there in lines.items():
        key = keys.get(identity)
        right = next((line for line in readable(there) if key and is_same(line, key)), None)
        if key is not None and right is None:
            _put(draft, there, key)
            continue
        if key is not None:
            draft.unchanged.append(key)
        for line in there:
            if line is not right:
                draft.remove(line)
    for identity, key in keys.items():
        if identity not in lines:
            draft.append(key)
    return draft.finish()
