"""Rolling back and reconciling as whole operations: lease, fast path, stack update, journal."""

from __future__ import annotations

from typing import Any

from causeway.errors import CausewayError, MoveRefused
from causeway.model.moves import Direction, Place
from causeway.rollout import disaster, rollback, settle
from causeway.rollout import journal as journals
from causeway.rollout.desired import standing
from causeway.rollout.journal import Journal, Record, State
from causeway.rollout.opening import lease
from causeway.rollout.rollback import Request
from causeway.rollout.stack import Stack


def roll_back(stack: Stack, request: Request, *, at: str | None = None) -> Record:
    """Levels 1 to 4, from trigger to settled. The lease is taken over: a rollback does not wait for a runner.

    Raises Unsettled where the traffic has moved and the stack update failed. What is refused leaves the runner alone.
    """
    rollback.check(stack, request)
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


def reconcile(stack: Stack) -> dict[str, Any]:
    """Finish what a rollback or a crash has left. Says what was done."""
    with lease(stack) as (journal, _):
        return finish(stack, journal)


def finish(stack: Stack, journal: Journal) -> dict[str, Any]:
    """The same under a lease that is held already."""
    newest = journals.last(stack.store, stack.name)
    override = stack.control().override
    if newest is not None and not newest.state.ended and newest.direction in (Direction.BACK, Direction.HOLD):
        stack.engine.recover()
        record = rollback.reconcile(stack, journal, newest)
        return {"stack": stack.name, "place": str(record.there), "done": f"the stack stands at {record.there}"}
    if override:
        place = standing(override).place
        record = journal.open(
            Direction.BACK, None, place, f"reconcile with the override: {stack.control().override_why}"
        )
        stack.engine.recover()
        record = rollback.reconcile(stack, journal, record)
        return {"stack": stack.name, "place": str(record.there), "done": f"the stack stands at {record.there}"}
    return _after_a_crash(stack, journal, newest)


def _after_a_crash(stack: Stack, journal: Journal, newest: Record | None) -> dict[str, Any]:
    """No rollback is open: clear what a dead update left, and put the stack file where the stack stands."""
    stack.engine.recover()  # always: a lock of a dead update is seen nowhere else
    export = stack.engine.export()
    here = stack.standing(export)
    if here is None:
        raise MoveRefused("this stack has applied nothing yet", "there is nothing to reconcile", "`pulumi up` first.")
    if newest is not None and newest.state is State.INTENT:
        if newest.there == here.place:
            kept = settle.keep(stack.store, stack.name, export)
            journal.advance(newest, State.APPLIED, "found applied after a crash", export=kept)
        else:
            journal.advance(newest, State.FAILED, "died before it was applied")
    if here.place != Place(stack.config.position, stack.config.hold):
        stack.write_place(here.place)
        stack.record_place(here.place, "reconcile: where the stack stands")
        return {"stack": stack.name, "place": str(here.place), "done": f"the stack file says {here.place} again"}
    document = stack.store.read(f"flags/{stack.name}")
    if document is None or standing(document.values["definition"]) != here:
        raise CausewayError(
            f"flags/{stack.name} is not what the stack has applied",
            "somebody has edited it by hand; it is never silently overwritten",
            "`causeway drift` shows what differs; `pulumi up --refresh` writes the stack's own again.",
        )
    return {"stack": stack.name, "place": str(here.place), "done": f"nothing to do: everything stands at {here.place}"}
