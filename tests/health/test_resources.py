"""Resources: the worst process decides, and what cannot be known is missing."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from causeway.errors import ConfigError
from causeway.health.metrics import Reading, Sample, Series
from causeway.health.resources import judge, selectors
from causeway.model.observation import Resource

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
FILES = Resource("open files", "process_open_fds", "process_max_fds", most=0.8)
MEMORY = Resource("memory", "process_resident_memory_bytes", 512 * 2**20)


def sample(*processes: tuple[float, float | None], down: str | None = None) -> Sample:
    """Processes with so many files open of so many."""
    values, read = {}, {}
    for number, (used, limit) in enumerate(processes):
        origin = f"p{number}"
        values[Series(origin, "process_open_fds", ())] = used
        values[Series(origin, "process_resident_memory_bytes", ())] = used
        if limit is not None:
            values[Series(origin, "process_max_fds", ())] = limit
        read[origin] = Reading(T0)
    return Sample(T0, values, read, {"p9": down} if down else {})


@pytest.mark.parametrize(
    ("seen", "passed", "detail"),
    [
        (sample((10, 100), (70, 100)), True, "70 % used by p1, 80 % are allowed"),
        (sample((10, 100), (90, 100)), False, "90 % used by p1, 80 % are allowed"),
        (sample((10, 100), (math.nan, 100)), False, "nan % used by p1, 80 % are allowed"),
        (sample((10, 0)), None, "p0 has no limit"),
        (sample((10, None)), None, "p0 has no limit"),
        (sample(), None, "no series matches process_open_fds"),
        (sample((10, 100), down="p9 answered 500"), None, "p9 answered 500"),
        (sample((90, 100), down="p9 answered 500"), False, "90 % used by p0, 80 % are allowed"),
        (Sample(T0, blind="prometheus answered 500"), None, "prometheus answered 500"),
    ],
)
def test_the_worst_process_decides_and_what_is_not_known_is_missing(
    seen: Sample, passed: bool | None, detail: str
) -> None:
    found = judge(FILES, seen)
    assert (found.name, found.passed, found.detail) == ("open files", passed, detail)


def test_a_limit_may_be_a_number() -> None:
    assert judge(MEMORY, sample((500 * 2**20, None))).passed is False
    assert judge(MEMORY, sample((100 * 2**20, None))).passed is True


def test_what_must_be_read_is_said_and_checked() -> None:
    assert [str(each) for each in selectors([FILES, MEMORY])] == [
        "process_open_fds{}",
        "process_max_fds{}",
        "process_resident_memory_bytes{}",
    ]
    with pytest.raises(ConfigError):
        selectors([Resource("x", "no selector", 1)])
