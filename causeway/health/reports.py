"""The health report as data: each figure with its course, its trend and its baseline beside it.

Rendering is `causeway.report.health`; the gates judge by evidence and not by this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from causeway.health.baselines import Baseline
from causeway.health.history import History, Side, Span, total
from causeway.health.trends import Trend, trend
from causeway.model.guardrails import Guardrail, Guardrails, Measure
from causeway.model.matrix import Version
from causeway.model.window import Category, Check, Throughput

#: What a report sums up.
SPAN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a service.

    `value` and `baseline` are shares, or seconds for the response time, or requests a second for the demand; None
    where there is none, with the reason in `missing`. `course` has one value per window, oldest first. `state` is
    `ok`, `warning` or `rollback` by the guardrail's thresholds, for people, or `missing`.
    """

    name: str
    value: float | None
    baseline: float | None
    course: tuple[float | None, ...]
    trend: Trend | None
    state: str
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """The figures of one service: its package's, legacy's for comparison, and the demand for both together."""

    service: str
    weight: int
    build: str | None
    package: tuple[Figure, ...]
    legacy: tuple[Figure, ...]
    demand: Figure


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What was seen from `since` to `at`.

    `passed` counts the checks in order, `checks` are the last results that are not; `notes` is for whoever watches.
    """

    stack: str
    position: str
    since: datetime
    at: datetime
    services: tuple[ServiceHealth, ...]
    passed: Mapping[Category, int]
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and Firestore; times stay times."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def report(
    history: History,
    stack: str,
    position: str,
    weights: Mapping[str, int],
    guardrails: Guardrails,
    at: datetime,
    notes: Iterable[str] = (),
) -> HealthReport:
    """The report at `at` about the services of `weights`, over the last five minutes of the history."""
    course = _Course(history, guardrails, at)
    return HealthReport(
        stack=stack,
        position=position,
        since=course.recent[0].since if course.recent else at,
        at=at,
        services=tuple(course.service(name, weight) for name, weight in weights.items()),
        passed={
            category: sum(check.passed is True for check in history.checks if check.category is category)
            for category in Category
        },
        checks=tuple(check for check in history.checks if check.passed is not True),
        notes=tuple(notes),
    )


class _Course:
    """A history as seen at one instant."""

    def __init__(self, history: History, guardrails: Guardrails, at: datetime) -> None:
        self._guardrails = guardrails
        self._at = at
        self._baselines = history.baselines
        self._spans = history.spans
        self._hours = [(span.until - at) / timedelta(hours=1) for span in self._spans]
        self.recent: Sequence[Span] = [span for span in self._spans if span.until > at - SPAN]

    def service(self, service: str, weight: int) -> ServiceHealth:
        sums = {version: total(self.recent, service, version) for version in Version}
        return ServiceHealth(
            service,
            weight,
            sums[Version.PACKAGE].build,
            self._figures(service, Version.PACKAGE, sums[Version.PACKAGE]),
            self._figures(service, Version.LEGACY, sums[Version.LEGACY]),
            self._demand(service, sums),
        )

    def _figures(self, service: str, version: Version, summed: Side) -> tuple[Figure, ...]:
        """One per guardrail; legacy has no throughput, it is what the package's is measured by."""
        baseline = self._baselines.get(service)
        rails = [rail for rail in self._guardrails if version is Version.PACKAGE or rail.name is not Measure.THROUGHPUT]
        return tuple(
            self._figure(
                rail.name.value,
                _value(rail, summed),
                _baseline(rail, baseline),
                [_value(rail, span.side(service, version)) for span in self._spans],
                rail,
                summed.missing.get(rail.name, "no requests"),
            )
            for rail in rails
        )

    def _demand(self, service: str, sums: Mapping[Version, Side]) -> Figure:
        baseline = self._baselines.get(service)
        seconds = sum(span.seconds for span in self.recent)
        return self._figure(
            "demand",
            _demand(sums.values(), seconds),
            baseline.demand(self._at) if baseline is not None else None,
            [_demand([span.side(service, version) for version in Version], span.seconds) for span in self._spans],
            None,
            sums[Version.LEGACY].missing.get(Measure.ERROR_RATE, "no reading"),
        )

    def _figure(
        self,
        name: str,
        value: float | None,
        baseline: float | None,
        course: Sequence[float | None],
        rail: Guardrail | None,
        missing: str,
    ) -> Figure:
        finite = [each if each is None or math.isfinite(each) else None for each in course]
        return Figure(
            name,
            value,
            baseline,
            tuple(finite),
            trend(self._hours, finite),
            _state(rail, value, baseline),
            missing if value is None else None,
        )


def _demand(sides: Iterable[Side], seconds: float) -> float | None:
    """Requests a second answered by both versions."""
    counted = [side.errors.total for side in sides if side.errors is not None]
    return sum(counted) / seconds if counted and seconds else None


def _value(rail: Guardrail, side: Side) -> float | None:
    """The figure itself, from exact sums."""
    match rail.name:
        case Measure.ERROR_RATE:
            return side.errors.bad / side.errors.total if side.errors and side.errors.total else None
        case Measure.RESPONSE_TIME:
            assert rail.quantile is not None
            return side.latency.quantile(rail.quantile) if side.latency is not None else None
        case Measure.THROUGHPUT:
            return _met(side.flow) if side.flow is not None else None
        case Measure.AVAILABILITY:
            return 1 - side.probes.bad / side.probes.total if side.probes and side.probes.total else None


def _met(flow: Throughput) -> float | None:
    """The share of its demand that the package completes, as a multiple of legacy's below weight 100."""
    if not flow.offered:
        return None
    package = flow.completed / flow.offered
    if flow.weight >= 100 or not flow.legacy_offered or not flow.legacy_completed:
        return package
    return package / (flow.legacy_completed / flow.legacy_offered)


def _baseline(rail: Guardrail, baseline: Baseline | None) -> float | None:
    if baseline is None:
        return None
    match rail.name:
        case Measure.ERROR_RATE:
            return baseline.error_rate().value
        case Measure.RESPONSE_TIME:
            assert rail.quantile is not None
            return baseline.response_time(rail.quantile).value
        case Measure.THROUGHPUT:
            return 1.0
        case Measure.AVAILABILITY:
            found = baseline.availability()
            return found.value if found is not None else None


def _state(rail: Guardrail | None, value: float | None, baseline: float | None) -> str:
    if rail is None:
        return "missing" if value is None else "ok"
    if value is None or (rail.name is Measure.RESPONSE_TIME and not baseline):
        return "missing"
    measured = value / baseline if rail.name is Measure.RESPONSE_TIME and baseline else value
    sign = -1 if rail.name in (Measure.THROUGHPUT, Measure.AVAILABILITY) else 1
    if sign * measured > sign * rail.roll_back:
        return "rollback"
    return "warning" if sign * measured > sign * rail.warn else "ok"


def _plain(value: Any) -> Any:
    """Enums as text, tuples as lists; times stay times, which both Firestore and `json` callers know how to write."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    return str(value) if isinstance(value, Category) else value
