"""Segments: sealed, compressed stretches of records, each readable and checkable on its own.

A segment is a sequence of zstd frames; each frame holds whole records and knows its size and checksum, so that damage
costs one frame of about a mebibyte and not the rest of the segment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import zstandard

from causeway.backup.records import DIGEST_BYTES, Kind, Record, decode, encode
from causeway.errors import IntegrityError

FRAME_BYTES = 1 << 20
SEGMENT_BYTES = 8 << 20
"""Uncompressed size at which a writer should seal: what is lost to a crash, and held in memory, is below this."""
_LEVEL = 3
_MAGIC = b"\x28\xb5\x2f\xfd"
MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class Facts:
    """What a segment, a task or a whole backup holds.

    `digest` is the sum of the documents' digests modulo 2**256: the same for the same documents in any order and
    any division into segments.
    """

    documents: int = 0
    deletes: int = 0
    watermarks: int = 0
    raw_bytes: int = 0
    digest: int = 0

    def __add__(self, other: Facts) -> Facts:
        return Facts(
            self.documents + other.documents,
            self.deletes + other.deletes,
            self.watermarks + other.watermarks,
            self.raw_bytes + other.raw_bytes,
            (self.digest + other.digest) % MODULUS,
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """A finished segment: its bytes as stored, their sha256 (hex), and what they hold."""

    data: bytes
    sha256: str
    facts: Facts


class SegmentWriter:
    """Collects records and seals them; holds at most the compressed segment and one frame in memory."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True)
        self._frames: list[bytes] = []
        self._frame: list[bytes] = []
        self._frame_bytes = 0
        self._raw_bytes = 0
        self._counts = [0] * (max(Kind) + 1)
        self._digest = 0

    @property
    def raw_bytes(self) -> int:
        """Uncompressed bytes taken so far."""
        return self._raw_bytes

    def add(self, kind: Kind, payload: bytes) -> None:
        """Append one record; a document's payload starts with its digest."""
        record = encode(kind, payload)
        self._frame.append(record)
        self._frame_bytes += len(record)
        self._raw_bytes += len(record)
        self._counts[kind] += 1
        if kind is Kind.DOCUMENT:
            self._digest += int.from_bytes(payload[:DIGEST_BYTES], "big")
        if self._frame_bytes >= FRAME_BYTES:
            self._end_frame()

    def seal(self) -> Sealed:
        """The finished segment; the writer starts anew."""
        self._end_frame()
        data = b"".join(self._frames)
        facts = Facts(
            documents=self._counts[Kind.DOCUMENT],
            deletes=self._counts[Kind.DELETE],
            watermarks=self._counts[Kind.WATERMARK],
            raw_bytes=self._raw_bytes,
            digest=self._digest % MODULUS,
        )
        self._frames, self._raw_bytes, self._digest = [], 0, 0
        self._counts = [0] * len(self._counts)
        return Sealed(data, hashlib.sha256(data).hexdigest(), facts)

    def _end_frame(self) -> None:
        if self._frame:
            frame = self._compressor.compress(b"".join(self._frame))
            self._frames.append(bytes(memoryview(frame)))  # a copy: what zstandard gives keeps the uncompressed size
            self._frame, self._frame_bytes = [], 0


def _frames(data: bytes) -> Iterator[bytes]:
    """The content of each frame in turn; zstandard raises where one is damaged."""
    rest = data
    while rest:
        decompressor = zstandard.ZstdDecompressor().decompressobj()
        content = decompressor.decompress(rest)
        if not decompressor.eof:
            raise zstandard.ZstdError("the last frame is cut short")
        yield content
        rest = decompressor.unused_data


def _records(content: bytes) -> Iterator[Record]:
    end = 0
    for record, end in decode(content):  # noqa: B007 - where it ends is checked below
        yield record
    if end != len(content):
        raise zstandard.ZstdError("a record's checksum does not hold")


def read_segment(name: str, data: bytes, sha256: str) -> Iterator[Record]:
    """The records of a segment whose sha256 (hex) the manifest gives; nothing is yielded unless it agrees.

    Raises:
        IntegrityError: the bytes are not those that were sealed.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityError(
            f"segment {name} is not what was sealed ({len(data)} bytes, another sha256)",
            "a restore from it would not give back what was there",
            "use another copy of the archive, or read what is intact with --salvage",
        )
    for content in _frames(data):
        yield from _records(content)


def salvage_segment(data: bytes) -> Iterator[Record]:
    """Every record of a damaged segment that can be proved intact by its frame's and its own checksum."""
    start = data.find(_MAGIC)
    while start >= 0:
        try:
            decompressor = zstandard.ZstdDecompressor().decompressobj()
            content = decompressor.decompress(data[start:])
            whole = decompressor.eof
        except zstandard.ZstdError:
            whole = False
        if whole:
            for record, _ in decode(content):
                yield record
            start = data.find(_MAGIC, len(data) - len(decompressor.unused_data))
        else:
            start = data.find(_MAGIC, start + 1)
