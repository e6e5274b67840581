"""
How long files may be.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MAX_LINES = 400
#: File (from the project's root) -> why it may be longer than MAX_LINES.
LONG_FILES: dict[str, str] = {
    "fleetctl/ssh/loop_transport.py": "owns every private name of Paramiko",
}


def long_files(sizes: dict[str, int]) -> list[str]:
    """Return the files over the limit that have no reason in the table."""
    return [f"{name}: {n}" for name, n in sizes.items() if n > MAX_LINES and name not in LONG_FILES]


def test_no_file_is_long_without_a_reason():
    """
    A file over 400 lines is two things, unless the table says why it is one.
    """
    sizes = {
        file.relative_to(ROOT).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
        for folder in (ROOT / "fleetctl", ROOT / "tests")
        for file in sorted(folder.rglob("*.py"))
    }
    assert long_files(sizes) == []
    assert [name for name in LONG_FILES if sizes.get(name, 0) <= MAX_LINES] == []
    assert long_files({"fleetctl/a.py": 401, "fleetctl/b.py": 400}) == ["fleetctl/a.py: 401"]
