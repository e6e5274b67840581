"""
Programs that print an inventory: when they run, what is read, and what stops them (S20).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fleetctl.inventory.load import load_inventory
from fleetctl.inventory.program import ProgramLimits, clean_stderr, run_program
from fleetctl.model.errors import UsageError
from tests.support.patience import PATIENCE_S, at_some_pace


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def program(body: str, name: str = "inv.sh", mode: int = 0o700) -> Path:
    path = Path(name)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(mode)
    return path


def refusal(body: str, **options) -> list[str]:
    program(body)
    with pytest.raises(UsageError) as caught:
        load_inventory(["inv.sh"], **options)
    return str(caught.value).splitlines()


def test_only_a_trusted_program_runs():
    """
    A project's program is not run before its content was trusted.
    """
    program("touch ran; echo {}")
    with pytest.raises(UsageError) as caught:
        load_inventory(["inv.sh"], is_trusted=lambda _path, _data: False)
    assert str(caught.value) == (
        "inv.sh: this is a program, and only a file you trust is run\nhint: fleetctl trust inv.sh"
    )
    assert not Path("ran").exists()
    asked: list[tuple[Path, bytes]] = []

    def refuse(path: Path, data: bytes) -> bool:
        asked.append((path, data))
        return False

    with pytest.raises(UsageError):
        load_inventory(["inv.sh"], is_trusted=refuse)
    assert asked == [(Path("inv.sh"), Path("inv.sh").read_bytes())]


@pytest.mark.parametrize("inside", [True, False])
def test_a_program_that_others_can_change_is_not_run(inside, tmp_path):
    """
    Being named on the command line is not enough if anybody can write it; nor is its folder.
    """
    Path("inv").mkdir()
    program("touch ran; echo {}", "inv/x")
    if inside:
        Path("inv/x").chmod(0o722)
    with pytest.raises(UsageError, match="only a file you trust is run"):
        load_inventory(["inv/x" if inside else "inv"])
    assert not Path("ran").exists()


def test_a_program_gets_no_shell_no_input_and_a_group_of_its_own():
    """
    Nothing in its name is interpreted, and Ctrl-C on our terminal does not reach it.
    """
    name = "a;touch ran $(touch ran) inv"
    program('read line; ps -o pgid= -p $$ > pgid; echo $$ > pid; echo \'{"w": ["a"]}\'', name)
    assert list(load_inventory([name]).hosts) == ["a"]
    assert not Path("ran").exists()
    assert int(Path("pgid").read_text()) == int(Path("pid").read_text()) != os.getpgid(0)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (
            "echo half; exit 3",
            ["inv.sh: the program failed with exit status 3", "hint: try it: inv.sh --list"],
        ),
        (
            "kill -9 $$",
            ["inv.sh: the program failed with signal 9", "hint: try it: inv.sh --list"],
        ),
        (
            "echo no route >&2; exit 1",
            [
                "inv.sh: the program failed with exit status 1: no route",
                "hint: try it: inv.sh --list",
            ],
        ),
        (
            "echo '{'",
            [
                "inv.sh: what it prints for --list is not JSON: Expecting property name enclosed "
                "in double quotes, at line 2, column 1",
                'hint: the shortest is {"web": {"hosts": ["web1"]}, "_meta": {"hostvars": {}}}',
            ],
        ),
        (
            "true",
            [
                "inv.sh: what it prints for --list is not JSON: Expecting value, "
                "at line 1, column 1",
                'hint: the shortest is {"web": {"hosts": ["web1"]}, "_meta": {"hostvars": {}}}',
            ],
        ),
        ("echo []", ["inv.sh: what it prints for --list is not a mapping of groups"]),
        (r"printf '\377'", ["inv.sh: what it prints for --list is not UTF-8 text"]),
        (
            'echo \'{"web": ["a"], "web": ["b"]}\'',
            ['inv.sh: "web" is there twice in what it prints for --list'],
        ),
    ],
)
def test_a_program_that_fails_is_an_error(body, lines):
    """
    Half an inventory is none (S20).
    """
    assert refusal(body) == lines


def test_a_failure_for_one_host_is_an_error():
    """
    A host without its variables would be reached at the wrong address.
    """
    assert refusal("""[ "$1" = --list ] && echo '{"web": ["a"]}' || exit 2""") == [
        "inv.sh: the program failed with exit status 2",
        "hint: try it: inv.sh --host a",
    ]
    assert refusal("""[ "$1" = --list ] && echo '{"web": ["a"]}' || echo 5""") == [
        "inv.sh: what it prints for --host a is not a mapping of groups"
    ]


def test_a_program_that_cannot_start():
    """
    Not executable, or without its interpreter.
    """
    program("echo {}", mode=0o600)
    with pytest.raises(UsageError) as caught:
        load_inventory(["inv.sh"])
    assert str(caught.value) == (
        "inv.sh: the program cannot be run: Permission denied\nhint: chmod u+x inv.sh"
    )
    program("x").write_text("#!/no/such/thing\n")
    with pytest.raises(UsageError) as caught:
        load_inventory(["inv.sh"])
    assert str(caught.value) == (
        "inv.sh: the program cannot be run: No such file or directory\n"
        "hint: its first line names an interpreter that is not there"
    )


def test_a_program_that_hangs_is_ended_with_all_it_started():
    """
    Children that hold the output open, and those that ignore TERM, end as well.
    """
    path = program("trap '' TERM; sleep 600 & echo $! > child; echo $$ > pid; wait")

    def check(pace: float) -> None:
        limit_s = 0.3 * pace
        with pytest.raises(UsageError) as caught:
            run_program(path, ["--list"], "inv.sh", ProgramLimits(timeout_s=limit_s))
        assert str(caught.value).startswith(f"inv.sh: the program did not end within {limit_s:g} s")
        assert was_written("child", "pid")

    at_some_pace(check)
    assert not lives_on("pid")
    assert not lives_on("child")


def test_a_program_that_leaves_a_child_with_its_output_is_ended():
    """
    Its exit is not the end of what it may print.
    """
    path = program("sleep 600 & echo $! > child; echo {}")

    def check(pace: float) -> None:
        with pytest.raises(UsageError, match="did not end within"):
            run_program(path, ["--list"], "inv.sh", ProgramLimits(timeout_s=0.3 * pace))
        assert was_written("child")

    at_some_pace(check)
    assert not lives_on("child")


def test_a_program_that_closes_its_output_must_still_end():
    """
    The deadline counts until the exit status is known.
    """
    path = program("exec >&- 2>&-; exec sleep 600")
    with pytest.raises(UsageError, match="did not end within"):
        run_program(path, ["--list"], "inv.sh", ProgramLimits(timeout_s=0.3))


def test_a_program_may_not_fill_the_memory():
    """
    More than the limit ends it at once.
    """
    path = program("exec yes")
    with pytest.raises(UsageError, match=r"^inv.sh: the program prints more than 1000 bytes"):
        run_program(path, ["--list"], "inv.sh", ProgramLimits(max_output_bytes=1000))
    noisy = program("yes | head -c 1000000 >&2; echo {}")
    assert run_program(noisy, [], "inv.sh", ProgramLimits(max_output_bytes=1000)) == b"{}\n"


def was_written(*files: str) -> bool:
    """Tell whether a program came as far as writing these files, each with a line."""
    paths = [Path(file) for file in files]
    return all(path.exists() and path.read_text().endswith("\n") for path in paths)


def lives_on(pid_file: str) -> bool:
    """Tell whether a process is there still, given a moment to die of the signal it got."""
    status = Path("/proc", Path(pid_file).read_text().strip(), "stat")
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            state = status.read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":  # it waits for init only
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(
    ("stderr", "shown"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"one\ntwo\n", ": one | two"),
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07x\x00\x08\r\n", ": red x"),
        (b"password=hunter2 next", ": password=[secret] next"),
        (
            b'{"AWS_SECRET_ACCESS_KEY": "abc def", "a": 1}',
            ': {"AWS_SECRET_ACCESS_KEY": [secret], "a": 1}',
        ),
        (b"api-key: xyz", ": api-key: [secret]"),
        (b"https://me:hunter2@host/", ": https://me:[secret]@host/"),
        (
            b"\n".join(b"line %d" % n for n in range(9)),
            ": line 4 | line 5 | line 6 | line 7 | line 8",
        ),
        (b"x" * 500, f": {'x' * 199}…"),
        (b"\xff\xfe", ": \ufffd\ufffd"),
    ],
)
def test_stderr_is_cleaned_before_it_is_shown(stderr, shown):
    """
    No control characters, no secrets, only the last lines (S20).
    """
    assert clean_stderr(stderr) == shown
