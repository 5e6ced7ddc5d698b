"""An archive: the backups of one database, as a manifest says and as segments hold them.

Nothing is ever changed in place. What a crash leaves behind is either listed in the manifest, and then whole, or not
listed, and then ignored and swept up by the next prune.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from causeway import __version__
from causeway.backup import times
from causeway.backup.backups import Backup, SegmentRef, Told, segment_body
from causeway.backup.documents import Database
from causeway.backup.manifest import Entry, Manifest
from causeway.backup.records import Record
from causeway.backup.segments import Sealed, read_segment, salvage_segment
from causeway.backup.storage import AlreadyThere, Storage
from causeway.errors import ConfigError, Conflict, IntegrityError

FORMAT = 1
"""The version of the format; a reader refuses a greater one."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Archive:
    """Reads and appends to one archive."""

    def __init__(self, storage: Storage, now: Callable[[], datetime] = _utc_now) -> None:
        self.storage = storage
        self._manifest = Manifest(storage)
        self._now = now
        self._told = Told()

    @staticmethod
    def create(storage: Storage, database: Database, now: Callable[[], datetime] = _utc_now) -> Archive:
        """The archive of a database in this storage: begun if there is none, continued if it is of this database.

        Raises:
            ConfigError: the storage holds the archive of another database.
        """
        archive = Archive(storage, now)
        if not archive._manifest.entries():

            def still_empty(entries: Sequence[Entry]) -> None:
                if entries:
                    raise AlreadyThere

            body = {"format": FORMAT, "database": database.name, "tool": f"causeway {__version__}"}
            with contextlib.suppress(AlreadyThere):  # another process began it at the same moment
                archive._manifest.append("archive", body, now(), still_empty)
        if archive.database != database:
            raise ConfigError(
                f"{storage.url} is the archive of {archive.database.name}",
                f"backups of {database.name} in it could not be told apart",
                "give another --out",
            )
        return archive

    @property
    def database(self) -> Database:
        """The database whose backups these are.

        Raises:
            ConfigError: there is no archive here.
            IntegrityError: it is of a later format, or its first entry is damaged.
        """
        entries = self._manifest.known or self._manifest.entries()
        if not entries:
            raise ConfigError(
                f"{self.storage.url} holds no archive", "there is nothing to read", "give the directory of a backup"
            )
        first = entries[0]
        if first.kind != "archive" or first.body.get("format", 0) > FORMAT:
            raise IntegrityError(
                f"{self.storage.url} is not an archive of format {FORMAT} or earlier",
                "reading it would guess at what it holds",
                "use the version of causeway that wrote it or a later one",
            )
        return Database.parse(first.body["database"])

    def backups(self) -> list[Backup]:
        """Every backup, oldest first, pruned ones included."""
        self._told.take(self._manifest.entries())
        return self._told.backups()

    def backup(self, backup_id: str) -> Backup:
        """The backup of this id.

        Raises:
            ConfigError: there is none.
        """
        for backup in self.backups():
            if backup.id == backup_id:
                return backup
        raise ConfigError(
            f"{self.storage.url} holds no backup {backup_id}", "nothing was read", "see `causeway backup status`"
        )

    def begin(self, backup: Backup) -> Backup:
        """Write down that a backup begins.

        Raises:
            Conflict: its id is taken.
        """

        def is_new(entries: Sequence[Entry]) -> None:
            if any(entry.kind == "begin" and entry.body["backup"] == backup.id for entry in entries):
                raise Conflict(f"backup {backup.id} has begun already", "two writers would share its segments")

        body = {
            "backup": backup.id,
            "kind": str(backup.kind),
            "read_time": times.text(backup.read_time),
            "parent": backup.parent,
            "priority": backup.priority,
            "collections": list(backup.collections),
            "task_starts": list(backup.task_starts),
        }
        self._manifest.append("begin", body, self._now(), is_new)
        return self.backup(backup.id)

    def add_segment(
        self,
        backup_id: str,
        sealed: Sealed,
        *,
        number: int,
        task: int = 0,
        last: str = "",
        watermark: datetime | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> SegmentRef:
        """Store a segment, then list it; only then does it count.

        Raises:
            Conflict: another process has written this segment number of this task.
        """
        path = f"segments/{backup_id}/{task:04}-{number:08}-{sealed.sha256[:12]}.zst"
        segment = SegmentRef(
            backup_id, task, number, path, sealed.sha256, len(sealed.data), sealed.facts, last, watermark, counts or {}
        )

        def is_next(entries: Sequence[Entry]) -> None:
            self._told.take(entries)
            if self._told.written[backup_id, task] != number:
                raise Conflict(
                    f"segment {number} of task {task} of backup {backup_id} is written by another process",
                    "two processes work on one task",
                    "stop one of them; the other goes on",
                )

        is_next(self._manifest.known or self._manifest.entries())
        with contextlib.suppress(AlreadyThere):  # the same bytes, stored before a crash and never listed
            self.storage.create(path, sealed.data)
        self._manifest.append("segment", segment_body(segment), self._now(), is_next)
        return segment

    def end_task(self, backup_id: str, task: int) -> None:
        """Write down that a task has read its whole range."""
        self._manifest.append("task", {"backup": backup_id, "task": task}, self._now())

    def complete(self, backup_id: str) -> Backup:
        """Close a backup: counts, digest and tool version. Done once all tasks have ended; again changes nothing."""

        def is_open(entries: Sequence[Entry]) -> None:
            if any(entry.kind == "complete" and entry.body["backup"] == backup_id for entry in entries):
                raise AlreadyThere

        backup = self.backup(backup_id)
        if backup.tasks_done != frozenset(range(backup.tasks)):
            raise IntegrityError(f"backup {backup_id} has {len(backup.tasks_done)} of {backup.tasks} tasks ended")
        facts = backup.facts
        body = {
            "backup": backup_id,
            "counts": dict(backup.counts),
            "documents": facts.documents,
            "deletes": facts.deletes,
            "digest": f"{facts.digest:064x}",
            "tool": f"causeway {__version__}",
        }
        with contextlib.suppress(AlreadyThere):  # the last two tasks ended at the same moment
            self._manifest.append("complete", body, self._now(), is_open)
        return self.backup(backup_id)

    def note_verified(self, backup_id: str, result: Mapping[str, Any]) -> None:
        """Write down how a verification ended.

        `result["equal"]`: a trial restore of all of it gave back what was there. `result["passed"]`: what was looked
        at, which may be a part, is in order; that alone neither makes a backup verified nor takes it away.
        """
        self._manifest.append("verified", {"backup": backup_id, **result}, self._now())

    def note_pruned(self, backup_ids: Sequence[str]) -> None:
        """Write down that these backups' segments go; said before they are deleted, so a crash cannot surprise."""
        self._manifest.append("pruned", {"backups": sorted(backup_ids)}, self._now())

    def read(self, segment: SegmentRef) -> Iterator[Record]:
        """A segment's records, held against its sha256.

        Raises:
            IntegrityError: missing or damaged; it is named.
        """
        yield from read_segment(segment.path, self.storage.read(segment.path), segment.sha256)

    def read_all(self, segments: Sequence[SegmentRef]) -> Iterator[Record]:
        """The records of several segments in this order; of a bucket several segments are fetched at once.

        Raises:
            IntegrityError: one is missing or damaged; it is named.
        """
        bodies = self.storage.read_all([segment.path for segment in segments])
        for segment, body in zip(segments, bodies, strict=True):
            yield from read_segment(segment.path, body, segment.sha256)

    def salvage(self, segment: SegmentRef) -> tuple[list[Record], bool]:
        """The records that can be proved intact, and whether those are all."""
        try:
            return list(self.read(segment)), True
        except IntegrityError:
            pass
        try:
            return list(salvage_segment(self.storage.read(segment.path))), False
        except IntegrityError:
            return [], False
