"""The application's own counters from one sample to the next, and which of them speak of what."""

from __future__ import annotations

from collections.abc import Mapping

from causeway.health import edges, windows
from causeway.health.held import Flows, Partial
from causeway.health.metrics import Counts, Sample, difference, remember
from causeway.health.selectors import Index
from causeway.health.windows import Bound, Edge, Names
from causeway.model.matrix import Interaction, Matrix, Pair, Version
from causeway.model.window import Check, Missing, Tally, Throughput, Window


class Traffic:
    """Counts of all services and edges. `allowed_errors` is the error rate at which an edge is still in order."""

    def __init__(self, names: Names, matrix: Matrix, allowed_errors: float) -> None:
        self._names = names
        self._allowed = allowed_errors
        self._possible = edges.possible(matrix.interactions, matrix.dependencies) if names.given.edges else []
        self._memory: Sample | None = None
        self._index = Index(())
        self._bound: dict[tuple[str, Version], Bound] = {}
        self._edges: list[tuple[Interaction, Pair, Edge]] = []
        self._pending: dict[tuple[str, str, Pair], Tally] = {}
        self._unread: set[tuple[str, str, Pair]] = set()
        self._partial, self._flows = Partial(), Flows()

    def count(self, sample: Sample) -> Counts:
        """What was counted since the sample before."""
        counts = difference(self._memory, sample)
        before, self._memory = self._memory, remember(self._memory, sample)
        if before is None or before.values.keys() != self._memory.values.keys():
            self._bind()
        return counts

    def window(self, service: str, version: Version, counts: Counts, sample: Sample) -> Window:
        """Errors, durations and build of one version; what compares or asks is added by others."""
        bound = self._series(service, version)
        failing = self._partial.whole((service, version, "errors"), (*bound.requests, *bound.errors), counts)
        lasting = self._partial.whole((service, version, "latency"), bound.durations, counts)
        return Window(
            service,
            errors=windows.errors(bound, failing),
            latency=windows.latency(bound, lasting),
            build=windows.build(bound, sample),
        )

    def throughput(self, service: str, weight: int, counts: Counts, demand: float | None) -> Throughput | Missing:
        """Demand and work done by both versions; `demand` is what the baseline has for this time, a second."""
        package, legacy = self._series(service, Version.PACKAGE), self._series(service, Version.LEGACY)
        return self._flows.whole(service, windows.throughput(weight, package, legacy, counts), counts, demand)

    def edges(self, weights: Mapping[str, int], counts: Counts) -> list[Check]:
        """What the edges say that have had calls enough, cannot be read, or can be read again."""
        checks = []
        for interaction, pair, edge in self._edges:
            key = interaction.consumer, interaction.provider, pair
            seen = windows.edge_errors(edge, self._partial.whole(key, (*edge.requests, *edge.errors), counts))
            if isinstance(seen, Tally):
                self._pending[key] = seen = self._pending.get(key, Tally(0, 0)) + seen
                if not edges.enough(seen.total, self._allowed) and key not in self._unread:
                    continue
                del self._pending[key]
                self._unread.discard(key)
            else:
                self._unread.add(key)
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
