"""What was seen of a service since the last look: exact counts, or why there are none.

These records are what the health room fills and what the gates (`soak.py`) judge. Counts are differences of
counters, never rates; whoever measures has dealt with resets and with series that appear or vanish, and says
`Missing` where the difference cannot be trusted. Absent is missing, never zero and never success.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate, pairwise

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Missing:
    """A measurement that could not be made, and why, in words that fit behind "response time of X@package: ".

    `seen` is the part that could: what the processes that answered have counted. It may show harm, never health.
    """

    reason: str = "not measured"
    seen: Tally | Histogram | Throughput | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Tally:
    """`bad` events among `total`. Raises ValueError unless 0 <= bad <= total."""

    bad: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.bad <= self.total:
            raise ValueError(f"a tally needs 0 <= bad <= total, not {self.bad} of {self.total}")

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.bad + other.bad, self.total + other.total)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Requests by duration: `counts[i]` of them took longer than `bounds[i-1]` and at most `bounds[i]` seconds.

    The counts are per bucket, not cumulative; the last bound is infinite.
    Raises ValueError for negative counts, bounds that do not rise or do not end at infinity.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.bounds) != len(self.counts) or not self.bounds or self.bounds[-1] != math.inf:
            raise ValueError(f"a histogram needs one count per bound and a last bound of +Inf, not {self.bounds}")
        if not all(low < high for low, high in pairwise(self.bounds)):
            raise ValueError(f"histogram bounds must rise: {self.bounds}")
        if min(self.counts) < 0:
            raise ValueError(f"histogram counts must not be negative: {self.counts}")

    @classmethod
    def from_cumulative(cls, bounds: Sequence[float], counts: Sequence[int]) -> Histogram:
        """From Prometheus buckets: `counts[i]` requests took at most `bounds[i]`. Raises ValueError if they fall."""
        return cls(tuple(bounds), tuple(count - below for below, count in pairwise([0, *counts])))

    @property
    def total(self) -> int:
        return sum(self.counts)

    def __add__(self, other: Histogram) -> Histogram:
        """Raises ValueError if the bounds differ."""
        if self.bounds != other.bounds:
            raise ValueError(f"histogram bounds changed from {self.bounds} to {other.bounds}")
        return Histogram(self.bounds, tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    def bound_for(self, threshold: float) -> float | None:
        """The smallest finite bound at or above `threshold` seconds; None if the next one is over a quarter higher.

        A bound that falls short by rounding only (0.3 against 3 x 0.1) counts as equal.
        """
        above = next((bound for bound in self.bounds if bound >= threshold * (1 - _ROUNDING)), math.inf)
        return above if threshold > 0 and above <= 1.25 * threshold * (1 + _ROUNDING) else None

    def slower_than(self, bound: float) -> Tally:
        """How many took longer than `bound`, which must be one of the bounds (ValueError otherwise)."""
        fast = sum(self.counts[: self.bounds.index(bound) + 1])
        return Tally(self.total - fast, self.total)

    def quantile(self, q: float) -> float | None:
        """The q-quantile in seconds, linear within a bucket; None without requests, infinity beyond the last bound.

        The same estimate as PromQL's `histogram_quantile`, except that it does not claim the highest finite bound
        for a quantile that lies above it.
        """
        if not self.total:
            return None
        rank = q * self.total
        lower = 0.0
        for bound, count, reached in zip(self.bounds, self.counts, accumulate(self.counts), strict=True):
            if reached >= rank and count:
                if bound == math.inf:
                    return math.inf
                return lower + (bound - lower) * (rank - (reached - count)) / count
            lower = bound
        return math.inf


@dataclass(frozen=True, slots=True)
class Throughput:
    """Demand and work done by version: `offered` counts before the work, `completed` counts every answer.

    `weight` is the service's weight while it was measured: below 100 the package is compared with legacy, at 100
    with what it was offered. `expected` is the demand that the baseline has for a time like this one, if known.
    """

    weight: int
    offered: int
    completed: int
    legacy_offered: int = 0
    legacy_completed: int = 0
    expected: float | None = None

    def __post_init__(self) -> None:
        if min(self.offered, self.completed, self.legacy_offered, self.legacy_completed) < 0:
            raise ValueError(f"throughput counts must not be negative: {self}")


@dataclass(frozen=True, slots=True)
class Window:
    """One look at the package version of one service: what happened since the look before.

    `errors` are failed requests among all; `probes` are failed availability probes among all; `build` is the
    version label of the running package (a change in mid-soak starts the soak again), None if it is not exported.
    """

    service: str
    errors: Tally | Missing = Missing()
    latency: Histogram | Missing = Missing()
    throughput: Throughput | Missing = Missing()
    probes: Tally | Missing = Missing()
    build: str | None = None


class Category(StrEnum):
    """The four categories of a health check."""

    PERFORMANCE = "performance"
    FUNCTIONALITY = "functionality"
    INTEGRATION = "integration"
    DATA_INTEGRITY = "data_integrity"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Check:
    """One functionality, integration or data integrity check, as made since the last look.

    `passed` is None when it could not be made. A check that was not due is left out: its last result stands, and
    repeating a failure would count it twice. `service` is the service it speaks for, None for the whole stack;
    `detail` says what was found or is missing.
    """

    category: Category
    name: str
    passed: bool | None
    service: str | None = None
    detail: str = ""
