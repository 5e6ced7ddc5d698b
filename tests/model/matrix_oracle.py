"""Brute force: users are simulated on enumerated schedules, straight from the definitions.

Written from `docs/reference/certificate.md` alone. It shares the matrix records with the product and nothing else: no
arc, no interval, no component is computed here, only who meets whom at which weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from causeway.model.matrix import Interaction, Kind, Matrix, Pair, Routing, Scope, Status, Traffic, Version

LEGACY, PACKAGE = Version.LEGACY, Version.PACKAGE
#: One user between any two rungs that a test ladder may have, and a pinned tester in front of all.
PAIRS = (Pair(PACKAGE, LEGACY), Pair(LEGACY, PACKAGE), Pair(PACKAGE, PACKAGE))
USERS = (-1, 10, 40, 60, 90)
CONVERTING = {"dual_write", "state_preservation"}

Weights = Mapping[str, int]
#: What has ever been written: per service and user, whether its package did.
Written = Mapping[str, frozenset[int]]
Moment = tuple[Weights, Written]
Met = frozenset[tuple[Interaction, Pair]]
Schedule = tuple[tuple[str, ...], ...]


def version(weights: Weights, service: str, user: int) -> Version:
    """Dependencies have no weight: they are legacy. At 0, so are pinned testers."""
    weight = weights.get(service, 0)
    return PACKAGE if weight and user < weight else LEGACY


def write(written: Written, weights: Weights) -> Written:
    """Every user writes at these weights."""
    return {
        service: written.get(service, frozenset())
        | {user for user in USERS if version(weights, service, user) is PACKAGE}
        for service in weights
    }


def one_decision(matrix: Matrix, i: Interaction) -> bool:
    ends = [matrix.services.get(name) for name in (i.consumer, i.provider)]
    if i.routing is not Routing.REQUEST or None in ends:
        return False
    return len({end.cohort for end in ends if end}) == 1 and all(end.traffic is Traffic.FLAG for end in ends if end)


def meetings(matrix: Matrix, i: Interaction, seen: Sequence[Moment]) -> Iterator[tuple[Version, Version]]:
    """Who meets whom in one interaction while processes live in any of these moments."""
    if one_decision(matrix, i) and (i.kind is Kind.CALL or i.scope is Scope.COHORT):
        for (weights, written), user in product(seen, USERS):
            mine = version(weights, i.consumer, user)
            if i.kind is Kind.CALL:
                yield mine, version(weights, i.provider, user)
            else:
                yield mine, LEGACY
                if user in written.get(i.provider, ()):
                    yield mine, PACKAGE
        return
    consumers = {version(weights, i.consumer, user) for weights, _ in seen for user in USERS}
    if i.kind is Kind.CALL:
        providers = {version(weights, i.provider, user) for weights, _ in seen for user in USERS}
    else:
        providers = {LEGACY, PACKAGE} if any(written.get(i.provider) for _, written in seen) else {LEGACY}
    yield from product(consumers, providers)


def met(matrix: Matrix, *seen: Moment) -> Met:
    """Every mixed or new pair that is live."""
    found = set()
    for i in matrix.interactions:
        for consumer, provider in set(meetings(matrix, i, seen)):
            if (consumer, provider) != (LEGACY, LEGACY):
                found.add((i, Pair(consumer, provider)))
    return frozenset(found)


def raw(matrix: Matrix, i: Interaction, pair: Pair) -> bool:
    """Whether the pair really meets raw data: a strategy may convert or dual-write migrating state."""
    consumer = matrix.services.get(i.consumer)
    converted = i.kind is Kind.STATE and i.provider in matrix.services and consumer and consumer.strategy in CONVERTING
    return not (converted and pair == Pair(PACKAGE, LEGACY))


def bad(matrix: Matrix, found: Iterable[tuple[Interaction, Pair]], *, stale_counts: bool = False) -> Met:
    """Those of the pairs that nothing says work."""

    def fine(i: Interaction, pair: Pair) -> bool:
        evidence = i.evidence.get(pair)
        return evidence is not None and evidence.status is Status.VERIFIED and (stale_counts or not evidence.stale)

    return frozenset((i, pair) for i, pair in found if raw(matrix, i, pair) and not fine(i, pair))


def no_order_helps(matrix: Matrix, i: Interaction, pair: Pair) -> bool:
    """Package meets package in the end; a dependency never moves; what legacy wrote is there from the start."""
    if pair == Pair(PACKAGE, PACKAGE) or not {i.consumer, i.provider} <= set(matrix.services):
        return True
    return i.kind is Kind.STATE and pair == Pair(PACKAGE, LEGACY)


def walk(matrix: Matrix, schedule: Schedule) -> list[Weights]:
    """The weights of a schedule, step by step, from all legacy."""
    states: list[Weights] = [dict.fromkeys(matrix.services, 0)]
    for group in schedule:
        states += [{**states[-1], **dict.fromkeys(group, rung)} for rung in matrix.services[group[0]].ladder]
    return states


def clean(matrix: Matrix, schedule: Schedule) -> bool:
    """Whether walking it exposes nothing that another order could have avoided. Data remembers; writes take time."""
    before: Moment = ({}, {})
    for weights in walk(matrix, schedule):
        now = (weights, write(before[1], weights))
        found = bad(matrix, met(matrix, before, now), stale_counts=True)
        if any(not no_order_helps(matrix, *each) for each in found):
            return False
        before = now
    return True


def _partitions(names: Sequence[str]) -> Iterator[Schedule]:
    """Every way to gather names into groups and to line the groups up."""
    if not names:
        yield ()
        return
    for size in range(1, len(names) + 1):
        for group in combinations(names, size):
            for rest in _partitions([name for name in names if name not in group]):
                yield (group, *rest)


def schedules(matrix: Matrix) -> Iterator[Schedule]:
    """Every schedule phase by phase, groups with one ladder each."""
    options = []
    for phase in matrix.phases:
        names = [name for name in matrix.services if name in phase.services]
        options.append(
            [s for s in _partitions(names) if all(len({matrix.services[n].ladder for n in g}) == 1 for g in s)]
        )
    for parts in product(*options):
        yield tuple(group for part in parts for group in part)


def _one_ladder(matrix: Matrix, group: Sequence[str]) -> bool:
    return len({matrix.services[name].ladder for name in group}) == 1


def best(matrix: Matrix) -> Schedule | None:
    """The clean schedule with the most groups, config's order first; None where no schedule is clean."""
    place = {name: index for index, name in enumerate(matrix.services)}
    found = [schedule for schedule in schedules(matrix) if clean(matrix, schedule)]
    return min(found, key=lambda s: (-len(s), [[place[name] for name in group] for group in s]), default=None)


@dataclass(frozen=True)
class Lived:
    """What a plan exposes, position by position.

    `at_rest`: forward, with the memory of data, and state also by any jump back. `forward`: the same without jumps.
    `writing`: while the write that leads there spreads.
    """

    at_rest: list[Met]
    forward: list[Met]
    writing: list[Met]
    written: list[Written]


def live(matrix: Matrix, states: Sequence[Weights]) -> Lived:
    """Walk a plan and, from every position, jump back to every earlier one."""
    lived = Lived([], [], [], [])
    before: Moment = ({}, {})
    for index, weights in enumerate(states):
        written = write(before[1], weights)
        forward = met(matrix, (weights, written))
        back: set[tuple[Interaction, Pair]] = set()
        for earlier in {tuple(sorted(state.items())) for state in states[:index]}:
            back |= {each for each in met(matrix, (dict(earlier), written)) if each[0].kind is Kind.STATE}
        lived.at_rest.append(forward | back)
        lived.forward.append(forward)
        lived.writing.append(met(matrix, before, (weights, written)))
        lived.written.append(written)
        before = (weights, written)
    return lived


def must_not_be_ahead(matrix: Matrix, of: str, who: str, *, stale_counts: bool) -> tuple[bool, bool, bool]:
    """Whether `who` ahead of `of` meets what must not meet; whether together does; whether something known to break.

    Only what an order can avoid counts.
    """

    def broken(ahead: int, behind: int) -> Met:
        weights = {of: behind, who: ahead}
        found = bad(matrix, met(matrix, (weights, write({}, weights))), stale_counts=stale_counts)
        return frozenset(
            (i, pair)
            for i, pair in found
            if {i.consumer, i.provider} == {of, who} and not no_order_helps(matrix, i, pair)
        )

    if of == who:
        weights = {of: 50}
        own = bad(matrix, met(matrix, (weights, write({}, weights))), stale_counts=stale_counts)
        alone = {e for e in own if e[0].consumer == e[0].provider == of and not no_order_helps(matrix, *e)}
        return bool(alone), bool(alone), any(i.incompatible(pair) for i, pair in alone)
    later = broken(50, 0)
    # An order arc of `who` is a pair that meets when `who` is ahead and not when it is behind for good.
    together = {each for each in broken(50, 50) if each in later}
    return bool(later), bool(together), any(i.incompatible(pair) for i, pair in later)


def smallest_hold(matrix: Matrix, service: str) -> frozenset[str]:
    """The smallest set with the service such that nobody outside is ahead of anybody inside who must not be."""
    others = [name for name in matrix.services if name != service]
    sets = (frozenset((service, *chosen)) for size in range(len(others) + 1) for chosen in combinations(others, size))
    ahead = {
        (of, who): must_not_be_ahead(matrix, of, who, stale_counts=False)[0]
        for of, who in product(matrix.services, repeat=2)
        if of != who
    }
    closed = [s for s in sets if not any(ahead[of, who] for of in s for who in matrix.services if who not in s)]
    return frozenset.intersection(*closed)


def known_to_break(matrix: Matrix) -> bool:
    """Whether a circle has a pair that is known to break: alone, against a phase, or in a chain inside one phase."""
    rank = {name: index for index, phase in enumerate(matrix.phases) for name in phase.services}
    names = list(matrix.services)
    arc = {(a, b): must_not_be_ahead(matrix, a, b, stale_counts=True) for a, b in product(names, repeat=2)}
    if any((rank[a] > rank[b] or a == b) and breaks for (a, b), (_, _, breaks) in arc.items()):
        return True
    inside = {(a, b) for (a, b), (ahead, _, _) in arc.items() if ahead and rank[a] == rank[b] and a != b}
    leads = inside | {(a, a) for a in names}
    for via, a, b in product(names, repeat=3):
        if (a, via) in leads and (via, b) in leads:
            leads.add((a, b))

    def together(a: str, b: str) -> bool:
        return (a, b) in leads and (b, a) in leads

    def impossible(a: str) -> bool:
        members = [b for b in names if together(a, b)]
        strict = any((b, c) in inside and arc[b, c][1] for b in members for c in members)
        return strict or len({matrix.services[b].ladder for b in members}) > 1

    return any(arc[a, b][2] and together(a, b) and impossible(a) for a, b in inside)
