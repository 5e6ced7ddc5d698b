"""Which backups to keep (grandfather, father, son), and removing the others.

What is removed is written into the manifest first, so that a prune that dies halfway is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.storage import Retained

ABANDONED = timedelta(days=1)
"""An unfinished snapshot older than this is not resumed any more."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How many hours, days, weeks and months keep their latest backup each."""

    hourly: int = 24
    daily: int = 7
    weekly: int = 4
    monthly: int = 12


_PERIODS: tuple[tuple[str, Callable[[datetime], object]], ...] = (
    ("hourly", lambda at: (at.date(), at.hour)),
    ("daily", lambda at: at.date()),
    ("weekly", lambda at: at.isocalendar()[:2]),
    ("monthly", lambda at: (at.year, at.month)),
)


def to_keep(
    backups: Sequence[Backup],
    rules: Mapping[str, Rule],
    default: Rule,
    now: datetime,
    held_for: timedelta = timedelta(),
) -> frozenset[str]:
    """The ids of the backups to keep; `rules` are by priority.

    For each kind, priority and selection of collections: the latest of each of the last so many hours, days, weeks and
    months that have one; the last one verified, however old; the latest of all. Besides: what is being written, every
    parent of what is kept, and whatever is younger than `held_for`, the time for which the storage lets nothing go: to
    give that up would only make it useless.
    """
    present = [backup for backup in backups if not backup.pruned]
    groups: dict[tuple[bool, str, tuple[str, ...]], list[Backup]] = {}
    kept = set()
    for backup in present:
        stream = backup.kind is BackupKind.STREAM
        if backup.completed is not None:
            groups.setdefault((stream, backup.priority, backup.collections), []).append(backup)
        in_hand = backup.completed is None and (stream or now - backup.began < ABANDONED)
        if in_hand or now - (backup.completed or backup.began) < held_for:
            kept.add(backup.id)
    for (_, priority, _), group in groups.items():
        kept |= _keep_of(group, rules.get(priority, default))
    return frozenset(_with_parents(kept, present))


def _keep_of(group: Sequence[Backup], rule: Rule) -> set[str]:
    newest_first = sorted(group, key=lambda backup: backup.read_time, reverse=True)
    verified = [backup.id for backup in newest_first if backup.verified is not None]
    kept = {newest_first[0].id, *verified[:1]}
    for name, period in _PERIODS:
        latest_of: dict[object, str] = {}
        for backup in newest_first:
            latest_of.setdefault(period(backup.read_time), backup.id)
        kept |= set(list(latest_of.values())[: getattr(rule, name)])
    return kept


def _with_parents(kept: Iterable[str], present: Sequence[Backup]) -> set[str]:
    parents = {backup.id: backup.parent for backup in present}
    whole: set[str] = set()
    for backup_id in kept:
        step: str | None = backup_id
        while step is not None and step not in whole:
            whole.add(step)
            step = parents.get(step)
    return whole


@dataclass(frozen=True, slots=True)
class Pruned:
    """The ids of the backups that were removed, and how many objects the storage still holds on to."""

    removed: list[str]
    held: int


def prune(archive: Archive, keep: frozenset[str]) -> Pruned:
    """Remove every backup not in `keep`, what earlier prunes left, and segments no manifest entry lists.

    What a bucket's retention still holds stays for a later prune, and does not keep the rest from going.
    """
    going = [backup.id for backup in archive.backups() if not backup.pruned and backup.id not in keep]
    if going:
        archive.note_pruned(going)
    stored = archive.storage.names("segments/")  # before the manifest: what is stored after this is not looked at
    backups = [backup for backup in archive.backups() if not backup.pruned]
    listed = {segment.path for backup in backups for segment in backup.segments}
    writing = {backup.id for backup in backups if backup.completed is None}
    held = 0
    for name in stored:
        if name not in listed and name.split("/")[1] not in writing:
            try:
                archive.storage.delete(name)
            except Retained:
                held += 1
    return Pruned(going, held)
