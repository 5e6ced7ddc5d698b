"""What a stack has applied, held against a plan that may have been edited since."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import TYPE_CHECKING

from causeway.model.hold import Hold
from causeway.model.plan import Plan, Position, StackState
from causeway.model.stage import Stage

if TYPE_CHECKING:
    from causeway.model.moves import Standing


def named(plan: Plan, hold: Hold) -> Hold:
    """A hold without the services that the matrix no longer has."""
    return Hold({name: cap for name, cap in hold.caps.items() if name in plan.matrix.services})


def differing(here: Standing, state: StackState) -> list[str]:
    """The services that the plan has elsewhere than the stack: of another weight, stage or modes."""
    return [
        name
        for name, weight in state.weights.items()
        if (weight, state.stages[name], state.modes[name])
        != (
            here.weights.get(name, 0),
            here.stages.get(name, state.stages[name]),
            here.modes.get(name, state.modes[name]),
        )
    ]


def alike(plan: Plan, here: Standing, hold: Hold) -> list[Position]:
    """The positions, in order, where the plan has what the stack has applied; never the one that retires legacy."""

    def total(position: Position) -> int:
        return sum(plan.at(position.name, hold).weights.values())

    # Weights only rise along a plan, so that those with the same sum stand side by side.
    applied = sum(here.weights.values())
    found = []
    for position in plan.positions[bisect_left(plan.positions, applied, key=total) : -1]:
        state = plan.at(position.name, hold)
        if sum(state.weights.values()) != applied:
            break
        if not differing(here, state):
            found.append(position)
    return found


def progress(stage: Stage, modes: Mapping[str, str]) -> str:
    """How far a service is, in words: `in progress, writes: both`."""
    return ", ".join([stage.value.replace("_", " "), *(f"{name}: {value}" for name, value in modes.items())])
