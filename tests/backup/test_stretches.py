"""What the manifest tells about a full snapshot's segments: no document is missed, and parts are about even."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from causeway.backup import ranges
from causeway.backup.backups import Backup, BackupKind, SegmentRef
from causeway.backup.segments import Facts
from causeway.backup.stretches import even_starts, stretches
from tests.backup.test_ranges import PATHS

NOON = datetime(2025, 9, 1, 12, tzinfo=UTC)


@st.composite
def snapshots(draw: st.DrawFn) -> tuple[Backup, dict[str, SegmentRef]]:
    """A full snapshot by some tasks, and the segment that each document lies in."""
    paths = sorted(draw(st.lists(PATHS, unique=True, min_size=1, max_size=40)), key=ranges.order)
    starts = tuple(sorted(draw(st.lists(PATHS, unique=True, max_size=3)), key=ranges.order))
    cuts = draw(st.sets(st.sampled_from(paths)))
    held: dict[str, SegmentRef] = {}
    by_task = groupby(paths, key=lambda path: sum(ranges.order(start) <= ranges.order(path) for start in starts))
    for task, mine in by_task:
        parts: list[list[str]] = [[]]
        for path in mine:
            parts[-1].append(path)
            if path in cuts:
                parts.append([])
        for number, part in enumerate(filter(None, parts)):
            segment = SegmentRef("b", task, number, f"{task}-{number}", "", 1, Facts(documents=len(part)), part[-1])
            held |= dict.fromkeys(part, segment)
    listed = draw(st.permutations(list({id(each): each for each in held.values()}.values())))
    return Backup("b", BackupKind.FULL, NOON, NOON, task_starts=starts, segments=tuple(listed), completed=NOON), held


@given(snapshots(), st.lists(PATHS, min_size=2, max_size=2, unique=True))
def test_whatever_lies_in_a_range_is_in_a_segment_that_touches_it(
    made: tuple[Backup, dict[str, SegmentRef]], bounds: list[str]
) -> None:
    backup, held = made
    low, high = sorted(bounds, key=ranges.order)
    for part in (ranges.Range(low, high), ranges.Range(low), ranges.Range("", high)):
        touched = {stretch.segment.path for stretch in stretches(backup) if stretch.touches([part])}
        assert {segment.path for path, segment in held.items() if path in part} <= touched


def test_a_range_touches_no_more_than_its_neighbours() -> None:
    """Prevents a filter that lets everything pass from going unnoticed."""
    paths = [f"a/{number:03}" for number in range(100)]
    segments = tuple(
        SegmentRef("b", 0, n, str(n), "", 1, Facts(documents=10), part[-1])
        for n, part in enumerate([paths[place : place + 10] for place in range(0, 100, 10)])
    )
    backup = Backup("b", BackupKind.FULL, NOON, NOON, segments=segments, completed=NOON)
    touched = [
        stretch.segment.number for stretch in stretches(backup) if stretch.touches([ranges.Range("a/032", "a/055")])
    ]
    assert touched == [3, 4, 5]


@given(snapshots(), st.integers(2, 5))
def test_parts_by_the_manifest_are_about_even_or_not_told(
    made: tuple[Backup, dict[str, SegmentRef]], tasks: int
) -> None:
    backup, held = made
    starts = even_starts(backup, tasks)
    if starts is None:
        return
    assert all(ranges.order(low) < ranges.order(high) for low, high in pairwise(starts))
    parts = [ranges.share(ranges.ALL, starts, task) for task in range(len(starts) + 1)]
    sizes = [sum(any(path in each for each in part) for path in held) for part in parts]
    assert sum(sizes) == len(held)
    assert max(sizes) <= 1.25 * len(held) / tasks + 1, "the document at a boundary may belong to either side"


def test_enough_segments_are_told_apart() -> None:
    segments = tuple(SegmentRef("b", 0, n, str(n), "", 1, Facts(documents=10), f"a/{n:03}9") for n in range(40))
    backup = Backup("b", BackupKind.FULL, NOON, NOON, segments=segments, completed=NOON)
    assert even_starts(backup, 4) == ("a/0099", "a/0199", "a/0299")
    assert even_starts(backup, 41) is None
