"""
What hosts wrote, kept once however many wrote it: by its hash, packed with Zstandard.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from fleetctl.store.tables import OUTPUTS, RUN_OUTPUTS, insert_once
from fleetctl.store.types import StoreError

#: Shorter ones are kept as they are: packing gains nothing.
PACKED_FROM_BYTES = 128
_LEVEL = 3
#: Values in one condition, below what any SQLite takes.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Piece:
    """
    What is kept of one stream of one host.

    Attributes:
        hash: SHA-256 of `data`; None if nothing was written.
        whole_hash: SHA-256 of everything the engine kept of it.
    """

    data: bytes
    hash: bytes | None
    whole_hash: bytes


def cut(data: bytes, limit: int) -> Piece:
    """Return what is kept: everything, or head and tail."""
    whole_hash = hashlib.sha256(data).digest()
    if not data:
        return Piece(b"", None, whole_hash)
    if len(data) <= limit:
        return Piece(data, whole_hash, whole_hash)
    tail = limit // 2
    kept = data[: limit - tail] + data[len(data) - tail :]
    return Piece(kept, hashlib.sha256(kept).digest(), whole_hash)


def add_outputs(connection: sa.Connection, run_no: int, contents: Mapping[bytes, bytes]) -> None:
    """Add what is not there yet, by hash, and note that the run needs all of it."""
    if not contents:
        return
    if connection.dialect.name == "postgresql":
        # Nobody forgets an output between the look and the note; see `forget_outputs`.
        connection.exec_driver_sql("LOCK TABLE outputs IN ROW EXCLUSIVE MODE")
    known = _known(connection, contents)
    fresh = [_row(key, data) for key, data in contents.items() if key not in known]
    if fresh:
        connection.execute(insert_once(connection, OUTPUTS), fresh)
    connection.execute(
        insert_once(connection, RUN_OUTPUTS),
        [{"run_no": run_no, "hash": key} for key in contents],
    )


def forget_outputs(connection: sa.Connection, run_nos: Iterable[int]) -> tuple[int, int]:
    """
    Forget the outputs that only these runs need.

    Returns:
        How many, and the bytes they took.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE outputs IN SHARE ROW EXCLUSIVE MODE")
    count = size = 0
    for run_no in run_nos:
        mine = sa.select(RUN_OUTPUTS.c.hash).where(RUN_OUTPUTS.c.run_no == run_no)
        hashes = list(connection.execute(mine).scalars())
        connection.execute(sa.delete(RUN_OUTPUTS).where(RUN_OUTPUTS.c.run_no == run_no))
        for chunk in chunks(hashes):
            needed = sa.select(RUN_OUTPUTS.c.hash).where(RUN_OUTPUTS.c.hash.in_(chunk))
            gone = set(chunk) - set(connection.execute(needed).scalars())
            if gone:
                one_of = OUTPUTS.c.hash.in_(gone)
                taken = sa.func.coalesce(sa.func.sum(sa.func.length(OUTPUTS.c.data)), 0)
                size += connection.execute(sa.select(taken).where(one_of)).scalar_one()
                count += connection.execute(sa.delete(OUTPUTS).where(one_of)).rowcount
    return count, int(size)


def read_output(connection: sa.Connection, key: bytes) -> bytes | None:
    """
    Return an output, or None if it is not kept.

    Raises:
        StoreError: It is not what was written.
    """
    columns = (OUTPUTS.c.size, OUTPUTS.c.is_packed, OUTPUTS.c.data)
    row = connection.execute(sa.select(*columns).where(OUTPUTS.c.hash == key)).one_or_none()
    return None if row is None else unpack(key, *row)


def unpack(key: bytes, size: int, is_packed: bool, data: bytes) -> bytes:  # noqa: FBT001 - a row
    """
    Return the bytes of a row.

    Raises:
        StoreError: They are not those of the hash.
    """
    content = _expand(data, size) if is_packed else data
    if content is None or hashlib.sha256(content).digest() != key:
        raise StoreError(
            f"the output {key.hex()[:12]} in the history is not what was written",
            hint="fleetctl history verify",
        )
    return content


def chunks(values: Iterable[bytes]) -> Iterable[list[bytes]]:
    """Yield the values in lists short enough for one condition."""
    values = list(values)
    return (values[at : at + CHUNK] for at in range(0, len(values), CHUNK))


def _known(connection: sa.Connection, hashes: Iterable[bytes]) -> set[bytes]:
    known: set[bytes] = set()
    for chunk in chunks(hashes):
        found = sa.select(OUTPUTS.c.hash).where(OUTPUTS.c.hash.in_(chunk))
        known.update(connection.execute(found).scalars())
    return known


def _row(key: bytes, data: bytes) -> dict[str, object]:
    packed = _packer()(data) if len(data) >= PACKED_FROM_BYTES else data
    is_packed = len(packed) < len(data)
    return {
        "hash": key,
        "size": len(data),
        "is_packed": is_packed,
        "data": packed if is_packed else data,
    }


def _packer() -> Callable[[bytes], bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return lambda data: zstd.compress(data, _LEVEL)


def _expand(data: bytes, size: int) -> bytes | None:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    expander = zstd.ZstdDecompressor()
    try:
        # One byte more shows one that is too long; how long it would be is not found out.
        return bytes(expander.decompress(data, max_length=size + 1))
    except zstd.ZstdError:
        return None
