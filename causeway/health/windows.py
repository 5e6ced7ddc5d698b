"""From counts per series to what was seen of one version of one service."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from causeway.health.metrics import Counts, Sample, Series
from causeway.health.selectors import Index, Selector
from causeway.model.matrix import Version
from causeway.model.observation import MetricNames
from causeway.model.window import Histogram, Missing, Tally, Throughput

_BUCKET = "_bucket"


@dataclass(frozen=True, slots=True)
class Bound:
    """The series that speak of one version of one service. `buckets` are by upper bound, in seconds, rising."""

    requests: tuple[Series, ...]
    errors: tuple[Series, ...]
    buckets: tuple[tuple[float, tuple[Series, ...]], ...]
    offered: tuple[Series, ...]
    build: tuple[Series, ...]

    @property
    def durations(self) -> tuple[Series, ...]:
        """The series of all buckets."""
        return tuple(series for _, each in self.buckets for series in each)


@dataclass(frozen=True, slots=True)
class Edge:
    """The series that speak of one pair of versions of one interaction."""

    requests: tuple[Series, ...]
    errors: tuple[Series, ...]


class Names:
    """The templates of `causeway:metrics`, parsed. Raises ConfigError for one that cannot be used."""

    def __init__(self, names: MetricNames) -> None:
        self.given = names
        texts = {each.name: getattr(names, each.name) for each in fields(names)}
        self._parsed = {name: Selector.parse(text) for name, text in texts.items() if text is not None}
        self._parsed["latency"] = self._parsed["latency"].suffixed(_BUCKET)
        self.service(Index(()), "service", Version.PACKAGE)
        self.edge(Index(()), ("consumer", Version.PACKAGE), ("provider", Version.LEGACY))

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """What to read for all services at once; what another one selects as well is left out."""
        every = dict.fromkeys(selector.static for selector in self._parsed.values())
        return tuple(each for each in every if not any(_narrows(each, other) for other in every))

    @property
    def series(self) -> frozenset[str]:
        """The names of all series to read."""
        return frozenset(selector.name for selector in self._parsed.values())

    def service(self, index: Index, service: str, version: Version) -> Bound:
        """The series of one version of a service among those of the index."""
        values = {"service": service, "version": version.value}
        return Bound(
            requests=self._select(index, "requests", values),
            errors=self._select(index, "errors", values),
            buckets=_by_bound(self._select(index, "latency", values)),
            offered=self._select(index, "offered", values),
            build=self._select(index, "build", values),
        )

    def edge(self, index: Index, consumer: tuple[str, Version], provider: tuple[str, Version]) -> Edge:
        """The series of the calls from one version of a consumer to one of a provider."""
        values = {
            "consumer": consumer[0],
            "consumer_version": consumer[1].value,
            "provider": provider[0],
            "provider_version": provider[1].value,
        }
        return Edge(self._select(index, "edges", values), self._select(index, "edge_errors", values))

    def _select(self, index: Index, name: str, values: Mapping[str, str]) -> tuple[Series, ...]:
        selector = self._parsed.get(name)
        return index.select(selector.fill(**values)) if selector is not None else ()


def _narrows(one: Selector, other: Selector) -> bool:
    return one.name == other.name and set(one.matchers) > set(other.matchers)


def errors(bound: Bound, counts: Counts) -> Tally | Missing:
    """Failed requests among all. An error counter that does not exist yet has counted nothing."""
    return _tally(bound.requests, bound.errors, counts, "requests")


def edge_errors(edge: Edge, counts: Counts) -> Tally | Missing:
    """Failed calls among all of one edge."""
    return _tally(edge.requests, edge.errors, counts, "edges")


def latency(bound: Bound, counts: Counts) -> Histogram | Missing:
    """Requests by duration, over the bounds that all processes have in common."""
    if not bound.buckets:
        return _absent(counts, "latency")
    if bound.buckets[-1][0] != math.inf:
        return Missing("its histogram has no bound of +Inf")
    reason = counts.missing(bound.durations)
    try:
        seen = Histogram.from_cumulative(
            [upper for upper, _ in bound.buckets], [counts.total(each) for _, each in bound.buckets]
        )
    except ValueError as error:
        return Missing(reason or f"its histogram falls where it must rise ({error})")
    return seen if reason is None else Missing(reason, seen)


def throughput(weight: int, package: Bound, legacy: Bound, counts: Counts) -> Throughput | Missing:
    """Demand and work done by version. Below weight 100 legacy is needed to compare with.

    What is seen of it in part says nothing by itself: demand may be counted by one process, the work by another.
    """
    if not package.offered and not legacy.offered:
        return _absent(counts, "offered")
    compared = [package.offered, package.requests]
    if weight < 100:
        compared += [legacy.offered, legacy.requests]
    reason = counts.missing(series for each in compared for series in each)
    seen = Throughput(
        weight=weight,
        offered=counts.total(package.offered),
        completed=counts.total(package.requests),
        legacy_offered=counts.total(legacy.offered),
        legacy_completed=counts.total(legacy.requests),
    )
    return seen if reason is None else Missing(reason, seen)


def build(bound: Bound, sample: Sample) -> str | None:
    """The label `build` of what runs now; several, while a new one is rolled out, joined by `+`."""
    running = {dict(each.labels).get("build", "") for each in bound.build if sample.values.get(each) == 1}
    return "+".join(sorted(running - {""})) or None


def _absent(counts: Counts, name: str) -> Missing:
    return Missing(counts.blind or f"no series matches causeway:metrics.{name}")


def _tally(requests: tuple[Series, ...], failed: tuple[Series, ...], counts: Counts, name: str) -> Tally | Missing:
    if not requests:
        return _absent(counts, name)
    reason = counts.missing([*requests, *failed])
    bad, total = counts.total(failed), counts.total(requests)
    if bad > total:
        return Missing(reason or f"more failed ({bad}) than were answered ({total})")
    seen = Tally(bad, total)
    return seen if reason is None else Missing(reason, seen)


def _by_bound(series: Iterable[Series]) -> tuple[tuple[float, tuple[Series, ...]], ...]:
    """Bucket series by their `le`; a bound that some histogram lacks would count only part, and is left out."""
    by_bound: dict[float, list[Series]] = defaultdict(list)
    histograms = set()
    for each in series:
        labels = dict(each.labels)
        try:
            bound = float(labels.pop("le"))
        except (KeyError, ValueError):
            continue
        by_bound[bound].append(each)
        histograms.add((each.origin, tuple(labels.items())))
    return tuple(
        (bound, tuple(by_bound[bound])) for bound in sorted(by_bound) if len(by_bound[bound]) == len(histograms)
    )
