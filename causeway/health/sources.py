"""The source that `causeway:metrics` describes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from causeway.health.promql import GoogleAuth, PromqlSource
from causeway.health.scrape import ScrapeSource
from causeway.health.selectors import Selector
from causeway.health.windows import Names
from causeway.model.observation import Metrics, Scrape


def open_source(
    metrics: Metrics, names: Names, now: Callable[[], datetime], also: Iterable[Selector] = ()
) -> ScrapeSource | PromqlSource:
    """Opens the source of the named metrics, and of others `also`; close it, or use it as a context manager."""
    source, more = metrics.source, tuple(also)
    if isinstance(source, Scrape):
        return ScrapeSource(
            source.targets,
            names.series | {each.name for each in more},
            now=now,
            timeout=metrics.timeout,
            max_age=metrics.max_age,
        )
    return PromqlSource(
        source.url,
        (*names.selectors, *more),
        now=now,
        timeout=metrics.timeout,
        max_age=metrics.max_age,
        auth=GoogleAuth() if source.google else None,
    )
