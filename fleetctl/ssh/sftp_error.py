"""
What an SFTP server refuses, and what goes wrong with it, as failures of a host.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.ssh.sftp_packet import Status

#: Characters kept of what a server says about a failure.
MAX_MESSAGE = 200

#: Status -> kind of failure, and what it means where the server does not say.
_MEANING: Mapping[int, tuple[str, str]] = {
    Status.EOF: ("files.failed", "end of file"),
    Status.NO_SUCH_FILE: ("files.absent", "no such file"),
    Status.PERMISSION_DENIED: ("files.denied", "permission denied"),
    Status.FAILURE: ("files.failed", "failure"),
    # Said by OpenSSH for ENAMETOOLONG and EINVAL as well.
    Status.BAD_MESSAGE: ("files.failed", "bad message: an invalid argument, or too long a name"),
    Status.OP_UNSUPPORTED: ("files.unsupported", "the server does not support that"),
}


class SftpError(FleetError):
    """
    An SFTP server refused a request, or what it answers is no SFTP.

    Kinds: ``files.absent``, ``files.denied``, ``files.unsupported``, ``files.failed`` (refused, for
    a reason that SFTP has no number for); ``files.timeout``, ``files.protocol``, ``files.ended``.

    Attributes:
        status: The server's; None if it is not the server that refuses.
        path: What it was about, or the empty string.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int | None = None,
        path: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(kind, f"{path}: {message}" if path else message, hint=hint)
        self.status = status
        self.path = path


def refused(status: int, message: bytes, request: str, path: str) -> SftpError:
    """
    Return the error of a request that was refused.

    Args:
        message: What the server says, in UTF-8.
        request: Its name, such as ``open``.

    Source: draft-ietf-secsh-filexfer-02 section 7.
    """
    kind, meaning = _MEANING.get(status, ("files.failed", f"status {status}"))
    said = beginning(message.decode("utf-8", "replace").strip(), MAX_MESSAGE)
    same = said.lower() == meaning.lower()
    text = f"{request}: {meaning}" if not said or same else f"{request}: {meaning}: {said}"
    return SftpError(kind, text, status=status, path=path)


def is_absent(error: FleetError) -> bool:
    """Tell whether an error means that there is no such file."""
    return error.kind == "files.absent"
