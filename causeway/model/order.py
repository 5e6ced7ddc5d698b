"""In which order the services may move: arcs from missing evidence, groups that must move together, proofs of conflict.

Definitions: `docs/reference/certificate.md`. Everything here is linear in services + interactions (plus a heap for
the order of the config file) and iterative, so that no matrix is too deep.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from causeway.model.matrix import L_P, P_L, Interaction, Kind, Matrix, Pair, Routing, Scope, Service, Status, Traffic


@dataclass(frozen=True, slots=True)
class Unproven:
    """A pair of versions that must not meet, because nothing says that it works."""

    interaction: Interaction
    pair: Pair

    @property
    def incompatible(self) -> bool:
        """Whether it is known to break, rather than not known to work."""
        return self.interaction.incompatible(self.pair)

    def __str__(self) -> str:
        i, pair = self.interaction, self.pair
        return f"{i.consumer}@{pair.consumer} -> {i.provider}@{pair.provider} ({i.kind}) {_verdict(i, pair)}"


@dataclass(frozen=True, slots=True)
class PhaseOrder:
    """A phase ends before the next begins."""

    earlier: str
    later: str

    incompatible = False

    def __str__(self) -> str:
        return f"phase {self.earlier} ends before phase {self.later} begins"


@dataclass(frozen=True, slots=True)
class Arc:
    """`after` must never be ahead of `before`; if strict, `before` stands at 100 before `after` leaves 0."""

    before: str
    after: str
    strict: bool
    cause: Unproven | PhaseOrder

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return {"before": self.before, "after": self.after, "cause": str(self.cause)}


Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """The order in which the services move.

    `groups`: services that move in one write, each group inside one phase, in the order in which they move.
    `side_by_side`: the same groups, gathered into those that share their steps; one group each unless the matrix
    allows more. `conflict`: empty, or a circle of arcs (each one's `after` is the next one's `before`) that proves
    that no order exists. The groups of an impossible matrix are a best effort, phases first, then the config's order:
    what has moved must still find its way back, and what is exposed on it says which steps are blocked.
    """

    groups: tuple[Group, ...]
    side_by_side: tuple[tuple[Group, ...], ...]
    conflict: tuple[Arc, ...] = ()


def carried(matrix: Matrix, interaction: Interaction) -> bool:
    """Whether consumer and provider follow one decision, taken at the edge from one cohort key and carried along.

    Anything else is two decisions in two processes, which see a write at different times.
    """
    consumer, provider = matrix.services.get(interaction.consumer), matrix.services.get(interaction.provider)
    return (
        interaction.routing is Routing.REQUEST
        and consumer is not None
        and provider is not None
        and consumer.cohort == provider.cohort
        and consumer.traffic is provider.traffic is Traffic.FLAG
    )


def per_user(matrix: Matrix, interaction: Interaction) -> bool:
    """Whether a user's pair follows from the two weights alone: a carried call, or carried state of that user."""
    return carried(matrix, interaction) and (interaction.kind is Kind.CALL or interaction.scope is Scope.COHORT)


def arcs(matrix: Matrix, *, stale_counts: bool) -> Iterator[Arc]:
    """The arcs that pairs without evidence impose between (and on) migrating services.

    With `stale_counts`, evidence that has gone stale still counts. The order is built so: an expiry at night must not
    rename the position a stack stands at. A closure is not: a hold must not lead into what is no longer known.
    """
    for interaction in matrix.interactions:
        consumer, provider = interaction.consumer, interaction.provider
        if consumer not in matrix.services or provider not in matrix.services:
            continue
        strict = not per_user(matrix, interaction)
        if consumer == provider and not strict:
            continue  # one decision, one version
        if interaction.kind is Kind.CALL and not _known(interaction, P_L, stale_counts):
            yield Arc(provider, consumer, strict, Unproven(interaction, P_L))
        if not _known(interaction, L_P, stale_counts):
            yield Arc(consumer, provider, strict, Unproven(interaction, L_P))


def order(matrix: Matrix) -> Order:
    """The groups in the order in which they move, or the proof that no order exists.

    Among groups that are free, the order of the config file decides.
    """
    position = {name: index for index, name in enumerate(matrix.services)}
    phase = {name: index for index, each in enumerate(matrix.phases) for name in each.services}
    inside: list[Arc] = []
    hopeless: list[Arc] = []
    for arc in arcs(matrix, stale_counts=True):
        if arc.before == arc.after or phase[arc.before] > phase[arc.after]:
            hopeless.append(arc)
        elif phase[arc.before] == phase[arc.after]:
            inside.append(arc)
    possible, impossible = _components(matrix.services, inside)
    free = [
        arc for arc in inside if arc.before not in impossible or impossible[arc.before] != impossible.get(arc.after)
    ]
    groups = [tuple(sorted(group, key=position.__getitem__)) for group in possible]
    groups += [(name,) for name in impossible]
    ranks = [(phase[group[0]], position[group[0]]) for group in groups]
    sorted_groups, levels = _topological(groups, free, ranks)
    batches = (
        _side_by_side(matrix, phase, sorted_groups, levels) if matrix.side_by_side else [(g,) for g in sorted_groups]
    )
    return Order(
        groups=tuple(group for batch in batches for group in batch),
        side_by_side=tuple(batches),
        conflict=_conflict(matrix, hopeless, inside, impossible),
    )


def reachable(successors: Mapping[str, Sequence[str]], starts: Iterable[str]) -> frozenset[str]:
    """The starts and everything an arc leads to from there."""
    seen = set(starts)
    queue = deque(seen)
    while queue:
        for after in successors.get(queue.popleft(), ()):
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return frozenset(seen)


def _known(interaction: Interaction, pair: Pair, stale_counts: bool) -> bool:
    found = interaction.evidence.get(pair)
    return found is not None and (found.status is Status.VERIFIED if stale_counts else found.holds)


def _verdict(interaction: Interaction, pair: Pair) -> str:
    found = interaction.evidence.get(pair)
    if found is None:
        return "has no evidence"
    if found.status is Status.INCOMPATIBLE:
        return f"is incompatible: {found.source}"
    return f"has stale evidence: {found.stale}" if found.stale else f"is verified: {found.source}"


def _adjacency(between: Iterable[Arc]) -> dict[str, list[Arc]]:
    found: dict[str, list[Arc]] = {}
    for arc in between:
        found.setdefault(arc.before, []).append(arc)
    return found


def _components(services: Mapping[str, Service], inside: Sequence[Arc]) -> tuple[list[list[str]], dict[str, int]]:
    """The components that can move together, and the services of those that cannot, with their component's number."""
    members = _strongly_connected(services, _adjacency(inside))
    of = {name: number for number, component in enumerate(members) for name in component}
    broken = {of[arc.before] for arc in inside if arc.strict and of[arc.before] == of[arc.after]}
    broken |= {n for n, component in enumerate(members) if len({services[name].ladder for name in component}) > 1}
    possible = [component for number, component in enumerate(members) if number not in broken]
    return possible, {name: of[name] for name in services if of[name] in broken}


def _strongly_connected(nodes: Iterable[str], adjacent: Mapping[str, Sequence[Arc]]) -> list[list[str]]:
    """Strongly connected components (R. Tarjan, 1972), with a stack of our own instead of recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: list[str] = []
    done: set[str] = set()
    components: list[list[str]] = []
    for root in nodes:
        if root in index:
            continue
        path = [(root, iter(adjacent.get(root, ())))]
        index[root] = low[root] = len(index)
        open_nodes.append(root)
        while path:
            node, rest = path[-1]
            for arc in rest:
                if arc.after not in index:
                    index[arc.after] = low[arc.after] = len(index)
                    open_nodes.append(arc.after)
                    path.append((arc.after, iter(adjacent.get(arc.after, ()))))
                    break
                if arc.after not in done:
                    low[node] = min(low[node], index[arc.after])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    start = len(open_nodes) - 1
                    while open_nodes[start] != node:
                        start -= 1
                    components.append(open_nodes[start:])
                    done.update(open_nodes[start:])
                    del open_nodes[start:]
    return components


def _topological(
    groups: Sequence[Group], free: Iterable[Arc], ranks: Sequence[tuple[int, int]]
) -> tuple[list[Group], list[int]]:
    """Groups sorted by arcs, the lowest rank first among the free, and each one's level (longest path to it)."""
    of = {name: number for number, group in enumerate(groups) for name in group}
    successors: list[set[int]] = [set() for _ in groups]
    waiting = [0] * len(groups)
    for arc in free:
        before, after = of[arc.before], of[arc.after]
        if before != after and after not in successors[before]:
            successors[before].add(after)
            waiting[after] += 1
    heap = [(ranks[number], number) for number, count in enumerate(waiting) if not count]
    heapq.heapify(heap)
    level = [0] * len(groups)
    result: list[int] = []
    while heap:
        _, number = heapq.heappop(heap)
        result.append(number)
        for after in successors[number]:
            level[after] = max(level[after], level[number] + 1)
            waiting[after] -= 1
            if not waiting[after]:
                heapq.heappush(heap, (ranks[after], after))
    return [groups[number] for number in result], [level[number] for number in result]


def _side_by_side(
    matrix: Matrix, phase: Mapping[str, int], groups: Sequence[Group], levels: Sequence[int]
) -> list[tuple[Group, ...]]:
    """Groups of one phase that no path joins, if one write can move them: equal ladders, split by flags."""
    batches: dict[tuple[object, ...], list[Group]] = {}
    for group, level in zip(groups, levels, strict=True):
        first = matrix.services[group[0]]
        alone = None if first.traffic is Traffic.FLAG else first.name
        batches.setdefault((phase[first.name], level, first.ladder, alone), []).append(group)
    return [tuple(batch) for _, batch in sorted(batches.items(), key=lambda item: item[0][:2])]


def _conflict(
    matrix: Matrix, hopeless: Sequence[Arc], inside: Sequence[Arc], impossible: Mapping[str, int]
) -> tuple[Arc, ...]:
    """One circle, through a pair that is known to break if any has one.

    `hopeless` arcs are circles by themselves, or with the order of the phases.
    """
    closed = [arc for arc in inside if impossible.get(arc.before, -1) == impossible.get(arc.after)]
    candidates = (*hopeless, *closed)
    through = next((arc for arc in candidates if arc.cause.incompatible), next(iter(candidates), None))
    if through is None:
        return ()
    if through.before == through.after:
        return (through,)
    earlier, later = matrix.phase_of[through.after], matrix.phase_of[through.before]
    if earlier != later:
        return through, Arc(through.after, through.before, True, PhaseOrder(earlier, later))
    number = impossible[through.before]
    return _circle(matrix.services, through, [arc for arc in closed if impossible[arc.before] == number])


def _circle(services: Mapping[str, Service], through: Arc, closed: Sequence[Arc]) -> tuple[Arc, ...]:
    """A circle through the arc that shows why its component cannot move together: a strict arc, or unequal ladders."""

    def decides(arc: Arc) -> bool:
        return arc.strict or services[arc.before].ladder != services[arc.after].ladder

    adjacent = _adjacency(closed)
    if decides(through):
        return through, *_path(adjacent, through.after, through.before)
    turn = next((arc for arc in closed if arc.strict), None) or next(arc for arc in closed if decides(arc))
    there = _path(adjacent, through.after, turn.before)
    return through, *there, turn, *_path(adjacent, turn.after, through.before)


def _path(adjacent: Mapping[str, Sequence[Arc]], start: str, end: str) -> list[Arc]:
    """A shortest path of arcs; it exists wherever both ends are in one component."""
    reached_by: dict[str, Arc | None] = {start: None}
    queue = deque([start])
    while end not in reached_by:
        for arc in adjacent.get(queue.popleft(), ()):
            if arc.after not in reached_by:
                reached_by[arc.after] = arc
                queue.append(arc.after)
    path: list[Arc] = []
    arc_in = reached_by[end]
    while arc_in is not None:
        path.append(arc_in)
        arc_in = reached_by[arc_in.before]
    return path[::-1]
