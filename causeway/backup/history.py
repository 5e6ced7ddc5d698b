"""Which instants an archive can give back, and the records that lead there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from causeway.backup import times
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind, SegmentRef
from causeway.backup.ranges import ALL, Range
from causeway.backup.records import Kind, Record
from causeway.backup.stream_log import read_mark
from causeway.backup.stream_state import default_spool, records_of
from causeway.backup.stretches import stretches
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


@dataclass(frozen=True, slots=True)
class Part:
    """A point, and the top-level collections to take from it (empty: all it holds) or to leave out."""

    point: Point
    collections: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def find(
    archive: Archive, at: str | None = None, collections: Sequence[str] = (), *, salvage: bool = False
) -> list[Part]:
    """What a person asks to restore: a backup by id, or the state at a time (default: the latest there is).

    A time is rounded down to the latest exact point not after it. Each collection comes from the latest point that
    holds it; what no backup names comes from the latest one of everything. With `salvage`, a damaged stream has the
    points in front of its damage.

    Raises:
        ConfigError: neither an id nor a time, or there is nothing as old as that.
    """
    for backup in archive.backups():
        if backup.id == at and not backup.pruned:
            return [Part(_point(archive, backup, salvage), tuple(collections))]
    instant = times.parse(at) if at is not None else datetime.max.replace(tzinfo=UTC)
    points = sorted(_points(archive, instant, salvage), key=lambda point: point.instant)
    everything = [point for point in points if not point.backup.collections]
    if everything and not collections:
        base = everything[-1]
        later = {name: point for point in points if point.instant > base.instant for name in point.backup.collections}
        return [Part(base, without=tuple(sorted(later))), *_parts(points, later)]
    wanted = set(collections) or {name for point in points for name in point.backup.collections}
    latest = {name: point for point in points for name in wanted if _holds(point.backup, name)}
    if not latest or wanted - set(latest):
        raise ConfigError(
            f"{archive.storage.url} holds no {', '.join(sorted(wanted - set(latest))) or 'backup'} as of {at or 'now'}",
            "there is no state to give back",
            "see `causeway backup status` for what it holds",
        )
    return _parts(points, latest)


def _parts(points: Sequence[Point], latest: Mapping[str, Point]) -> list[Part]:
    """A part for each point that is the latest one of any collection, oldest first."""
    return [
        Part(point, tuple(sorted(name for name in latest if latest[name] is point)))
        for point in points
        if any(each is point for each in latest.values())
    ]


def hold_still(archive: Archive, at: str | None, tasks: int) -> None:
    """Refuse a point that several tasks, each looking for itself, might not find to be the same.

    Raises:
        ConfigError: the latest point, a running stream by its id, or a time that the archive has not yet reached.
    """
    fact = _moving(archive, at)
    if fact is not None:
        raise ConfigError(
            f"{tasks} tasks restore, and {fact}",
            "a point that is added meanwhile would be mixed with the one before",
            "name a finished backup: --at BACKUP (`causeway backup status` lists them), or a time before the newest",
        )


def _moving(archive: Archive, at: str | None) -> str | None:
    if at is None:
        return "each would choose the latest backup for itself"
    for backup in archive.backups():
        if backup.id == at:
            running = backup.kind is BackupKind.STREAM and backup.completed is None
            return f"stream {at} goes on meanwhile" if running else None
    newest = max((point.instant for point in _points(archive, datetime.max.replace(tzinfo=UTC))), default=None)
    return None if newest and times.parse(at) <= newest else f"the archive does not reach {at} yet"


def _points(archive: Archive, instant: datetime, salvage: bool = False) -> Iterator[Point]:
    for backup in archive.backups():
        exact = None if backup.pruned else _latest(archive, backup, instant, salvage=salvage)
        if exact is not None:
            yield Point(backup, exact)


def _point(archive: Archive, backup: Backup, salvage: bool) -> Point:
    instant = _latest(archive, backup, salvage=salvage)
    if instant is None:
        raise ConfigError(
            f"backup {backup.id} was never finished",
            "it holds only some of the documents",
            "run the snapshot again: it resumes; or choose another in `causeway backup status`",
        )
    return Point(backup, instant)


def _holds(backup: Backup, collection: str) -> bool:
    return not backup.collections or collection in backup.collections


def _latest(archive: Archive, backup: Backup, at: datetime | None = None, *, salvage: bool = False) -> datetime | None:
    """The latest instant not after `at` at which this backup is exact."""
    if backup.kind is not BackupKind.STREAM:
        exact = backup.exact_until
        return exact if exact is not None and (at is None or exact <= at) else None
    records = _stream(archive, backup, [] if salvage else None)
    marks = (read_mark(record).read_time for record in records if record.kind is Kind.WATERMARK)
    return max((mark for mark in marks if at is None or mark <= at), default=None)


def _stream(archive: Archive, backup: Backup, damaged: list[str] | None) -> Iterator[Record]:
    return records_of(archive, backup, default_spool(archive), damaged=damaged)


@dataclass(frozen=True, slots=True)
class Loss:
    """A damaged segment, and how many of the documents that the manifest lists for it could not be recovered."""

    segment: str
    documents: int


def replay(
    archive: Archive, point: Point, *, ranges: Sequence[Range] = ALL, salvage: list[Loss] | None = None
) -> Iterator[Record]:
    """The changes (`DOCUMENT`, `DELETE`) that lead to a point, in order: later ones replace earlier ones.

    Segments that can be told to hold nothing of `ranges` are left out; what else comes may lie outside all the same.
    With `salvage`, damaged segments give what of them is intact, and what is lost is added to that list.

    Raises:
        IntegrityError: a segment is missing or damaged.
    """
    for backup in chain(archive, point.backup):
        if backup.kind is BackupKind.STREAM:
            damaged: list[str] | None = None if salvage is None else []
            yield from _until(_stream(archive, backup, damaged), point.instant)
            if salvage is not None:  # the point lies in front of the damage, so nothing of it is lost
                salvage.extend(Loss(name, 0) for name in damaged or ())
            continue
        for segment in _segments(backup, ranges):
            if salvage is None:
                records: Iterator[Record] = archive.read(segment)
            else:
                intact, whole = archive.salvage(segment)
                kept = sum(record.kind is Kind.DOCUMENT for record in intact)
                salvage.extend([] if whole else [Loss(segment.path, max(0, segment.facts.documents - kept))])
                records = iter(intact)
            yield from (record for record in records if record.kind in _CHANGES)


def _segments(backup: Backup, ranges: Sequence[Range]) -> Sequence[SegmentRef]:
    if backup.kind is not BackupKind.FULL or tuple(ranges) == ALL:
        return backup.segments
    return [stretch.segment for stretch in stretches(backup) if stretch.touches(ranges)]


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
