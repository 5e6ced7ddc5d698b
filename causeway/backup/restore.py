"""Restore: make a database hold exactly what an archive holds as of a point, and prove it by reading back.

First a plan (what would be created, replaced, deleted, and which documents are newer than the backup), then the writes,
then a read of everything at one pinned time, compared digest by digest. Nothing is remembered between runs: a restore
that was killed is simply planned again, and what it had done already differs no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from causeway.backup import queries, ranges, times
from causeway.backup.archive import Archive
from causeway.backup.backups import BackupKind
from causeway.backup.catalogue import Catalogue, Difference
from causeway.backup.connection import Connection
from causeway.backup.contents import Progress, counted, load, observe, quiet
from causeway.backup.documents import DOCUMENT
from causeway.backup.history import Loss, Part, Point, chain, replay
from causeway.backup.records import Record
from causeway.backup.rewrite import Move
from causeway.backup.stretches import even_starts
from causeway.backup.writing import Writer, delete_document, set_document
from causeway.errors import ConfigError

_NAMED = 20
"""So many newer documents are named in a plan; the rest are counted."""
ALL = 100.0
_SAMPLES = 50
"""Paths looked at for each task when the key space is divided."""
_NONE = (-1, None)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore would do to `target`: `newer` documents were changed there after `point` and differ from it.

    They stay as they are unless the restore is told to replace them. `newer_paths` names the first of them. `lost`
    documents are in damaged parts of the archive: nothing is deleted then, since it cannot be told what they were.
    """

    point: Point
    target: str
    documents: int
    creates: int
    updates: int
    deletes: int
    newer: int
    newer_paths: tuple[str, ...]
    lost: int = 0

    @property
    def writes(self) -> int:
        """Documents that would be set or deleted."""
        return self.creates + self.updates + self.deletes

    @property
    def text(self) -> str:
        """The plan for people."""
        lines = [
            f"{self.target} as of {times.text(self.point.instant)} ({self.point.backup.id})",
            f"  {self.documents} documents: create {self.creates}, replace {self.updates}, delete {self.deletes}",
        ]
        if self.lost:
            lines.append(f"  {self.lost} lost with damaged segments; so nothing is deleted")
        if self.newer:
            lines.append(f"  {self.newer} newer than the backup:")
            lines += [f"    {path}" for path in self.newer_paths]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "backup": self.point.backup.id,
            "instant": times.text(self.point.instant),
            "target": self.target,
            "documents": self.documents,
            "creates": self.creates,
            "updates": self.updates,
            "deletes": self.deletes,
            "newer": self.newer,
            "newer_paths": list(self.newer_paths),
            "lost": self.lost,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a restore ended: what was done, and how the target compares with the backup when read back at `read_at`.

    `kept` newer documents are among the differing and extra: the target is not what the backup says, however meant.
    """

    plan: Plan
    written: int
    deleted: int
    moved_on: int
    kept: int
    read_at: datetime
    difference: Difference
    damaged: tuple[Loss, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the target holds exactly what the backup holds, and the backup was whole."""
        return self.difference.equal and not self.damaged

    @property
    def statement(self) -> str:
        """The sentence a restore ends with."""
        found = self.difference
        text = f"{found.documents} documents, {found.missing} missing, {found.extra} extra, {found.differing} differing"
        if self.kept:
            text += f"; {self.kept} newer than the backup were kept"
        if self.damaged:
            text += f"; {len(self.damaged)} damaged segments, only what is intact in them was restored"
        return text

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **self.plan.as_dict(),
            "documents": self.difference.documents,
            "missing": self.difference.missing,
            "extra": self.difference.extra,
            "differing": self.difference.differing,
            "equal": self.equal,
            "written": self.written,
            "deleted": self.deleted,
            "moved_on": self.moved_on,
            "kept_newer": self.kept,
            "read_at": times.text(self.read_at),
            "damaged_segments": [loss.segment for loss in self.damaged],
            "statement": self.statement,
        }


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Several parts of one restore together, for `--json`."""
    keys = ("documents", "missing", "extra", "differing", "written", "deleted", "kept_newer")
    parts = [outcome.as_dict() for outcome in outcomes]
    return {
        **{key: sum(part[key] for part in parts) for key in keys},
        "equal": all(outcome.equal for outcome in outcomes),
        "parts": parts,
    }


class Restore:
    """One restore of a part into a database: `plan`, then `apply`. Close it to free its scratch disk."""

    def __init__(
        self,
        archive: Archive,
        part: Part,
        target: Connection,
        *,
        replace_newer: bool = False,
        salvage: bool = False,
        percent: float = ALL,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """`percent` restores a sample only; `share` (which, of how many) the part of one of several tasks.

        Each task plans, writes and compares its own part of the key space; all of them together are the restore.

        Raises:
            ConfigError: the backup does not hold a collection asked for.
        """
        point, collections = part.point, part.collections
        absent = sorted(set(collections) - set(point.backup.collections)) if point.backup.collections else []
        if absent:
            raise ConfigError(
                f"backup {point.backup.id} does not hold {', '.join(absent)}",
                "restoring would delete them in the target",
                "choose another backup, or leave them out of --collections",
            )
        self._archive = archive
        self.point = point
        self._target = target
        self._narrows = bool(collections or part.without)
        wanted = ranges.of_collections(collections or point.backup.collections)
        self._ranges = ranges.without(part.without) if part.without else wanted
        self._reads = self._ranges
        self._move = Move(archive.database, target.database)
        self._replace_newer = replace_newer
        self._damaged: list[Loss] | None = [] if salvage else None
        self._percent = percent
        self._share = share
        self._instant = times.micros(times.to_proto(point.instant))
        self._catalogue = Catalogue()

    def __enter__(self) -> Restore:
        return self

    def __exit__(self, *_: object) -> None:
        self._catalogue.close()

    def plan(self, progress: Progress = quiet) -> Plan:
        """Read the archive and the target, and say what would be done. Nothing is written.

        Raises:
            IntegrityError: the archive is damaged; nothing is restored from it without `salvage`.
        """
        told = self._share_by_manifest()
        self._reads = self._ranges  # whatever is left out later, so that places are counted alike
        load(self._catalogue, self._records(self._damaged), self._move.expected)
        self._narrow(told)
        if self._percent < ALL:
            self._catalogue.sample(self._percent)
        self._observe(progress)
        counts = self._catalogue.counts(self._instant, newer=self._replace_newer)
        return Plan(
            point=self.point,
            target=self._target.database.name,
            documents=len(self._catalogue),
            creates=counts.creates,
            updates=counts.updates,
            deletes=0 if self._damaged else counts.deletes,
            newer=counts.newer,
            newer_paths=tuple(islice(self._catalogue.newer(self._instant), _NAMED)),
            lost=self._lost,
        )

    def apply(
        self,
        plan: Plan,
        *,
        wait: Callable[[int], None],
        sleep: Callable[[float], None],
        progress: Progress = quiet,
        reading: Progress = quiet,
    ) -> Outcome:
        """Do what `plan` says, then read the target back and compare.

        `wait` holds the rate (`ramp.Ramp` for the service). Documents changed since the plan was made are not
        overwritten; the comparison shows them.

        Raises:
            Unreachable: the target stops answering; the same restore resumes.
        """
        writer = Writer(self._target, wait, sleep, progress)
        written = writer.write(self._writes())
        deleted = writer.write(self._deletes())
        read_at = self._observe(reading)
        return Outcome(
            plan=plan,
            written=written.done,
            deleted=deleted.done,
            moved_on=written.moved_on + deleted.moved_on,
            kept=0 if self._replace_newer else plan.newer,
            read_at=read_at,
            difference=self._catalogue.difference(lost=self._lost),
            damaged=tuple(self._damaged or ()),
        )

    @property
    def _lost(self) -> int:
        return sum(loss.documents for loss in self._damaged or ())

    def _share_by_manifest(self) -> bool:
        """Whether the manifest tells which part is ours: then only what lies in it has to be read."""
        full = chain(self._archive, self.point.backup)[0]
        if self._share[1] == 1 or self._narrows or full.kind is not BackupKind.FULL:
            return False
        starts = even_starts(full, self._share[1])
        if starts is not None:
            self._take_share(starts)
        return starts is not None

    def _take_share(self, starts: Sequence[str]) -> None:
        task = self._share[0]
        self._ranges = ranges.share(self._ranges, starts, task) if task <= len(starts) else ()

    def _narrow(self, told: bool) -> None:
        """Leave only the collections and the part of the key space that this restore is about."""
        tasks = self._share[1]
        if tasks > 1 and not told:
            self._take_share(ranges.thin(self._catalogue.some_paths(tasks * _SAMPLES), tasks))
        if tasks > 1 or self._narrows:
            self._catalogue.only(lambda path: any(path in part for part in self._ranges))

    def _records(self, damaged: list[Loss] | None) -> Iterator[Record]:
        """In the same order each time: a plan's places count from here."""
        return replay(self._archive, self.point, ranges=self._reads, salvage=damaged)

    def _observe(self, progress: Progress) -> datetime:
        """Take what the target holds now, at one pinned time."""
        read_at = queries.server_time(self._target)
        observe(self._catalogue, counted(queries.scan(self._target, self._ranges, read_at), progress))
        return read_at

    def _writes(self) -> Iterator[bytes]:
        """The planned writes, in the order of the archive, so that each segment is read once more and in turn."""
        wanted = self._catalogue.writes(self._instant, newer=self._replace_newer)
        place, replaces = next(wanted, _NONE)
        for number, record in enumerate(self._records(None if self._damaged is None else [])):
            if number == place:
                yield set_document(self._move(record.message), replaces, guarded=not self._replace_newer)
                place, replaces = next(wanted, _NONE)
            if place < 0:
                return

    def _deletes(self) -> Iterator[bytes]:
        if self._damaged:
            return  # what looks like one too many may be what the damage has hidden
        root = self._target.database.root
        for path, updated in self._catalogue.deletes(self._instant, newer=self._replace_newer):
            yield delete_document(f"{root}/{path}", updated, guarded=not self._replace_newer)


def empty(target: Connection, *, wait: Callable[[int], None], sleep: Callable[[float], None]) -> int:
    """Delete every document of a database; how many there were.

    Raises:
        Unreachable: the database stops answering.
    """
    names = queries.scan(target, ranges.ALL, queries.server_time(target), names_only=True)
    deletes = (delete_document(DOCUMENT.FromString(raw).name, 0, guarded=False) for raw in names)
    return Writer(target, wait, sleep, quiet).write(deletes).done
