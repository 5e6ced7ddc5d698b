"""Which moves are legal: one piece of logic for the program's hook, the policy pack and the command line.

A move is judged by the weights it changes, not by names alone. Forward is exactly one position, on a verdict;
back is any earlier position, with a reason; more breakers open is always legal; closing one climbs the ladder again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from causeway.errors import MoveRefused
from causeway.model.hold import NO_HOLD, Hold
from causeway.model.plan import INFRASTRUCTURE, LAST, Plan


class Direction(StrEnum):
    """What kind of move it is."""

    CREATE = "create"
    FORWARD = "forward"
    BACK = "back"
    HOLD = "hold"
    RELEASE = "release"
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack stands or shall stand: a position and the open breakers."""

    position: str
    hold: Hold = NO_HOLD

    def __str__(self) -> str:
        return f"{self.position} (hold {self.hold})" if self.hold else self.position


@dataclass(frozen=True, slots=True)
class Standing:
    """What a stack has applied last, read from its flag set: where, who is on what, and how users are bucketed."""

    place: Place
    weights: Mapping[str, int]
    seed: str = ""
    cohorts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What else decides about a move.

    `unreadable` says why control or journal cannot be read (forward is refused then, back is allowed). `unjudged`
    says what the present place lacks for going on: None when it is judged good, or accepted by name. `override`,
    `maintenance` (writes are frozen) and `frozen` (the calendar) say why nothing goes forward now. `blocked` are
    exposures of the wanted position without evidence, `no_return` the services whose point of no return lies between
    here and there. `seed` is the one that config has now.
    """

    reason: str | None = None
    seed: str = ""
    unreadable: str | None = None
    unjudged: str | None = None
    override: str | None = None
    maintenance: str | None = None
    frozen: str | None = None
    blocked: tuple[str, ...] = ()
    no_return: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """A legal move: from where, to where, and the weights it changes, service -> (from, to)."""

    direction: Direction
    here: Place | None
    there: Place
    changes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        start = f"{self.here} -> " if self.here else ""
        weights = ", ".join(f"{name} {old} -> {new} %" for name, (old, new) in self.changes.items())
        return f"{self.direction}: {start}{self.there}" + (f" [{weights}]" if weights else "")


def judge(plan: Plan, here: Standing | None, there: Place, now: Circumstances) -> Move:
    """The move from where the stack stands to where it shall stand. Raises MoveRefused where it is not legal."""
    wanted = plan.at(there.position, there.hold).weights
    if here is None:
        return _create(there)
    old = here.weights
    changes = {name: (old.get(name, 0), wanted.get(name, 0)) for name in {**old, **wanted}}
    changes = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
    move = Move(_direction(plan, here.place, there, changes), here.place, there, changes)
    _same_users(plan, here, wanted, now)
    match move.direction:
        case Direction.FORWARD:
            _forward(plan, here, move, now)
        case Direction.BACK:
            _back(plan, move, now)
        case Direction.RELEASE:
            _release(plan, move, now)
        case Direction.HOLD:
            _still_legacy(plan, here.place)
            _not_over_a_point_of_no_return(move, now)
        case Direction.STAY:
            _stay(move)
    return move


def _same_users(plan: Plan, here: Standing, wanted: Mapping[str, int], now: Circumstances) -> None:
    """Seed and cohort decide who is below a weight, so neither changes while anybody is, and somebody is to stay."""
    partly = [name for name, weight in here.weights.items() if 0 < weight < 100 and wanted.get(name)]
    if partly and here.seed and now.seed and here.seed != now.seed:
        raise MoveRefused(
            f"causeway:seed is {now.seed}, and {', '.join(partly)} was split by {here.seed}",
            "users would be dealt anew: many would flip back to legacy, others onto the package",
            f"Set it back to {here.seed}; it may change only while nobody is on a package.",
        )
    services = plan.matrix.services
    moved = [name for name in partly if name in here.cohorts and here.cohorts[name] != services[name].cohort]
    if moved:
        raise MoveRefused(
            f"the cohort of {', '.join(moved)} has changed while it is on its ladder",
            "users would be dealt anew by another key",
            "Set it back; it may change while the service is at 0 or 100 %.",
        )


def _create(there: Place) -> Move:
    if there.position != INFRASTRUCTURE:
        raise MoveRefused(
            f"this stack has applied nothing yet and {there.position} is not where a plan starts",
            "traffic would move with no backup, alert or baseline behind it",
            f"pulumi config set causeway:position {INFRASTRUCTURE}",
        )
    return Move(Direction.CREATE, None, there)


def _direction(plan: Plan, here: Place, there: Place, changes: Mapping[str, tuple[int, int]]) -> Direction:
    if here.position not in plan:  # the plan was edited since; only the weights can tell
        return Direction.BACK if any(new < old for old, new in changes.values()) else Direction.STAY
    step = plan[there.position].index - plan[here.position].index
    if step:
        return Direction.FORWARD if step > 0 else Direction.BACK
    if here.hold == there.hold:
        return Direction.STAY
    return Direction.RELEASE if any(new > old for old, new in changes.values()) else Direction.HOLD


def _forward(plan: Plan, here: Standing, move: Move, now: Circumstances) -> None:
    present, wanted = plan[here.place.position], plan[move.there.position]
    steps = wanted.index - present.index
    if steps > 1:
        following = plan.positions[present.index + 1].name
        exposed = f", exposing {now.blocked[0]}" if now.blocked else ""
        skipped = "one step" if steps == 2 else f"{steps - 1} steps"
        raise MoveRefused(
            f"position {wanted.name} is {steps} steps ahead of {present.name}",
            f"{skipped} would be skipped without a soak or a verdict{exposed}",
            f"Go to {following} next: pulumi config set causeway:position {following}",
        )
    _no_brakes(here.place, move, now)
    planned = plan.at(here.place.position, here.place.hold).weights
    # A service that the plan no longer has would fall to legacy unseen, so both sides' names count.
    if any(planned.get(name, 0) != here.weights.get(name, 0) for name in {**planned, **here.weights}):
        raise MoveRefused(
            f"the plan gives {here.place.position} other weights than the stack has applied there",
            "the step would move more traffic than its own",
            "Undo the change of matrix, phases or ladder, or go back to where both agree.",
        )
    _judged(here.place, now)


def _no_brakes(here: Place, move: Move, now: Circumstances) -> None:
    """What stops every forward move, whatever the verdict."""
    if now.unreadable:
        raise MoveRefused(
            f"whether {move.there} may follow cannot be known: {now.unreadable}",
            "a step without its verdict could put users on a broken version",
            "Going back is still possible; make it readable to go forward.",
        )
    if now.override:
        raise MoveRefused(
            f"an override stands: {now.override}",
            "applications obey it and would not see this step",
            "`causeway reconcile` brings the stack to it and lifts it.",
        )
    if now.maintenance:
        raise MoveRefused(
            f"writes are frozen: {now.maintenance}",
            "users would be put on a package while its data is half restored",
            "`causeway rollback --level 4` again resumes the restore and opens writes when it is verified.",
        )
    if (here.hold or move.there.hold) and move.direction is Direction.FORWARD:
        raise MoveRefused(
            f"the breaker of {here.hold or move.there.hold} is open",
            "going on would leave it behind unseen",
            f"`causeway release {next(iter((here.hold or move.there.hold).caps))} --reason TEXT` first.",
        )
    if now.frozen:
        raise MoveRefused(
            f"nothing moves forward now: {now.frozen}",
            "a step would find fewer people ready to help",
            "Wait for the window's end, or take it out of causeway:freeze.",
        )
    if now.blocked:
        more = f" and {len(now.blocked) - 1} more" if len(now.blocked) > 1 else ""
        raise MoveRefused(
            f"{move.there.position} would expose {now.blocked[0]}{more}",
            "users would meet a mixture of versions that nobody has shown to work",
            "Add evidence under causeway:matrix, or accept it by name under causeway:accept; "
            "`causeway check` lists all.",
        )


def _judged(here: Place, now: Circumstances) -> None:
    if now.unjudged:
        raise MoveRefused(
            f"{here} has not been judged good: {now.unjudged}",
            "the next step would put more users on something that may be broken",
            "Run `causeway soak`, or record an exception under causeway:accept.",
        )


def _back(plan: Plan, move: Move, now: Circumstances) -> None:
    here, there = move.here, move.there
    rising = [name for name, (old, new) in move.changes.items() if new > old]
    if rising:
        raise MoveRefused(
            f"going back to {there} would raise {', '.join(rising)}",
            "a way back must not put users on a package",
            "Go back with the same hold, then `causeway release` it.",
        )
    if not now.reason:
        raise MoveRefused(
            f"the stack stands at {here}; this checkout would take it back to {there}",
            "a stale checkout must not roll a stack back by accident",
            'If it is meant, say why: CAUSEWAY_REASON="…" pulumi up, or --reason TEXT.',
        )
    _not_over_a_point_of_no_return(move, now)
    if here is not None and here.position == LAST and there.position in plan:
        before = plan.positions[-2].name
        if there.position != before:
            raise MoveRefused(
                f"legacy is retired at {LAST}",
                "traffic would go to a side that is not there",
                f"Bring it back first: pulumi config set causeway:position {before}",
            )


def _not_over_a_point_of_no_return(move: Move, now: Circumstances) -> None:
    if now.no_return:
        raise MoveRefused(
            f"the point of no return of {', '.join(now.no_return)} lies between {move.there} and {move.here}",
            "legacy would read data that only the package understands",
            "Only `causeway rollback --level 4` goes back from here: it restores the data as well.",
        )


def _release(plan: Plan, move: Move, now: Circumstances) -> None:
    assert move.here is not None
    _no_brakes(move.here, move, now)
    for name, (old, new) in move.changes.items():
        ladder = (0, *plan.matrix.services[name].ladder)
        reachable = next((rung for rung in ladder if rung > old), 100)
        if new > reachable:
            raise MoveRefused(
                f"closing the breaker would move {name} from {old} to {new} %",
                f"the ladder starts again: {reachable} % comes next",
                f"`causeway release {name} --reason TEXT` climbs it.",
            )
    if any(old for old, new in move.changes.values() if new > old):
        _judged(move.here, now)
    elif not now.reason:
        raise MoveRefused(
            f"closing the breaker of {', '.join(move.changes)} needs a reason",
            "it was opened because something was wrong",
            'CAUSEWAY_REASON="…" pulumi up, or `causeway release SERVICE --reason TEXT`.',
        )


def _still_legacy(plan: Plan, here: Place) -> None:
    if here.position in plan and here.position == LAST:
        raise MoveRefused(
            f"legacy is retired at {LAST}",
            "an open breaker would send users to a side that is not there",
            f"Bring it back first: pulumi config set causeway:position {plan.positions[-2].name}",
        )


def _stay(move: Move) -> None:
    if move.changes:
        name, (old, new) = next(iter(move.changes.items()))
        raise MoveRefused(
            f"the plan has changed so that {name} would go from {old} to {new} % at {move.there.position}",
            "a change of matrix, phases or ladder must not move traffic by itself",
            "Undo it, or make it at a position where both plans agree.",
        )
