"""Snapshots: every document of a database, or of some of its collections, at one pinned read time."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from causeway.backup import queries, ranges, times
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.connection import Connection
from causeway.backup.contents import Progress, counted, quiet
from causeway.backup.documents import DOCUMENT, collection_group, digest_of, relative_path
from causeway.backup.history import chain
from causeway.backup.increment import Change, changes
from causeway.backup.ranges import Range
from causeway.backup.records import Kind
from causeway.backup.segments import SEGMENT_BYTES, SegmentWriter
from causeway.backup.split import task_starts
from causeway.errors import Conflict, IntegrityError, Unreachable

MAX_READ_AGE = timedelta(minutes=50)
"""An older read time is not resumed: without point-in-time recovery the service keeps one hour."""
MAX_CHAIN = 24
"""After so many increments the next snapshot is full again: a restore reads the whole chain."""
_WAITS = 120


@dataclass(frozen=True, slots=True)
class Request:
    """What to back up: top-level `collections` (empty for all), for `priority`, whole or as a difference."""

    collections: tuple[str, ...] = ()
    priority: str = ""
    incremental: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One of several processes that write one backup: which, of how many, and the id that they agree on."""

    index: int = 0
    count: int = 1
    backup: str = ""


def snapshot(
    archive: Archive,
    connection: Connection,
    request: Request,
    *,
    task: Task = Task(),
    sleep: Callable[[float], None],
    progress: Progress = quiet,
) -> Backup:
    """Take a snapshot, or finish one that a dead process began; of a parallel one, this task's part.

    The backup is complete when it returns, unless other tasks have not ended. Memory does not grow with the database.

    Raises:
        Unreachable: the database or the storage stops answering; the same call resumes.
        Conflict: another process does the same task.
        IntegrityError: the service's own count disagrees with what it gave; the backup is given up.
    """
    with ExitStack() as claims:
        backup = _claimed(archive, connection, request, task, sleep, claims)
        if task.index not in backup.tasks_done and task.index < backup.tasks:
            _write(archive, connection, backup, task.index, progress)
        backup = archive.backup(backup.id)
        if backup.tasks_done == frozenset(range(backup.tasks)) and backup.completed is None:
            try:
                _hold_against_count(connection, backup)
            except IntegrityError:
                archive.note_pruned([backup.id])  # else the next run would resume it, and be refused like this one
                raise
            backup = archive.complete(backup.id)
    return backup


def _claimed(
    archive: Archive,
    connection: Connection,
    request: Request,
    task: Task,
    sleep: Callable[[float], None],
    claims: ExitStack,
) -> Backup:
    """The backup to work on, ours for as long as `claims` is open."""
    if task.backup:
        backup = _agreed(archive, connection, request, task, sleep)
        if not claims.enter_context(archive.storage.claim(f"{backup.id}-{task.index}")):
            raise Conflict(f"task {task.index} of backup {backup.id} is done by another process", "it goes on there")
        return backup
    now = queries.server_time(connection)
    for backup in reversed(archive.backups()):
        if _resumable(backup, request, now) and claims.enter_context(archive.storage.claim(f"{backup.id}-0")):
            return backup
    backup = _new(archive, connection, request, task, now)
    claims.enter_context(archive.storage.claim(f"{backup.id}-0"))
    return archive.begin(backup)


def _resumable(backup: Backup, request: Request, now: datetime) -> bool:
    return (
        backup.completed is None
        and backup.kind is not BackupKind.STREAM
        and not backup.pruned
        and backup.tasks == 1
        and (backup.collections, backup.priority) == (request.collections, request.priority)
        and (request.incremental or backup.kind is BackupKind.FULL)
        and now - backup.read_time < MAX_READ_AGE
    )


def _agreed(
    archive: Archive, connection: Connection, request: Request, task: Task, sleep: Callable[[float], None]
) -> Backup:
    """The backup of several tasks: the first one begins it, the others wait until it has."""
    for wait in range(_WAITS):
        for backup in archive.backups():
            if backup.id == task.backup:
                return _not_given_up(backup)
        if task.index == 0:
            return archive.begin(_new(archive, connection, request, task, queries.server_time(connection)))
        sleep(min(5.0, 0.1 * 1.2**wait))
    raise Unreachable(
        f"task 0 has not begun backup {task.backup}", "there is no range to read yet", "look at the log of task 0"
    )


def _not_given_up(backup: Backup) -> Backup:
    """A task that is tried again must not complete what was refused: it would report what nobody can restore."""
    if backup.pruned:
        raise IntegrityError(
            f"backup {backup.id} was given up: the service's count disagreed with it",
            "it is not the state of one moment, so no task goes on with it",
            "run the job again: a new execution begins a new backup",
        )
    return backup


def _new(archive: Archive, connection: Connection, request: Request, task: Task, now: datetime) -> Backup:
    parent = _parent(archive, request) if request.incremental else None
    kind = BackupKind.INCREMENTAL if parent else BackupKind.FULL
    return Backup(
        id=task.backup or f"{now:%Y%m%dT%H%M%S%fZ}-{kind}-{secrets.token_hex(2)}",
        kind=kind,
        read_time=now,
        began=now,
        parent=parent.id if parent else None,
        priority=request.priority,
        collections=request.collections,
        task_starts=task_starts(connection, request.collections, now, task.count),
    )


def _parent(archive: Archive, request: Request) -> Backup | None:
    """The latest complete snapshot of the same selection whose chain may still grow."""
    for backup in reversed(archive.backups()):
        if (
            backup.completed
            and not backup.pruned
            and backup.kind is not BackupKind.STREAM
            and (backup.collections, backup.priority) == (request.collections, request.priority)
        ):
            return backup if len(chain(archive, backup)) <= MAX_CHAIN else None
    return None


def _write(archive: Archive, connection: Connection, backup: Backup, task: int, progress: Progress) -> None:
    """Write this task's segments from where the last listed one ends."""
    done = backup.task_segments(task)
    number = len(done)
    writer = SegmentWriter()
    counts: Counter[str] = Counter()

    def flush(last: str) -> None:
        nonlocal number
        archive.add_segment(backup.id, writer.seal(), number=number, task=task, last=last, counts=dict(counts))
        number += 1
        counts.clear()

    path = ""
    for kind, payload, path in _source(archive, connection, backup, task, progress):
        writer.add(kind, payload)
        if kind is Kind.DOCUMENT:
            counts[collection_group(path)] += 1
        if writer.raw_bytes >= SEGMENT_BYTES:
            flush(path)
    if writer.raw_bytes:
        flush(path)
    archive.end_task(backup.id, task)


def _source(
    archive: Archive, connection: Connection, backup: Backup, task: int, progress: Progress
) -> Iterator[Change]:
    """What is still to be written, in an order that is the same each time."""
    mine = ranges.share(ranges.of_collections(backup.collections), backup.task_starts, task)
    done = backup.task_segments(task)
    if backup.parent is not None:
        skip = sum(segment.facts.documents + segment.facts.deletes for segment in done)
        return changes(archive, archive.backup(backup.parent), connection, mine, backup.read_time, skip)
    left = ranges.resume(mine, done[-1].last if done else "")
    return map(_document, counted(_scanned(connection, left, backup.read_time), progress))


def _scanned(connection: Connection, left: Sequence[Range], read_time: datetime) -> Iterator[bytes]:
    """Every document of the ranges. Where the service breaks off it is asked again behind the last one that came.

    If none came, it is raised. A stream does not go on like that: it first has to see that it is still the same
    database, which the count shows here at the end.
    """
    while True:
        raw = b""
        try:
            for raw in queries.scan(connection, left, read_time):
                yield raw
            return
        except Unreachable:
            if not raw:
                raise
            left = ranges.resume(left, relative_path(DOCUMENT.FromString(raw).name))


def _document(raw: bytes) -> Change:
    message = DOCUMENT.FromString(raw)
    path = relative_path(message.name)
    return Kind.DOCUMENT, digest_of(message) + raw, path


def _hold_against_count(connection: Connection, backup: Backup) -> None:
    """The service counts for itself; a database replaced or emptied under a resumed snapshot shows here."""
    if backup.kind is not BackupKind.FULL:
        return
    counted_there = queries.count(connection, backup.read_time, ranges.of_collections(backup.collections))
    if counted_there != backup.facts.documents:
        raise IntegrityError(
            f"{connection.database.name} counts {counted_there} documents at {times.text(backup.read_time)}, "
            f"the snapshot holds {backup.facts.documents}",
            "it is not the state of one moment, so it was not completed",
            "was the database replaced meanwhile? Run the snapshot again: it begins anew",
        )
