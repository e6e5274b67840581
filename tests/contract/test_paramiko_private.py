"""
The installed Paramiko is the one `fleetctl.ssh` was written against.

A failure here names what changed and where it is used: look there before supporting the version.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import socket
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path
from types import FrameType

import paramiko
import pytest
from paramiko import transport as transport_module
from paramiko.common import MSG_NAMES, MSG_UNIMPLEMENTED
from paramiko.message import Message
from paramiko.packet import NeedRekeyException, Packetizer

import fleetctl.ssh
from fleetctl.ssh.loop_channel import LoopChannel
from fleetctl.ssh.loop_transport import LoopTransport
from tests.contract.ssh_private_attributes import ATTRIBUTES, MODULE_NAMES, SET_LATER
from tests.contract.ssh_private_methods import METHODS
from tests.contract.ssh_private_names import (
    Attribute,
    Method,
    function,
    names_in,
    private_names,
)
from tests.support.drive import connected, run_async

SSH = Path(inspect.getfile(fleetctl.ssh)).parent


@pytest.fixture
def stock() -> Iterator[paramiko.Transport]:
    """A transport as Paramiko makes it, not started."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield paramiko.Transport(ours)


def changed(entry: Method | Attribute, what: str) -> str:
    return f"Paramiko {paramiko.__version__}: {entry.id} {what}. It is used by {entry.used}"


def test_paramiko_is_a_supported_version():
    """
    The installed version lies in the range that the package demands, which ends with its minor
    version.
    """
    [demand] = [line for line in requires("fleetctl") or () if line.startswith("paramiko")]
    low, high = re.findall(r"(?:>=|<)(\d+)\.(\d+)", demand.replace(" ", ""))[:2]
    lowest, highest = sorted([tuple(map(int, low)), tuple(map(int, high))])
    installed = tuple(int(part) for part in version("paramiko").split(".")[:2])
    assert lowest <= installed < highest
    assert highest == (lowest[0], lowest[1] + 1)
    assert paramiko.__version__ == version("paramiko")


@pytest.mark.parametrize("entry", METHODS, ids=lambda entry: entry.id)
def test_method_is_as_it_was(entry: Method):
    """
    A method that is overridden or called exists with the same arguments, and Paramiko still calls
    it from where it did.
    """
    found = inspect.getattr_static(entry.owner, entry.name, None)
    assert found is not None, changed(entry, "is gone")
    assert inspect.isfunction(found), changed(entry, f"is a {type(found).__name__} now")
    assert str(inspect.signature(found)) == entry.signature, changed(entry, "has other arguments")
    for caller in entry.callers:
        assert entry.name in names_in(function(caller).__code__), changed(
            entry, f"is not used by {caller} any more"
        )


@pytest.mark.parametrize("entry", ATTRIBUTES, ids=lambda entry: entry.id)
def test_attribute_is_as_it_was(entry: Attribute, stock):
    """
    An attribute that is read or set exists with the same type, and Paramiko still uses it.
    """
    if entry.owner is Packetizer:
        subject: object = stock.packetizer
    elif entry.owner is paramiko.Transport:
        subject = stock
    else:
        subject = entry.owner(stock)
    assert hasattr(subject, entry.name), changed(entry, "is gone")
    value = getattr(subject, entry.name)
    assert isinstance(value, entry.kind), changed(entry, f"is a {type(value).__name__} now")
    if entry.value is not None:
        assert value == entry.value, changed(entry, f"begins as {value!r}")
    for caller in entry.callers:
        assert entry.name in names_in(function(caller).__code__), changed(
            entry, f"is not used by {caller} any more"
        )


@pytest.mark.parametrize("name", MODULE_NAMES)
def test_name_of_the_module_is_as_it_was(name):
    """
    What is used of the transport module itself is there.
    """
    used, kind = MODULE_NAMES[name]
    assert isinstance(getattr(transport_module, name, None), kind), f"{name}: used by {used}"
    assert name in names_in(paramiko.Transport.run.__code__)


@pytest.mark.parametrize("name", SET_LATER)
def test_name_that_is_set_later_is_still_used(name):
    """
    What a key exchange leaves on the transport is still left there under the same name.
    """
    used, functions = SET_LATER[name]
    for path in functions:
        assert name in names_in(function(path).__code__), f"{name} of {path}: used by {used}"


def own_names(tree: ast.Module) -> set[str]:
    """Return attributes set on ``self`` in classes that have nothing of Paramiko."""
    own = set()
    for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        bases = " ".join(ast.unparse(base) for base in cls.bases)
        if "paramiko" in bases or "Packetizer" in bases:
            continue
        for node in ast.walk(cls):
            match node:
                case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                    own.add(name)
    return own


def unlisted(source: str, listed: set[str], private: dict[str, str]) -> dict[str, str]:
    """Return private names of Paramiko that a source uses or overrides and that have no entry."""
    tree = ast.parse(source)
    own = own_names(tree)
    found = {}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.FunctionDef(name=name):
                pass
            case ast.AsyncFunctionDef(name=name):
                pass
            case _:
                continue
        mangled = re.match(r"_(Transport|Channel|Packetizer|AuthHandler)__", name)
        if mangled or (name in private and name not in listed and name not in own):
            found[name] = private.get(name, "mangled")
    return found


def test_no_private_name_is_used_without_an_entry():
    """
    Whatever private name of Paramiko the sources use or override is in the list of the contract.
    """
    private = {name: owner for owner, name in private_names()}
    listed = {*MODULE_NAMES, *SET_LATER, *(m.name for m in METHODS), *(a.name for a in ATTRIBUTES)}
    files = sorted(SSH.glob("*.py"))
    assert len(files) > 10
    missing = {
        file.name: names
        for file in files
        if (names := unlisted(file.read_text(encoding="utf-8"), listed, private))
    }
    assert missing == {}


def test_scan_for_private_names_finds_them():
    """
    The scan above can fail: it sees calls, overrides and mangled names, and not our own names.
    """
    private = {name: owner for owner, name in private_names()}
    assert {"_compute_key", "_x11_handler", "_pipe"} <= private.keys()
    source = """
class A(paramiko.Transport):
    def _compute_key(self): self._x11_handler = self.packetizer._Packetizer__socket
class B:
    def __init__(self): self._pipe = 1
"""
    assert set(unlisted(source, set(), private)) == {
        "_compute_key",
        "_x11_handler",
        "_Packetizer__socket",
    }


def test_only_one_file_uses_private_names_of_paramiko_transport():
    """
    Outside the two files that own them, no private name of Paramiko's is touched, save the handler
    table that a login must have.
    """
    private = {name: owner for owner, name in private_names()}
    users = {
        file.name: names
        for file in sorted(SSH.glob("*.py"))
        if (names := set(unlisted(file.read_text(encoding="utf-8"), set(), private)))
    }
    assert set(users) == {"loop_transport.py", "loop_channel.py"}


def frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def test_paramikos_own_run_is_on_the_stack_of_every_connection(fleet):
    """
    Each live connection is served by `paramiko.Transport.run` itself, no copy, whether it is idle
    or runs a command.
    """
    hosts = [fleet.model_host(host) for host in fleet.hosts(3)]
    run = paramiko.Transport.run
    package = Path(inspect.getfile(paramiko)).parent
    assert Path(run.__code__.co_filename) == package / "transport.py"
    assert "run" not in vars(LoopTransport)

    def is_hosted(transport: LoopTransport) -> bool:
        hosted = transport._greenlet
        assert hosted is not None
        codes = [frame.f_code for frame in frames(hosted.gr_frame)]
        return run.__code__ in codes

    async def main():
        async with connected(hosts[0]) as one, connected(hosts[1]) as two, connected(hosts[2]) as t:
            connections = (one, two, t)
            assert all(is_hosted(connection.transport) for connection in connections)
            running = [asyncio.ensure_future(c.exec("sleep 0.2; exit 3")) for c in connections]
            await asyncio.sleep(0.1)
            assert all(is_hosted(connection.transport) for connection in connections)
            assert [(await task).exit_status for task in running] == [3, 3, 3]

    run_async(main)


# -- what the names mean


def test_both_handler_tables_have_the_same_messages():
    """
    Our table of channel handlers serves exactly the messages that Paramiko's does.
    """
    assert set(LoopTransport._channel_handler_table) == set(
        paramiko.Transport._channel_handler_table
    )


def test_channel_handlers_call_the_method_that_stock_paramiko_calls():
    """
    For each channel message our table calls the method that Paramiko's table names.
    """
    for number, stock_handler in paramiko.Transport._channel_handler_table.items():
        called: list[str] = []

        class Recorder:
            def __getattr__(self, name: str, called: list[str] = called):
                called.append(name)
                return lambda _: None

        LoopTransport._channel_handler_table[number](Recorder(), Message())
        assert called == [stock_handler.__name__], MSG_NAMES[number]


def test_loop_channel_has_every_method_a_transport_calls_on_a_channel():
    """
    LoopChannel inherits nothing that would need the pipes and locks it does not have.
    """
    called = {handler.__name__ for handler in paramiko.Transport._channel_handler_table.values()}
    for caller in ("run", "_parse_channel_open_success", "close"):
        names = names_in(function(f"Transport.{caller}").__code__)
        called |= {name for name in names if name in vars(paramiko.Channel) and name[:1] == "_"}
    called -= {"_log", "__init__"}
    assert called
    assert called <= set(vars(LoopChannel))


def test_channels_are_kept_weakly_and_found_by_number(stock):
    """
    The map forgets a channel nobody holds; put, get and delete work on numbers.
    """
    with stock.lock:
        number = stock._next_channel()  # does not take the lock itself
        assert stock._next_channel() == number + 1
    channel = paramiko.Channel(7)
    stock._channels.put(7, channel)
    assert stock._channels.get(7) is channel
    assert stock._channels.values() == [channel]
    stock._channels.delete(7)
    stock._channels.delete(7)
    assert stock._channels.get(7) is None
    stock._channels.put(8, paramiko.Channel(8))
    assert stock._channels.get(8) is None


def test_new_transport_is_not_clear_to_send(stock):
    """
    Before the first keys nothing is clear to send, and UNIMPLEMENTED has no handler of Paramiko's.
    """
    assert not stock.clear_to_send.is_set()
    assert MSG_UNIMPLEMENTED not in stock._handler_table


def test_rekey_is_asked_for_by_bytes_and_forgotten_with_new_ciphers(stock):
    """
    REKEY_BYTES on the instance counts; the wish for new keys ends when both ciphers were changed.
    """
    packetizer = stock.packetizer
    packetizer.write_all = lambda out: None
    packetizer.REKEY_BYTES = 100
    message = Message()
    message.add_byte(b"\x02")
    message.add_string(b"x" * 200)
    assert not packetizer.need_rekey()
    packetizer.send_message(message)
    assert packetizer.need_rekey()
    packetizer.set_outbound_cipher(None, 8, None, 0, b"")
    assert packetizer.need_rekey()
    packetizer.set_inbound_cipher(None, 8, None, 0, b"")
    assert not packetizer.need_rekey()
    assert issubclass(NeedRekeyException, Exception)


def test_offer_of_the_peer_has_the_names_that_messages_use(stock):
    """
    A KEXINIT is parsed into the lists that errors about algorithms show.
    """
    message = Message()
    message.add_bytes(bytes(16))
    for _ in range(10):
        message.add_list(["a", "b"])
    message.add_boolean(False)
    message.add_int(0)
    message.rewind()
    parsed = stock._really_parse_kex_init(message)
    for name in (
        "kex_algo_list",
        "server_key_algo_list",
        "server_encrypt_algo_list",
        "server_mac_algo_list",
        "server_compress_algo_list",
    ):
        assert parsed[name] == ["a", "b"]


def test_algorithms_offered_are_known_to_paramiko(stock):
    """
    Each name that can be offered is one Paramiko can do, ML-KEM where cryptography has it.
    """
    from fleetctl.ssh import algorithms

    kex = set(LoopTransport._kex_info)
    assert set(algorithms.KEX) - kex <= {"mlkem768x25519-sha256"}
    assert "curve25519-sha256" in kex
    assert set(algorithms.CIPHERS + algorithms.WEAK_CIPHERS) <= set(stock._cipher_info)
    assert set(algorithms.MACS + algorithms.WEAK_MACS) <= set(stock._mac_info)
    assert set(algorithms.HOST_KEYS) <= set(stock._key_info)


@pytest.mark.parametrize("what", ["kex", "ciphers", "macs", "keys", "pubkeys", "compression"])
def test_algorithms_that_are_set_are_the_ones_offered(stock, what):
    """
    What is written to a _preferred_ name is what the preferred_ property, which is sent, begins
    with.
    """
    setattr(stock, f"_preferred_{what}", ("one", "two"))
    assert getattr(stock, f"preferred_{what}")[:2] == ("one", "two")
    assert f"preferred_{what}" in names_in(paramiko.Transport._send_kex_init.__code__) or (
        what == "pubkeys"
    )


def test_start_client_with_an_event_starts_and_returns(stock, monkeypatch):
    """
    Given an event, `start_client` marks the transport active, keeps the event, calls start() and
    waits for nothing.
    """
    started: list[bool] = []
    monkeypatch.setattr(stock, "start", lambda: started.append(stock.active))
    event = object()
    stock.start_client(event=event)
    assert started == [True]
    assert stock.completion_event is event
