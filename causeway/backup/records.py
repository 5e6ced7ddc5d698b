"""The records an archive consists of: `length · crc32 · kind · payload`.

length and crc32 are 32-bit little-endian; the checksum covers kind, length and payload in that order, so a record is
never taken for one of another kind or size. Payloads are messages of the public package `google.firestore.v1`, in
front of a document its 32-byte digest. `docs/reference/archive.md` is the specification.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

_HEAD = struct.Struct("<IIB")
_COVERED = struct.Struct("<BI")
HEAD_BYTES = _HEAD.size
DIGEST_BYTES = 32
MAX_PAYLOAD = 16 << 20
"""No Firestore message is larger than 10 MiB; a greater length is damage, and reading it would only cost memory."""


_PIECE = 1 << 20


class Kind(IntEnum):
    """What a record holds; the numbers are part of the format and never change their meaning."""

    DOCUMENT = 1
    """Digest (32 bytes), then `Document` exactly as the server sent it."""
    DELETE = 2
    """`DocumentDelete`: the document was gone at `read_time`."""
    WATERMARK = 3
    """`TargetChange`: what precedes is the exact state at `read_time`; its `resume_token` continues from there."""
    VERIFIED = 4
    """`TargetChange`: the state at the watermark `read_time` was compared with the database."""
    NOTE = 5
    """`google.protobuf.Struct`: what a person should know of this place in the archive (an alarm, a refusal)."""


_KINDS = frozenset(int(kind) for kind in Kind)
_BY_NUMBER = {int(kind): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Record:
    """One record, its checksum already held."""

    kind: Kind
    payload: bytes

    @property
    def digest(self) -> bytes:
        """The digest in front of a document."""
        return self.payload[:DIGEST_BYTES]

    @property
    def message(self) -> bytes:
        """The serialised protobuf message."""
        return self.payload[DIGEST_BYTES:] if self.kind is Kind.DOCUMENT else self.payload


@dataclass(frozen=True, slots=True)
class Scan:
    """What a stretch of bytes holds: `records` in its first `good` bytes, and whether the rest is torn or damaged.

    A torn tail is what a crash in the middle of an append leaves: no valid record follows it. Where one does, bytes
    in between have changed, and cutting there would silently drop what follows: that is `damaged`.
    """

    records: tuple[Record, ...]
    good: int
    torn: int
    damaged: bool


def encode(kind: Kind, payload: bytes) -> bytes:
    """The bytes of one record."""
    size = len(payload)
    if size > MAX_PAYLOAD:
        raise ValueError(f"a record of {size} bytes cannot be read back; the limit is {MAX_PAYLOAD}")
    checksum = zlib.crc32(payload, zlib.crc32(_COVERED.pack(kind, size)))
    return _HEAD.pack(size, checksum, kind) + payload


def _end_of_record(data: bytes | memoryview, start: int) -> int | None:
    """Where the valid record at `start` ends, or None if there is none."""
    body = start + HEAD_BYTES
    if body > len(data):
        return None
    size, checksum, kind = _HEAD.unpack_from(data, start)
    end = body + size
    if kind not in _KINDS or size > MAX_PAYLOAD or end > len(data):
        return None
    if zlib.crc32(data[body:end], zlib.crc32(_COVERED.pack(kind, size))) != checksum:
        return None
    return int(end)


def decode(data: bytes, start: int = 0) -> Iterator[tuple[Record, int]]:
    """Each record from `start` on with the offset behind it, up to the first that is not valid."""
    view = memoryview(data)
    while (end := _end_of_record(view, start)) is not None:
        kind = _BY_NUMBER[data[start + HEAD_BYTES - 1]]
        yield Record(kind, data[start + HEAD_BYTES : end]), end
        start = end


def decode_file(file: BinaryIO) -> Iterator[tuple[Record, int]]:
    """The same from a file, which is held in memory a piece at a time."""
    rest, before = b"", 0
    while piece := file.read(_PIECE):
        rest, end = rest + piece, 0
        for record, end in decode(rest):
            yield record, before + end
        rest, before = rest[end:], before + end


def scan(data: bytes) -> Scan:
    """Read an append-only log back, telling a torn tail from damage."""
    records: list[Record] = []
    good = 0
    for record, good in decode(data):  # noqa: B007 - the last offset is the result
        records.append(record)
    view = memoryview(data)
    damaged = any(_end_of_record(view, start) is not None for start in range(good + 1, len(data) - HEAD_BYTES + 1))
    return Scan(tuple(records), good, len(data) - good, damaged)
