"""
What hosts wrote, kept once however many wrote it: by its hash, packed with Zstandard.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from fleetctl.store.facts import StoreError
from fleetctl.store.session import Session, row_of, value_of

#: Shorter ones are kept as they are: packing gains little, and a run of short ones loads no packer.
PACKED_FROM_BYTES = 512
_LEVEL = 3
#: Values in one condition, below what any SQLite takes.
CHUNK = 500

_ADD_OUTPUT = (
    "INSERT INTO outputs (hash, size, is_packed, data) VALUES (:hash, :size, :is_packed, :data) "
    "ON CONFLICT DO NOTHING"
)
_ADD_NEED = "INSERT INTO run_outputs (run_no, hash) VALUES (:run_no, :hash) ON CONFLICT DO NOTHING"
_READ_OUTPUT = "SELECT size, is_packed, data FROM outputs WHERE hash = :hash"
#: Outputs that one run needs, and no other.
_OWN = (
    "hash IN (SELECT mine.hash FROM run_outputs AS mine WHERE mine.run_no = :run_no) "
    "AND NOT EXISTS (SELECT 1 FROM run_outputs AS other "
    "WHERE other.hash = outputs.hash AND other.run_no <> :run_no)"
)
_SIZE_OF_OWN = "SELECT coalesce(sum(length(data)), 0) FROM outputs WHERE " + _OWN  # noqa: S608
_FORGET_OWN = "DELETE FROM outputs WHERE " + _OWN  # noqa: S608
_FORGET_NEEDS = "DELETE FROM run_outputs WHERE run_no = :run_no"


class Piece(NamedTuple):
    """
    What is kept of one stream of one host.

    Attributes:
        hash: SHA-256 of `data`; None if nothing was written.
        whole_hash: SHA-256 of everything the engine kept of it.

    A tuple, since every result makes two.
    """

    data: bytes
    hash: bytes | None
    whole_hash: bytes


_NOTHING = Piece(b"", None, hashlib.sha256(b"").digest())


def cut(data: bytes, limit: int) -> Piece:
    """Return what is kept: everything, or head and tail."""
    if not data:
        return _NOTHING
    whole_hash = hashlib.sha256(data).digest()
    if len(data) <= limit:
        return Piece(data, whole_hash, whole_hash)
    tail = limit // 2
    kept = data[: limit - tail] + data[len(data) - tail :]
    return Piece(kept, hashlib.sha256(kept).digest(), whole_hash)


def add_outputs(session: Session, run_no: int, contents: Mapping[bytes, bytes]) -> None:
    """Add what is not there yet, by hash, and note that the run needs all of it."""
    if not contents:
        return
    if not session.is_sqlite:
        # Nobody forgets an output between the look and the note; see `forget_outputs`.
        session.run("LOCK TABLE outputs IN ROW EXCLUSIVE MODE")
    known = _known(session, contents)
    fresh = [_row(key, data) for key, data in contents.items() if key not in known]
    if fresh:
        session.run_each(_ADD_OUTPUT, fresh)
    session.run_each(_ADD_NEED, [{"run_no": run_no, "hash": key} for key in contents])


def forget_outputs(session: Session, run_nos: Iterable[int]) -> tuple[int, int]:
    """
    Forget the outputs that only these runs need.

    Returns:
        How many, and the bytes they took.
    """
    if not session.is_sqlite:
        session.run("LOCK TABLE outputs IN SHARE ROW EXCLUSIVE MODE")
    count = size = 0
    for run_no in run_nos:
        mine = {"run_no": run_no}
        size += int(value_of(session, _SIZE_OF_OWN, mine))
        count += session.run(_FORGET_OWN, mine)
        session.run(_FORGET_NEEDS, mine)
    return count, size


def read_output(session: Session, key: bytes) -> bytes | None:
    """
    Return an output, or None if it is not kept.

    Raises:
        StoreError: It is not what was written.
    """
    row = row_of(session, _READ_OUTPUT, {"hash": key})
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


def _known(session: Session, hashes: Iterable[bytes]) -> set[bytes]:
    known: set[bytes] = set()
    for chunk in chunks(hashes):
        values = {f"hash{n}": key for n, key in enumerate(chunk)}
        names = ", ".join(f":{name}" for name in values)
        query = f"SELECT hash FROM outputs WHERE hash IN ({names})"  # noqa: S608 - of names
        known.update(row[0] for row in session.rows(query, values))
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
