"""Which instants an archive can give back, and the records that lead there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from causeway.backup import times
from causeway.backup.archive import Archive, Backup, BackupKind
from causeway.backup.records import Kind, Record
from causeway.backup.stream_log import read_mark
from causeway.backup.stream_state import default_spool, records_of
from causeway.errors import ConfigError, IntegrityError

_CHANGES = frozenset({Kind.DOCUMENT, Kind.DELETE})


@dataclass(frozen=True, slots=True)
class Point:
    """A state that can be restored exactly: that of `backup` at `instant`."""

    backup: Backup
    instant: datetime


def chain(archive: Archive, backup: Backup) -> list[Backup]:
    """The backups whose records make up this one, the full one first.

    Raises:
        IntegrityError: one of them is not there, was pruned or was never finished.
    """
    known = {each.id: each for each in archive.backups()}
    links: list[Backup] = []
    step: str | None = backup.id
    while step is not None:
        link = known.get(step)
        if link is None or link.pruned or (link.kind is not BackupKind.STREAM and link.completed is None):
            what = "is not in the archive" if link is None else "was pruned" if link.pruned else "was never finished"
            raise IntegrityError(
                f"backup {step} {what}",
                f"{backup.id} cannot be restored without it" if step != backup.id else "it cannot be restored",
                "choose another in `causeway backup status`",
            )
        links.append(link)
        step = link.parent
    return links[::-1]


def find(archive: Archive, at: str) -> Point:
    """The point a person names: a backup's id, or a time, which is rounded down to the latest point not after it.

    Raises:
        ConfigError: neither; or there is nothing as old as that.
    """
    backups = [each for each in archive.backups() if not each.pruned]
    for backup in backups:
        if backup.id == at:
            instant = _latest(archive, backup)
            if instant is None:
                raise ConfigError(
                    f"backup {at} was never finished",
                    "it holds only some of the documents",
                    "run the snapshot again: it resumes; or choose another in `causeway backup status`",
                )
            return Point(backup, instant)
    return find_time(archive, times.parse(at))


def find_time(archive: Archive, at: datetime, collections: Sequence[str] = ()) -> Point:
    """The latest exact point not after `at` among the backups that hold these top-level collections (empty: all).

    Raises:
        ConfigError: there is none.
    """
    points = [
        Point(backup, instant)
        for backup in archive.backups()
        if not backup.pruned and holds(backup, collections) and (instant := _latest(archive, backup, at)) is not None
    ]
    if not points:
        raise ConfigError(
            f"{archive.storage.url} holds nothing as of {times.text(at)} or before",
            "there is no state to give back",
            "see `causeway backup status` for what it holds",
        )
    return max(points, key=lambda point: point.instant)


def holds(backup: Backup, collections: Sequence[str]) -> bool:
    """Whether a backup covers these top-level collections; only one of everything covers everything."""
    return not backup.collections or (bool(collections) and set(collections) <= set(backup.collections))


def latest(archive: Archive) -> Point:
    """The latest point there is.

    Raises:
        ConfigError: the archive is empty.
    """
    return find_time(archive, datetime.max.replace(tzinfo=UTC))


def _latest(archive: Archive, backup: Backup, at: datetime | None = None) -> datetime | None:
    """The latest instant not after `at` at which this backup is exact."""
    if backup.kind is not BackupKind.STREAM:
        exact = backup.exact_until
        return exact if exact is not None and (at is None or exact <= at) else None
    marks = (read_mark(record).read_time for record in _stream(archive, backup) if record.kind is Kind.WATERMARK)
    return max((mark for mark in marks if at is None or mark <= at), default=None)


def _stream(archive: Archive, backup: Backup) -> Iterator[Record]:
    return records_of(archive, backup, default_spool(archive))


def replay(archive: Archive, point: Point, *, salvage: list[str] | None = None) -> Iterator[Record]:
    """The changes (`DOCUMENT`, `DELETE`) that lead to a point, in order: later ones replace earlier ones.

    With `salvage`, damaged segments give what of them is intact and their names are added to that list.

    Raises:
        IntegrityError: a segment is missing or damaged.
    """
    for backup in chain(archive, point.backup):
        if backup.kind is BackupKind.STREAM:
            yield from _until(_stream(archive, backup), point.instant)
            continue
        for segment in backup.segments:
            if salvage is None:
                records: Iterator[Record] = archive.read(segment)
            else:
                intact, whole = archive.salvage(segment)
                salvage.extend([] if whole else [segment.path])
                records = iter(intact)
            yield from (record for record in records if record.kind in _CHANGES)


def _until(records: Iterator[Record], instant: datetime) -> Iterator[Record]:
    """The changes that watermarks up to `instant` confirm."""
    pending: list[Record] = []
    for record in records:
        if record.kind in _CHANGES:
            pending.append(record)
        elif record.kind is Kind.WATERMARK:
            if read_mark(record).read_time > instant:
                return
            yield from pending
            pending = []
