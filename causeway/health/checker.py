"""One look at everything: what happened since the look before, in the four categories.

The checker keeps what it must to compare two looks and decides nothing; the gates judge what it returns. It is used
by one thread; within a look, targets and probes are asked side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from causeway.health import edges, windows
from causeway.health.baselines import Baseline
from causeway.health.metrics import Counts, Sample, Source, difference, remember
from causeway.health.probing import Probing
from causeway.health.selectors import Index
from causeway.health.windows import Bound, Edge, Names
from causeway.model.matrix import Interaction, Matrix, Pair, Version
from causeway.model.window import Check, Missing, Tally, Window

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

    def look(self, weights: Mapping[str, int]) -> Look:
        """One look at the services of `weights` (service -> its weight, 0 to 100)."""
        sample = self._source.read()
        counts = self._traffic.count(sample)
        asked = self._probing.ask(self._now())
        available = self._probing.availability(asked)
        package, legacy = {}, {}
        for service, weight in weights.items():
            baseline = self._baselines.get(service)
            expected = baseline.demand(sample.at) if baseline is not None else None
            seconds = (counts.until - counts.since).total_seconds() if counts.since else 0.0
            package[service], legacy[service] = self._traffic.windows(
                service,
                weight,
                counts,
                sample,
                None if expected is None else expected * max(0.0, seconds),
                {version: available.get((service, version), _UNASKED) for version in Version},
            )
        checks = (*(each.check() for each in asked), *self._traffic.edges(weights, counts))
        return Look(sample.at, counts.since, package, legacy, checks, self._baselines)


class Traffic:
    """The application's own counters, from one sample to the next."""

    def __init__(self, names: Names, matrix: Matrix, allowed_errors: float) -> None:
        self._names = names
        self._allowed = allowed_errors
        self._possible = edges.possible(matrix.interactions, matrix.dependencies) if names.given.edges else []
        self._memory: Sample | None = None
        self._index = Index(())
        self._bound: dict[tuple[str, Version], Bound] = {}
        self._edges: list[tuple[Interaction, Pair, Edge]] = []
        self._pending: dict[tuple[str, str, Pair], Tally] = {}

    def count(self, sample: Sample) -> Counts:
        """What was counted since the sample before."""
        counts = difference(self._memory, sample)
        before, self._memory = self._memory, remember(self._memory, sample)
        if before is None or before.values.keys() != self._memory.values.keys():
            self._bind()
        return counts

    def windows(
        self,
        service: str,
        weight: int,
        counts: Counts,
        sample: Sample,
        expected: float | None,
        asked: Mapping[Version, Tally | Missing],
    ) -> tuple[Window, Window]:
        """The windows of the package and of legacy."""
        package, legacy = self._series(service, Version.PACKAGE), self._series(service, Version.LEGACY)
        throughput = windows.throughput(weight, package, legacy, counts, expected)
        return tuple(  # type: ignore[return-value]
            Window(
                service,
                errors=windows.errors(bound, counts),
                latency=windows.latency(bound, counts),
                throughput=throughput,
                probes=asked[version],
                build=windows.build(bound, sample),
            )
            for version, bound in ((Version.PACKAGE, package), (Version.LEGACY, legacy))
        )

    def edges(self, weights: Mapping[str, int], counts: Counts) -> list[Check]:
        """What the edges say that have had calls enough, or cannot be read."""
        checks = []
        for interaction, pair, edge in self._edges:
            seen = windows.edge_errors(edge, counts)
            key = interaction.consumer, interaction.provider, pair
            if isinstance(seen, Tally):
                self._pending[key] = seen = self._pending.get(key, Tally(0, 0)) + seen
                if not edges.enough(seen.total, self._allowed):
                    continue
                del self._pending[key]
            checks.append(edges.judge(interaction, pair, seen, self._allowed, weights))
        return checks

    def _series(self, service: str, version: Version) -> Bound:
        bound = self._bound.get((service, version))
        if bound is None:
            bound = self._bound[service, version] = self._names.service(self._index, service, version)
        return bound

    def _bind(self) -> None:
        """Finds out anew which series speak of what, because there are others than before."""
        assert self._memory is not None
        self._index = Index(self._memory.values)
        self._bound = {}
        bound = (
            (interaction, pair, self._names.edge(self._index, *_ends(interaction, pair)))
            for interaction, pair in self._possible
        )
        self._edges = [each for each in bound if each[2].requests]


def _ends(interaction: Interaction, pair: Pair) -> tuple[tuple[str, Version], tuple[str, Version]]:
    return (interaction.consumer, pair.consumer), (interaction.provider, pair.provider)
