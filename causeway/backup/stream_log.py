"""The archive side of a stream: blocks made durable, the watermark moved after them, and all of it found again.

A stream is one backup of kind `stream`. Its first block is the base, the rest are deltas, each closed by a watermark.
The open end is a log on a local disk (`OpenLog`); when it is long it becomes the next segment of the archive. Where the
archive is elsewhere, in a bucket, that disk may be gone with its machine: there each verification seals it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from google.cloud.firestore_v1.types import firestore as _firestore
from google.cloud.firestore_v1.types import write as _write
from google.protobuf.struct_pb2 import Struct

from causeway.backup import times
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.documents import DOCUMENT, digest, updated_micros
from causeway.backup.openlog import OpenLog, encoded
from causeway.backup.records import Kind, Record
from causeway.backup.segments import SEGMENT_BYTES
from causeway.backup.storage import LocalStorage
from causeway.backup.stream_block import Block, Known, Selection, Version
from causeway.errors import CausewayError, Unreachable

_MARK: Any = _firestore.TargetChange.pb()
_DELETE: Any = _write.DocumentDelete.pb()

BY_DIGEST = b"digest"
"""In place of a token, in the verified record of a comparison by digest; one by count has none."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_WITHDRAWN = "withdrawn after"


@dataclass(frozen=True, slots=True)
class Mark:
    """A point at which the state is exact, and the token that continues from it."""

    read_time: datetime
    token: bytes = b""


@dataclass(slots=True)
class Position:
    """Where a stream stands: what is known at its durable mark, and up to where that was compared with the database."""

    known: Known = field(default_factory=Known)
    durable: Mark | None = None
    exact: datetime | None = None
    """The last watermark that no later note takes back."""
    verified: datetime | None = None
    digested: datetime | None = None

    def take(self, record: Record) -> None:
        """Move on by one record of a log or segment that ends with a watermark or a note."""
        if record.kind is Kind.DOCUMENT:
            self.known.put(*name_and_time(record.message))
        elif record.kind is Kind.DELETE:
            self.known.drop(deleted_name(record))
        elif record.kind is Kind.WATERMARK:
            self.mark(read_mark(record))
        elif record.kind is Kind.VERIFIED:
            mark = read_mark(record)
            self.verified = max(self.verified or mark.read_time, mark.read_time)
            if mark.token == BY_DIGEST:
                self.digested = mark.read_time
        elif record.kind is Kind.NOTE and (after := withdrawn_after(record)) is not None:
            self.verified = after if self.verified and after > _EARLIEST else None
            self.exact = min(self.exact, after) if self.exact and after > _EARLIEST else None

    def mark(self, mark: Mark) -> None:
        """Move on to a watermark."""
        self.durable, self.exact = mark, mark.read_time


def name_and_time(document: bytes) -> tuple[str, int]:
    """Resource name and update time (microseconds since 1970) of a serialised document."""
    message = DOCUMENT.FromString(document)
    return message.name, updated_micros(message)


def read_mark(record: Record) -> Mark:
    """What a watermark or verified record says."""
    message = _MARK.FromString(record.payload)
    return Mark(times.from_proto(message.read_time), message.resume_token)


def withdrawn_after(record: Record) -> datetime | None:
    """The time after which this note takes the watermarks before it back; None if it does not."""
    facts = Struct.FromString(record.payload) if record.kind is Kind.NOTE else Struct()
    if _WITHDRAWN not in facts.fields:
        return None
    after = facts.fields[_WITHDRAWN].string_value
    return times.parse(after) if after else _EARLIEST


def deleted_name(record: Record) -> str:
    """The resource name a delete record is about."""
    return str(_DELETE.FromString(record.payload).document)


def _mark(kind: Kind, mark: Mark) -> tuple[Kind, bytes]:
    return kind, _MARK(read_time=times.to_proto(mark.read_time), resume_token=mark.token).SerializeToString()


def change(name: str, version: Version | None, at: datetime) -> tuple[Kind, bytes]:
    """The record of one change."""
    if version is None:
        return Kind.DELETE, _DELETE(document=name, read_time=times.to_proto(at)).SerializeToString()
    return Kind.DOCUMENT, digest(version.body) + version.body


def log_path(spool: Path, backup_id: str, number: int) -> Path:
    """Where the open log lies that will become segment `number` of a stream."""
    return spool / f"{backup_id}-{number:08}.log"


def latest_stream(archive: Archive) -> Backup | None:
    """The stream that was begun last."""
    streams = [b for b in archive.backups() if b.kind is BackupKind.STREAM and not b.pruned]
    return streams[-1] if streams else None


class StreamLog:
    """Appends to one stream; one writer at a time, which the open log's lock enforces."""

    def __init__(self, archive: Archive, spool: Path, collections: tuple[str, ...], segment_bytes: int) -> None:
        self._archive = archive
        self._spool = spool
        self._collections = collections
        self._selection = Selection(collections)
        self._segment_bytes = segment_bytes
        self._far = not isinstance(archive.storage, LocalStorage)
        self._unsealed = False  # whether the open log holds changes
        self._log: OpenLog | None = None
        self._backup: Backup | None = None
        self.position = Position()

    @staticmethod
    def open(
        archive: Archive, spool: Path, collections: tuple[str, ...] = (), *, segment_bytes: int = SEGMENT_BYTES
    ) -> StreamLog:
        """Find the archive's stream again, as its last whole watermark left it, or begin one with the first block.

        Raises:
            Conflict: another process writes this stream.
            IntegrityError: the log or a segment is damaged.
        """
        log = StreamLog(archive, spool, collections, segment_bytes)
        backup = latest_stream(archive)
        if backup is not None and backup.completed is None and backup.collections == collections:
            log._recover(backup)
        return log

    @property
    def backup(self) -> Backup | None:
        """The stream's backup; None before the first block."""
        return self._backup

    @property
    def kept(self) -> datetime | None:
        """The watermark up to which nothing is lost with this process; with this machine neither, if that is apart."""
        if self._backup is None or self.position.durable is None:
            return None
        if self._far and self._unsealed:
            marks = [segment.watermark for segment in self._backup.segments if segment.watermark is not None]
            return marks[-1] if marks else None
        return self.position.durable.read_time

    def _recover(self, backup: Backup) -> None:
        for record in self._archive.read_all(backup.segments):
            self.position.take(record)
        self._backup = backup
        if len(backup.segments) > 0:  # sealed and listed, but not yet removed when the writer died
            log_path(self._spool, backup.id, len(backup.segments) - 1).unlink(missing_ok=True)
        self._log = OpenLog.open(log_path(self._spool, backup.id, len(backup.segments)))
        for record in self._log.recovered:
            self.position.take(record)
        self._unsealed = any(record.kind in (Kind.DOCUMENT, Kind.DELETE) for record in self._log.recovered)
        if self.position.durable is None:  # died before its base was durable: nothing is in it
            self.close()
            self._backup = None

    def commit(self, block: Block) -> int:
        """Make a block durable, then move the watermark; how many of its changes are of what this stream keeps.

        Afterwards `position` is the state at its read time, with the documents that are known but not kept.

        Raises:
            Unreachable: the disk is full or gone; the watermark stays where it is.
        """
        if self._backup is None:
            self._begin(block.read_time)
            self._unsealed = True  # the base, be it empty
        mark = Mark(block.read_time, block.token)
        kept = [name for name in block.changes if name in self._selection]
        records = (change(name, block.changes[name], block.read_time) for name in kept)
        self._write(chain(records, [_mark(Kind.WATERMARK, mark)]))
        self.position.known.apply(block.changes)
        self.position.mark(mark)
        self._unsealed |= bool(kept)
        self._seal_if_long()
        return len(kept)

    def verify(self, read_time: datetime, *, by_digest: bool = False) -> None:
        """Write down that the state at this watermark was compared with the database and agreed.

        Where the archive is on no disk of this machine, what is verified is sealed first: it outlives the machine.

        Raises:
            Unreachable: the disk or the archive does not take it; nothing counts as verified.
        """
        record = _mark(Kind.VERIFIED, Mark(read_time, BY_DIGEST if by_digest else b""))
        self._append(record)
        if self._far and self._unsealed:
            self._seal()
        self.position.take(Record(*record))

    def withdraw(self, after: datetime | None) -> None:
        """Take back every watermark after `after` (None: all of them): their states cannot be shown to be exact.

        The changes stay, since the next difference builds on them; the times can no longer be restored to.
        """
        self.note({_WITHDRAWN: times.text(after) if after else ""})
        if self._log is not None:
            self._seal()  # so that the manifest does not go on naming an instant that was taken back

    def note(self, facts: Mapping[str, str]) -> None:
        """Write down an alarm or a refusal at this place in the stream; before the base there is no place for it."""
        payload = Struct()
        payload.update(dict(facts))
        record = Record(Kind.NOTE, payload.SerializeToString())
        self._append((record.kind, record.payload))
        self.position.take(record)

    def _append(self, record: tuple[Kind, bytes]) -> None:
        if self._backup is not None:
            self._write([record])

    def _write(self, records: Iterable[tuple[Kind, bytes]]) -> None:
        """Append and sync. Where the disk does not take it, part of it may be there, and is cut off at once."""
        assert self._backup is not None
        if self._log is None:
            self._log = OpenLog.open(log_path(self._spool, self._backup.id, len(self._backup.segments)))
        try:
            for piece in encoded(records):
                self._log.append(piece)
            self._log.sync()
        except Unreachable:
            self._find_again(self._backup.id)
            raise

    def _find_again(self, backup_id: str) -> None:
        """Take the position from what is really on the disk; from nothing, if that cannot be read either."""
        self.close()
        self.position, self._backup = Position(), None
        try:
            self._recover(self._archive.backup(backup_id))
        except CausewayError:
            self.close()
            self.position, self._backup = Position(), None
            raise

    def _begin(self, read_time: datetime) -> None:
        backup_id = f"stream-{read_time:%Y%m%dT%H%M%S%f}Z"
        backup = Backup(
            backup_id, BackupKind.STREAM, read_time, read_time, priority="critical", collections=self._collections
        )
        self._backup = self._archive.begin(backup)

    def _seal_if_long(self) -> None:
        if self._log is not None and self._log.size >= self._segment_bytes:
            self._seal()

    def _seal(self) -> None:
        """The log becomes a segment; the next write begins another log."""
        assert self._log is not None and self._backup is not None
        exact = self.position.exact
        self._archive.add_segment(
            self._backup.id,
            self._log.seal(),
            number=len(self._backup.segments),
            watermark=exact if exact and exact >= self._backup.read_time else None,
        )
        self._backup = self._archive.backup(self._backup.id)
        self._log.remove()
        self._log, self._unsealed = None, False

    def finish(self) -> None:
        """End this stream for good: its log becomes its last segment; the next block begins another stream."""
        if self._backup is not None:
            if self._log is not None:
                self._seal()
            self._archive.end_task(self._backup.id, 0)
            self._archive.complete(self._backup.id)
        self._backup, self._log, self._unsealed, self.position = None, None, False, Position()

    def close(self) -> None:
        """Let go of the log; the next writer goes on from its last watermark."""
        if self._log is not None:
            self._log.close()
            self._log = None
