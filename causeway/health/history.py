"""The looks of the last half hour, gathered into windows; what reports and charts are drawn from."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from causeway.health.baselines import Baseline
from causeway.health.checker import Look
from causeway.model.guardrails import Measure
from causeway.model.matrix import Version
from causeway.model.window import Category, Check, Histogram, Missing, Tally, Throughput, Window

#: How far a history reaches back.
COURSE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Side:
    """One version of one service over several looks: sums of what was counted, and why a look had nothing."""

    errors: Tally | None = None
    latency: Histogram | None = None
    flow: Throughput | None = None
    probes: Tally | None = None
    build: str | None = None
    missing: Mapping[Measure, str] = field(default_factory=dict)

    @classmethod
    def of(cls, window: Window) -> Side:
        """What one look says."""
        seen = {
            Measure.ERROR_RATE: window.errors,
            Measure.RESPONSE_TIME: window.latency,
            Measure.THROUGHPUT: window.throughput,
            Measure.AVAILABILITY: window.probes,
        }
        return cls(
            errors=None if isinstance(window.errors, Missing) else window.errors,
            latency=None if isinstance(window.latency, Missing) else window.latency,
            flow=None if isinstance(window.throughput, Missing) else window.throughput,
            probes=None if isinstance(window.probes, Missing) else window.probes,
            build=window.build,
            missing={measure: each.reason for measure, each in seen.items() if isinstance(each, Missing)},
        )

    def __add__(self, later: Side) -> Side:
        return Side(
            errors=_tallies(self.errors, later.errors),
            latency=_histograms(self.latency, later.latency),
            flow=_flows(self.flow, later.flow),
            probes=_tallies(self.probes, later.probes),
            build=later.build or self.build,
            missing={**self.missing, **later.missing},
        )


NOTHING = Side()


@dataclass(frozen=True, slots=True)
class Span:
    """All looks from `since` to `until`; `seconds` is the time they counted."""

    since: datetime
    until: datetime
    seconds: float = 0.0
    sides: Mapping[tuple[str, Version], Side] = field(default_factory=dict)

    def side(self, service: str, version: Version) -> Side:
        return self.sides.get((service, version), NOTHING)

    def add(self, look: Look) -> Span:
        sides = dict(self.sides)
        for version, windows in ((Version.PACKAGE, look.windows), (Version.LEGACY, look.legacy)):
            for service, window in windows.items():
                sides[service, version] = self.side(service, version) + Side.of(window)
        seconds = look.seconds if _counted(look) else 0.0  # what nobody saw is counted, and timed, by a later look
        return Span(self.since, look.at, self.seconds + seconds, sides)


class History:
    """Windows of `interval` seconds, oldest first, and the last result of every check."""

    def __init__(self, interval: float) -> None:
        self._interval = timedelta(seconds=interval)
        self._spans: deque[Span] = deque(maxlen=max(1, math.ceil(COURSE / self._interval)))
        self._checks: dict[tuple[Category, str, str | None], Check] = {}
        self.baselines: Mapping[str, Baseline] = {}

    def add(self, look: Look) -> None:
        """Adds a look to its window."""
        if not self._spans or look.at - self._spans[-1].since > self._interval:
            self._spans.append(Span(look.since or look.at, look.at))
        self._spans[-1] = self._spans[-1].add(look)
        self._checks |= {(check.category, check.name, check.service): check for check in look.checks}
        self.baselines = look.baselines

    @property
    def spans(self) -> Sequence[Span]:
        return tuple(self._spans)

    @property
    def checks(self) -> Sequence[Check]:
        return tuple(self._checks.values())


def total(spans: Iterable[Span], service: str, version: Version) -> Side:
    """Several windows as one."""
    found = NOTHING
    for span in spans:
        found += span.side(service, version)
    return found


def _counted(look: Look) -> bool:
    """Whether anything was counted at all."""
    windows = (*look.windows.values(), *look.legacy.values())
    return not windows or any(isinstance(each.errors, Tally) for each in windows)


def _tallies(one: Tally | None, other: Tally | None) -> Tally | None:
    return one + other if one and other else one or other


def _histograms(one: Histogram | None, other: Histogram | None) -> Histogram | None:
    """Their sum; the later one alone where the bounds have changed."""
    if one is None or other is None or one.bounds != other.bounds:
        return other or one
    return one + other


def _flows(one: Throughput | None, other: Throughput | None) -> Throughput | None:
    if one is None or other is None:
        return other or one
    return replace(
        other,
        offered=one.offered + other.offered,
        completed=one.completed + other.completed,
        legacy_offered=one.legacy_offered + other.legacy_offered,
        legacy_completed=one.legacy_completed + other.legacy_completed,
    )
