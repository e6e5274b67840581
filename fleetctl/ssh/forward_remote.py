"""
Where the host listens for us: asking for it, taking it back, and whose a connection is.

Several forwardings share one transport; a channel that the server opens belongs to the one it
names, and one that nobody asked for is refused (S09).
Source: RFC 4254 section 7; OpenSSH PROTOCOL section 2.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from paramiko.message import Message

from fleetctl.model.errors import FleetError
from fleetctl.model.forward import Endpoint, Forward, Place, SocketPath
from fleetctl.ssh.forward_refusal import PROHIBITED
from fleetctl.ssh.loop_channel import ChannelOffer, add_fields
from fleetctl.ssh.loop_transport import LoopTransport

#: What sshd does not answer within this time is given up.
ANSWER_S = 30.0
#: At the end, answers are waited for this long.
CANCEL_S = 1.0

_TCP, _STREAMLOCAL = "forwarded-tcpip", "forwarded-streamlocal@openssh.com"

Take: TypeAlias = Callable[[Forward, ChannelOffer], None]


class RemoteListeners:
    """
    The listeners of one connection on its host.

    Args:
        host: Its name, for failures.
        take: Given each connection that comes in, with its forwarding; answers the offer.
    """

    def __init__(self, transport: LoopTransport, *, host: str, take: Take) -> None:
        self._transport = transport
        self._host = host
        self._take = take
        # Address or path as it was asked for, and the port -> the forwarding.
        self._by_place: dict[tuple[str, int], Forward] = {}

    async def listen(self, forward: Forward) -> Endpoint:
        """
        Have the host listen.

        Returns:
            Where it does; with the port it found if any was right.

        Raises:
            FleetError: ``forward.refused``.
        """
        name, address, port = _request_of(forward.listen)
        key = (address, port)
        if key in self._by_place:
            raise self._refused(forward, "it is forwarded already")
        found, is_wanted = port, True

        def hear(answer: bytes | None) -> None:
            nonlocal found
            if answer is not None and is_wanted:
                if name == "tcpip-forward" and port == 0:
                    found = int.from_bytes(answer[:4], "big")
                # Connections may follow the answer at once.
                self._by_place[address, found] = forward

        self._transport.take_offers(_TCP, self._take_tcp)
        self._transport.take_offers(_STREAMLOCAL, self._take_streamlocal)
        if port or name != "tcpip-forward":
            self._by_place[key] = forward
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._transport.ask_global(name, _payload(address, port, name), hear)
        except TimeoutError:
            is_wanted = False
            self._by_place.pop(key, None)
            raise self._refused(forward, f"no answer within {ANSWER_S:g} s") from None
        if answer is None:
            self._by_place.pop(key, None)
            raise self._refused(forward, "the server refuses it")
        if isinstance(forward.listen, SocketPath):
            return forward.listen
        return Place(forward.listen.host, found)

    async def cancel_all(self) -> None:
        """Have the host listen no more; waits for its answers, but not for long."""
        places, self._by_place = self._by_place, {}
        answers = []
        for (address, port), forward in places.items():
            name, _, _ = _request_of(forward.listen)
            cancel = "cancel-" + name
            answers.append(self._transport.ask_global(cancel, _payload(address, port, name)))
        if answers and self._transport.active:
            await asyncio.wait(answers, timeout=CANCEL_S)

    def _refused(self, forward: Forward, why: str) -> FleetError:
        match forward.listen:
            case SocketPath(path):
                hint = "see AllowStreamLocalForwarding in its sshd_config; a socket that is there "
                hint += f"already is in the way: rm {path}"
            case Place(host, port):
                hint = "see AllowTcpForwarding and PermitListen in its sshd_config"
                if host not in (None, "localhost"):
                    hint += ", and GatewayPorts for addresses"
                if port:
                    hint += f"; or port {port} is taken there: -R 0:… takes a free one"
        return FleetError(
            "forward.refused",
            f"{self._host} does not listen on {forward.listen}: {why}",
            hint=hint,
        )

    # -- what the server opens

    def _take_tcp(self, offer: ChannelOffer) -> None:
        fields = offer.fields
        address, port = _text(fields), fields.get_int()
        self._take_one(self._by_place.get((address, port)) or self._only_with(port), offer)

    def _take_streamlocal(self, offer: ChannelOffer) -> None:
        self._take_one(self._by_place.get((_text(offer.fields), 0)), offer)

    def _take_one(self, forward: Forward | None, offer: ChannelOffer) -> None:
        if forward is None:
            offer.refuse(PROHIBITED, "nobody asked for this forwarding")
        else:
            self._take(forward, offer)

    def _only_with(self, port: int) -> Forward | None:
        """Return the only forwarding with a port: not every server repeats the address."""
        found = [forward for (_, each), forward in self._by_place.items() if each == port and port]
        return found[0] if len(found) == 1 else None


def _request_of(listen: Endpoint) -> tuple[str, str, int]:
    """
    Return the global request, and the address and port or the path in it.

    Source: OpenSSH's channels.c, channel_rfwd_bind_host.
    """
    if isinstance(listen, SocketPath):
        return "streamlocal-forward@openssh.com", listen.path, 0
    host = "localhost" if listen.host is None else listen.host
    return "tcpip-forward", "" if host == "*" else host, listen.port


def _payload(address: str, port: int, name: str) -> bytes:
    m = Message()
    octets = address.encode("utf-8", "surrogateescape")
    add_fields(m, (octets, port) if name == "tcpip-forward" else (octets,))
    payload: bytes = m.asbytes()
    return payload


def _text(fields: Message) -> str:
    octets: bytes = fields.get_binary()
    return octets.decode("utf-8", "surrogateescape")
