"""
``fleetctl forward`` as people and scripts use it.
"""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.shell import LIMIT_S, fleetctl, on_terminal, started

pytestmark = pytest.mark.fleet

#: Reads from the first forwarding of a command; what it is told is printed.
READ = """python3 -c '
import os, socket
host, _, port = os.environ["FLEETCTL_FORWARD_1"].rpartition(":")
print(socket.create_connection((host, int(port))).recv(100).decode())
'"""


@contextmanager
def service(text: bytes) -> Iterator[int]:
    """Something that says this to everybody; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            peer, _ = listener.accept()
            with peer:
                if is_over.is_set():
                    return
                peer.sendall(text)

    is_over = threading.Event()
    thread = threading.Thread(target=serve, name="service")
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        is_over.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join()
        listener.close()


@pytest.fixture
def web(fleet):
    return "web01", "-i", str(fleet.inventory([fleet.host("web01")]))


def events_of(child, name, count=1):
    """Read events until so many of that name have come; return these."""
    found: list[dict] = []
    while len(found) < count:
        line = child.stdout.readline()
        assert line, child.stderr.read().decode()
        event = json.loads(line)
        if event["event"] == name:
            found.append(event)
    return found


def ask(port):
    with socket.create_connection(("127.0.0.1", port), LIMIT_S) as sock:
        return sock.recv(100)


def test_events_name_the_ports_and_ctrl_c_ends_it(web):
    """
    One line of JSON for each forwarding, with the port that was found, and one at the end.
    """
    with service(b"hi") as port:
        wish = ("-L", f"0:127.0.0.1:{port}", "-R", f"0:127.0.0.1:{port}", "-D", "0")
        with started("forward", *web, *wish, "--format", "ndjson") as child:
            events = events_of(child, "forward.listening", 3)
            assert [event["kind"] for event in events] == ["local", "remote", "dynamic"]
            assert [event["v"] for event in events] == [1, 1, 1]
            local, remote, _ = [event["places"][0]["port"] for event in events]
            assert ask(local) == ask(remote) == b"hi"
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 130
    assert json.loads(out)["event"] == "forward.ended"
    assert err == b""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_it_and_remove_its_sockets(web, tmp_path, number, code):
    """
    The exit code names the signal, and no file is left.
    """
    path = tmp_path / "s"
    with started("forward", *web, "-L", f"{path}:localhost:1", "--format", "ndjson") as child:
        events_of(child, "forward.listening")
        assert path.exists()
        child.send_signal(number)
        child.communicate(timeout=LIMIT_S)
    assert child.returncode == code
    assert not path.exists()


def test_people_see_a_line_for_each(web):
    """
    The way of a connection on standard error, and why one got no further.
    """
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with on_terminal("forward", *web, "-L", f"0:127.0.0.1:{port}", "-R", "0") as screen:
            screen.read_until("fleetctl: forwarding until Ctrl-C")
            shown = screen.shown
            assert f" -> web01 -> 127.0.0.1:{port}" in shown
            assert " -> here -> where its SOCKS client wants" in shown
            local = int(shown.split(" -> ")[0].rpartition(":")[2])
            assert ask(local) == b""
            screen.read_until("from web01: Connection refused")
            screen.interrupt()
            assert screen.wait().code == 130


def test_a_command_runs_while_the_forwardings_are_there(web):
    """
    It is told where they are, and its exit status is ours; one word is for the shell.
    """
    with service(b"from behind") as port:
        words = ("forward", *web, "-L", f"0:127.0.0.1:{port}", "--")
        done = fleetctl(*words, READ)
        assert (done.code, done.out) == (0, "from behind\n")
        assert fleetctl(*words, "sh", "-c", "exit 7").code == 7
        assert fleetctl(*words, "kill -9 $$").code == 137
        missing = fleetctl(*words, "no-such-program", "x")
        assert missing.code == 2
        assert "no-such-program cannot be started" in missing.err


def test_no_command_without_its_forwardings(web):
    """
    What a command needs is there before it starts, or it does not start.
    """
    with service(b"") as port:
        words = ("-L", f"{port}:localhost:1", "-D", "0")
        done = fleetctl("forward", *web, *words, "--", "echo", "started")
        assert (done.code, done.out) == (1, "")
        assert f"forward.bind: 127.0.0.1:{port}: address already in use" in done.err


def test_what_cannot_be_had_does_not_stop_the_others(web):
    """
    Unless ExitOnForwardFailure says so, or nothing is left.
    """
    with service(b"") as port:
        taken = ("-L", f"127.0.0.1:{port}:localhost:1")
        words = ("forward", *web, *taken, "--for", "0.1")
        some = fleetctl(*words, "-D", "0")
        assert some.code == 0
        assert f"fleetctl: -L 127.0.0.1:{port}:localhost:1: forward.bind: " in some.err
        assert fleetctl(*words, "-D", "0", "-o", "ExitOnForwardFailure=yes").code == 1
        assert fleetctl(*words).code == 1


def test_forwardings_of_the_settings_are_set_up_as_well(fleet, tmp_path):
    """
    Of inventory and ssh_config; --no-configured and ClearAllForwardings leave them out. Other
    commands do not set them up.
    """
    host = fleet.host("web01")
    inventory = tmp_path / "hosts.yml"
    given = fleet.inventory([host]).read_text()
    inventory.write_text(
        given.replace("  ssh:\n", f"  ssh:\n    LocalForward: {tmp_path}/%n localhost:1\n", 1)
    )
    config = tmp_path / "config"
    config.write_text("Host web*\n  RemoteForward 0 localhost:1\n")
    config.chmod(0o600)
    web = ("web01", "-i", str(inventory), "-F", str(config))
    words = ("forward", *web, "-L", "0:localhost:1", "--for", "0.1", "--format", "ndjson")

    def listening(*more):
        done = fleetctl(*words, *more)
        assert done.code == 0, done.err
        found = [e for e in done.events() if e["event"] == "forward.listening"]
        return sorted(event["kind"] for event in found)

    assert listening() == ["local", "local", "remote"]
    assert listening("--no-configured") == ["local"]
    assert listening("-o", "ClearAllForwardings=yes") == ["local"]
    assert fleetctl("run", *web, "--", f"test ! -e {tmp_path}/web01").code == 0
    option = ("-o", f"LocalForward={tmp_path}/second localhost:2")
    done = fleetctl("forward", *web, *option, "--for", "0.1")
    assert f"{tmp_path}/web01 -> web01 -> localhost:1" in done.err
    assert f"{tmp_path}/second -> web01 -> localhost:2" in done.err


def test_a_lost_connection_is_exit_4_with_the_reason(fleet):
    """
    As everything that was open through it, the command ends.
    """
    host = fleet.sshd("lost", {})
    inventory = str(fleet.inventory([host]))
    words = ("forward", "lost", "-i", inventory, "-L", "0:localhost:1", "--format", "ndjson")
    with started(*words) as child:
        events_of(child, "forward.listening")
        fleet.end_sessions(host)
        out, _ = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 4
    (event,) = [json.loads(line) for line in out.splitlines()]
    assert event["failure"]["kind"] == "session.lost"
    with started(*words, "--", "echo started >&2; exec sleep 1000") as child:
        while child.stderr.readline() != b"started\n":
            assert child.poll() is None
        fleet.end_sessions(host)
        out, err = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 4
    assert b"the command is ended: the connection is lost" in err
    fleet.stop(host)


def test_a_lost_gateway_is_named(fleet):
    """
    The connection ended there, and not at the host.
    """
    gateway = fleet.sshd("lost-gateway", {})
    inventory = str(fleet.inventory([fleet.host("web01"), gateway]))
    words = ("forward", "web01", "-i", inventory, "-J", "lost-gateway", "-D", "0")
    with started(*words, "--format", "ndjson") as child:
        events_of(child, "forward.listening")
        fleet.end_sessions(gateway)
        (event,) = events_of(child, "forward.ended")
        assert child.wait(LIMIT_S) == 4
    assert event["failure"]["kind"] == "gateway.lost"
    assert event["failure"]["hop"] == gateway.address
    fleet.stop(gateway)


def test_a_login_that_fails_is_told_as_everywhere(fleet):
    """
    Kind, reason and hint, and exit code 4.
    """
    inventory = str(fleet.inventory([fleet.host("key-refused")]))
    words = ("forward", "key-refused", "-i", inventory, "-D", "0")
    done = fleetctl(*words)
    assert done.code == 4
    assert "fleetctl: key-refused: auth.denied: " in done.err
    assert fleetctl(*words, "--format", "ndjson").events()[-1]["failure"]["kind"] == "auth.denied"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("web01",), "there is nothing to forward"),
        (("web01", "-L", "x"), '-L: Bad forwarding specification "x"'),
        (("web01", "-L", "80", "-D", "a:b:c:d"), "hint: write it as in -D 1080"),
        (("all", "-D", "0"), "forward goes through one host, not 2: web[01-02]"),
        (("localhost", "-D", "0"), "localhost is this machine itself"),
        (("web01", "-D", "0", "--"), "there is no command behind --"),
        (("web01", "-D", "0", "--for", "0"), "a time above 0 is expected"),
    ],
)
def test_mistakes_are_said_before_anybody_is_contacted(fleet, words, message):
    """
    Exit code 2, with what to write instead.
    """
    done = fleetctl("forward", "-i", str(fleet.inventory(fleet.hosts(2))), *words)
    assert done.code == 2
    assert message in done.err
    assert "hint: " in done.err
