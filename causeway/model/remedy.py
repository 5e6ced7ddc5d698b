"""The cheapest ways out of a conflict. Each takes one arc out of the circle that proves it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from causeway.model.matrix import Matrix
from causeway.model.order import Arc, PhaseOrder, Unproven, arcs


class Cost(IntEnum):
    """What a remedy asks of people, cheapest first."""

    EVIDENCE = 1  # show that something works which nobody knows to break
    LADDER = 2
    PHASE = 3
    CODE = 4  # make something work that is known to break, then show it


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that breaks the circle: evidence for a pair, a ladder, or a phase for a service."""

    cost: Cost
    text: str
    arc: Arc | None = None
    service: str | None = None
    phase: str | None = None

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return {"kind": "evidence" if self.cost is Cost.CODE else self.cost.name.lower(), "remedy": self.text}


def remedies(matrix: Matrix, conflict: Sequence[Arc]) -> tuple[Remedy, ...]:
    """The two cheapest remedies of a conflict; of equal ones the one that comes first along the circle."""
    found = [remedy for arc in conflict for remedy in _of(matrix, arc, conflict)]
    return tuple(sorted(found, key=lambda remedy: remedy.cost)[:2])


def evidence_to_add(cause: Unproven) -> str:
    """The line of config that is missing."""
    i, pair = cause.interaction, cause.pair
    where = f"{i.consumer} -> {i.provider} ({i.kind}) {pair}"
    if cause.incompatible:
        return f"make {where} work, then replace `incompatible` by evidence under causeway:matrix"
    return f"add evidence for {where} under causeway:matrix"


def _of(matrix: Matrix, arc: Arc, conflict: Sequence[Arc]) -> Iterator[Remedy]:
    if isinstance(arc.cause, Unproven):
        cost = Cost.CODE if arc.cause.incompatible else Cost.EVIDENCE
        yield Remedy(cost, evidence_to_add(arc.cause), arc=arc)
    if isinstance(arc.cause, PhaseOrder):
        # The arc against the phases says that `arc.after` must not wait for `arc.before`'s phase to end.
        options = [(arc.before, arc.cause.later), (arc.after, arc.cause.earlier)]
        service, phase = min(options, key=lambda option: _against_phases(matrix, *option))
        other = arc.after if service == arc.before else arc.before
        yield Remedy(Cost.PHASE, f"move {service} to phase {phase}, beside {other}", service=service, phase=phase)
    ladder, wanted = matrix.services[arc.after].ladder, matrix.services[arc.before].ladder
    if ladder != wanted and not any(each.strict for each in conflict):
        text = f"give {arc.before} and {arc.after} one ladder: they must move together"
        yield Remedy(Cost.LADDER, text, arc=arc)


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
