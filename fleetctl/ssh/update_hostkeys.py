"""
UpdateHostKeys: learning the other keys of a host that is trusted, once it has proved to hold them.

Goes on beside the commands of a connection and never disturbs them: whatever goes wrong is logged.

Source: ssh_config(5), UpdateHostKeys; OpenSSH PROTOCOL section 2.5.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.host_certificate import is_certificate
from fleetctl.ssh.host_key_check import HostKeyCheck
from fleetctl.ssh.host_verdict import Judgement, blob_type_of
from fleetctl.ssh.identity import ssh_string
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.public_key import (
    BlobReader,
    MalformedKey,
    check_public_key,
    key_type_of,
    verify_signature,
)

PROVE = "hostkeys-prove-00@openssh.com"
#: A host with more keys than this is up to something.
MAX_KEYS = 32
#: A command may be over before the proof has come; this long it is waited for.
FINISH_LIMIT_S = 2.0

if TYPE_CHECKING:
    from fleetctl.ssh.known_hosts_file import Standing

log = logging.getLogger(__name__)


class HostKeyUpdate:
    """The update over one connection; made by `start`."""

    def __init__(self, check: HostKeyCheck, transport: LoopTransport) -> None:
        self._check = check
        self._transport = transport
        self._task: asyncio.Task[None] | None = None
        transport.on_host_keys = self._announced

    @staticmethod
    def start(
        check: HostKeyCheck, judgement: Judgement, transport: LoopTransport
    ) -> HostKeyUpdate | None:
        """
        Listen for the keys a host announces, if its settings want that and its key allows it.

        As with ssh, only a plain key in one of the user's own files does: not a certificate, not a
        key of the system's files, not one that was not checked.
        """
        settings = check.host.settings
        if settings.update_host_keys == "no" or not settings.user_known_hosts_files:
            return None
        own = {os.path.expanduser(file) for file in settings.user_known_hosts_files}
        is_own = bool(judgement.known) and all(
            os.path.expanduser(key.file) in own and not key.marker for key in judgement.known
        )
        return HostKeyUpdate(check, transport) if is_own else None

    async def finish(self) -> None:
        """Let an update that is under way come to its end, for a while."""
        self._transport.on_host_keys = None
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=FINISH_LIMIT_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _announced(self, payload: bytes) -> None:
        """Take the first announcement; called on the transport's greenlet."""
        self._transport.on_host_keys = None
        self._task = self._transport.loop.create_task(self._update(payload))

    async def _update(self, payload: bytes) -> None:
        name = self._check.names[0]
        try:
            await self._take_over(name, self._read_keys(payload))
        except MalformedKey as error:
            log.warning("%s: its host keys were not updated: %s", name, error)
        except (OSError, ValueError) as error:
            log.warning("%s: known_hosts was not updated: %s", name, error)

    async def _take_over(self, name: str, held: Sequence[bytes]) -> None:
        settings = self._check.host.settings
        if not held:
            return
        files = settings.user_known_hosts_files
        from fleetctl.ssh.known_hosts_file import standing_of

        standing = await in_thread(standing_of, files, name, held)
        new = [blob for blob in held if blob not in standing.known]
        if standing.reason or not (new or standing.old):
            if standing.reason and new:
                log.info("%s: its host keys are left alone: %s", name, standing.reason)
            return
        if settings.update_host_keys == "ask":
            self._check.warn(
                f"{self._check.host.name}: it announces other host keys (UpdateHostKeys ask); "
                "to take them: -o UpdateHostKeys=yes"
            )
            return
        if new:
            await self._prove(new)
        await in_thread(self._write_down, name, new, standing)
        for blob in new:
            self._check.files.known.learn(name, key_type_of(blob), blob, files[0])

    def _write_down(self, name: str, new: Sequence[bytes], standing: Standing) -> None:
        from fleetctl.ssh.known_hosts_file import add_keys

        settings = self._check.host.settings
        for number, file in enumerate(settings.user_known_hosts_files):
            if number and not os.path.exists(os.path.expanduser(file)):
                continue
            change = add_keys(
                file,
                name,
                [] if number else new,
                hashed=settings.hash_known_hosts,
                removing=standing.old,
            )
            if change.added or change.removed:
                log.info(
                    "%s: %d host keys added to %s, %d taken out",
                    name,
                    len(change.added),
                    file,
                    len(change.removed),
                )

    def _read_keys(self, payload: bytes) -> list[bytes]:
        """Return the keys that could be used: of a type that is known and allowed."""
        allowed = {blob_type_of(name) for name in self._transport.preferred_keys}
        found: list[bytes] = []
        for blob in BlobReader(payload).strings():
            key_type = key_type_of(blob)
            if is_certificate(key_type) or key_type not in allowed:
                continue
            check_public_key(blob)
            if blob in found:
                raise MalformedKey("a key is announced twice")
            found.append(blob)
            if len(found) > MAX_KEYS:
                raise MalformedKey("too many keys are announced")
        return found

    async def _prove(self, blobs: Sequence[bytes]) -> None:
        """
        Let the host sign with each of these keys.

        Raises:
            MalformedKey: It cannot, or does not answer.
        """
        request = b"".join(ssh_string(blob) for blob in blobs)
        answer = await self._transport.ask_global(PROVE, request)
        if answer is None:
            raise MalformedKey("the host does not prove that it holds its new keys")
        signatures = BlobReader(answer)
        session_id = self._transport.session_id
        assert session_id is not None
        for blob in blobs:
            signed = b"".join(map(ssh_string, (PROVE.encode(), session_id, blob)))
            verify_signature(blob, signatures.string(), signed)
        signatures.expect_end()
