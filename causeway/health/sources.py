"""The source that `causeway:metrics` describes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from causeway.health.promql import GoogleAuth, PromqlSource
from causeway.health.scrape import ScrapeSource
from causeway.health.windows import Names
from causeway.model.observation import Metrics, Scrape


def open_source(metrics: Metrics, names: Names, now: Callable[[], datetime]) -> ScrapeSource | PromqlSource:
    """Opens the source; close it, or use it as a context manager."""
    source = metrics.source
    if isinstance(source, Scrape):
        return ScrapeSource(source.targets, names.series, now=now, timeout=metrics.timeout, max_age=metrics.max_age)
    return PromqlSource(
        source.url,
        names.selectors,
        now=now,
        timeout=metrics.timeout,
        max_age=metrics.max_age,
        auth=GoogleAuth() if source.google else None,
    )
