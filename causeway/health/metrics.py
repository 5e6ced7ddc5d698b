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
    known, so that they may concern everything.
    """

    since: datetime | None
    until: datetime
    events: Mapping[Series, int] = field(default_factory=dict)
    faults: Mapping[Series, str] = field(default_factory=dict)
    gaps: Mapping[str, str] = field(default_factory=dict)
    blind: str | None = None

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
    before has no count yet. A process that vanishes or does not answer leaves a gap; when it comes back, it is
    compared with what was seen last. What a process counted between its last reading and its end is lost with it.
    Clocks only decide whether a process is new; they never scale a count.
    """
    if current.blind is not None:
        return Counts(previous.at if previous else None, current.at, blind=current.blind)
    if previous is None:
        return Counts(None, current.at, blind="read for the first time, nothing to compare with yet")
    fresh = {origin for origin, reading in current.read.items() if _is_new(previous, origin, reading)}
    gaps = _gaps(previous, current, fresh)
    events: dict[Series, int] = {}
    faults: dict[Series, str] = {}
    before = previous.values
    for series, value in current.values.items():
        fault = _fault(value)
        if fault is not None:
            faults[series] = f"{series} {fault}"
            continue
        earlier = before.get(series)
        if earlier is None or series.origin in fresh:
            if series.origin not in gaps:
                events[series] = int(value)
        elif _fault(earlier) is not None:
            faults[series] = f"{series} has no sane reading before this one"
        else:
            events[series] = int(value - earlier) if value >= earlier else int(value)
    unknown = [reason for origin, reason in current.down.items() if origin not in previous.read]
    return Counts(previous.at, current.at, events, faults, gaps, blind=unknown[0] if unknown else None)


def remember(previous: Sample | None, current: Sample, memory: timedelta = MEMORY) -> Sample:
    """The sample to compare the next one with: `current`, and what was last seen of the series that it lacks.

    Processes that no longer exist are forgotten after `memory`.
    """
    if previous is None:
        return current
    kept = {
        origin: reading
        for origin, reading in previous.read.items()
        if origin in current.down or origin in current.read or current.at - reading.at <= memory
    }
    values = {series: value for series, value in previous.values.items() if series.origin in kept}
    return Sample(current.at, {**values, **current.values}, {**kept, **current.read}, current.down, current.blind)


def _fault(value: float) -> str | None:
    """Why a value is no count."""
    if 0 <= value <= LARGEST_COUNT and value % 1 == 0:
        return None
    if value != value:
        return "is not a number"
    if value < 0:
        return f"is negative ({value:g})"
    return f"is no exact count ({value:g})"


def _is_new(previous: Sample, origin: str, reading: Reading) -> bool:
    """Whether the process began after it was last seen. A clock that is off can only hide that, the cautious way."""
    if reading.started is None:
        return False
    before = previous.read.get(origin)
    if before is not None and before.started == reading.started:
        return False
    since = before.at if before is not None else previous.at
    return since.timestamp() <= reading.started <= reading.at.timestamp()


def _gaps(previous: Sample, current: Sample, fresh: set[str]) -> dict[str, str]:
    gaps = dict(current.down)
    for origin, reading in previous.read.items():
        if reading.at == previous.at and origin not in current.read and origin not in gaps:
            gaps[origin] = f"{origin} vanished"
    for origin in current.read:
        if origin not in previous.read and origin not in fresh:
            gaps[origin] = f"{origin} was read for the first time, nothing to compare with yet"
    return gaps
