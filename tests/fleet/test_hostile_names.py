"""
Name services that hang or lie, and networks that swallow packets (F01 F02 F03 F05).

Twice where that is possible: with the resolver's function replaced, on any machine, and with the
real one in a network of the test's own, where the system allows that.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from fleetctl.commands.command import Command
from fleetctl.engine.local import LocalEngine
from fleetctl.model.errors import FleetError
from fleetctl.model.events import HostFinished
from fleetctl.model.host import Host
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.model.trace import Trace
from fleetctl.testing import EventRecorder
from tests.cli.shell import PROGRAM
from tests.support.drive import connecting, run_async
from tests.support.keys import own_line
from tests.support.patience import PACES, PATIENCE_S, SLACK_S

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).resolve().parents[2]


class HangingResolver:
    """Stands in for getaddrinfo: names that end in ``.hangs`` are never answered."""

    def __init__(self) -> None:
        self.address = "127.0.0.1"
        self.released = threading.Event()
        self.asked: list[str] = []
        self._system = socket.getaddrinfo

    def __call__(self, name, *question):
        self.asked.append(name)
        if name.endswith(".hangs"):
            self.released.wait(PATIENCE_S)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._system(self.address, *question)


@pytest.fixture
def resolver(monkeypatch):
    resolver = HangingResolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.released.set()


def test_F02_a_resolver_that_hangs_costs_its_host_the_deadline(fleet, resolver, loop):
    """
    A name nobody answers for ends at the deadline of the connection, as what it is.
    """
    host = fleet.model_host(fleet.host("web01"), hostname="one.hangs", connect_timeout_s=1.0)

    async def main():
        async with connecting() as connector:
            trace = Trace()
            started = monotonic()
            with pytest.raises(FleetError) as caught:
                await connector.connect(host, trace, open_session=True)
            took_s = monotonic() - started
            resolver.released.set()
            return caught.value, trace, took_s

    error, trace, took_s = run_async(main, loop=loop)
    assert error.kind == "resolve.timeout"
    assert "one.hangs: no answer from the name service within 1 s" in str(error)
    assert error.failure.retryable
    assert (trace.phase, trace.ran) == ("resolve", "no")
    assert 0.9 <= took_s < SLACK_S


def test_F02_names_that_hang_do_not_stall_the_run(fleet, resolver, tmp_path):
    """
    Twice as many names without an answer as there are threads for it: hosts whose names are known,
    and what else needs a thread, go on.
    """
    lab_host = fleet.host("web01")
    resolver.address = lab_host.address
    base = fleet.model_host(lab_host)
    known = own_line(fleet, lab_host).partition(" ")[2]
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"alias {known}\n")

    def named(name: str) -> Host:
        settings = replace(
            base.settings,
            hostname=name,
            host_key_alias="alias",
            user_known_hosts_files=(str(known_hosts),),
        )
        return Host(name, settings=settings)

    hanging = [named(f"h{number}.hangs") for number in range(16)]
    good = [replace(base, name=f"good{number}") for number in range(4)]
    # Their names must be asked for like the others, and are known at once.
    good += [named(f"good{number}.known") for number in range(4)]

    async def main():
        recorder = EventRecorder()
        async with connecting() as connector:
            engine = LocalEngine(connector, keep_connections=0)
            run = Run(
                "r1",
                "test",
                [Assignment(host, Command("true")) for host in [*hanging, *good]],
                Limits(),
            )
            async for event in engine.execute(run):
                recorder.handle(event)
                if len(recorder.of(HostFinished)) == len(good):
                    engine.cancel()
            await engine.aclose()
            resolver.released.set()
        return recorder

    results = run_async(main, limit_s=PATIENCE_S + SLACK_S).results
    assert {results[host.name].outcome.status for host in hanging} == {"cancelled"}
    for host in good:
        assert results[host.name].outcome.status == "ok", results[host.name].outcome.failure


HANGS = """
import socket, sys, time
def hang(*question):
    time.sleep(3600)
socket.getaddrinfo = hang
from fleetctl.cli.main import main
sys.exit(main())
"""


def test_F02_a_resolver_that_hangs_does_not_keep_the_process():
    """
    The program ends with its summary though the system's resolver has still not answered.
    """
    argv = [
        *(shutil.which("env") or "env", "FLEETCTL_SSH_CONFIG=none", PROGRAM[0], "-c", HANGS),
        *("run", "-i", "nobody.hangs,", "all", "-T", "1", "--format", "json", "--", "true"),
    ]
    started = monotonic()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as child:
        try:
            out, err = child.communicate(timeout=SLACK_S)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            pytest.fail(f"it does not end: {out!r} {err!r}")
    assert child.returncode == 4, err
    [host] = json.loads(out)["hosts"]
    assert host["failure"]["kind"] == "resolve.timeout"
    assert monotonic() - started < SLACK_S


# -- in a network of our own


def namespaces_work() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    test = subprocess.run(
        ["unshare", *_UNSHARE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False
    )
    return test.returncode == 0


_UNSHARE = ("--net", "--mount") if os.geteuid() == 0 else ("--map-root-user", "--net", "--mount")


@pytest.fixture
def network(tmp_path):
    """Run the command line in a network of its own, after some lines of shell."""
    if not namespaces_work():
        pytest.skip("the system lets nobody make a network namespace here")

    def run(setup: str, *words: str):
        argv = [
            *("unshare", *_UNSHARE, "sh", "-ec", f'ip link set lo up\n{setup}\nexec "$@"', "sh"),
            *(*PROGRAM, "run", *words, "--format", "json", "--", "true"),
        ]
        started = monotonic()
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd=ROOT
        )
        assert done.stdout, done.stderr
        assert "Traceback" not in done.stderr
        hosts = {host["host"]: host for host in json.loads(done.stdout)["hosts"]}
        return done.returncode, hosts, monotonic() - started

    return run


#: A network that swallows what is sent to it: what arrives on loopback for others is dropped.
LOST = "ip addr add 10.9.8.1/32 dev lo\nip route add 10.9.9.0/24 dev lo"


def test_F01_a_name_that_does_not_exist_says_so(network, tmp_path):
    """
    The name is shown, it is exit 4, and other hosts are not touched by it.
    """
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    nsswitch = tmp_path / "nsswitch"
    nsswitch.write_text("hosts: files\n")
    setup = f"mount --bind {hosts} /etc/hosts; mount --bind {nsswitch} /etc/nsswitch.conf"
    code, results, _ = network(setup, "-i", "no-such.invalid,127.0.0.1:1,", "all", "-T", "10")
    assert code == 4
    failure = results["no-such.invalid"]["failure"]
    assert failure["kind"] == "resolve.dns"
    assert "no-such.invalid" in failure["message"]
    assert results["no-such.invalid"]["ran"] == "no"
    assert results["127.0.0.1"]["failure"]["kind"] == "connect.refused"


def test_F02_a_name_server_that_is_silent_costs_the_deadline_and_no_more(network, tmp_path):
    """
    The real resolver asks a server that never answers: the run ends with the deadline, not with the
    resolver's patience, and other hosts have their results.
    """
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 10.9.9.9\noptions timeout:30 attempts:3\n")
    nsswitch = tmp_path / "nsswitch"
    nsswitch.write_text("hosts: files dns\n")
    setup = (
        f"{LOST}\nmount --bind {conf} /etc/resolv.conf\nmount --bind {nsswitch} /etc/nsswitch.conf"
    )
    code, results, took_s = network(
        setup, "-i", "one.example,two.example,127.0.0.1:1,", "all", "-T", "2"
    )
    assert code == 4
    for name in ("one.example", "two.example"):
        assert results[name]["failure"]["kind"] == "resolve.timeout", results[name]
    assert results["127.0.0.1"]["failure"]["kind"] == "connect.refused"
    assert took_s < 2 + SLACK_S


def test_F03_all_addresses_of_a_name_are_tried(network, tmp_path):
    """
    A name with an address that is dead, one that refuses and one that swallows packets: the failure
    names each that was tried, and the deadline is for all of them together.
    """
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 three\n127.0.0.2 three\n10.9.9.2 three\n")
    code, results, took_s = network(
        f"{LOST}\nmount --bind {hosts} /etc/hosts", "-i", "three:1,", "all", "-T", "2"
    )
    failure = results["three"]["failure"]
    assert code == 4
    assert failure["kind"] == "connect.timeout"
    assert took_s < 2 + SLACK_S


@pytest.mark.parametrize(
    ("setup", "kinds"),
    [
        pytest.param("true", {"connect.unreachable"}, id="no route"),
        pytest.param(
            "ip route add unreachable 10.9.9.0/24", {"connect.unreachable"}, id="unreachable"
        ),
        pytest.param("ip route add prohibit 10.9.9.0/24", {"connect.unreachable"}, id="prohibited"),
        pytest.param(
            "ip route add blackhole 10.9.9.0/24", {"connect.unreachable"}, id="black hole"
        ),
        pytest.param(LOST, {"connect.timeout"}, id="packets are lost"),
    ],
)
def test_F05_a_network_that_does_not_carry_us(network, setup, kinds):
    """
    No route, a refusing router, a black hole and lost packets: told apart, in time, and each with
    the system's reason or the deadline in its message.
    """
    for limit_s in PACES[:2]:
        code, results, took_s = network(setup, "-i", "10.9.9.2:22,", "all", "-T", f"{limit_s:g}")
        failure = results["10.9.9.2"]["failure"]
        if failure["kind"] in kinds:
            break
    assert code == 4
    assert failure["kind"] in kinds, failure
    assert "10.9.9.2 port 22" in failure["message"]
    assert failure["hint"]
    assert took_s < limit_s + SLACK_S
    if kinds == {"connect.timeout"}:
        assert f"did not answer within {limit_s:g} s" in failure["message"]
    else:
        reasons = {os.strerror(n).lower() for n in (errno.ENETUNREACH, errno.EHOSTUNREACH)}
        reasons |= {os.strerror(n).lower() for n in (errno.EACCES, errno.EINVAL)}
        assert any(re.search(re.escape(reason), failure["message"]) for reason in reasons)


def test_F05_hosts_behind_a_dead_network_do_not_hold_up_the_others(network, tmp_path):
    """
    Beside forty hosts whose packets are lost, and with four at once, the one that can be reached
    has its answer, and all end with one deadline each, side by side.
    """
    inventory = tmp_path / "hosts.ini"
    lost = [f"10.9.9.{number}" for number in range(2, 42)]
    inventory.write_text("\n".join(["[all]", *lost, "127.0.0.1 ansible_port=1", ""]))
    code, results, took_s = network(LOST, "-i", str(inventory), "all", "-T", "2", "--forks", "4")
    assert code == 4
    assert len(results) == 41
    assert results["127.0.0.1"]["failure"]["kind"] == "connect.refused"
    kinds = {result["failure"]["kind"] for name, result in results.items() if name[0] == "1"}
    assert kinds == {"connect.timeout", "connect.refused"}
    assert took_s < 2 + SLACK_S
