"""What an archive's manifest tells: its backups and their segments, folded from the entries in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from causeway.backup import times
from causeway.backup.manifest import Entry
from causeway.backup.segments import Facts


class BackupKind(StrEnum):
    """What a backup holds."""

    FULL = "full"
    """Every document at `read_time`."""
    INCREMENTAL = "incremental"
    """What differs from its parent at `read_time`: documents changed or new, and deletes."""
    STREAM = "stream"
    """Every change since its parent, with watermarks at which the state is exact."""


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """Where a sealed segment lies and what it holds.

    `last` is the cursor at which a resumed task goes on; `watermark` the last instant whose state is exact in a stream,
    of those that were not taken back by the end of this segment; `counts` are its documents per collection id.
    """

    backup: str
    task: int
    number: int
    path: str
    sha256: str
    size: int
    facts: Facts
    last: str = ""
    watermark: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup as the manifest tells it.

    `collections` are the top-level collections it was restricted to, empty for all. `task_starts` are the document
    paths at which parallel tasks begin, so there is one task more than starts. `verified` is the time of the last
    trial restore, if that was found equal.
    """

    id: str
    kind: BackupKind
    read_time: datetime
    began: datetime
    parent: str | None = None
    priority: str = ""
    collections: tuple[str, ...] = ()
    task_starts: tuple[str, ...] = ()
    segments: tuple[SegmentRef, ...] = ()
    tasks_done: frozenset[int] = frozenset()
    completed: datetime | None = None
    verified: datetime | None = None
    pruned: bool = False

    @property
    def tasks(self) -> int:
        """How many tasks write it."""
        return len(self.task_starts) + 1

    @property
    def facts(self) -> Facts:
        """The sum over its segments."""
        return sum((segment.facts for segment in self.segments), Facts())

    @property
    def counts(self) -> Mapping[str, int]:
        """Documents per collection id, by id."""
        total: Counter[str] = Counter()
        for segment in self.segments:
            total.update(segment.counts)
        return dict(sorted(total.items()))

    @property
    def stored_bytes(self) -> int:
        """What its segments take in storage."""
        return sum(segment.size for segment in self.segments)

    @property
    def exact_until(self) -> datetime | None:
        """The latest instant it can restore exactly, or None: a snapshot's read time, a stream's last watermark."""
        if self.kind is BackupKind.STREAM:
            return self.segments[-1].watermark if self.segments else None
        return self.read_time if self.completed else None

    def task_segments(self, task: int) -> tuple[SegmentRef, ...]:
        """One task's segments in order."""
        return tuple(segment for segment in self.segments if segment.task == task)


def segment_body(segment: SegmentRef) -> dict[str, Any]:
    """A segment as its manifest entry says it; `Told` reads it back."""
    return {
        "backup": segment.backup,
        "task": segment.task,
        "number": segment.number,
        "path": segment.path,
        "sha256": segment.sha256,
        "size": segment.size,
        "documents": segment.facts.documents,
        "deletes": segment.facts.deletes,
        "watermarks": segment.facts.watermarks,
        "raw_bytes": segment.facts.raw_bytes,
        "digest": f"{segment.facts.digest:064x}",
        "counts": dict(segment.counts),
        "last": segment.last,
        "watermark": times.text(segment.watermark) if segment.watermark else None,
    }


class Told:
    """What the manifest has told so far; an entry is looked at once, however long the manifest becomes."""

    def __init__(self) -> None:
        self._taken = 0
        self._found: dict[str, Backup] = {}
        self._segments: defaultdict[str, list[SegmentRef]] = defaultdict(list)
        self.written: Counter[tuple[str, int]] = Counter()
        """Segments listed, by backup and task."""

    def take(self, entries: Sequence[Entry]) -> None:
        """All entries there are; those taken before are passed over."""
        for entry in entries[self._taken :]:
            if entry.kind == "segment":
                segment = _segment(entry.body)
                self._segments[segment.backup].append(segment)
                self.written[segment.backup, segment.task] += 1
            elif entry.kind in _APPLY:
                _APPLY[entry.kind](self._found, entry)
        self._taken = len(entries)

    def backups(self) -> list[Backup]:
        """As far as told, oldest first."""
        return [replace(each, segments=tuple(self._segments[each.id])) for each in self._found.values()]


def _begin(found: dict[str, Backup], entry: Entry) -> None:
    body = entry.body
    found[body["backup"]] = Backup(
        id=body["backup"],
        kind=BackupKind(body["kind"]),
        read_time=times.parse(body["read_time"]),
        began=entry.at,
        parent=body["parent"],
        priority=body["priority"],
        collections=tuple(body["collections"]),
        task_starts=tuple(body["task_starts"]),
    )


def _segment(body: Mapping[str, Any]) -> SegmentRef:
    return SegmentRef(
        backup=body["backup"],
        task=body["task"],
        number=body["number"],
        path=body["path"],
        sha256=body["sha256"],
        size=body["size"],
        facts=Facts(body["documents"], body["deletes"], body["watermarks"], body["raw_bytes"], int(body["digest"], 16)),
        last=body["last"],
        watermark=times.parse(body["watermark"]) if body["watermark"] else None,
        counts=MappingProxyType(body["counts"]),
    )


def _task(found: dict[str, Backup], entry: Entry) -> None:
    backup = found[entry.body["backup"]]
    found[backup.id] = replace(backup, tasks_done=backup.tasks_done | {entry.body["task"]})


def _complete(found: dict[str, Backup], entry: Entry) -> None:
    found[entry.body["backup"]] = replace(found[entry.body["backup"]], completed=entry.at)


def _verified(found: dict[str, Backup], entry: Entry) -> None:
    if entry.body.get("passed") and not entry.body["equal"]:
        return
    at = entry.at if entry.body["equal"] else None
    found[entry.body["backup"]] = replace(found[entry.body["backup"]], verified=at)


def _pruned(found: dict[str, Backup], entry: Entry) -> None:
    for backup_id in entry.body["backups"]:
        found[backup_id] = replace(found[backup_id], pruned=True)


_APPLY: Mapping[str, Callable[[dict[str, Backup], Entry], None]] = {
    "begin": _begin,
    "task": _task,
    "complete": _complete,
    "verified": _verified,
    "pruned": _pruned,
}
