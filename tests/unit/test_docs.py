"""
The documents say what is so: examples are run, links lead somewhere, tables match the code.

How an example is written: every fenced ``console`` block is run, command after command, in one
folder per document. A lab of twenty hosts is running, unless the document starts one itself.
Standard output is a terminal and standard error follows it, as a reader would see them. In the
expected text a line ``...`` stands for any lines, ``...`` inside a line for any text, and times
are not compared. Only exported variables live on from one command to the next. A fenced block
marked ``file=NAME`` is written to that folder first.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetctl.model.failure import KINDS, exit_code_of, status_of

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *(ROOT / "docs").rglob("*.md")],
)
LAB_HOSTS = 20


@dataclass(frozen=True)
class Block:
    """A fenced block: ``info`` is the text behind the fence, such as ``yaml file=web.yml``."""

    info: str
    lines: tuple[str, ...]
    line: int

    @property
    def file_name(self) -> str | None:
        found = re.search(r"\bfile=(\S+)", self.info)
        return found[1] if found else None

    @property
    def is_run(self) -> bool:
        return self.info == "console"


@dataclass(frozen=True)
class Step:
    """One command of a console block and the lines shown under it."""

    command: str
    expected: tuple[str, ...]
    line: int


def blocks(text: str) -> Iterator[Block]:
    info: str | None = None
    start, lines = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if info is None and (fence := re.match(r"```(\S.*)?$", line)):
            info, start, lines = (fence[1] or "").strip(), number + 1, []
        elif info is not None and line == "```":
            yield Block(info, tuple(lines), start)
            info = None
        elif info is not None:
            lines.append(line)
    assert info is None, f"the fence opened before line {start} is never closed"


def steps(block: Block) -> list[Step]:
    """Split a console block at its prompts; a command may go on behind a backslash."""
    found: list[tuple[int, list[str], list[str]]] = []
    for number, line in enumerate(block.lines, block.line):
        if line.startswith("$ "):
            found.append((number, [line[2:]], []))
        elif found[-1][1][-1].endswith("\\") and not found[-1][2]:
            found[-1][1].append(line)
        else:
            found[-1][2].append(line)
    return [Step("\n".join(command), tuple(shown), number) for number, command, shown in found]


def without_times(text: str) -> str:
    return re.sub(r"\b(\d+ min )?\d+(\.\d+)? ?(ms|s)\b", "N s", text)


def matches(expected: tuple[str, ...], shown: str) -> bool:
    """Compare what a document shows with what a command printed."""
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            parts = without_times(line.rstrip()).split("...")
            pattern += r"[^\n]*".join(re.escape(part) for part in parts) + r"[ \t]*\n"
    text = without_times(shown.replace("\r\n", "\n"))
    return (
        re.fullmatch(pattern, text if not text or text.endswith("\n") else text + "\n") is not None
    )


def run_on_terminal(command: str, *, folder: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """
    Run a shell command with a terminal as standard output.

    Returns:
        Exit status, and standard output followed by standard error.
    """
    master, slave = os.openpty()
    shown = b""
    with (folder / ".stderr").open("w+b") as errors:
        child = subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=errors,
        )
        os.close(slave)
        try:
            while True:
                has_ended = child.poll() is not None
                if select.select([master], [], [], 0.05)[0]:
                    try:
                        data = os.read(master, 65536)
                    except OSError:  # EIO: nobody has the terminal open any more
                        break
                    shown += data
                elif has_ended:
                    break
            status = child.wait()
        finally:
            child.kill()
            child.wait()
            os.close(master)
        errors.seek(0)
        return status, (shown + errors.read()).decode()


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing of the user's own configuration is seen."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "fleetctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fleetctl "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ.get('PATH', '')}:/usr/sbin",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }


def documents_with_examples() -> list[Path]:
    return [
        path
        for path in DOCUMENTS
        if any(block.is_run for block in blocks(path.read_text(encoding="utf-8")))
    ]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.fleet
@pytest.mark.parametrize("path", documents_with_examples(), ids=name_of)
def test_examples_print_what_the_document_shows(path, tmp_path):
    """
    Every command of the README and the guide, typed in order, prints what is written there.
    """
    from fleetctl.lab.fleet import start_lab, stop_lab

    folder = tmp_path / "reader"
    folder.mkdir()
    env = environment(tmp_path)
    text = path.read_text(encoding="utf-8")
    lab = None
    if "$ fleetctl lab start" not in text:
        lab = start_lab(tmp_path / "lab", hosts=LAB_HOSTS)
        env["FLEETCTL_INVENTORY"] = str(lab.inventory)
    differences = []
    exports, status = "", 0
    try:
        for block in blocks(text):
            if block.file_name:
                (folder / block.file_name).write_text("\n".join(block.lines) + "\n")
            for step in steps(block) if block.is_run else []:
                if step.command.startswith("export "):
                    exports += f"{step.command}\n"
                command = f"{exports}(exit {status})\n{step.command}"
                status, shown = run_on_terminal(command, folder=folder, env=env)
                if not matches(step.expected, shown):
                    expected = "\n".join(step.expected)
                    report = f"-- written:\n{expected}\n-- printed:\n{shown}"
                    differences.append(f"line {step.line}: {step.command}\n{report}")
    finally:
        if lab is None:
            run_on_terminal("fleetctl lab stop", folder=folder, env=env)
        else:
            stop_lab(lab.directory)
    assert not differences, "\n\n".join(differences)


@pytest.mark.parametrize(
    ("expected", "shown", "same"),
    [
        (("web01: up", "done in 0.3 s"), "web01: up\r\ndone in 12.25 s\r\n", True),
        (("done in 0.3 s",), "done in 3 min 05 s\n", True),
        (("web01: ...", "web02: up"), "web01: 11:59 up 3 days\nweb02: up\n", True),
        (("first", "...", "last"), "first\na\nb\nlast\n", True),
        (("first", "...", "last"), "first\nlast\n", True),
        ((), "", True),
        (("web01: up",), "web01: down\n", False),
        (("web01: up",), "web01: up\nweb02: up\n", False),
        (("web01: up", "web02: up"), "web01: up\n", False),
        (("a...",), "a\nb\n", False),
        ((), "something\n", False),
    ],
)
def test_wildcards_leave_out_only_what_they_name(expected, shown, same):
    """
    A document that shows something else than what is printed is noticed.
    """
    assert matches(expected, shown) is same


def test_console_block_is_split_into_commands():
    """
    Commands, their continuation lines and their output are told apart.
    """
    (block,) = blocks("text\n```console\n$ fleetctl run a \\\n  b\nout\n$ echo $?\n0\n```\n")
    assert steps(block) == [
        Step("fleetctl run a \\\n  b", ("out",), 3),
        Step("echo $?", ("0",), 6),
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_example_escapes_being_run(path):
    """
    Whatever is shown behind a prompt is in a block that the test runs.
    """
    for block in blocks(path.read_text(encoding="utf-8")):
        has_prompt = any(line.startswith("$ ") for line in block.lines)
        assert has_prompt == block.is_run, f"line {block.line}"


def anchors(text: str) -> set[str]:
    """Return the anchors a Markdown viewer makes from the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def broken_links(path: Path, text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (
            anchor and anchor not in anchors(text if file == path else file.read_text("utf-8"))
        ):
            broken.append(target)
    return broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path):
    """
    Every link between documents names a file, and a heading in it, that exist.
    """
    assert broken_links(path, path.read_text(encoding="utf-8")) == []


def test_a_broken_link_is_found():
    """
    The link check fails for a missing file and for a missing heading.
    """
    text = "# Here\n[a](nowhere.md) [b](#here) [c](#there) [d](https://example.org/x)\n"
    assert broken_links(ROOT / "README.md", text) == ["nowhere.md", "#there"]


def test_every_failure_kind_is_explained():
    """
    The reference of failures has one row per kind, with the status and exit code the code gives.
    """
    text = (ROOT / "docs" / "reference" / "failures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \| (\w+) \| (\d) \|", text, re.MULTILINE)
    assert sorted(kind for kind, _, _ in rows) == sorted(KINDS)
    assert {kind: (status, int(code)) for kind, status, code in rows} == {
        kind: (status_of(kind), exit_code_of(kind)) for kind in KINDS
    }


def test_decisions_fit_on_a_page_and_say_what_would_change_them():
    """
    Each decision record has the five parts, at most one page, and a number of its own.
    """
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    numbers = [path.name[:4] for path in records]
    assert len(set(numbers)) == len(numbers)
    for path in records:
        text = path.read_text(encoding="utf-8")
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == [
            "Context",
            "Decision",
            "Consequences",
            "What we measured",
            "What would change it",
        ], path.name
        assert len(text.splitlines()) <= 60, path.name


def test_where_is_it_table_names_what_exists():
    """
    Each path in CONTRIBUTING's table is there.
    """
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Where is it")[2].partition("\n## ")[0]
    paths = re.findall(r"`([\w./-]+/[\w./-]*)`", table)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
