"""Points in time of a stream: which there are, and the documents as they were at one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from causeway.backup import times
from causeway.backup.archive import Archive, Backup
from causeway.backup.records import Kind, Record, scan
from causeway.backup.storage import LocalStorage
from causeway.backup.stream_log import deleted_name, latest_stream, log_path, name_and_time, read_mark
from causeway.errors import ConfigError, IntegrityError

_TRIES = 5


@dataclass(frozen=True, slots=True)
class StreamState:
    """The database at `watermark`, which is `asked` rounded down; `documents` are its document records."""

    backup: str
    asked: datetime
    watermark: datetime
    verified: datetime | None
    count: int
    documents: Iterator[Record]


def default_spool(archive: Archive) -> Path | None:
    """Where a local archive keeps its open logs; None for a bucket, which has no place for them."""
    return archive.storage.root / "open" if isinstance(archive.storage, LocalStorage) else None


def records_of(archive: Archive, backup: Backup, spool: Path | None) -> Iterator[Record]:
    """All records of a stream in order, up to the end of its open log; a stream may go on writing meanwhile.

    Raises:
        IntegrityError: a segment or the log is damaged.
    """
    done = 0
    for _ in range(_TRIES):
        segments = archive.backup(backup.id).segments
        for segment in segments[done:]:
            yield from archive.read(segment)
        done = len(segments)
        path = log_path(spool, backup.id, done) if spool else None
        tail = _read(path) if path else b""
        if tail is not None:
            yield from _whole(path, tail)
            return
        if len(archive.backup(backup.id).segments) == done:
            return  # there is no open log, and none was sealed in between


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _whole(path: Path | None, tail: bytes) -> tuple[Record, ...]:
    found = scan(tail)
    if found.damaged:
        raise IntegrityError(
            f"{path} is damaged at byte {found.good}: valid records follow bytes that are not one",
            "a restore from it would miss changes that were confirmed",
            "restore to a time before it, or use another copy of the file",
        )
    return found.records


def watermarks(archive: Archive, spool: Path | None = None) -> list[datetime]:
    """Every instant the archive's latest stream can restore exactly, oldest first."""
    backup = latest_stream(archive)
    if backup is None:
        return []
    records = records_of(archive, backup, spool or default_spool(archive))
    return [read_mark(record).read_time for record in records if record.kind is Kind.WATERMARK]


def state_at(archive: Archive, asked: datetime, spool: Path | None = None) -> StreamState:
    """The documents at the latest watermark not after `asked`; two passes, so that memory holds names, not documents.

    Raises:
        ConfigError: no stream, or `asked` is before its base.
        IntegrityError: a segment or the log is damaged.
    """
    where = spool or default_spool(archive)
    backup = _stream_for(archive, asked)
    last: dict[str, int] = {}
    held: dict[str, int | None] = {}
    watermark: datetime | None = None
    verified: datetime | None = None
    for index, record in enumerate(records_of(archive, backup, where)):
        if record.kind is Kind.DOCUMENT:
            held[name_and_time(record.message)[0]] = index
        elif record.kind is Kind.DELETE:
            held[deleted_name(record)] = None
        elif record.kind is Kind.VERIFIED:
            verified = max(filter(None, (verified, read_mark(record).read_time)))
        elif record.kind is Kind.WATERMARK and watermark is None or read_mark_after(record, asked) is False:
            watermark = read_mark(record).read_time
            _apply(last, held)
        elif record.kind is Kind.WATERMARK:
            held.clear()
    if watermark is None:
        raise _nothing(archive, asked)
    wanted = set(last.values())
    documents = (r for i, r in enumerate(records_of(archive, backup, where)) if i in wanted)
    return StreamState(backup.id, asked, watermark, verified, len(last), documents)
