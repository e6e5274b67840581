"""
Others at the same file at the same time: a second controller, ssh-copy-id, a user who sets traps.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetctl.keys.place import Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.errors import FleetError
from tests.fleet.keys.remote.homes import Home
from tests.support.drive import run_async
from tests.support.keys import keygen
from tests.support.operating import operating_on
from tests.support.patience import PATIENCE_S, TEST_LIMIT_S

pytestmark = [pytest.mark.fleet, pytest.mark.slow]


async def add_line(file: ShellKeysFile, line: bytes) -> None:
    """Add a line as an operation does: looking again when somebody else was faster."""
    while True:
        try:
            look = await file.look(lock=True)
            data = look.data or b""
            if line in data:
                await file.unlock(look)
                return
            swapped = await file.swap(look, data + line)
            if line in swapped.after:
                return
        except FleetError as error:
            if error.kind not in ("keys.changed", "keys.busy"):
                raise


@pytest.mark.timeout(TEST_LIMIT_S)
def test_F70_two_controllers_at_once_lose_no_line(accounts, is_full_size):
    """
    Each adds its own; all are there once, and nothing else is left.
    """
    rounds = 1000 if is_full_size else 50
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()

    async def controller(number: int) -> None:
        async with operating_on(accounts.model_host("u-sh", accounts.host("keys"))) as remote:
            file = ShellKeysFile(remote, Target(), run_id=f"controller-{number}")
            for turn in range(rounds):
                await add_line(file, b"# %d of %d\n" % (turn, number))

    async def main() -> None:
        await asyncio.gather(controller(1), controller(2))

    run_async(main, limit_s=3600 if is_full_size else TEST_LIMIT_S)
    lines = home.file.read_bytes().splitlines()
    for number in (1, 2):
        for turn in range(rounds):
            assert lines.count(b"# %d of %d" % (turn, number)) == 1
    assert len(lines) == len(home.old.splitlines()) + 2 * rounds
    assert not [name for name in home.beside if "lock" in name or "gone" in name]


@pytest.mark.timeout(TEST_LIMIT_S)
def test_F71_ssh_copy_id_at_the_same_time_loses_nothing(accounts, is_full_size, tmp_path):
    """
    What it appends while the file is replaced is seen, and is in the file in the end.
    """
    rounds = 1000 if is_full_size else 25
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    keys = [keygen(tmp_path / f"key{number}", "-t", "ed25519") for number in range(rounds)]
    argv = accounts.ssh_argv("u-sh", host=accounts.host("keys"))
    options = [f"-o{word}" for at, word in enumerate(argv) if argv[at - 1] == "-o"]
    options.append(f"-oIdentityFile={argv[argv.index('-i') + 1]}")
    (Path(os.environ["HOME"]) / ".ssh").mkdir(mode=0o700, exist_ok=True)

    async def copy_all() -> None:
        for key in keys:
            child = await asyncio.create_subprocess_exec(
                *("ssh-copy-id", "-f", "-i", f"{key}.pub", "-p", argv[argv.index("-p") + 1]),
                *("-F", "/dev/null", *options, f"u-sh@{argv[-1].rpartition('@')[2]}"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            _, stderr = await child.communicate()
            assert child.returncode == 0, stderr

    async def main() -> int:
        copying = asyncio.ensure_future(copy_all())
        turn = 0
        async with operating_on(accounts.model_host("u-sh", accounts.host("keys"))) as remote:
            file = ShellKeysFile(remote, Target(), run_id="ours")
            while not copying.done():
                await add_line(file, b"# turn %d\n" % turn)
                turn += 1
        await copying
        return turn

    turns = run_async(main, limit_s=3600 if is_full_size else TEST_LIMIT_S)
    data = home.file.read_bytes()
    blobs = [key.with_suffix(".pub").read_bytes().split()[1] for key in keys]
    lost = [number for number, blob in enumerate(blobs) if data.count(blob) != 1]
    assert len(lost) <= rounds // 1000, f"lost {lost} of {rounds} in {turns} turns"
    assert [turn for turn in range(turns) if data.count(b"# turn %d\n" % turn) != 1] == []


#: Swaps the file, and its folder, for links and back as fast as it can; counts into a file.
_TRAPPER = """
import os, sys
uid, gid, home, victims, count = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
os.setgid(gid)
os.setuid(uid)
os.chdir(home)
targets = [victims + "/file", victims, victims + "/own", victims + "/own/authorized_keys"]
done = 0
def swap(path, aside, target):
    try:
        os.rename(path, aside)
        os.symlink(target, path)
        os.unlink(path)
    except OSError:
        pass
    try:
        os.rename(aside, path)
    except OSError:
        pass
while True:
    target = targets[done % len(targets)]
    if done % 2:
        swap(".ssh", "aside", target)
    else:
        swap(".ssh/authorized_keys", "aside-file", target)
    done += 1
    if done % 50 == 0:
        with open(count, "w") as stream:
            stream.write(str(done))
"""


@contextmanager
def trapper(home: Home, victims: str, count: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run him as the user, in the host's namespace, until the end of the block."""
    uid, gid = str(home.accounts.uid(home.user)), str(home.file.stat().st_gid)
    inside = ("nsenter", f"--mount=/proc/{home.host.pid}/ns/mnt", "--")
    there = (f"/home/{home.user}", victims, f"/home/{home.user}/{count.name}")
    python = os.path.realpath(sys.executable)
    # In the namespace /root is another one, and there may be no other Python.
    system = next((p for p in ("/usr/bin/python3", python) if os.path.exists(p)), python)
    child = subprocess.Popen([*inside, system, "-c", _TRAPPER, uid, gid, *there])
    try:
        yield child
    finally:
        child.kill()
        child.wait(PATIENCE_S)


@pytest.mark.timeout(TEST_LIMIT_S)
def test_S27_a_user_who_sets_traps_leads_root_nowhere(accounts, is_full_size):
    """
    While root changes the keys for him, he puts links where the file and its folder were: nothing
    outside his home changes, and nothing is made there.
    """
    wanted = 500_000 if is_full_size else 5_000
    host = accounts.host("traps")
    home = Home(accounts, host, "u-sh").reset()
    victims = host.directory / "etc" / "victims"
    (victims / "own").mkdir(parents=True, exist_ok=True)
    for path in (victims / "file", victims / "authorized_keys", victims / "own/authorized_keys"):
        path.write_bytes(b"victim\n")
    os.chown(victims / "own" / "authorized_keys", accounts.uid("u-bash"), -1)
    before = tree(victims)
    count = home.home / "count"
    count.touch()
    os.chown(count, accounts.uid("u-sh"), -1)
    kinds = set()

    async def main() -> int:
        tries = 0
        async with operating_on(accounts.model_host("root", host)) as remote:
            file = ShellKeysFile(remote, Target(user="u-sh"), run_id="root")
            while int(count.read_text() or "0") < wanted or tries < 50:
                tries += 1
                try:
                    look = await file.look(lock=True)
                    await file.swap(look, home.old + b"# %d\n" % tries, fix_modes=True)
                except FleetError as error:
                    kinds.add(error.kind)
        return tries

    with trapper(home, "/etc/victims", count):
        run_async(main, limit_s=3600 if is_full_size else TEST_LIMIT_S)
    assert tree(victims) == before
    assert kinds <= {
        *("keys.unsafe_path", "keys.changed", "keys.write", "keys.read", "keys.busy"),
        "keys.protocol",
    }


def tree(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return owners, modes, inodes and bytes of all that there is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (status.st_uid, status.st_mode, status.st_ino, data)
    return found
