"""What falls with a service: the smallest set of services that is safe to send back to legacy with it."""

from __future__ import annotations

from collections.abc import Iterable

from causeway.model.matrix import Matrix
from causeway.model.order import arcs, reachable


def closure(matrix: Matrix, services: Iterable[str]) -> frozenset[str]:
    """The services, and transitively every service that must not be ahead of one of them.

    Phases do not count: they order the plan, and say nothing about which versions understand each other.
    """
    after: dict[str, list[str]] = {}
    for arc in arcs(matrix, stale_counts=False):
        after.setdefault(arc.before, []).append(arc.after)
    return reachable(after, services)
