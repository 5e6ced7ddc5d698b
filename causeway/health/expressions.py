"""Guardrails in PromQL: one definition, for the alert policies and for charts.

Alerts look at a sliding window of rates, as operators know them; the gates look at exact counts (`causeway.model`).
Both read the same metrics and the same thresholds, so that an alert and a verdict speak of the same thing. No
expression depends on a weight or a baseline's value, so that a step changes no alert policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from causeway.health.selectors import Matcher, Selector
from causeway.model.guardrails import Guardrail, Measure
from causeway.model.matrix import Version
from causeway.model.observation import MetricNames, Metrics

#: What the monitor exposes of its own (`exposition.py`): its HTTP probes, and legacy's response time in seconds.
PROBES = 'causeway_probes_total{service="$service",version="$version"}'
BASELINE = 'causeway_baseline_seconds{service="$service"}'


@dataclass(frozen=True, slots=True)
class Expression:
    """A guardrail of one service in PromQL.

    `value` is the figure to draw: a share, or multiples of the baseline for the response time. `warn` and `roll_back`
    yield something exactly while their threshold is crossed; without traffic, or without a baseline, none of them does.
    """

    value: str
    warn: str
    roll_back: str


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alert: `query` is empty while all is well. `severity` is CRITICAL where traffic goes back, else WARNING."""

    service: str
    guardrail: str
    severity: str
    title: str
    text: str
    query: str


def expression(guardrail: Guardrail, names: MetricNames, service: str, window: str = "5m") -> Expression | None:
    """Compiles a guardrail for the package of a service, over a sliding window.

    None for a throughput where the application exports no demand.
    """
    rates = _Rates(names, service, window)
    match guardrail.name:
        case Measure.ERROR_RATE:
            return _above(_share(rates("errors"), rates("requests")), guardrail)
        case Measure.RESPONSE_TIME:
            slowest = f"histogram_quantile({guardrail.quantile:g}, {rates.buckets()})"
            return _above(f"{slowest} / (max({rates.filled(BASELINE)}) > 0)", guardrail)
        case Measure.THROUGHPUT:
            if names.offered is None:
                return None
            package, legacy = (
                _share(rates("requests", version), rates("offered", version))
                for version in (Version.PACKAGE, Version.LEGACY)
            )
            return _below(f"({package}) / (({legacy}) > 0 or vector(1))", guardrail)
        case Measure.AVAILABILITY:
            return _below(_share(rates.probes(Matcher("outcome", "=", "ok")), rates.probes()), guardrail)


def alerts_for(services: Iterable[str], guardrails: Iterable[Guardrail], metrics: Metrics | None) -> list[AlertRule]:
    """A warning and a critical alert for each service and guardrail; none where nothing is measured.

    The guardrail of a warning is named with `_warning` behind it, so that names stay apart.
    """
    if metrics is None:
        return []
    rails = list(guardrails)
    return [
        rule
        for service in services
        for rail in rails
        if (found := expression(rail, metrics.names, service)) is not None
        for rule in _rules(service, rail, found)
    ]


def _rules(service: str, rail: Guardrail, found: Expression) -> tuple[AlertRule, AlertRule]:
    what = f"{rail.name.words} of {service}@package"
    return (
        AlertRule(
            service,
            rail.name.value,
            "CRITICAL",
            f"{what} is beyond its rollback threshold",
            f"{rail}. The gates judge by exact counts and send traffic back by themselves when the evidence is strong "
            f"enough. `causeway status` says where they stand; `causeway rollback --service {service}` does not wait.",
            found.roll_back,
        ),
        AlertRule(
            service,
            f"{rail.name.value}_warning",
            "WARNING",
            f"{what} is beyond its warning threshold",
            f"{rail}. While this lasts, nothing moves forward. `causeway status` shows the evidence.",
            found.warn,
        ),
    )


class _Rates:
    """Sums of rates of a service's metrics over all processes."""

    def __init__(self, names: MetricNames, service: str, window: str) -> None:
        self._texts = {each.name: getattr(names, each.name) for each in fields(names)}
        self._service = service
        self._window = window

    def __call__(self, name: str, version: Version = Version.PACKAGE) -> str:
        return f"sum(rate({self.filled(self._texts[name], version)}[{self._window}]))"

    def buckets(self) -> str:
        selector = self.filled(self._texts["latency"], Version.PACKAGE).suffixed("_bucket")
        return f"sum by (le) (rate({selector}[{self._window}]))"

    def probes(self, *more: Matcher) -> str:
        return f"sum(rate({self.filled(PROBES, Version.PACKAGE).suffixed('', *more)}[{self._window}]))"

    def filled(self, text: str, version: Version = Version.PACKAGE) -> Selector:
        return Selector.parse(text).fill(service=self._service, version=version.value)


def _share(part: str, whole: str) -> str:
    """A share of something, nothing without that. A counter that has not counted yet does not exist: it is zero."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def _above(value: str, guardrail: Guardrail) -> Expression:
    return Expression(value, f"{value} > {guardrail.warn:g}", f"{value} > {guardrail.roll_back:g}")


def _below(value: str, guardrail: Guardrail) -> Expression:
    return Expression(value, f"{value} < {guardrail.warn:g}", f"{value} < {guardrail.roll_back:g}")
