"""Which moves are legal: one piece of logic for the program's hook, the policy pack and the command line.

A move is judged by the weights it changes, not by names alone. Forward is exactly one position, on a verdict;
back is any earlier position, with a reason; more breakers open is always legal; closing one climbs the ladder again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from causeway.errors import MoveRefused
from causeway.model import edited
from causeway.model.hold import NO_HOLD, Hold
from causeway.model.plan import INFRASTRUCTURE, LAST, Plan, Position, StackState
from causeway.model.stage import Stage


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
    """What a stack has applied last, read from its flag set: where, who is on what, and how users are bucketed.

    `stages` and `modes` are what strategies have done there; a service that is not in them is not compared.
    `acknowledged` are the services whose point of no return config accepted then.
    """

    place: Place
    weights: Mapping[str, int]
    seed: str = ""
    cohorts: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, Stage] = field(default_factory=dict)
    modes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    acknowledged: frozenset[str] = frozenset()


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
    wanted = plan.at(there.position, there.hold)
    if here is None:
        return _create(there)
    old = here.weights
    changes = {name: (old.get(name, 0), wanted.weights.get(name, 0)) for name in {**old, **wanted.weights}}
    changes = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
    move = Move(_direction(plan, here, wanted, there, changes), here.place, there, changes)
    _same_users(plan, here, wanted.weights, now)
    match move.direction:
        case Direction.FORWARD:
            _forward(plan, here, move, now)
        case Direction.BACK:
            _back(plan, move, now)
        case Direction.RELEASE:
            _release(plan, here, wanted, move, now)
        case Direction.HOLD:
            _still_legacy(plan, here.place)
            not_over(now.no_return, move.there, move.here)
            _for_a_reason(_lifted(plan, here.place.hold, there.hold), now)
        case Direction.STAY:
            _stay(plan, here, wanted, move)
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


def _direction(
    plan: Plan, here: Standing, wanted: StackState, there: Place, changes: Mapping[str, tuple[int, int]]
) -> Direction:
    if here.place.position not in plan:
        return _direction_by_effect(plan, here, wanted, changes)
    step = plan[there.position].index - plan[here.place.position].index
    if step:
        return Direction.FORWARD if step > 0 else Direction.BACK
    if here.place.hold == there.hold:
        return Direction.STAY
    rising = any(new > old for old, new in changes.values())
    lifted = not changes and _lifted(plan, here.place.hold, there.hold)
    return Direction.RELEASE if rising or lifted else Direction.HOLD


def _lifted(plan: Plan, old: Hold, new: Hold) -> list[str]:
    """The services whose breaker is opened less than before, whether that moves anybody yet or not."""
    return [name for name, cap in edited.named(plan, old).caps.items() if new.caps.get(name, 100) > cap]


def _direction_by_effect(
    plan: Plan, here: Standing, wanted: StackState, changes: Mapping[str, tuple[int, int]]
) -> Direction:
    """The plan was edited since, so that names say nothing: it is back where a weight falls or a strategy is undone."""
    if any(new < old for old, new in changes.values()):
        return Direction.BACK
    alike = edited.alike(plan, here, wanted.hold)
    before = not alike or plan[wanted.position].index < alike[0].index
    undone = all(
        wanted.modes[name] == here.modes.get(name, wanted.modes[name]) if weight else stage is Stage.UNTOUCHED
        for (name, weight), stage in zip(wanted.weights.items(), wanted.stages.values(), strict=True)
    )
    return Direction.BACK if before and undone and not changes else Direction.STAY


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
    _as_applied(plan, here)
    _judged(here.place, now)


def _as_applied(plan: Plan, here: Standing) -> None:
    """Going on starts from what the stack has: an edited plan must not move anything beside the step."""
    planned = plan.at(here.place.position, edited.named(plan, here.place.hold))
    # A service that the plan no longer has would fall to legacy unseen, so both sides' names count.
    names = {**planned.weights, **here.weights}
    if any(planned.weights.get(name, 0) != here.weights.get(name, 0) for name in names):
        raise MoveRefused(
            f"the plan gives {here.place.position} other weights than the stack has applied there",
            "the step would move more traffic than its own",
            "Undo the change of matrix, phases or ladder, or go back to where both agree.",
        )
    _same_way(here, planned)


def _same_way(here: Standing, planned: StackState, move: Move | None = None) -> None:
    """A service whose weight does not change keeps its strategy, and its place in it."""
    name = next((each for each in edited.differing(here, planned) if not move or each not in move.changes), None)
    if name is None:
        return
    applied = edited.progress(here.stages.get(name, planned.stages[name]), here.modes.get(name, {}))
    raise MoveRefused(
        f"the plan has {name} {edited.progress(planned.stages[name], planned.modes[name])} at {planned.position}; "
        f"the stack has applied {applied}",
        "what its strategy has begun would be dropped, or what it never did be taken for done",
        f"Undo the change of strategy or phases, or go back to where {name} is untouched first.",
    )


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
    not_over(now.no_return, move.there, move.here)
    if here is not None and here.position == LAST and there.position in plan:
        before = plan.positions[-2].name
        if there.position != before:
            raise MoveRefused(
                f"legacy is retired at {LAST}",
                "traffic would go to a side that is not there",
                f"Bring it back first: pulumi config set causeway:position {before}",
            )


def not_over(no_return: Sequence[str], there: Place, here: Place | None) -> None:
    """Raise MoveRefused where a way back crosses points of no return: those of these services."""
    if no_return:
        raise MoveRefused(
            f"the point of no return of {', '.join(no_return)} lies between {there} and {here}",
            "legacy would read data that only the package understands",
            "Only `causeway rollback --level 4` goes back from here: it restores the data as well.",
        )


def _release(plan: Plan, here: Standing, wanted: StackState, move: Move, now: Circumstances) -> None:
    if move.changes:
        _no_brakes(here.place, move, now)
    _same_way(here, wanted, move)
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
        _judged(here.place, now)
    else:
        _for_a_reason([*move.changes] or _lifted(plan, here.place.hold, wanted.hold), now)


def _for_a_reason(closing: list[str], now: Circumstances) -> None:
    if closing and not now.reason:
        raise MoveRefused(
            f"closing the breaker of {', '.join(closing)} needs a reason",
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


def _stay(plan: Plan, here: Standing, wanted: StackState, move: Move) -> None:
    if move.changes:
        name, (old, new) = next(iter(move.changes.items()))
        raise MoveRefused(
            f"the plan has changed so that {name} would go from {old} to {new} % at {wanted.position}",
            "a change of matrix, phases or ladder must not move traffic by itself",
            "Undo it, or make it at a position where both plans agree.",
        )
    _same_way(here, wanted)
    if here.place.position not in plan:
        _renamed(here.place.position, edited.alike(plan, here, wanted.hold), wanted.position)


def _renamed(old: str, alike: list[Position], new: str) -> None:
    """A position that is gone may go on under another phase's name, or start at the first place that is like it."""
    tail = old.partition("/")[2]
    if new not in (alike[0].name, *(each.name for each in alike if each.name.partition("/")[2] == tail)):
        raise MoveRefused(
            f"this plan has no position {old} any more, and {new} is further on",
            "what lies between would be skipped without its actions, soaks and verdicts",
            f"pulumi config set causeway:position {alike[0].name}",
        )
