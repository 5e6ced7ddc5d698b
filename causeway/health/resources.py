"""Resources before a step: quota, memory, instances, against their limits.

Gauges are judged as they are read, for people and preflight; no gate depends on them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from causeway.health.metrics import Sample
from causeway.health.selectors import Index, Selector
from causeway.model.guardrails import percent
from causeway.model.observation import Resource
from causeway.model.window import Category, Check


def selectors(resources: Iterable[Resource]) -> tuple[Selector, ...]:
    """What a source must read for them. Raises ConfigError for a selector that cannot be used."""
    texts = [text for each in resources for text in (each.used, each.limit) if isinstance(text, str)]
    return tuple(Selector.parse(text) for text in texts)


def judge(resource: Resource, sample: Sample) -> Check:
    """Whether every process stays below its share of the limit; the worst one is named."""
    if sample.blind is not None:
        return _check(resource, None, sample.blind)
    index = Index(sample.values)
    used = _by_origin(resource.used, index, sample)
    if not used:
        return _check(resource, None, next(iter(sample.down.values()), f"no series matches {resource.used}"))
    if isinstance(resource.limit, str):
        limits = _by_origin(resource.limit, index, sample)
    else:
        limits = dict.fromkeys(used, float(resource.limit))
    shares = {origin: value / limits[origin] for origin, value in used.items() if limits.get(origin, 0) > 0}
    unlimited = [origin for origin in used if origin not in shares]
    if unlimited:
        return _check(resource, None, f"{unlimited[0]} has no limit")
    worst = max(shares, key=lambda origin: math.inf if math.isnan(shares[origin]) else shares[origin])
    detail = f"{percent(shares[worst])} used by {worst}, {percent(resource.most)} are allowed"
    if not shares[worst] <= resource.most:
        return _check(resource, False, detail)
    return _check(resource, None if sample.down else True, next(iter(sample.down.values()), detail))


def _by_origin(text: str, index: Index, sample: Sample) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for series in index.select(Selector.parse(text)):
        found[series.origin] += sample.values[series]
    return dict(found)


def _check(resource: Resource, passed: bool | None, detail: str) -> Check:
    return Check(Category.FUNCTIONALITY, resource.name, passed, None, detail)
