"""Data integrity: nothing lost, both sides of a dual write equal, no reference into nothing.

One failure sends the whole migration back at once, so that none may come from reading while something is written:
what looks wrong is looked at again after a while, and is failed only if it is still wrong in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from causeway.health.documents import Documents
from causeway.model.observation import CollectionProbe, ParityProbe, ReferenceProbe

IntegrityProbe = CollectionProbe | ParityProbe | ReferenceProbe

#: Document id -> what is wrong with it, precise enough to tell whether it is still the same.
Suspects = Mapping[str, tuple[str | None, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a probe found. `passed` is None where it could not be read, or must be looked at again at `again`."""

    passed: bool | None
    detail: str
    again: datetime | None = None


class CollectionWatch:
    """Compares a collection with what it held when it was first read."""

    def __init__(self, probe: CollectionProbe) -> None:
        self._probe = probe
        self._first: Mapping[str, str] | None = None
        self._since: datetime | None = None

    def look(self, documents: Documents, now: datetime) -> Found:
        found = documents.digests(self._probe.collection)
        if self._first is None:
            self._first = found
            return Found(True, f"{len(found)} documents of {self._probe.collection} to compare with later")
        wrong = self._wrong(self._first, found)
        if wrong is None:
            self._since = None
            return Found(True, f"{len(found)} documents in {self._probe.collection}")
        self._since = self._since or now
        again = self._since + timedelta(seconds=self._probe.settle)
        return Found(False, wrong) if now >= again else Found(None, f"{wrong}; looking again", again)

    def _wrong(self, first: Mapping[str, str], found: Mapping[str, str]) -> str | None:
        if len(found) < len(first) * (1 - self._probe.may_shrink):
            return f"{self._probe.collection} holds {len(found)} of {len(first)} documents"
        if self._probe.may_change:
            return None
        changed = sum(found.get(name) != digest for name, digest in first.items())
        added = len(found.keys() - first.keys())
        return f"{self._probe.collection} changed: {changed} documents, {added} more" if changed or added else None


class SettledWatch:
    """Looks twice: suspects are failures only if they are suspect again, unchanged, after the probe's `settle`."""

    def __init__(self, probe: ParityProbe | ReferenceProbe) -> None:
        self._probe = probe
        self._suspects: Suspects = {}
        self._since: datetime | None = None

    def look(self, documents: Documents, now: datetime) -> Found:
        suspects, read = self._read(documents)
        settle = timedelta(seconds=self._probe.settle)
        same = {name: what for name, what in suspects.items() if self._suspects.get(name) == what}
        if self._since is not None and now - self._since < settle:
            return self._later(len(suspects), self._since + settle)
        if same:
            return Found(False, self._failure(same, read))
        self._suspects, self._since = suspects, now if suspects else None
        if suspects:
            return self._later(len(suspects), now + settle)
        return Found(True, f"{read} documents agree")

    def _later(self, number: int, again: datetime) -> Found:
        return Found(None, f"{number} documents differ, perhaps only while they are written; looking again", again)

    def _read(self, documents: Documents) -> tuple[Suspects, int]:
        if isinstance(self._probe, ParityProbe):
            legacy = documents.digests(self._probe.legacy, self._probe.ignore)
            package = documents.digests(self._probe.package, self._probe.ignore)
            return disparity(legacy, package), len(legacy.keys() | package.keys())
        references = documents.references(self._probe.collection, self._probe.field)
        return dangling(references, documents.ids(self._probe.target)), len(references)

    def _failure(self, same: Suspects, read: int) -> str:
        some = ", ".join(sorted(same)[:3]) + (", …" if len(same) > 3 else "")
        if isinstance(self._probe, ParityProbe):
            return (
                f"{len(same)} of {read} documents differ between {self._probe.legacy} and {self._probe.package}: {some}"
            )
        return f"{len(same)} of {read} documents of {self._probe.collection} name none of {self._probe.target}: {some}"


def watch(probe: IntegrityProbe) -> CollectionWatch | SettledWatch:
    """What keeps the state of a probe between two looks."""
    return CollectionWatch(probe) if isinstance(probe, CollectionProbe) else SettledWatch(probe)


def disparity(legacy: Mapping[str, str], package: Mapping[str, str]) -> Suspects:
    """The documents whose digests differ, or that one side lacks, with both digests."""
    both = legacy.keys() | package.keys()
    return {name: (legacy.get(name), package.get(name)) for name in both if legacy.get(name) != package.get(name)}


def dangling(references: Mapping[str, str | None], targets: frozenset[str]) -> Suspects:
    """The documents that name a target that does not exist. One that names none is in order."""
    return {name: (target,) for name, target in references.items() if target is not None and target not in targets}
