"""
The difference between two versions of a file, as diff -u prints it.
"""

from __future__ import annotations

import random
import subprocess
import time

import pytest

from fleetctl.keys.file_diff import diff_files


def by_diff(tmp_path, before, after):
    """Return what diff(1) prints, without the times of the files."""
    for name, data in (("a", before), ("b", after)):
        (tmp_path / name).write_bytes(data)
    shown = subprocess.run(
        ["diff", "-u", "--label", "keys", "--label", "keys", tmp_path / "a", tmp_path / "b"],
        capture_output=True,
        check=False,
    )
    return shown.stdout.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\nb\nc\n", b"a\nx\nc\n"),
        (b"a\nb\nc\nd\ne\nf\ng\nh\n", b"a\nb\nc\nd\ne\nf\ng\nh\ni\n"),
        (b"a\nb\nc\nd\ne\nf\ng\nh\n", b"x\na\nb\nc\nd\ne\nf\ng\nh\n"),
        (b"a", b"a\n"),
        (b"a\nb", b"a\nb\nc"),
        (b"a\nb\n", b"a"),
        (b"", b"a\n"),
        (b"a\n", b""),
        (b"a\n\n\n\n\n\n\n\n\nb\n", b"x\n\n\n\n\n\n\n\n\ny\n"),
        (b"-- a\n++ b\n", b"-- b\n++ a\n"),
        (b"--- a\n", b"+++ a\n"),
        (b"-- a", b"++ a"),
    ],
)
def test_it_is_what_diff_prints(tmp_path, before, after):
    """
    Hunks, context and missing newlines, also for lines that look like headings.
    """
    assert diff_files(before, after, "keys") == by_diff(tmp_path, before, after)


def test_equal_files_have_no_difference():
    """
    Nothing is nothing.
    """
    assert diff_files(b"a", b"a") == ""
    assert diff_files(None, None) == ""


def test_an_absent_file_is_told_from_an_empty_one():
    """
    A file that comes into being says so, even without a line.
    """
    assert diff_files(None, b"a\n").splitlines() == [
        "--- /dev/null",
        "+++ authorized_keys",
        "@@ -0,0 +1 @@",
        "+a",
    ]
    assert diff_files(None, b"").splitlines() == ["--- /dev/null", "+++ authorized_keys"]


def test_bytes_that_are_no_text_are_shown_in_ascii():
    """
    A difference is text, whatever is in the files.
    """
    assert "+\\xff\\xfe" in diff_files(b"", b"\xff\xfe\n")


def test_a_change_in_ten_thousand_lines_takes_no_time():
    """
    What is the same at both ends is not compared again and again.
    """
    lines = [b"same\n"] * 5_000 + [b"x%d\n" % n for n in range(5_000)]
    begin = time.process_time()
    assert diff_files(b"".join(lines), b"".join([*lines, b"new\n"])).count("\n") == 7
    random.Random(1).shuffle(lines)
    diff_files(b"".join(lines), b"".join(sorted(lines)))
    assert time.process_time() - begin < 20
