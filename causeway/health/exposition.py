"""What the monitor exposes of its own on `/metrics`: what it saw that the application's counters do not say."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from causeway.health.checker import Look
from causeway.model.matrix import Version
from causeway.model.window import Missing, Tally

#: The content type of `Exposition.page`.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """Counters and gauges fed by looks. `quantile` is the response time guardrail's.

    `causeway_probes_total{service,version,outcome}` and `causeway_baseline_seconds{service}` are what the alert
    policies read (`expressions.py`); `causeway_missing_total{service,guardrail}` counts looks without a figure, and
    `causeway_last_look_timestamp_seconds` tells that the monitor is alive.
    """

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._registry = CollectorRegistry()
        self._probes = Counter(
            "causeway_probes", "HTTP probes made", ["service", "version", "outcome"], registry=self._registry
        )
        self._missing = Counter(
            "causeway_missing", "Looks without a figure", ["service", "guardrail"], registry=self._registry
        )
        self._baseline = Gauge(
            "causeway_baseline_seconds", "Legacy's response time", ["service"], registry=self._registry
        )
        self._looked = Gauge("causeway_last_look_timestamp_seconds", "The last look", registry=self._registry)

    def observe(self, look: Look) -> None:
        """Counts one look."""
        self._looked.set(look.at.timestamp())
        for version, windows in ((Version.PACKAGE, look.windows), (Version.LEGACY, look.legacy)):
            for service, window in windows.items():
                self._count(service, version, window.probes)
        for service, window in look.windows.items():
            seen = {
                "error_rate": window.errors,
                "response_time": window.latency,
                "throughput": window.throughput,
                "availability": window.probes,
            }
            for guardrail, figure in seen.items():
                self._missing.labels(service, guardrail).inc(isinstance(figure, Missing))
        for service, baseline in look.baselines.items():
            self._baseline.labels(service).set(baseline.response_time(self._quantile).value)

    def page(self) -> bytes:
        """The page of metrics, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)

    def _count(self, service: str, version: Version, probes: Tally | Missing) -> None:
        if isinstance(probes, Tally):
            self._probes.labels(service, version.value, "ok").inc(probes.total - probes.bad)
            self._probes.labels(service, version.value, "failed").inc(probes.bad)
