"""Counts that wait for what belongs to them, so that a part of the truth is never taken for a share of it.

A process whose error counter is not sent has requests that nobody knows to be good; what two processes count, one the
demand and one the work, says nothing while one of them is silent. Held back, nothing is lost and nothing is biased.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import datetime

from causeway.health.metrics import Counts, Series
from causeway.model.window import Missing, Throughput


class Partial:
    """Holds back what a process has counted of some series while others of them are at fault."""

    def __init__(self) -> None:
        self._held: dict[Hashable, dict[Series, int]] = {}

    def whole(self, key: Hashable, series: Sequence[Series], counts: Counts) -> Counts:
        """The counts of the processes that sent all of these series, with what was held back of them before.

        What the process before had counted is dropped where a new one has taken its place: it lacks its other half.
        """
        held = self._held.pop(key, {})
        broken = {each.origin for each in series if each in counts.faults} if counts.faults else set()
        if not held and not broken:
            return counts
        events: dict[Series, int] = {}
        still: dict[Series, int] = {}
        for each in series:
            before = 0 if each.origin in counts.began else held.get(each, 0)
            waits = each.origin in broken or each not in counts.events
            (still if waits else events)[each] = before + counts.events.get(each, 0)
        if still:
            self._held[key] = still
        return replace(counts, events=events)


class Flows:
    """Demand and work of a service, held back until both are known of all that they are compared with."""

    def __init__(self) -> None:
        self._held: dict[str, Throughput] = {}
        self._until: dict[str, datetime] = {}

    def whole(
        self, service: str, seen: Throughput | Missing, counts: Counts, demand: float | None
    ) -> Throughput | Missing:
        """All since the last look that was complete, or why there is none. `demand` is the baseline's, a second."""
        flow = seen.seen if isinstance(seen, Missing) else seen
        if not isinstance(flow, Throughput):
            return seen
        since = self._until.setdefault(service, counts.since) if counts.since is not None else None
        held = self._held.pop(service, None)
        if held is not None:
            flow = replace(
                flow,
                offered=flow.offered + held.offered,
                completed=flow.completed + held.completed,
                legacy_offered=flow.legacy_offered + held.legacy_offered,
                legacy_completed=flow.legacy_completed + held.legacy_completed,
            )
        if isinstance(seen, Missing):
            self._held[service] = flow
            return seen
        self._until[service] = counts.until
        if demand is None or since is None:
            return flow
        return replace(flow, expected=demand * max(0.0, (counts.until - since).total_seconds()))
