"""Rolling back and reconciling as whole operations: lease, fast path, stack update, journal."""

from __future__ import annotations

from typing import Any

from causeway import flags
from causeway.errors import MoveRefused
from causeway.model.moves import Direction, Place, Standing
from causeway.rollout import disaster, rollback, settle, updates
from causeway.rollout import journal as journals
from causeway.rollout.desired import flag_set, standing
from causeway.rollout.journal import Journal, Record, State
from causeway.rollout.opening import lease
from causeway.rollout.rollback import Request
from causeway.rollout.stack import Stack


def roll_back(stack: Stack, request: Request, *, at: str | None = None) -> Record:
    """Levels 1 to 4, from trigger to settled. The lease is taken over: a rollback does not wait for a runner.

    Raises Unsettled where the traffic has moved and the stack update failed. What is refused leaves the runner alone.
    """
    request = rollback.check(stack, request)
    with lease(stack, force=True) as (journal, _):
        give_up(journal, stack)
        if request.level == 4:
            return disaster.recover(stack, journal, request, at)
        return rollback.settled(stack, journal, rollback.send_back(stack, journal, request))


def give_up(journal: Journal, stack: Stack) -> None:
    """End the move that somebody else has begun: whoever goes back does not finish it first."""
    newest = journals.last(stack.store, stack.name)
    if newest is not None and not newest.state.ended:
        journal.advance(newest, State.SUPERSEDED, "taken over by a rollback")


def reconcile(stack: Stack, *, ended: bool = False) -> dict[str, Any]:
    """Finish what a rollback or a crash has left. Says what was done.

    `ended`: a person has seen to it that an update on another machine is over, which nobody can tell from here.
    """
    with lease(stack) as (journal, _):
        if ended:
            updates.declare_over(stack, journal.lease)
        return finish(stack, journal)


def finish(stack: Stack, journal: Journal) -> dict[str, Any]:
    """The same under a lease that is held already."""
    updates.clear(stack, journal.lease)  # always: a lock of a dead update is seen nowhere else
    newest = journals.last(stack.store, stack.name)
    control = stack.control()
    unfinished = newest is not None and not newest.state.ended and newest.direction in (Direction.BACK, Direction.HOLD)
    record = newest if unfinished else None
    if record is None and control.override is None:
        return _after_a_crash(stack, journal, newest)
    if control.override and (lower := _further_back(stack, standing(control.override))):
        record = _give_way(stack, journal, record, lower)
    if record is None:
        assert control.override is not None
        place = standing(control.override).place
        record = journal.open(Direction.BACK, None, place, f"reconcile with the override: {control.override_why}")
    record = rollback.reconcile(stack, journal, record)
    return {"stack": stack.name, "place": str(record.there), "done": f"the stack stands at {record.there}"}


def _further_back(stack: Stack, override: Standing) -> Place | None:
    """Where the stack stands, if that is further back than the override: gone back by hand while it stood."""
    here = stack.standing(stack.engine.export())
    if here is None or any(weight > override.weights.get(name, 0) for name, weight in here.weights.items()):
        return None
    lower = any(weight > here.weights.get(name, 0) for name, weight in override.weights.items())
    return here.place if lower or _earlier(stack, here.place.position, override.place.position) else None


def _earlier(stack: Stack, one: str, other: str) -> bool:
    plan = stack.config.plan
    return one in plan and other in plan and plan[one].index < plan[other].index


def _give_way(stack: Stack, journal: Journal, record: Record | None, lower: Place) -> Record:
    """The override follows a stack that has gone further back, and so does the way back that it belongs to."""
    why, kept = stack.control().override_why, ("level", "weights", "restored")
    if record is not None:
        journal.advance(record, State.SUPERSEDED, f"the stack has gone further back, to {lower}")
    stack.say("further-back", f"the stack has gone back to {lower} while the override stood; it follows", lower)
    return journal.open(
        Direction.BACK,
        record.here if record else None,
        lower,
        f"{why}; then back to {lower} by hand",
        {name: value for name, value in record.facts.items() if name in kept} if record else {},
        override=flags.build(flag_set(stack.config, lower), emergency=True),
        override_why=why,
    )


def _after_a_crash(stack: Stack, journal: Journal, newest: Record | None) -> dict[str, Any]:
    """No rollback is open: clear what a dead update left, and put the stack file where the stack stands."""
    here = stack.standing(stack.engine.export())
    if here is None:
        raise MoveRefused("this stack has applied nothing yet", "there is nothing to reconcile", "`pulumi up` first.")
    if newest is not None and newest.state is State.INTENT:
        if newest.there == here.place:
            with updates.running(stack, journal.lease):  # the flag set is there; what follows it may not be
                export = settle.apply(stack, here.place, newest.why or "reconcile").export
            kept = settle.keep(stack.store, stack.name, export)
            journal.advance(newest, State.APPLIED, "found applied after a crash", export=kept)
        else:
            journal.advance(newest, State.FAILED, "died before it was applied")
    if here.place != Place(stack.config.position, stack.config.hold):
        stack.write_place(here.place)
        stack.record_place(here.place, "reconcile: where the stack stands")
        return {"stack": stack.name, "place": str(here.place), "done": f"the stack file says {here.place} again"}
    settle.untouched(stack, here)
    return {"stack": stack.name, "place": str(here.place), "done": f"nothing to do: everything stands at {here.place}"}
