"""Each package beside the legacy it replaces: response time and failures against the baseline, and what to optimise.

A difference counts only where the 95 % confidence bounds of the two figures do not overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from causeway.health.baselines import Baseline, Estimate, quantile, share
from causeway.model.window import Histogram, Tally, Window


@dataclass(frozen=True, slots=True)
class Comparison:
    """One service. Response times are seconds at the guardrail's quantile; None where there is nothing to compare.

    `why_not` says what is missing then.
    """

    service: str
    requests: int = 0
    package: Estimate | None = None
    legacy: Estimate | None = None
    failures: Estimate | None = None
    legacy_failures: Estimate | None = None
    why_not: str = ""

    @property
    def ratio(self) -> float | None:
        """The package's response time as a multiple of legacy's."""
        if self.package is None or self.legacy is None or not 0 < self.legacy.value < math.inf:
            return None
        return self.package.value / self.legacy.value

    @property
    def slower(self) -> bool:
        """Whether the package is slower than legacy was, beyond chance."""
        return _above(self.package, self.legacy)

    @property
    def fails_more(self) -> bool:
        """Whether the package fails more often than legacy did, beyond chance."""
        return _above(self.failures, self.legacy_failures)

    @property
    def cost_s(self) -> float:
        """Seconds that users have waited longer for these requests than they would have with legacy, roughly."""
        if self.package is None or self.legacy is None or not math.isfinite(self.package.value - self.legacy.value):
            return 0.0
        return (self.package.value - self.legacy.value) * self.requests

    @property
    def finding(self) -> str:
        """What follows from it, in words."""
        if self.why_not:
            return f"not compared: {self.why_not}"
        found = []
        if self.fails_more:
            found.append("fails more often than legacy did: mend it first")
        if self.slower:
            found.append(f"slower than legacy was ({self.ratio:.2g} times): optimise it")
        elif _above(self.legacy, self.package):
            found.append("faster than legacy was")
        return "; ".join(found) or "no difference beyond chance"


def compare(
    services: Iterable[str], windows: Mapping[str, Window], baselines: Mapping[str, Baseline], q: float
) -> list[Comparison]:
    """Every service beside its baseline at quantile `q`, in the given order."""
    return [_one(name, windows.get(name), baselines.get(name), q) for name in services]


def to_optimise(found: Iterable[Comparison]) -> list[Comparison]:
    """Those that fail more or are slower than legacy was, what costs users most first."""
    return sorted((each for each in found if each.fails_more or each.slower), key=lambda e: (-e.fails_more, -e.cost_s))


def _one(service: str, window: Window | None, baseline: Baseline | None, q: float) -> Comparison:
    if baseline is None:
        return Comparison(service, why_not="legacy was never measured (causeway baseline record)")
    if window is None:
        return Comparison(service, legacy=baseline.response_time(q), why_not="its package was not measured")
    latency, errors = window.latency, window.errors
    if not isinstance(latency, Histogram) or not isinstance(errors, Tally):
        reason = next(each.reason for each in (latency, errors) if not isinstance(each, Histogram | Tally))
        return Comparison(service, legacy=baseline.response_time(q), why_not=reason)
    if not latency.total:
        return Comparison(service, legacy=baseline.response_time(q), why_not="no requests while it was measured")
    return Comparison(
        service,
        requests=errors.total,
        package=quantile(latency, q),
        legacy=baseline.response_time(q),
        failures=share(errors.bad, errors.total),
        legacy_failures=baseline.error_rate(),
    )


def _above(one: Estimate | None, other: Estimate | None) -> bool:
    """Whether the bounds do not overlap; a bucket's lower bound does not belong to it, so they may touch."""
    return one is not None and other is not None and one.low >= other.high
