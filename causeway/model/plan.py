"""The plan: one ordered list of named positions, and the whole desired state of the stack at each of them.

The plan never changes; the position does. `Plan.at` is pure, so going forward, going back and explaining either are
the same computation. Positions are kept as changes, so a plan is linear in services and rungs.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from causeway.errors import ConfigError
from causeway.model.bulk import bulk
from causeway.model.hold import NO_HOLD, Hold
from causeway.model.matrix import Matrix
from causeway.model.order import Order, order
from causeway.model.stage import Stage
from causeway.model.strategies import RECIPES, RETIRE, Action

INFRASTRUCTURE = "infrastructure"
DEPRECATION = "deprecation"
LAST = f"{DEPRECATION}/{RETIRE.name}"
#: Up to how many services a position names all of those that move there, and how many it names of more.
_NAMED, _FIRST = 8, 3


@dataclass(frozen=True, slots=True)
class Position:
    """One named place in the plan, as its changes against the place before.

    `services` move or act here; `action` is a rung of the ladder ("25") or a named action; `changes` are the weights
    that are new here.
    """

    index: int
    name: str
    phase: str
    services: tuple[str, ...]
    action: str
    changes: Mapping[str, int]

    @property
    def shifts(self) -> bool:
        """Whether traffic moves here."""
        return bool(self.changes)

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of what is done here: `shift`, or the strategy's action."""
        if self.name == INFRASTRUCTURE:
            return ("provision",)
        return ("shift",) if self.shifts else (self.action,)


@dataclass(frozen=True)
class StackState:
    """Everything that follows from a position and a hold: the desired state of the stack.

    `weights` are percent on the package, holds applied. `modes` are the switches that strategies have set.
    """

    position: str
    phase: str
    weights: Mapping[str, int]
    stages: Mapping[str, Stage]
    modes: Mapping[str, Mapping[str, str]]
    hold: Hold


@dataclass(frozen=True)
class _Track:
    """What happens to one service along the plan: indices and weights of its rungs, first and last position."""

    first: int
    last: int
    at: tuple[int, ...]
    weights: tuple[int, ...]

    def weight(self, index: int) -> int:
        passed = bisect_right(self.at, index)
        return self.weights[passed - 1] if passed else 0


@dataclass(frozen=True)
class Plan:
    """All positions of a matrix, in the order in which they are walked."""

    matrix: Matrix
    order: Order
    positions: tuple[Position, ...]

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {position.name: position.index for position in self.positions}

    @cached_property
    def _tracks(self) -> dict[str, _Track]:
        own: dict[str, list[Position]] = {name: [] for name in self.matrix.services}
        for position in self.positions[1:-1]:
            for name in position.services:
                own[name].append(position)
        tracks = {}
        for name, places in own.items():
            rungs = [place for place in places if name in place.changes]
            tracks[name] = _Track(
                first=places[0].index,
                last=places[-1].index,
                at=tuple(rung.index for rung in rungs),
                weights=tuple(rung.changes[name] for rung in rungs),
            )
        return tracks

    def __contains__(self, name: str) -> bool:
        return name in self._indices

    def __iter__(self) -> Iterator[Position]:
        return iter(self.positions)

    def __getitem__(self, name: str) -> Position:
        """The position of that name. Raises ConfigError, with what comes nearest, where there is none."""
        index = self._indices.get(name)
        if index is None:
            near = get_close_matches(name, self._indices, n=3, cutoff=0.5)
            raise ConfigError(
                f"there is no position {name} in this plan",
                "nothing follows from it",
                f"Did you mean {' or '.join(near)}?" if near else "`causeway plan` lists all positions.",
            )
        return self.positions[index]

    def next(self, name: str) -> Position | None:
        """The position after that one; None at the end."""
        index = self[name].index + 1
        return self.positions[index] if index < len(self.positions) else None

    def before_phase(self, phase: str) -> Position:
        """The last position before a phase begins: what a rollback of the phase leads to."""
        first = next(position for position in self.positions if position.phase == phase)
        return self.positions[max(first.index - 1, 0)]

    def last_of(self, target: str) -> Position:
        """Where a target (a phase or a position) ends. Raises ConfigError where it is neither."""
        ends = [position for position in self.positions if position.phase == target]
        return ends[-1] if ends else self[target]

    def ends_phase(self, name: str) -> bool:
        """Whether a checkpoint of the phase is due at this position."""
        following = self.next(name)
        return following is None or following.phase != self[name].phase

    def at(self, name: str, hold: Hold = NO_HOLD) -> StackState:
        """The whole desired state of the stack at a position, with these breakers open. Pure."""
        position, caps = self[name], hold.effective(self.matrix)
        weights, stages, modes = {}, {}, {}
        for service, track in self._tracks.items():
            weights[service] = min(track.weight(position.index), caps.get(service, 100))
            stages[service] = self._stage(service, position, held=service in caps)
            modes[service] = self._modes(service, position)
        return StackState(position.name, position.phase, weights, stages, modes, hold)

    def _stage(self, service: str, position: Position, *, held: bool) -> Stage:
        track = self._tracks[service]
        if position.index < track.first:
            return Stage.UNTOUCHED
        if position.name == LAST:
            return Stage.RETIRED
        # A service is complete once its last position has been judged, which is when the plan goes on.
        return Stage.IN_PROGRESS if held or position.index <= track.last else Stage.COMPLETE

    def _modes(self, service: str, position: Position) -> dict[str, str]:
        track, recipe = self._tracks[service], RECIPES[self.matrix.services[service].strategy]
        if position.index < track.first or position.name == LAST:
            return {}
        modes = dict(recipe.modes)
        for place in self._acts[service]:
            if place.index <= position.index and (action := recipe.action(place.action)):
                modes.update(action.modes)
        return modes

    @cached_property
    def _acts(self) -> dict[str, list[Position]]:
        acts: dict[str, list[Position]] = {name: [] for name in self.matrix.services}
        for position in self.positions:
            if not position.shifts and position.name not in (INFRASTRUCTURE, LAST):
                for name in position.services:
                    acts[name].append(position)
        return acts

    def performs(self, position: Position) -> tuple[tuple[str, Action], ...]:
        """The (service, action) pairs that are performed at a position, in order."""
        if position.name == LAST:
            return tuple((service, RETIRE) for service in self.matrix.services)
        found = (
            (name, RECIPES[self.matrix.services[name].strategy].action(position.action)) for name in position.services
        )
        return tuple((name, action) for name, action in found if action is not None)


@bulk()
def build(matrix: Matrix) -> Plan:
    """The plan of a matrix.

    An impossible matrix has a plan as well, by phases: what has moved must still find its way back. The certificate
    blocks only the steps that expose a bad pair; up to there the plan can be walked.
    """
    found = order(matrix)
    positions = [Position(0, INFRASTRUCTURE, INFRASTRUCTURE, (), INFRASTRUCTURE, {})]
    for batch in found.side_by_side:
        positions.extend(_walk(matrix, tuple(name for group in batch for name in group), len(positions)))
    positions.append(Position(len(positions), LAST, DEPRECATION, tuple(matrix.services), RETIRE.name, {}))
    return Plan(matrix, found, tuple(positions))


def label(services: Sequence[str]) -> str:
    """What services that move together are called: `A+B`; of many, the first, how many more, and a digest of all.

    No service begins with a digit, so no group is called like another one.
    """
    if len(services) <= _NAMED:
        return "+".join(services)
    digest = hashlib.sha256("+".join(sorted(services)).encode()).hexdigest()[:8]
    return "+".join((*services[:_FIRST], f"{len(services) - _FIRST}more-{digest}"))


def _walk(matrix: Matrix, services: tuple[str, ...], index: int) -> Iterator[Position]:
    """The positions in which some services (of one phase and one ladder) move: actions, rungs, actions."""
    recipes = [RECIPES[matrix.services[name].strategy] for name in services]
    phase, name = matrix.phase_of[services[0]], label(services)

    def actions(of: list[tuple[Action, ...]]) -> Iterator[tuple[str, tuple[str, ...], Mapping[str, int]]]:
        for action in dict.fromkeys(action.name for own in of for action in own):
            who = (service for service, own in zip(services, of, strict=True) if any(a.name == action for a in own))
            yield action, tuple(who), {}

    places = (
        *actions([recipe.before for recipe in recipes]),
        *((str(rung), services, dict.fromkeys(services, rung)) for rung in matrix.services[services[0]].ladder),
        *actions([recipe.after for recipe in recipes]),
    )
    for offset, (action, who, changes) in enumerate(places):
        yield Position(index + offset, f"{phase}/{name}/{action}", phase, who, action, changes)
