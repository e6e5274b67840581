"""
F72: a change that is stopped at every step: the shell killed, or the connection cut.

Steps are the programs that the shell starts; each is one of ours that counts, and then becomes what
it is called.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from paramiko.transport import _active_threads

from fleetctl.keys.place import DeadMan, Target
from fleetctl.keys.remote.program import DEFAULT_PATH
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.errors import FleetError
from fleetctl.ssh.loop_transport import LoopTransport
from tests.fleet.keys.remote.homes import NEEDED, Home, swap_to
from tests.support.drive import run_async, until
from tests.support.operating import operating_on
from tests.support.patience import PATIENCE_S, TEST_LIMIT_S

pytestmark = [pytest.mark.fleet, pytest.mark.slow]

TOOLS = (*NEEDED, "cmp", "getent", "sync", "getfacl", "setsid")

_STEP = """\
#!/bin/sh
d=/home/{user}/steps
PATH={path}
n=$(($(cat $d/count) + 1))
echo $n >$d/count
echo {tool} >>$d/log
read -r at how <$d/plan
if [ $n = "$at" ]; then
  case $how in
  after) {tool} "$@" ;;
  cut) touch $d/reached; until [ -e $d/go ]; do sleep 0.02; done; exec {tool} "$@" ;;
  esac
  p=$$
  while [ "$p" -gt 1 ]; do
    read -r stat </proc/$p/stat
    set -- ${{stat##*) }}
    case $(tr '\\0' ' ' </proc/$p/cmdline) in "sh -s ") kill -9 $p; exit 1 ;; esac
    p=$2
  done
  exit 1
fi
exec {tool} "$@"
"""


@dataclass(frozen=True)
class Steps:
    """A folder of counting programs on a host."""

    home: Home

    @property
    def folder(self) -> Path:
        return self.home.home / "steps"

    @property
    def path(self) -> str:
        return f"/home/{self.home.user}/steps/bin"

    def make(self) -> Steps:
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "bin").mkdir(parents=True)
        for tool in TOOLS:
            text = _STEP.format(user=self.home.user, path=DEFAULT_PATH, tool=tool)
            (self.folder / "bin" / tool).write_text(text)
            (self.folder / "bin" / tool).chmod(0o755)
        self.folder.chmod(0o777)
        return self

    def plan(self, at: int, how: str) -> None:
        """Let the next change be stopped at this step, counted from 1."""
        for name, text in (("count", "0\n"), ("plan", f"{at} {how}\n"), ("log", "")):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o666)
        for name in ("reached", "go"):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def count(self) -> int:
        return int((self.folder / "count").read_text())

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text().split()


def steps_of(accounts, user: str = "u-sh") -> Steps:
    return Steps(Home(accounts, accounts.host("keys"), user).reset()).make()


def test_a_change_starts_few_programs(accounts):
    """
    That is what it costs the host.
    """
    steps = steps_of(accounts)
    steps.plan(0, "never")
    steps.home.run(lambda file: swap_to(file, steps.home.new), path=steps.path)
    assert len(steps.log) <= 45, steps.log


@pytest.mark.timeout(TEST_LIMIT_S)
@pytest.mark.parametrize("how", ["before", "after"])
def test_F72_a_shell_that_is_killed_at_any_step_leaves_a_whole_file(accounts, how):
    """
    The old one or the new one; and the next change goes through at once, with nothing left over.
    """
    steps = steps_of(accounts)
    home = steps.home
    wrote = set()
    for at in range(1, 60):
        home.reset()
        steps.plan(at, how)
        try:
            home.run(lambda file: swap_to(file, home.new), path=steps.path)
        except FleetError:
            data = home.file.read_bytes()
            assert data in (home.old, home.new), f"killed {how} step {at}: {steps.log[-1]}"
            wrote.add(data)
        if steps.count < at:
            break
        home.run(lambda file: swap_to(file, home.new + b"# next\n"))
        assert home.file.read_bytes() == home.new + b"# next\n"
        assert home.file.stat().st_nlink == 1
        strange = [name for name in home.beside if "fleetctl-20" not in name]
        assert strange == [], f"killed {how} step {at}"
    else:
        pytest.fail("there are more steps than that")
    assert wrote == {home.old, home.new}


@pytest.mark.timeout(TEST_LIMIT_S)
def test_F67_a_connection_that_is_cut_at_any_step_leaves_a_whole_file(accounts):
    """
    What was begun comes to its end, or is taken back; only a look that was finished leaves a lock.
    """
    steps = steps_of(accounts)
    home = steps.home

    async def cut(at: int) -> bool:
        host = accounts.model_host(home.user, home.host)
        async with operating_on(host) as remote:
            file = ShellKeysFile(remote, Target(), run_id="cut", path=steps.path)
            changing = asyncio.ensure_future(swap_to(file, home.new))
            await until(lambda: changing.done() or (steps.folder / "reached").exists())
            if changing.done():
                await changing
                return False
            for transport in [t for t in _active_threads if isinstance(t, LoopTransport)]:
                transport.abort()
            await asyncio.gather(changing, return_exceptions=True)
            return True

    states = set()
    for at in range(1, 60, 2):
        home.reset()
        steps.plan(at, "cut")
        was_cut = run_async(partial(cut, at))
        (steps.folder / "go").touch()
        if not was_cut:
            break
        wait_until(lambda: not accounts.sessions(home.host))
        data = home.file.read_bytes()
        assert data in (home.old, home.new), f"cut at step {at}: {steps.log[-1]}"
        states.add(data)
        strange = {name for name in home.beside if "fleetctl-20" not in name}
        assert strange <= {"authorized_keys.fleetctl-lock"}, at
        if strange:
            assert data == home.old
            assert (home.folder / strange.pop() / "pid").read_text() == "-\n"
            shutil.rmtree(home.folder / "authorized_keys.fleetctl-lock")
        home.run(lambda file: swap_to(file, home.new + b"# next\n"))
        assert home.file.read_bytes() == home.new + b"# next\n"
    assert home.old in states


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "what the test waits for does not happen"
        time.sleep(0.02)


@pytest.mark.timeout(TEST_LIMIT_S)
def test_F72_a_guarded_change_that_is_killed_at_any_step_comes_to_rest(accounts):
    """
    The guard that was left puts the old file back if the new one was put there, else it goes away.
    """
    steps = steps_of(accounts)
    home = steps.home
    for at in range(1, 90, 4):
        home.reset()
        steps.plan(at, "before")
        try:
            home.run(
                lambda file: swap_to(file, home.new, dead_man=DeadMan(1)),
                path=steps.path,
            )
        except FleetError:
            wait_until(lambda: not list(home.folder.glob("*-guard-*/pid")) or restored(home))
        if steps.count < at:
            break
        wait_until(lambda: home.file.read_bytes() == home.old)


def restored(home: Home) -> bool:
    return bool(list(home.folder.glob("*-guard-*/restored")))
