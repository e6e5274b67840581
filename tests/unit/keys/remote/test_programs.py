"""
The programs themselves: what of them runs when not all of it arrives, their size, their style.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from fleetctl.keys.place import Target
from fleetctl.keys.remote.program import DEFAULT_PATH, Program
from fleetctl.keys.remote.programs import WAYS, Change, Guard, Programs
from fleetctl.keys.remote.read_look import Place
from tests.support.key_shells import SHELLS, sh_argv
from tests.support.patience import PATIENCE_S

DATA = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG4SCkrYc1yEiNaSZS7xeTo3 one's 100% \\key\n" * 6
GUARD = Guard("0-1", "secret-token", 120)


def all_programs(target: Target, place: Place) -> dict[str, Program]:
    programs = Programs(target, "run-1", DEFAULT_PATH, ["AAAA"])
    change = Change(DATA, {place.folder: (0o775, 0o755)})
    return {
        "look": programs.look(server="openssh", token="token"),
        "swap": programs.swap(place, "token", change, GUARD),
        "arm": programs.arm(place, "token", DATA, GUARD, WAYS, alone=True),
        "settle": programs.settle(place, "token", action="confirm"),
        "unlock": programs.unlock(place, "token"),
        "backups": programs.backups(place),
        "read": programs.backups(place, name="x"),
    }


def place_in(folder: Path) -> Place:
    return Place("me", os.getuid(), str(folder), "authorized_keys", stays=False)


def cuts(size: int, *, every: int, last: int) -> list[int]:
    """Lengths at which a program is cut; the last newline is not missed."""
    return sorted(
        {*range(0, size, every), *range(max(size - last, 0), size - 1)} - {size - 1, size}
    )


@pytest.mark.parametrize("user", [None, "root"], ids=["self", "other"])
@pytest.mark.parametrize("name", ["look", "swap", "arm", "settle"])
@pytest.mark.parametrize("shell", SHELLS)
def test_of_a_program_that_is_cut_nothing_runs(tmp_path, shell, name, user):
    """
    Wherever the transfer ends: no answer, no lock, no change.
    """
    file = tmp_path / "authorized_keys"
    file.write_bytes(b"old\n")
    target = Target(user=user, path=str(file))
    text = all_programs(target, place_in(tmp_path))[name].text
    every, last = (50, 200) if shell == "dash" else (1500, 25)
    for size in cuts(len(text), every=every, last=last):
        done = subprocess.run(
            [*sh_argv(shell), "-s"],
            input=text[:size],
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
            cwd=tmp_path,
        )
        assert done.stdout == b"", f"cut after {size} of {len(text)} bytes"
        assert os.listdir(tmp_path) == ["authorized_keys"], f"cut after {size} bytes"
    assert file.read_bytes() == b"old\n"


@pytest.mark.parametrize("user", [None, "root"])
def test_no_program_is_longer_than_13_kib(tmp_path, user):
    """
    Without the bytes that are to be written.
    """
    programs = Programs(Target(user=user), "run-1", DEFAULT_PATH)
    place = place_in(tmp_path)
    texts = {name: program.text for name, program in all_programs(Target(user=user), place).items()}
    texts["swap"] = programs.swap(place, "token", Change(b"", {}), GUARD).text
    assert {name: len(text) for name, text in texts.items() if len(text) > 13 * 1024} == {}


@pytest.mark.parametrize("user", [None, "root"])
def test_the_mark_does_not_stand_in_a_program(tmp_path, user):
    """
    A start-up file that shows commands before they run cannot say it before its time.
    """
    for program in all_programs(Target(user=user), place_in(tmp_path)).values():
        assert program.mark.text not in program.text


def test_two_programs_have_different_marks_and_names(tmp_path):
    """
    Nobody can know them before.
    """
    one, two = (all_programs(Target(), place_in(tmp_path))["look"] for _ in range(2))
    assert one.mark != two.mark
    assert one.text.rsplit(b"\n", 2)[1] != two.text.rsplit(b"\n", 2)[1]


def test_a_program_is_printable_ascii(tmp_path):
    """
    No byte of it means anything special to a terminal, a shell or a transfer.
    """
    for program in all_programs(Target(user="root"), place_in(tmp_path)).values():
        assert re.fullmatch(rb"[\n\t -~]*", program.text)


#: Of shellcheck: variables are set by other parts; what is empty is empty on purpose; A && B || C
#: is meant as it is; functions are called by traps and by other parts; cd may fail in $(...).
_WANTED = "SC1007,SC2015,SC2034,SC2088,SC2154,SC2164,SC2209,SC2317"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_finds_nothing_that_is_not_posix():
    """
    The files are POSIX sh, and free of what shellcheck warns of.
    """
    folder = resources.files("fleetctl.keys.remote").joinpath("sh")
    files = sorted(str(file) for file in folder.iterdir() if file.name.endswith(".sh"))
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-e", _WANTED, *files],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)
