"""Ranges of document paths in the order in which Firestore keeps them.

Paths are relative to the database (`users/ada/cvs/1`); they compare segment by segment, ids `__id<n>__` first and by
number, all others by their UTF-8 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_NUMERIC = re.compile(r"__id(-?\d+)__\Z")
_FIRST_ID = "__id-9223372036854775808__"
"""The smallest id there can be."""

Order = tuple[tuple[int, int, bytes], ...]


def order(path: str) -> Order:
    """What a path sorts by."""
    return tuple(_segment_order(segment) for segment in path.split("/"))


def _segment_order(segment: str) -> tuple[int, int, bytes]:
    match = _NUMERIC.match(segment)
    return (0, int(match[1]), b"") if match else (1, 0, segment.encode())


@dataclass(frozen=True, slots=True)
class Range:
    """Paths from `start` up to but not including `end`; an empty bound is no bound.

    With `after`, `start` itself is left out: where a resumed scan goes on.
    """

    start: str = ""
    end: str = ""
    after: bool = False

    def __contains__(self, path: str) -> bool:
        """Whether a path lies inside."""
        place = order(path)
        if self.start and (place < order(self.start) or (self.after and path == self.start)):
            return False
        return not self.end or place < order(self.end)


ALL = (Range(),)


def of_collections(collections: Iterable[str]) -> tuple[Range, ...]:
    """The ranges of top-level collections with everything below them, in order; all documents if none is named."""
    ids = sorted(set(collections), key=str.encode)
    return tuple(Range(f"{name}/{_FIRST_ID}", f"{name}\0/{_FIRST_ID}") for name in ids) or ALL


def without(collections: Iterable[str]) -> tuple[Range, ...]:
    """The ranges of everything but these top-level collections, in order; all documents if none is named."""
    left_out = of_collections(collections)
    if left_out == ALL:
        return ALL
    bounds = ["", *(bound for part in left_out for bound in (part.start, part.end)), ""]
    return tuple(Range(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=True))


def resume(ranges: Sequence[Range], last: str) -> tuple[Range, ...]:
    """What is left of ordered ranges after the path `last` was read; all of them if `last` is empty."""
    if not last:
        return tuple(ranges)
    place = order(last)
    left = (part for part in ranges if not part.end or place < order(part.end))
    return tuple(Range(last, part.end, after=True) if last in part else part for part in left)


def share(ranges: Sequence[Range], starts: Sequence[str], task: int) -> tuple[Range, ...]:
    """The part of ordered ranges that one of several tasks reads: task n from `starts[n-1]` up to `starts[n]`."""
    bounds = ["", *starts, ""]
    low, high = list(pairwise(bounds))[task]
    return tuple(cut for part in ranges if (cut := _cut(part, low, high)) is not None)


def _cut(part: Range, low: str, high: str) -> Range | None:
    start = max(part.start, low, key=order) if part.start and low else part.start or low
    end = min(part.end, high, key=order) if part.end and high else part.end or high
    return Range(start, end) if not (start and end) or order(start) < order(end) else None


def thin(names: Sequence[str], tasks: int) -> tuple[str, ...]:
    """At most `tasks - 1` of these paths that divide them evenly: where the tasks after the first begin."""
    ordered = sorted(set(names), key=order)
    picks = {len(ordered) * task // tasks for task in range(1, tasks)} - {0, len(ordered)}
    return tuple(ordered[pick] for pick in sorted(picks))
