"""Counters at an instant, and what was counted between two of them.

Everything the gates judge is an exact difference of counters per series; nothing here is a rate, and nothing is
extrapolated. What cannot be counted says why. All of it is pure; `scrape.py` and `promql.py` do the reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

#: Beyond this a float, which is what metrics are sent as, does not hold every integer.
LARGEST_COUNT = float(2**53)

#: How long a process that is no longer seen is remembered, so that what it counted is not counted twice.
MEMORY = timedelta(hours=1)


class Series(NamedTuple):
    """One series of one process. `origin` is where it was read: a target's address, or job and instance."""

    origin: str
    name: str
    labels: tuple[tuple[str, str], ...]  # sorted by name

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels)
        return f"{self.name}{{{labels}}} of {self.origin}"


class Reading(NamedTuple):
    """That an origin was read at `at`; `started` is when its process says that it began, in Unix seconds."""

    at: datetime
    started: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Every counter of interest at one instant.

    `values` are raw values as sent, sane or not. `read` names the origins that answered, `down` those that did not,
    with the reason. An origin in neither no longer exists, as far as the source knows. `blind` is the reason why
    the source as a whole could not be read.
    """

    at: datetime
    values: Mapping[Series, float] = field(default_factory=dict)
    read: Mapping[str, Reading] = field(default_factory=dict)
    down: Mapping[str, str] = field(default_factory=dict)
    blind: str | None = None


class Source(Protocol):
    """Where counters are read. `read` never raises for what the other side does: the sample says what is missing."""

    def read(self) -> Sample: ...


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted from `since` to `until`: events per series, and why other series have no count.

    `faults` are single series, `gaps` whole origins whose series are known, `blind` origins about which nothing is
    known, so that they may concern everything. `began` are origins whose process is a new one: what the old one had
    counted and not shown is lost.
    """

    since: datetime | None
    until: datetime
    events: Mapping[Series, int] = field(default_factory=dict)
    faults: Mapping[Series, str] = field(default_factory=dict)
    gaps: Mapping[str, str] = field(default_factory=dict)
    blind: str | None = None
    began: frozenset[str] = frozenset()

    def missing(self, series: Iterable[Series]) -> str | None:
        """Why the sum over these series would not be the whole truth; None if it is."""
        if self.blind is not None:
            return self.blind
        if not self.faults and not self.gaps:
            return None
        for each in series:
            reason = self.gaps.get(each.origin) or self.faults.get(each)
            if reason is not None:
                return reason
        return None

    def total(self, series: Iterable[Series]) -> int:
        """Events over these series; those without a count add nothing (`missing` tells)."""
        events = self.events
        return sum([events.get(each, 0) for each in series])


def difference(previous: Sample | None, current: Sample) -> Counts:
    """What was counted between two samples; `previous` is None or comes from `remember`.

    A counter that fell, or whose process began in between, counts from zero (as PromQL's `increase` has it). A
    series that appears in a process that was already read counts from zero as well; one in a process never read
    before has no count yet. A process that vanishes or does not answer leaves a gap, a series that a living process
    no longer sends is a fault: it may be counting on, unseen. When either comes back, it is compared with what was
    seen last. What a process counted between its last reading and its end is lost with it.
    Clocks only decide whether a process is new; they never scale a count.
    """
    blind = _blind(previous, current)
    if blind is not None or previous is None:
        return Counts(previous.at if previous else None, current.at, blind=blind)
    began = _began(previous, current)
    gaps = _gaps(previous, current, began)
    events: dict[Series, int] = {}
    faults: dict[Series, str] = {}
    before = previous.values
    for series, value in current.values.items():
        fault = _fault(value)
        if fault is not None:
            faults[series] = f"{series} {fault}"
            continue
        earlier = before.get(series)
        if earlier is None or series.origin in began:
            if series.origin not in gaps:
                events[series] = int(value)
        elif _fault(earlier) is not None:
            # The rest of its process has a count that it lacks; together they would be a share of nothing real.
            gaps.setdefault(series.origin, f"{series} has no sane reading before this one")
        else:
            events[series] = int(value - earlier) if value >= earlier else int(value)
    faults |= {
        series: f"{series} is no longer sent"
        for series in before.keys() - current.values.keys()
        if series.origin in current.read and series.origin not in began
    }
    if gaps:
        events = {series: count for series, count in events.items() if series.origin not in gaps}
    unknown = [reason for origin, reason in current.down.items() if origin not in previous.read]
    since = min((previous.read[origin].at for origin in current.read if origin in previous.read), default=previous.at)
    return Counts(since, current.at, events, faults, gaps, unknown[0] if unknown else None, frozenset(began))


def remember(previous: Sample | None, current: Sample, memory: timedelta = MEMORY) -> Sample:
    """The sample to compare the next one with: `current`, and what was last seen of the series that it lacks.

    A value that is no count does not replace one that is. Processes that no longer exist are forgotten after
    `memory`; what the process before counted is forgotten when a new one has taken its place.
    """
    if previous is None:
        return current
    kept = {
        origin: reading
        for origin, reading in previous.read.items()
        if origin in current.down or origin in current.read or current.at - reading.at <= memory
    }
    began = _began(previous, current)
    values = {
        series: value
        for series, value in previous.values.items()
        if series.origin in kept and series.origin not in began
    }
    values |= {
        series: value for series, value in current.values.items() if _fault(value) is None or series not in values
    }
    return Sample(current.at, values, {**kept, **current.read}, current.down, current.blind)


def _fault(value: float) -> str | None:
    """Why a value is no count."""
    if 0 <= value <= LARGEST_COUNT and value % 1 == 0:
        return None
    if value != value:
        return "is not a number"
    if value < 0:
        return f"is negative ({value:g})"
    return f"is no exact count ({value:g})"


def _blind(previous: Sample | None, current: Sample) -> str | None:
    """Why nothing at all can be compared."""
    if current.blind is not None:
        return current.blind
    if previous is None:
        return "read for the first time, nothing to compare with yet"
    if previous.read and not current.read and not current.down:
        return "no process that was read before is there any more"
    return None


def _began(previous: Sample, current: Sample) -> set[str]:
    """The origins whose process is not the one that was read before."""
    began = {origin for origin, reading in current.read.items() if _is_new(previous, origin, reading)}
    silent = {series.origin for series in previous.values.keys() - current.values.keys()}
    return began | {
        origin
        for origin in silent
        if origin in current.read and _unnamed(previous, current, origin) and _starts_over(previous, current, origin)
    }


def _unnamed(previous: Sample, current: Sample, origin: str) -> bool:
    """Whether the process does not say when it began."""
    return current.read[origin].started is None or previous.read[origin].started is None


def _starts_over(previous: Sample, current: Sample, origin: str) -> bool:
    """Whether a process that lacks series looks like a new one: a counter fell, or it has none of the old series."""
    before = {series: value for series, value in previous.values.items() if series.origin == origin}
    now = {series: value for series, value in current.values.items() if series.origin == origin}
    return any(now[series] < value for series, value in before.items() if series in now) or (
        bool(now) and not any(series in now for series in before)
    )


def _is_new(previous: Sample, origin: str, reading: Reading) -> bool:
    """Whether the process began after it was last seen. A clock that is off can only hide that, the cautious way."""
    if reading.started is None:
        return False
    before = previous.read.get(origin)
    if before is not None and before.started == reading.started:
        return False
    since = before.at if before is not None else previous.at
    return since.timestamp() <= reading.started <= reading.at.timestamp()


def _gaps(previous: Sample, current: Sample, began: set[str]) -> dict[str, str]:
    gaps = dict(current.down)
    for origin, reading in previous.read.items():
        if reading.at == previous.at and origin not in current.read and origin not in gaps:
            gaps[origin] = f"{origin} vanished"
    for origin in current.read:
        if origin not in previous.read and origin not in began:
            gaps[origin] = f"{origin} was read for the first time, nothing to compare with yet"
    return gaps
