"""The cheapest ways out of a conflict. Each is tried on the matrix before it is offered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import islice

from causeway.model.matrix import Evidence, Matrix, Status
from causeway.model.order import Arc, PhaseOrder, Unproven, arcs, order

#: How many changes are tried, as long as the matrix is small enough; each costs as much as finding the order.
_TRIED, _LEAST_TRIED, _ROOM = 20, 3, 200_000
_NAMED = 4


class Cost(IntEnum):
    """What a remedy asks of people, cheapest first."""

    EVIDENCE = 1  # show that something works which nobody knows to break
    LADDER = 2
    PHASE = 3
    CODE = 4  # make something work that is known to break, then show it


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that breaks the circle: evidence for a pair, one ladder for `services`, or a phase for one of them.

    `enough`: with it an order exists. Without, it opens this circle, and its text names the one that is left.
    """

    cost: Cost
    text: str
    cause: Unproven | None = None
    services: tuple[str, ...] = ()
    phase: str | None = None
    enough: bool = False

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        kind = "evidence" if self.cost is Cost.CODE else self.cost.name.lower()
        return {"kind": kind, "remedy": self.text, "enough": self.enough}

    def applied(self, matrix: Matrix) -> Matrix:
        """The matrix after it."""
        if self.cause is not None:
            shown, pair = self.cause.interaction, self.cause.pair
            evidence = {**shown.evidence, pair: Evidence(Status.VERIFIED, "as the remedy asks")}
            rows = tuple(replace(i, evidence=evidence) if i is shown else i for i in matrix.interactions)
            return replace(matrix, interactions=rows)
        if self.phase is not None:
            return replace_phase(matrix, self.services[0], self.phase)
        ladder = matrix.services[self.services[0]].ladder
        alike = {name: replace(matrix.services[name], ladder=ladder) for name in self.services}
        return replace(matrix, services={**matrix.services, **alike})


def remedies(matrix: Matrix, conflict: Sequence[Arc]) -> tuple[Remedy, ...]:
    """The two cheapest remedies after which an order exists; of equal ones the first along the circle.

    Where none is: evidence for this circle, which closes no other one, then what leaves one elsewhere.
    """
    enough: list[Remedy] = []
    evidence: list[Remedy] = []
    moves: list[Remedy] = []
    members = {arc.before for arc in conflict}
    tried = max(_LEAST_TRIED, min(_TRIED, _ROOM // (len(matrix.interactions) + len(matrix.services) + 1)))
    for remedy in islice(sorted(_candidates(matrix, conflict), key=lambda each: each.cost), tried):
        left = order(remedy.applied(matrix)).conflict
        partly = replace(remedy, text=f"{remedy.text}; {_left(left)}")
        if not left:
            enough.append(replace(remedy, enough=True))
        elif remedy.cause is not None:
            evidence.append(partly)
        elif members.isdisjoint(arc.before for arc in left):
            moves.append(partly)
        if len(enough) == 2:
            break
    return (*enough, *evidence[:1], *moves, *evidence[1:])[:2]


def evidence_to_add(cause: Unproven) -> str:
    """The line of config that is missing."""
    i, pair = cause.interaction, cause.pair
    where = f"{i.consumer} -> {i.provider} ({i.kind}) {pair}"
    if cause.incompatible:
        return f"make {where} work, then replace `incompatible` by evidence under causeway:matrix"
    return f"add evidence for {where} under causeway:matrix"


def _candidates(matrix: Matrix, conflict: Sequence[Arc]) -> Iterator[Remedy]:
    for arc in dict.fromkeys(conflict):
        if isinstance(arc.cause, PhaseOrder):
            yield from _moves(matrix, arc, arc.cause)
        else:
            yield Remedy(Cost.CODE if arc.cause.incompatible else Cost.EVIDENCE, evidence_to_add(arc.cause), arc.cause)
    members = tuple(dict.fromkeys(arc.before for arc in conflict))
    if len({matrix.services[name].ladder for name in members}) > 1 and not any(arc.strict for arc in conflict):
        text = f"give {', '.join(members[:-1])} and {members[-1]} one ladder: they must move together"
        yield Remedy(Cost.LADDER, text, services=members)


def _moves(matrix: Matrix, arc: Arc, phases: PhaseOrder) -> list[Remedy]:
    """Either service into the other's phase, the one first that has fewer arcs against it and leaves no phase empty.

    The arc against the phases says that `arc.after` must not wait for the phase of `arc.before` to end.
    """
    found = []
    for service, phase, other in ((arc.before, phases.later, arc.after), (arc.after, phases.earlier, arc.before)):
        old = matrix.phase_of[service]
        alone = next(len(each.services) == 1 for each in matrix.phases if each.name == old)
        text = f"move {service} to phase {phase}, beside {other}"
        text += f", and remove phase {old}, which is then empty" if alone else ""
        remedy = Remedy(Cost.PHASE, text, services=(service,), phase=phase)
        found.append(((_against_phases(matrix, service, phase), alone), remedy))
    return [remedy for _, remedy in sorted(found, key=lambda each: each[0])]


def _left(conflict: Sequence[Arc]) -> str:
    names = list(dict.fromkeys(arc.before for arc in conflict))
    return f"a circle of {', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''} is left then"


def _against_phases(matrix: Matrix, service: str, phase: str) -> int:
    """How many arcs would run against the phases if the service moved in another one."""
    rank = {each.name: index for index, each in enumerate(matrix.phases)}
    moved = replace_phase(matrix, service, phase)
    return sum(
        rank[moved.phase_of[arc.before]] > rank[moved.phase_of[arc.after]]
        for arc in arcs(matrix, stale_counts=True)
        if service in (arc.before, arc.after)
    )


def replace_phase(matrix: Matrix, service: str, phase: str) -> Matrix:
    """The matrix with one service in another phase, at its end."""
    phases = []
    for each in matrix.phases:
        kept = tuple(name for name in each.services if name != service)
        phases.append(replace(each, services=(*kept, service) if each.name == phase else kept))
    return replace(matrix, phases=tuple(phases))
