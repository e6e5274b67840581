"""
What goes wrong over SFTP, in the words of `fleetctl.keys.place.KeysFile`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fleetctl.model.errors import FleetError
from fleetctl.ssh.sftp import STATVFS, SftpClient, SftpError


@asynccontextmanager
async def translated(kind: str) -> AsyncIterator[None]:
    """
    Turn what SFTP's server refuses into failures of this kind, and what is wrong with the server
    into those of every `Remote`.

    Raises:
        FleetError: This kind; ``session.lost``: no answer came; ``keys.protocol``.
    """
    try:
        yield
    except SftpError as error:
        message, hint = error.failure.message, error.failure.hint
        if error.kind in ("files.ended", "files.timeout"):
            raise FleetError("session.lost", message, hint=hint) from None
        if error.kind == "files.protocol":
            raise FleetError("keys.protocol", message, hint=hint) from None
        raise FleetError(kind, message, hint=hint) from None


async def why_not_written(client: SftpClient, folder: str, error: SftpError) -> FleetError:
    """
    Return ``keys.write`` with a reason: SFTP has numbers for two or three of them, so the file
    system is asked for the others.

    Args:
        folder: Exists, and is where it was to be written.
    """
    reason, hint = None, None
    if STATVFS in client.extensions and error.status is not None:
        try:
            system = await client.file_system(folder)
        except SftpError:
            system = None
        if system is None:
            pass
        elif system.is_read_only:
            reason = "read-only file system (EROFS)"
            hint = "mount it for writing, or look at why the kernel made it read-only: dmesg"
        elif system.free_bytes == 0:
            reason, hint = "no space left on the file system (ENOSPC)", f"df {folder}"
        elif system.inodes and system.free_inodes == 0:
            reason, hint = "no inodes left on the file system (ENOSPC)", f"df -i {folder}"
    if reason is None and error.kind == "files.denied":
        hint = f"look at owners, modes and immutable files: ls -la {folder}; lsattr -a {folder}"
    elif reason is None and error.kind == "files.failed":
        hint = f"SFTP gives no reason; a quota may be used up: quota; df {folder}"
    message = error.failure.message
    return FleetError("keys.write", f"{message}: {reason}" if reason else message, hint=hint)
