"""The open end of a stream: an append-only log of records, synced before a watermark counts, sealed when it is long."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from causeway.backup.records import HEAD_BYTES, Kind, Record, decode_file, encode, scan
from causeway.backup.segments import FRAME_BYTES, Sealed, SegmentWriter
from causeway.backup.storage import make_directory, sync_directory
from causeway.errors import Conflict, IntegrityError, Unreachable

_PENDING = frozenset({Kind.DOCUMENT, Kind.DELETE})


class OpenLog:
    """One open segment on a local disk. Documents and deletes take effect with the watermark that follows them."""

    def __init__(self, path: Path, file: BinaryIO, records: tuple[Record, ...]) -> None:
        self.path = path
        self.recovered = records
        """What the log held when it was opened, up to its last whole watermark or note."""
        self._file = file
        self._written = self.size

    @staticmethod
    def open(path: Path) -> OpenLog:
        """Open or begin the log, cut back to the last whole block: a torn tail goes, and changes without a watermark.

        Raises:
            Conflict: another process writes it.
            IntegrityError: bytes have changed in front of valid records; nothing is cut.
            Unreachable: the disk does not allow it.
        """
        try:
            make_directory(path.parent)
            file = path.open("a+b", buffering=0)
            sync_directory(path.parent)
        except OSError as error:
            raise Unreachable(f"cannot open {path}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise Conflict(
                f"{path} is being written by another process",
                "two streams would mix their changes",
                "stop the other stream first",
            ) from error
        try:
            records = _recover(path, file)
        except IntegrityError:
            file.close()
            raise
        return OpenLog(path, file, records)

    @property
    def size(self) -> int:
        """Bytes in the log."""
        return os.fstat(self._file.fileno()).st_size

    def append(self, block: bytes) -> None:
        """Add encoded records in one write; `sync` makes them durable.

        Raises:
            Unreachable: the disk is full or gone. Part of the block may be there; the next `open` cuts it off.
        """
        view = memoryview(block)
        try:
            while view:
                view = view[os.write(self._file.fileno(), view) :]
            self._written += len(block)
        except OSError as error:
            raise not_written(self.path, error) from error

    def sync(self) -> None:
        """Return once everything appended is on the disk; only then may the watermark move."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise not_written(self.path, error) from error

    def seal(self) -> Sealed:
        """The whole log as a segment; list it in the archive, then `remove` the log.

        Raises:
            IntegrityError: the log is not what was written; it stays, and nothing is listed.
        """
        writer, end = SegmentWriter(), 0
        with self.path.open("rb") as file:
            for record, end in decode_file(file):  # noqa: B007 - the last offset is held against what was written
                writer.add(record.kind, record.payload)
        if end != self._written or self.size != self._written:
            raise IntegrityError(
                f"{self.path} is damaged at byte {end}: {self._written} bytes were written",
                "sealing it would silently drop changes that were confirmed behind that",
                "restore the file from another copy; or take a snapshot, move the file away, and begin with --anew",
            )
        return writer.seal()

    def remove(self) -> None:
        """Delete the log, once its segment is listed."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the log and its lock."""
        self._file.close()


def encoded(records: Iterable[tuple[Kind, bytes]], size: int = FRAME_BYTES) -> Iterator[bytes]:
    """The bytes of records in pieces of about `size`, each for one `append`: a base is larger than memory should be."""
    piece: list[bytes] = []
    held = 0
    for kind, payload in records:
        piece.append(encode(kind, payload))
        held += len(piece[-1])
        if held >= size:
            yield b"".join(piece)
            piece, held = [], 0
    yield b"".join(piece)


def not_written(path: Path, error: OSError) -> Unreachable:
    """What to say where the disk does not take what a stream has to put there."""
    return Unreachable(
        f"cannot write {path}: {error.strerror}",
        "the stream stops at its last watermark; nothing before it is lost",
        "make room, then start the stream again: it resumes",
    )


def _recover(path: Path, file: BinaryIO) -> tuple[Record, ...]:
    data = path.read_bytes()
    found = scan(data)
    if found.damaged:
        raise IntegrityError(
            f"{path} is damaged at byte {found.good}: valid records follow bytes that are not one",
            "cutting there would silently drop changes that were confirmed",
            "restore the file from another copy, or remove it and start the stream again from a new snapshot",
        )
    whole = list(found.records)
    end = found.good
    while whole and whole[-1].kind in _PENDING:
        end -= HEAD_BYTES + len(whole.pop().payload)
    if end < len(data):
        os.ftruncate(file.fileno(), end)
        os.fsync(file.fileno())
    return tuple(whole)
