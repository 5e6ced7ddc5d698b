"""Points in time of a stream: which there are, and the documents as they were at one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from causeway.backup import times
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.records import Kind, Record, scan
from causeway.backup.storage import LocalStorage
from causeway.backup.stream_log import deleted_name, latest_stream, log_path, name_and_time, read_mark, withdrawn_after
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


def default_spool(archive: Archive) -> Path:
    """Where the open log of an archive lies: beside a local archive; for a bucket, in the user's cache."""
    if isinstance(archive.storage, LocalStorage):
        return archive.storage.root / "open"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "causeway" / "streams" / hashlib.sha256(archive.storage.url.encode()).hexdigest()[:16]


def records_of(archive: Archive, backup: Backup, spool: Path, *, damaged: list[str] | None = None) -> Iterator[Record]:
    """The records of a stream in order, up to the end of its open log; a stream may go on writing meanwhile.

    Watermarks that were taken back are left out: a restore to their times is rounded down past them.
    With `damaged`, the records end where the first damage is, and what is damaged is added to that list. Without, even
    an earlier time is refused: the damage may hide a note that takes it back.

    Raises:
        IntegrityError: a segment or the log is damaged.
    """
    withdrawn = _withdrawn(_all_records(archive, backup, spool, None if damaged is None else []))
    for index, record in enumerate(_all_records(archive, backup, spool, damaged)):
        if record.kind is not Kind.WATERMARK or not any(_takes_back(note, index, record) for note in withdrawn):
            yield record


_Note = tuple[int, datetime]
"""Where a note stands that takes watermarks back, and after which time."""


def _withdrawn(records: Iterator[Record]) -> list[_Note]:
    notes = ((index, withdrawn_after(record)) for index, record in enumerate(records) if record.kind is Kind.NOTE)
    return [(index, after) for index, after in notes if after is not None]


def _takes_back(note: _Note, index: int, record: Record) -> bool:
    return index < note[0] and read_mark(record).read_time > note[1]


def _all_records(archive: Archive, backup: Backup, spool: Path, damaged: list[str] | None) -> Iterator[Record]:
    done = 0
    for _ in range(_TRIES):
        segments = archive.backup(backup.id).segments
        if damaged is None:
            yield from archive.read_all(segments[done:])
        else:
            for segment in segments[done:]:
                yield from _up_to_damage(archive.read(segment), segment.path, damaged)
                if damaged:
                    return
        done = len(segments)
        path = log_path(spool, backup.id, done)
        tail = _read(path)
        if tail is not None:
            yield from _up_to_damage(_whole(path, tail), str(path), damaged)
            return
        if len(archive.backup(backup.id).segments) == done:
            return  # there is no open log, and none was sealed in between


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _up_to_damage(records: Iterator[Record], name: str, damaged: list[str] | None) -> Iterator[Record]:
    try:
        yield from records
    except IntegrityError:
        if damaged is None:
            raise
        damaged.append(name)


def _whole(path: Path, tail: bytes) -> Iterator[Record]:
    found = scan(tail)
    yield from found.records
    if found.damaged:
        raise IntegrityError(
            f"{path} is damaged at byte {found.good}: valid records follow bytes that are not one",
            "a restore from it would miss changes that were confirmed",
            "use another copy of the file, or go back to the last watermark in front of the damage with --salvage",
        )


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
    survey = _Survey(asked)
    for index, record in enumerate(records_of(archive, backup, where)):
        survey.take(index, record)
    if survey.watermark is None:
        raise _before_base(archive, asked)
    wanted = frozenset(survey.state.values())
    documents = (record for index, record in enumerate(records_of(archive, backup, where)) if index in wanted)
    return StreamState(backup.id, asked, survey.watermark, survey.verified, len(wanted), documents)


class _Survey:
    """Which records make up the state at the latest watermark not after `asked`: their indexes by document name."""

    def __init__(self, asked: datetime) -> None:
        self._asked = asked
        self._held: dict[str, int | None] = {}
        self._over = False
        self.state: dict[str, int] = {}
        self.watermark: datetime | None = None
        self.verified: datetime | None = None

    def take(self, index: int, record: Record) -> None:
        if record.kind is Kind.VERIFIED:
            self.verified = read_mark(record).read_time
        elif self._over:
            return
        elif record.kind is Kind.DOCUMENT:
            self._held[name_and_time(record.message)[0]] = index
        elif record.kind is Kind.DELETE:
            self._held[deleted_name(record)] = None
        elif record.kind is Kind.WATERMARK:
            self._close(read_mark(record).read_time)

    def _close(self, read_time: datetime) -> None:
        if read_time > self._asked:
            self._over = True
            return
        self.watermark = read_time
        for name, index in self._held.items():
            if index is None:
                self.state.pop(name, None)
            else:
                self.state[name] = index
        self._held.clear()


def _stream_for(archive: Archive, asked: datetime) -> Backup:
    """The stream that was running at this instant: the last one whose base is not after it."""
    streams = [b for b in archive.backups() if b.kind is BackupKind.STREAM and not b.pruned and b.read_time <= asked]
    if not streams:
        raise _before_base(archive, asked)
    return streams[-1]


def _before_base(archive: Archive, asked: datetime) -> ConfigError:
    return ConfigError(
        f"no stream in {archive.storage.url} reaches back to {times.text(asked)}",
        "there is no state to restore",
        "ask for a later time, or restore a snapshot: see `causeway backup status`",
    )
