"""
A client of the ssh-agent: one socket, one request at a time, never waiting longer than 2 s.

Source: draft-ietf-sshm-ssh-agent sections 3 and 4.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fleetctl.ssh.identity import ssh_string

ANSWER_TIMEOUT_S = 2.0
#: A key may ask its owner for a touch or a confirmation.
SIGN_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 256 * 1024

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
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

    async def sign(self, data: bytes, algorithm: str) -> bytes:
        return await self.agent.sign(self.blob, data, algorithm)


class AgentClient:
    """One agent, shared by all connections of a process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._listing: asyncio.Task[tuple[AgentIdentity, ...]] | None = None

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
        answer = await self._ask(bytes([_REQUEST_IDENTITIES]), ANSWER_TIMEOUT_S)
        if answer[:1] != bytes([_IDENTITIES_ANSWER]):
            raise AgentFailed(f"{self.path}: the agent refuses to list its keys")
        return tuple(_parse_identities(answer[1:], self))

    async def sign(self, blob: bytes, data: bytes, algorithm: str) -> bytes:
        """
        Return a signature blob.

        Raises:
            AgentFailed: The agent or its owner refused, or does not answer.
        """
        flags = _RSA_FLAGS.get(algorithm, 0)
        request = (
            bytes([_SIGN_REQUEST]) + ssh_string(blob) + ssh_string(data) + flags.to_bytes(4, "big")
        )
        answer = await self._ask(request, SIGN_TIMEOUT_S)
        if answer[:1] != bytes([_SIGN_RESPONSE]):
            raise AgentFailed(f"{self.path}: the agent refuses to sign")
        signature, _ = _take_string(answer[1:])
        return signature

    async def _ask(self, request: bytes, timeout_s: float) -> bytes:
        try:
            async with self._lock, asyncio.timeout(timeout_s):
                if self._streams is None:
                    self._streams = await asyncio.open_unix_connection(self.path)
                reader, writer = self._streams
                writer.write(ssh_string(request))
                size = int.from_bytes(await reader.readexactly(4), "big")
                if not 0 < size <= MAX_ANSWER_BYTES:
                    raise AgentFailed(f"{self.path}: the agent answers nonsense")
                return await reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError) as error:
            self._drop_socket()
            reason = "no answer" if isinstance(error, TimeoutError) else str(error)
            raise AgentFailed(f"{self.path}: the agent cannot be used: {reason}") from error
        except BaseException:
            # The answer to a request nobody waits for must not be read as the next one's.
            self._drop_socket()
            raise

    async def close(self) -> None:
        """End the listing if it is under way, and close the socket."""
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.gather(self._listing, return_exceptions=True)
        self._drop_socket()

    def _drop_socket(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()


def _take_string(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise AgentFailed("the agent's answer is cut short")
    return data[4 : 4 + size], data[4 + size :]


def _parse_identities(data: bytes, agent: AgentClient) -> list[AgentIdentity]:
    count, rest = int.from_bytes(data[:4], "big"), data[4:]
    found = []
    for _ in range(min(count, 1000)):
        blob, rest = _take_string(rest)
        comment, rest = _take_string(rest)
        key_type, _ = _take_string(blob)
        found.append(
            AgentIdentity(
                label=comment.decode("utf-8", "replace"),
                key_type=key_type.decode("ascii", "replace"),
                blob=blob,
                agent=agent,
            )
        )
    return found
