"""
Dead men on real hosts: left over one login, alive after it has ended, told over another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from fleetctl.keys.place import DeadMan, Swapped, Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.lab.layout import LabHost
from fleetctl.model.login import Login
from fleetctl.model.remote import Remote
from tests.fleet.keys.remote.homes import NEEDED, Home, only, swap_to
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

LONG = DeadMan(int(PATIENCE_S))

#: Does at the end of a login what logind does with KillUserProcesses: ends all that was started in
#: it. What a session has started knows the connection; of one that has ended nobody is connected.
_KILL = """\
#!/bin/sh
for environ in /proc/[0-9]*/environ; do
  pid=${environ#/proc/} pid=${pid%/environ}
  set -- $(tr '\\0' '\\n' <"$environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
  [ "$4" ] || continue
  port=$(printf ':%04X' "$2")
  grep -q "^ *[0-9]*: [0-9A-F:]* [0-9A-F]*$port 01 " /proc/net/tcp && continue
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null && ! grep -q 'State:.Z' "/proc/$pid/status"; do sleep 0.05; done
done
exit 0
"""

#: Runs it away from the session, as atd does.
_AT = """\
#!/bin/sh
job=$(cat)
setsid env -i PATH="$PATH" sh -c "$job" </dev/null >/dev/null 2>&1 &
"""


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "what the test waits for does not happen"
        time.sleep(0.02)


def host_that_ends_all(accounts) -> LabHost:
    host: LabHost = accounts.host("ending-all")
    etc = host.directory / "etc"
    (etc / "end-all").write_text(_KILL)
    (etc / "end-all").chmod(0o755)
    pam = etc / "pam.d" / "sshd"
    line = "session optional pam_exec.so type=close_session /etc/end-all\n"
    if line not in pam.read_text():
        pam.write_text(pam.read_text() + line)
    return host


def guards_of(home: Home) -> set[int]:
    """Pids of the guards that wait beside the file."""
    found = set()
    for path in home.folder.glob("*-guard-*/pid"):
        with suppress(FileNotFoundError, ValueError):
            found.add(int(path.read_text()))
    return found


@pytest.mark.parametrize("for_user", [False, True], ids=["self", "root"])
def test_a_dead_man_outlives_all_connections(accounts, for_user):
    """
    The controller is gone, nobody confirms: the old file is back, as it was.
    """
    home = Home(accounts, accounts.host("keys"), "u-ksh").reset()
    before = home.file.stat()
    login = "root" if for_user else None
    target = Target(user="u-ksh") if for_user else Target()

    async def change(file: ShellKeysFile) -> Swapped:
        return await swap_to(file, home.new, dead_man=DeadMan(2))

    swapped = home.run(change, login=login, target=target)
    assert swapped.token is not None
    wait_until(lambda: home.file.read_bytes() == home.old)
    assert home.file.stat().st_ino == before.st_ino
    assert home.file.stat().st_uid == accounts.uid("u-ksh")

    async def confirm(remote: Remote) -> None:
        file = ShellKeysFile(remote, target, run_id="run")
        await file.confirm(swapped, remote)

    with pytest.raises(Exception, match="did not wait any longer"):
        home.run_over(confirm, login=login)


def test_a_dead_man_is_told_over_a_login_of_another_kind(accounts):
    """
    By the user's own new login, where root has left him.
    """
    home = Home(accounts, accounts.host("keys"), "u-ksh").reset()

    async def work(remote: Remote) -> None:
        file = ShellKeysFile(remote, Target(user="u-ksh"), run_id="run")
        swapped = await swap_to(file, home.new, dead_man=LONG)
        async with remote.login_with(Login(user="u-ksh")) as fresh:
            await file.confirm(swapped, fresh)

    home.run_over(work, login="root")
    assert home.file.read_bytes() == home.new
    assert len(home.beside) == 1


def test_a_host_that_ends_what_sessions_leave_needs_another_way(accounts):
    """
    Neither setsid nor nohup helps there; what a daemon starts is in no session.
    """
    host = host_that_ends_all(accounts)
    home = Home(accounts, host, "u-sh").reset()
    tools = (*NEEDED, "cmp", "setsid", "nohup", "env")
    path = only(home, tools)

    async def work(file: ShellKeysFile) -> Swapped:
        return await swap_to(file, home.new, dead_man=LONG)

    error = home.failure(work, path=path)
    assert error.kind == "keys.no_guard", error.failure
    assert home.file.read_bytes() == home.old
    assert home.beside == set()

    forced = home.run(work, path=path, force_guard=True)
    assert (forced.token, forced.guard) == (None, None)
    assert home.file.read_bytes() == home.new
    assert len(home.beside) == 1

    home.reset()
    stubs = host.home / "stubs-at"
    stubs.mkdir(exist_ok=True)
    (stubs / "at").write_text(_AT)
    (stubs / "at").chmod(0o755)

    async def to_the_end(remote: Remote) -> None:
        file = ShellKeysFile(remote, Target(), run_id="run", path=f"{path}:/home/stubs-at")
        swapped = await work(file)
        assert swapped.guard == "at"
        await file.confirm(swapped, remote)

    home.run_over(to_the_end)
    assert home.file.read_bytes() == home.new


def test_where_nothing_can_be_left_it_is_said_so(accounts):
    """
    None of the programs is there, or the service behind it does not answer.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    path = only(home, (*NEEDED, "cmp"))
    stubs = accounts.host("keys").home / "stubs-none"
    stubs.mkdir(exist_ok=True)
    for name in ("at", "systemd-run"):
        (stubs / name).write_text("#!/bin/sh\nexit 1\n")
        (stubs / name).chmod(0o755)
    for tools in (path, f"{path}:/home/stubs-none"):
        error = home.failure(
            lambda file: swap_to(file, home.new, dead_man=LONG),
            path=tools,
        )
        assert (error.kind, "setsid" in str(error)) == ("keys.no_guard", True)
        assert home.file.read_bytes() == home.old
        assert home.beside == set()


@pytest.mark.parametrize("way", ["setsid", "nohup"])
def test_one_way_after_the_other_is_tried(accounts, way):
    """
    The first that is there.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    path = only(home, (*NEEDED, "cmp", way))

    async def work(remote: Remote) -> None:
        file = ShellKeysFile(remote, Target(), run_id="run", path=path)
        swapped = await swap_to(file, home.new, dead_man=LONG)
        assert swapped.guard == way
        [pid] = guards_of(home)
        await file.confirm(swapped, remote)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())

    home.run_over(work)


def test_a_change_that_fails_takes_its_dead_man_along(accounts):
    """
    Somebody wrote meanwhile: nobody waits any more.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()

    async def work(file: ShellKeysFile) -> None:
        look = await file.look(lock=True)
        home.file.write_bytes(home.old + b"other\n")
        await file.swap(look, home.new, dead_man=LONG)

    assert home.failure(work).kind == "keys.changed"
    assert home.file.read_bytes() == home.old + b"other\n"
    assert home.beside == set()


def test_a_later_change_is_not_undone_by_an_earlier_dead_man(accounts):
    """
    He sees that the file has other bytes than he was left for.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    more = home.new + b"# later\n"

    async def work(file: ShellKeysFile) -> None:
        await swap_to(file, home.new, dead_man=DeadMan(3))
        look = await file.look(lock=True)
        assert len(look.waiting) == 1
        await file.swap(look, more)

    home.run(work)
    wait_until(lambda: not guards_of(home))
    assert home.file.read_bytes() == more


def test_the_ends_of_two_dead_men_in_a_row(accounts):
    """
    Neither is confirmed: the file is what it was before both.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()

    async def work(file: ShellKeysFile) -> None:
        await swap_to(file, home.new, dead_man=DeadMan(6))
        await swap_to(file, home.new + b"# later\n", dead_man=DeadMan(2))

    home.run(work)
    wait_until(lambda: home.file.read_bytes() == home.new)
    wait_until(lambda: home.file.read_bytes() == home.old)
    wait_until(lambda: not [pid for pid in guards_of(home) if os.path.exists(f"/proc/{pid}")])
