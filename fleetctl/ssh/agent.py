"""
A client of the ssh-agent: one request at a time, never waiting longer than 2 s for a plain answer.

Keys are listed over one socket for all hosts. Each signature uses a socket that was told which host
it is for, so that keys which are meant for some hosts only work, as long as the agent knows of such
things.

Source: draft-ietf-sshm-ssh-agent sections 3 and 4, OpenSSH PROTOCOL.agent section 1.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fleetctl.ssh.identity import SessionBinding, ssh_string, take_string

ANSWER_TIMEOUT_S = 2.0
#: A key may ask its owner for a touch or a confirmation.
SIGN_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 256 * 1024

FAILURE, SUCCESS = 5, 6
REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14
EXTENSION = 27
_RSA_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}


class AgentFailed(Exception):
    """The agent is away, does not answer in time, or says no."""


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """A key the agent holds."""

    label: str
    key_type: str
    blob: bytes
    agent: AgentClient
    asks_somebody: bool = True

    async def sign(
        self, data: bytes, algorithm: str, binding: SessionBinding | None = None
    ) -> bytes:
        return await self.agent.sign(self.blob, data, algorithm, binding)


class AgentStream:
    """
    One socket to an agent, opened when first used. Requests must not overlap.

    Args:
        path: The agent's socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, timeout_s: float) -> bytes:
        """
        Return the answer to one request.

        Raises:
            AgentFailed: There is none; the socket is closed, and the next request opens another.
        """
        try:
            async with asyncio.timeout(timeout_s):
                if self._streams is None:
                    self._streams = await asyncio.open_unix_connection(self._path)
                reader, writer = self._streams
                writer.write(ssh_string(request))
                size = int.from_bytes(await reader.readexactly(4), "big")
                if not 0 < size <= MAX_ANSWER_BYTES:
                    raise AgentFailed(f"{self._path}: the agent answers nonsense")
                return await reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            reason = "no answer" if isinstance(error, TimeoutError) else str(error)
            raise AgentFailed(f"{self._path}: the agent cannot be used: {reason}") from error
        except BaseException:
            # The answer to a request nobody waits for must not be read as the next one's.
            self.close()
            raise

    async def bind(self, binding: SessionBinding, *, is_forwarding: bool) -> bool:
        """
        Tell the agent which connection this socket is for; False if it knows of no such things.

        Raises:
            AgentFailed: It cannot be used.
        """
        request = bytes([EXTENSION]) + b"".join(
            (
                ssh_string(b"session-bind@openssh.com"),
                ssh_string(binding.host_key),
                ssh_string(binding.session_id),
                ssh_string(binding.signature),
                bytes([is_forwarding]),
            )
        )
        return (await self.ask(request, ANSWER_TIMEOUT_S))[:1] == bytes([SUCCESS])

    def close(self) -> None:
        """Close the socket if it is open."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()


class AgentClient:
    """One agent, shared by all connections of a process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = asyncio.Lock()
        self._shared = AgentStream(path)
        self._listing: asyncio.Task[tuple[AgentIdentity, ...]] | None = None
        self._binds = True
        self._silence = ""

    async def identities(self) -> tuple[AgentIdentity, ...]:
        """
        Return the keys the agent holds, asked for once.

        Raises:
            AgentFailed: It cannot be used; the next call fails at once in the same way.
        """
        if self._listing is None:
            self._listing = asyncio.ensure_future(self._list())
        return await asyncio.shield(self._listing)

    async def _list(self) -> tuple[AgentIdentity, ...]:
        answer = await self._ask(bytes([REQUEST_IDENTITIES]), ANSWER_TIMEOUT_S)
        if answer[:1] != bytes([IDENTITIES_ANSWER]):
            raise AgentFailed(f"{self.path}: the agent refuses to list its keys")
        return tuple(_parse_identities(answer[1:], self))

    async def sign(
        self, blob: bytes, data: bytes, algorithm: str, binding: SessionBinding | None = None
    ) -> bytes:
        """
        Return a signature blob.

        Args:
            binding: The connection it is for; told to agents that know ``session-bind``.

        Raises:
            AgentFailed: The agent or its owner refused, or does not answer.
        """
        flags = _RSA_FLAGS.get(algorithm, 0)
        request = (
            bytes([SIGN_REQUEST]) + ssh_string(blob) + ssh_string(data) + flags.to_bytes(4, "big")
        )
        answer = await self._ask(request, SIGN_TIMEOUT_S, binding)
        if answer[:1] != bytes([SIGN_RESPONSE]):
            raise AgentFailed(f"{self.path}: the agent refuses to sign")
        try:
            signature, _ = take_string(answer[1:])
        except ValueError:
            raise AgentFailed(f"{self.path}: the agent's answer is cut short") from None
        return signature

    async def _ask(
        self, request: bytes, timeout_s: float, binding: SessionBinding | None = None
    ) -> bytes:
        """Ask one thing at a time, so that the owner of the keys is asked one thing at a time."""
        async with self._lock:
            if self._silence:
                # One host has waited for it; the others need not.
                raise AgentFailed(self._silence)
            # An agent lets a socket be told of one connection only.
            stream = self._shared if binding is None or not self._binds else AgentStream(self.path)
            try:
                if binding is not None and stream is not self._shared:
                    # An agent that does not know of it has no keys that need it.
                    self._binds = await stream.bind(binding, is_forwarding=False)
                return await stream.ask(request, timeout_s)
            except AgentFailed as error:
                if isinstance(error.__cause__, TimeoutError):
                    self._silence = str(error)
                raise
            finally:
                if stream is not self._shared:
                    stream.close()

    async def close(self) -> None:
        """End the listing if it is under way, and close the socket."""
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.gather(self._listing, return_exceptions=True)
        self._shared.close()


def _parse_identities(data: bytes, agent: AgentClient) -> list[AgentIdentity]:
    count, rest = int.from_bytes(data[:4], "big"), data[4:]
    found = []
    try:
        for _ in range(min(count, 1000)):
            blob, rest = take_string(rest)
            comment, rest = take_string(rest)
            key_type, _ = take_string(blob)
            found.append(
                AgentIdentity(
                    label=comment.decode("utf-8", "replace"),
                    key_type=key_type.decode("ascii", "replace"),
                    blob=blob,
                    agent=agent,
                )
            )
    except ValueError:
        raise AgentFailed(f"{agent.path}: the agent's answer is cut short") from None
    return found
