"""
Unified diffs between outputs.
"""

from __future__ import annotations

import difflib
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.sinks import diff
from fleetctl.sinks.diff import Edit, compare, unified

TEXTS = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"d\n"]), max_size=30)


def written(old: bytes, new: bytes) -> bytes:
    """Return the diff as diff(1) writes it, without its header."""
    text = b""
    for item in unified(old, new):
        if isinstance(item, str):
            text += item.encode() + b"\n"
            continue
        text += item.mark.encode() + item.line
        if not item.line.endswith(b"\n"):
            text += b"\n\\ No newline at end of file\n"
    return text


@given(TEXTS, TEXTS)
def test_edits_are_both_texts(old, new):
    """
    What is not added is the old text, what is not removed is the new one.
    """
    edits = compare(old, new)
    assert [edit.line for edit in edits if edit.mark != "+"] == old
    assert [edit.line for edit in edits if edit.mark != "-"] == new


@given(TEXTS, TEXTS)
def test_no_diff_is_shorter(old, new):
    """
    Never more lines are changed than difflib would change.
    """
    ours = sum(edit.mark != " " for edit in compare(old, new))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    equal = sum(block.size for block in matcher.get_matching_blocks())
    assert ours <= len(old) + len(new) - 2 * equal


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs patch(1)")
def test_patch_makes_the_new_text_of_the_old_one(tmp_path: Path):
    """
    patch(1) reads our diffs, with and without context and newlines at the end.
    """
    choose = random.Random(7)
    for case in range(60):
        old = b"".join(b"%d\n" % choose.randrange(40) for _ in range(40))
        lines = old.splitlines(keepends=True)
        for _ in range(choose.randrange(1, 6)):
            lines[choose.randrange(len(lines))] = choose.choice([b"", b"new\n", b"1\n2\n"])
        new = b"".join(lines) + (b"end" if case % 3 == 0 else b"")
        file = tmp_path / "text"
        file.write_bytes(old)
        patch = b"--- text\n+++ text\n" + written(old, new)
        subprocess.run(["patch", "-s", str(file)], input=patch, check=True)
        assert file.read_bytes() == new


def test_equal_texts_have_no_diff():
    """
    Nothing is yielded for equal texts.
    """
    assert list(unified(b"a\nb", b"a\nb")) == []


def test_S04_search_for_the_shortest_diff_is_given_up(monkeypatch):
    """
    S04: texts made to be slow to compare are shown as replaced, and are still right.
    """
    monkeypatch.setattr(diff, "MAX_CHANGES", 5)
    old, new = [b"a\n", b"b\n"] * 50, [b"b\n", b"c\n", b"a\n"] * 40
    edits = compare(old, new)
    assert [edit.mark for edit in edits] == ["-"] * 100 + ["+"] * 120
    assert [edit.line for edit in edits if edit.mark != "-"] == new


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        (b"", b"a\n", "@@ -0,0 +1 @@"),
        (b"a\n", b"", "@@ -1 +0,0 @@"),
        (b"a\nb\n", b"a\nc\n", "@@ -1,2 +1,2 @@"),
    ],
)
def test_ranges_are_written_as_diff_writes_them(old, new, first):
    """
    A range of one line is its number; an empty one is named by the line before it.
    """
    assert next(iter(unified(old, new))) == first


def test_without_context_only_changes_are_yielded():
    """
    With no context every edit is a change.
    """
    old = b"".join(b"%d\n" % n for n in range(20))
    items = list(unified(old, old.replace(b"7\n", b"x\n"), context=0))
    assert {item.mark for item in items if isinstance(item, Edit)} == {"-", "+"}
