"""Which segments of a full snapshot hold a part of the key space, by the manifest alone.

A full snapshot's tasks write their documents in the order of their paths, and each segment's entry names its last one.
So a restore of some collections, or one task of several, reads the segments it needs and no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from causeway.backup.backups import Backup, SegmentRef
from causeway.backup.ranges import Range, order

_UNEVEN = 1.25
"""Of an even part, the largest may be so many: otherwise the parts are better told by the documents themselves."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A segment and what it can hold: paths from `start`, which is left out if `after`, to its last one."""

    segment: SegmentRef
    start: str
    after: bool

    def touches(self, ranges: Sequence[Range]) -> bool:
        """Whether a document of these ranges can be in it."""
        return any(self._touches(part) for part in ranges)

    def _touches(self, part: Range) -> bool:
        below = part.start and self.segment.last and order(self.segment.last) < order(part.start)
        above = part.end and self.start and order(self.start) >= order(part.end)
        return not below and not above


def stretches(backup: Backup) -> Iterator[Stretch]:
    """The segments of a full snapshot in the order of what they hold."""
    task, start, after = 0, "", False
    for segment in sorted(backup.segments, key=lambda each: (each.task, each.number)):
        if segment.task != task:
            task, start, after = segment.task, backup.task_starts[segment.task - 1], False
        yield Stretch(segment, start, after)
        start, after = segment.last, True


def even_starts(backup: Backup, tasks: int) -> tuple[str, ...] | None:
    """Paths at which `tasks` about equal parts of a full snapshot begin; None where its segments are too few for that.

    Every task finds the same ones, since a finished backup's entries never change.
    """
    places, before = [], 0
    for stretch in stretches(backup):
        if stretch.start:
            places.append((before, stretch.start))
        before += stretch.segment.facts.documents
    even = before / tasks
    if len(places) + 1 < tasks:
        return None
    chosen = sorted({min(places, key=lambda place: abs(place[0] - even * task)) for task in range(1, tasks)})
    bounds = [0, *(place for place, _ in chosen), before]
    largest = max(high - low for low, high in pairwise(bounds))
    return tuple(path for _, path in chosen) if largest <= _UNEVEN * even else None
