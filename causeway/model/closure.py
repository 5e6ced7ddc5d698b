"""What falls with a service: the smallest set of services that is safe to send back to legacy with it.

Phases do not count here: they order the plan, and say nothing about which versions understand each other.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping

from causeway.model.matrix import Matrix
from causeway.model.order import Arc, arcs, reachable


def closure(matrix: Matrix, services: Iterable[str]) -> frozenset[str]:
    """The services, and transitively every service that must not be ahead of one of them."""
    return reachable(_names(_followers(matrix)), services)


def closures(matrix: Matrix) -> Iterator[tuple[str, frozenset[str]]]:
    """The closure of each service alone, one by one: together they may be quadratic."""
    after = _names(_followers(matrix))
    for service in matrix.services:
        yield service, reachable(after, [service])


def capped(matrix: Matrix, caps: Mapping[str, int]) -> Mapping[str, int]:
    """The caps, and those that follow from them: service -> percent, for every service capped below 100.

    A service that must not be ahead of a capped one is capped with it; one that may only start once that one is
    complete falls to 0. For caps of 0 that is the closure.
    """
    lowered = {name: cap for name, cap in caps.items() if cap < 100}
    if not lowered:
        return {}
    followers = _followers(matrix)
    after = _names(followers)
    incomplete = reachable(after, lowered)
    waiting = (arc.after for name in incomplete for arc in followers.get(name, ()) if arc.strict)
    lowest = dict.fromkeys(reachable(after, [*waiting, *(name for name, cap in lowered.items() if cap == 0)]), 0)
    heap = [(cap, name) for name, cap in lowered.items()]
    heapq.heapify(heap)
    while heap:
        cap, name = heapq.heappop(heap)
        if name not in lowest:
            lowest[name] = cap
            for follower in after.get(name, ()):
                heapq.heappush(heap, (cap, follower))
    return lowest


def _followers(matrix: Matrix) -> dict[str, list[Arc]]:
    found: dict[str, list[Arc]] = {}
    for arc in arcs(matrix, stale_counts=False):
        found.setdefault(arc.before, []).append(arc)
    return found


def _names(followers: Mapping[str, Iterable[Arc]]) -> dict[str, list[str]]:
    return {name: [arc.after for arc in own] for name, own in followers.items()}
