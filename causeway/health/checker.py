"""One look at everything: what happened since the look before, in the four categories.

The checker keeps what it must to compare two looks and decides nothing; the gates judge what it returns. It is used
by one thread; within a look, targets and probes are asked side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from causeway.health.baselines import Baseline
from causeway.health.metrics import Source
from causeway.health.probing import Asked, Probing
from causeway.health.traffic import Traffic
from causeway.health.windows import Names
from causeway.model.matrix import Matrix, Version
from causeway.model.window import Check, Missing, Window

_UNASKED = Missing("no http probe asks it")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at `at` of everything since `since`.

    `windows` are the package versions, `legacy` the legacy ones, by service; `checks` what functionality,
    integration and data integrity said this time. A probe that was not due says nothing.
    """

    at: datetime
    since: datetime | None
    windows: Mapping[str, Window]
    legacy: Mapping[str, Window]
    checks: tuple[Check, ...]
    baselines: Mapping[str, Baseline] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """The time since the look before; 0 for the first."""
        return 0.0 if self.since is None else max(0.0, (self.at - self.since).total_seconds())


class Checker:
    """Sources and probes in, windows and checks out.

    `allowed_errors` is the error rate at which an edge is still in order.
    """

    def __init__(
        self,
        source: Source,
        names: Names,
        matrix: Matrix,
        probing: Probing,
        *,
        allowed_errors: float,
        now: Callable[[], datetime],
        baselines: Mapping[str, Baseline] | None = None,
    ) -> None:
        self._source = source
        self._now = now
        self._baselines = dict(baselines or {})
        self._traffic = Traffic(names, matrix, allowed_errors)
        self._probing = probing

    def compare_with(self, baselines: Mapping[str, Baseline]) -> None:
        """Expect the demand of these baselines from now on."""
        self._baselines = dict(baselines)

    def begin(self) -> None:
        """From now on every probe is due: what was asked before says nothing about what comes."""
        self._probing.begin()

    def skip(self, weights: Mapping[str, int]) -> None:
        """The same, and the next look tells of nothing that was counted until now."""
        self._look(weights, lambda: ())
        self.begin()

    def look(self, weights: Mapping[str, int]) -> Look:
        """One look at the services of `weights` (service -> its weight, 0 to 100)."""
        return self._look(weights, lambda: self._probing.ask(self._now()))

    def _look(self, weights: Mapping[str, int], ask: Callable[[], tuple[Asked, ...]]) -> Look:
        sample = self._source.read()
        counts = self._traffic.count(sample)
        asked = ask()
        available = self._probing.availability(asked)
        package, legacy = {}, {}
        for service, weight in weights.items():
            flow = self._traffic.throughput(service, weight, counts, self._demand(service, counts.until))
            probes = {version: available.get((service, version), _UNASKED) for version in Version}
            seen = self._traffic.window(service, Version.PACKAGE, counts, sample)
            package[service] = replace(seen, throughput=flow, probes=probes[Version.PACKAGE])
            seen = self._traffic.window(service, Version.LEGACY, counts, sample)
            legacy[service] = replace(seen, probes=probes[Version.LEGACY])
        checks = (*(each.check() for each in asked), *self._traffic.edges(weights, counts))
        return Look(sample.at, counts.since, package, legacy, checks, self._baselines)

    def _demand(self, service: str, at: datetime) -> float | None:
        """Requests a second that the baseline has for a time like this one."""
        baseline = self._baselines.get(service)
        return baseline.demand(at) if baseline is not None else None
