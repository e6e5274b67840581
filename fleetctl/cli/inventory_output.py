"""
Where the ``inventory`` commands write: standard output, or a file that is never half.
"""

from __future__ import annotations

import errno
import os
import stat

import click

from fleetctl.model.errors import UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def write_output(text: str, path: str | None, *, is_private: bool = False) -> None:
    """
    Write text to standard output, or in place of a file.

    The file appears under its name when all of it is on the disk; before, the one that was there
    stays. A link keeps leading where it led. What is no regular file, such as ``/dev/null``, is
    written to as it is.

    Args:
        text: All of it.
        path: The file; None for standard output.
        is_private: Let nobody else read a new file.

    Raises:
        UsageError: The file cannot be written.
        OSError: The disk is full or broken.
    """
    if path is None:
        click.echo(text.encode(), nl=False)  # UTF-8, as a file, whatever the terminal speaks
        return
    try:
        _replace(os.path.realpath(path), text.encode(), is_private=is_private)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise UsageError(f"it cannot be written: {error.strerror or error}", file=path) from None


def _replace(path: str, data: bytes, *, is_private: bool) -> None:
    import tempfile

    try:
        known = os.stat(path)
    except FileNotFoundError:
        known = None
    if known is not None and not stat.S_ISREG(known.st_mode):
        with open(path, "wb") as stream:
            stream.write(data)
        return
    folder, name = os.path.split(path)
    fd, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with open(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(fd, _mode(known, is_private=is_private))
            os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode(known: os.stat_result | None, *, is_private: bool) -> int:
    """Return the mode of the file that was there, or of a new one."""
    if known is not None:
        return stat.S_IMODE(known.st_mode) & (0o600 if is_private else 0o777)
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o600 if is_private else 0o666 & ~mask
