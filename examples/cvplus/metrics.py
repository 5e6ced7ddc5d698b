"""What the application tells about itself: one set of series per service and version, present from the start.

Time and errors belong to whoever caused them: `request_seconds` is a service's own time without that of the services
it called, and a request that failed because of another service counts as `dependency`, not as `error`.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from causeway.model.matrix import Version

#: 5 ms to 6 s, each a fifth above the one before, so that any multiple of a baseline lies close to a bound.
BUCKETS = tuple(round(0.005 * 1.2**n, 6) for n in range(40))
OUTCOMES = ("ok", "error", "dependency")


class Metrics:
    """The series of one process, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series beside each, which nobody reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "cvplus_requests", "Requests by outcome", ["service", "version", "outcome"], registry=self.registry
        )
        self.seconds = Histogram(
            "cvplus_request_seconds",
            "A service's own time",
            ["service", "version"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.offered = Counter(
            "cvplus_offered", "Demand by decided version", ["service", "cohort"], registry=self.registry
        )
        self.edges = Counter(
            "cvplus_edge_requests",
            "Calls between services",
            ["consumer", "consumer_version", "provider", "provider_version", "outcome"],
            registry=self.registry,
        )
        self.build = Gauge(
            "cvplus_build_info", "The build that serves", ["service", "version", "build"], registry=self.registry
        )

    def declare(self, service: str, versions: Iterable[Version]) -> None:
        """Makes a service's series exist at zero: no series and no requests are different things."""
        for version in versions:
            self.seconds.labels(service, version)
            self.offered.labels(service, version)
            for outcome in OUTCOMES:
                self.requests.labels(service, version, outcome)

    def declare_edge(self, consumer: str, provider: str, provider_versions: Iterable[Version]) -> None:
        """The same for the calls from one service to another."""
        for provider_version in provider_versions:
            for consumer_version in Version:
                for outcome in OUTCOMES:
                    self.edges.labels(consumer, consumer_version, provider, provider_version, outcome)

    def shipped(self, service: str, version: Version, before: str | None, build: str) -> None:
        """Another build serves now."""
        if before is not None:
            self.build.remove(service, version, before)
        self.build.labels(service, version, build).set(1)

    def page(self) -> bytes:
        """All of it in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)
