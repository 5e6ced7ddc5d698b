"""Verify: that an archive is whole, and that a trial restore of it gives back what was there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from causeway.backup import queries, times
from causeway.backup.archive import Archive
from causeway.backup.backups import SegmentRef
from causeway.backup.connection import Connection
from causeway.backup.contents import Progress, quiet
from causeway.backup.documents import DOCUMENT, collection_group, digest_of, relative_path
from causeway.backup.history import Part, Point, chain
from causeway.backup.records import Kind
from causeway.backup.restore import ALL, Outcome, Restore, empty
from causeway.backup.segments import MODULUS
from causeway.errors import ConfigError, IntegrityError

SCRATCH = "causeway-verify"
"""The database trials restore into; other names that begin so are ours as well."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A segment that is not what was sealed, and why that is known."""

    segment: str
    backup: str
    what: str


@dataclass(frozen=True, slots=True)
class Integrity:
    """What reading every byte of some backups showed."""

    backups: tuple[str, ...]
    segments: int
    documents: int
    stored_bytes: int
    damages: tuple[Damage, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damages


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification's result. Without a trial (`trial` None) the archive was read, but never restored."""

    at: datetime
    point: Point
    integrity: Integrity
    trial: Outcome | None
    sample: float

    @property
    def equal(self) -> bool:
        """Whether the archive is whole and a trial restore of all of it gave back what was there."""
        return self.integrity.whole and self.trial is not None and self.trial.equal and self.sample >= ALL

    @property
    def passed(self) -> bool:
        """Whether everything that was looked at is as it should be."""
        return self.integrity.whole and (self.trial is None or self.trial.equal)

    @property
    def statement(self) -> str:
        """The result in a line, and a line for each damage."""
        found = self.integrity
        damages = [f"  {each.segment}: {each.what}" for each in found.damages]
        read = f"{self.point.backup.id}: {found.segments} segments read, {len(damages)} damaged"
        if self.trial is None:
            return "\n".join([f"{read}; never restored on trial", *damages])
        share = "" if self.sample >= ALL else f" of a sample of {self.sample:g} %"
        return f"{read}; trial restore{share}: {self.trial.statement}"

    def as_dict(self) -> dict[str, Any]:
        """The record for `migration_checkpoints`, and for `--json`."""
        found = self.trial.difference if self.trial else None
        return {
            "kind": "backup_verification",
            "at": times.text(self.at),
            "backup": self.point.backup.id,
            "instant": times.text(self.point.instant),
            "equal": self.equal,
            "passed": self.passed,
            "whole": self.integrity.whole,
            "backups": list(self.integrity.backups),
            "segments": self.integrity.segments,
            "stored_bytes": self.integrity.stored_bytes,
            "damaged": [
                {"segment": each.segment, "backup": each.backup, "what": each.what} for each in self.integrity.damages
            ],
            "sample_percent": self.sample,
            "documents": found.documents if found else self.integrity.documents,
            "missing": found.missing if found else None,
            "extra": found.extra if found else None,
            "differing": found.differing if found else None,
        }


def check_integrity(archive: Archive, point: Point, progress: Progress = quiet) -> Integrity:
    """Read every segment a point needs: its sha256, every record's checksum, every document's digest, the counts.

    Raises:
        IntegrityError: the manifest itself is damaged.
    """
    links = chain(archive, point.backup)
    segments = [segment for link in links for segment in link.segments]
    damages: list[Damage] = []
    documents = 0
    for segment in segments:
        try:
            documents += _read(archive, segment)
        except IntegrityError as error:
            damages.append(Damage(segment.path, segment.backup, error.fact))
        progress(segment.facts.documents)
    return Integrity(
        backups=tuple(link.id for link in links),
        segments=len(segments),
        documents=documents,
        stored_bytes=sum(segment.size for segment in segments),
        damages=tuple(damages),
    )


def _read(archive: Archive, segment: SegmentRef) -> int:
    """Hold a segment against what the manifest says of it; the number of its documents."""
    counts: Counter[str] = Counter()
    documents = total = 0
    for record in archive.read(segment):
        if record.kind is not Kind.DOCUMENT:
            continue
        message = DOCUMENT.FromString(record.message)
        counts[collection_group(relative_path(message.name))] += 1
        if digest_of(message) != record.digest:
            raise IntegrityError(f"a document in {segment.path} does not have its digest")
        documents += 1
        total += int.from_bytes(record.digest, "big")
    if (documents, total % MODULUS) != (segment.facts.documents, segment.facts.digest):
        raise IntegrityError(f"{segment.path} does not hold the documents the manifest lists")
    if segment.counts and dict(counts) != dict(segment.counts):
        raise IntegrityError(f"{segment.path} does not hold the collections the manifest lists")
    return documents


def verify(
    archive: Archive,
    point: Point,
    scratch: Connection | None,
    *,
    sample: float = ALL,
    now: Callable[[], datetime],
    wait: Callable[[int], None],
    sleep: Callable[[float], None],
    reading: Progress = quiet,
    writing: Progress = quiet,
) -> Verification:
    """Check the archive's integrity at a point and, with a scratch database, restore it there on trial.

    The result is written into the archive. Only a trial of everything makes a backup verified, and only damage or a
    difference takes that away again.
    `sample` is in percent of the documents.

    Raises:
        ConfigError: the scratch database holds what is not ours to overwrite.
        Unreachable: the scratch database does not answer.
    """
    integrity = check_integrity(archive, point, reading)
    outcome = None
    if scratch is not None and integrity.whole:
        outcome = trial(archive, point, scratch, sample=sample, wait=wait, sleep=sleep, progress=writing)
    result = Verification(now(), point, integrity, outcome, sample)
    archive.note_verified(point.backup.id, result.as_dict())
    return result


def trial(
    archive: Archive,
    point: Point,
    scratch: Connection,
    *,
    sample: float,
    wait: Callable[[int], None],
    sleep: Callable[[float], None],
    progress: Progress = quiet,
) -> Outcome:
    """Restore into a scratch database, compare, and empty it again."""
    _hold_scratch(archive, scratch)
    with Restore(archive, Part(point), scratch, replace_newer=True, percent=sample) as restore:
        outcome = restore.apply(restore.plan(), wait=wait, sleep=sleep, progress=progress)
    empty(scratch, wait=wait, sleep=sleep)
    return outcome


def _hold_scratch(archive: Archive, scratch: Connection) -> None:
    """A trial overwrites and then empties its database, so it must be ours by name, or empty."""
    database = scratch.database
    ours = database.database.startswith(SCRATCH)
    if database == archive.database or not (ours or queries.count(scratch, queries.server_time(scratch)) == 0):
        raise ConfigError(
            f"{database.name} is not empty and is not called {SCRATCH}…",
            "a trial restore would overwrite and then empty it",
            f"give a database called {SCRATCH} to --scratch",
        )
