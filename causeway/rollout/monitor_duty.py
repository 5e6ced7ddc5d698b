"""What the stack's documents say at one instant, and what that asks of the monitor: reading, then a pure decision."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from causeway.model.moves import Direction, Standing
from causeway.model.plan import LAST
from causeway.model.verdict import Verdict
from causeway.rollout import control as controls
from causeway.rollout import journal as journals
from causeway.rollout.control import Control
from causeway.rollout.desired import standing
from causeway.rollout.journal import Record, State
from causeway.rollout.stack import Stack

#: How many records are read where the newest one has not reached its place.
_RECORDS = 20


class Duty(StrEnum):
    """What the monitor has to do beside watching."""

    WATCH = "watch"
    ROLL_BACK = "roll back"
    RECONCILE = "reconcile"
    RESUME = "resume"
    SOAK = "soak"


@dataclass(frozen=True, slots=True)
class Scene:
    """A stack's documents. `read` is the server's time; `applied` is the flag set, `served` what applications obey."""

    control: Control
    read: datetime.datetime
    applied: Standing | None
    served: Standing | None
    records: Sequence[Record] = ()

    def mover(self, us: str) -> str | None:
        """Somebody else who moves the stack and is alive."""
        holder = self.control.holder
        return holder if holder and holder != us and not self.control.expired(self.read) else None

    @property
    def silent(self) -> str | None:
        """A holder that has not renewed its lease for too long: it died, or cannot write."""
        return self.control.holder if self.control.holder and self.control.expired(self.read) else None

    def watched(self, max_age: float) -> bool:
        """Whether somebody has renewed the heartbeat lately."""
        renewed = self.control.renewed_at
        return isinstance(renewed, datetime.datetime) and (self.read - renewed).total_seconds() <= max_age


def read(stack: Stack) -> Scene:
    """The scene as it is now. Raises Unreachable, or ConfigError for a flag set that is none."""
    found = stack.store.read(controls.path(stack.name))
    control = Control.of(found)
    document = stack.store.read(f"flags/{stack.name}")
    applied = standing(document.values["definition"]) if document else None
    records = journals.history(stack.store, stack.name, 1)
    if records and not records[0].reached:
        records = journals.history(stack.store, stack.name, _RECORDS)
    return Scene(
        control,
        found.read if found else stack.clock.now(),
        applied,
        standing(control.override) if control.override else applied,
        records,
    )


def due(scene: Scene, us: str, harm: Verdict | None, *, overdue: bool = False) -> Duty:
    """The one duty that comes first. While somebody alive moves the stack, or data is being restored, there is none.

    `harm` is a verdict that asks for a rollback and may be acted on, if there is one; `overdue`, that it has been
    shown for longer than whoever moves the stack needs to act on it: an update or a hook that hangs watches nobody.
    """
    if scene.control.maintenance or scene.applied is None or scene.served is None:
        return Duty.WATCH
    newest = scene.records[0] if scene.records else None
    unfinished = newest is not None and not newest.state.ended
    going_back = unfinished and newest is not None and newest.direction in (Direction.BACK, Direction.HOLD)
    if scene.mover(us) and (going_back or not overdue):
        return Duty.WATCH
    if harm is not None and can_go_back(scene.served) and _moves_somebody(harm, scene.served):
        return Duty.ROLL_BACK
    if scene.mover(us):
        return Duty.WATCH
    if scene.control.override or going_back:
        return Duty.RECONCILE
    if newest and unfinished:
        return Duty.RESUME if scene.silent or _by_hand(newest) else Duty.WATCH
    reached = next((each for each in scene.records if each.reached), None)
    return Duty.SOAK if reached is None or reached.there != scene.applied.place else Duty.WATCH


def can_go_back(served: Standing) -> bool:
    """Whether anybody is on a package, and legacy is still there to go back to."""
    return any(served.weights.values()) and served.place.position != LAST


def _moves_somebody(harm: Verdict, served: Standing) -> bool:
    """Whether the rollback asked for moves anybody: a breaker that is open already has nothing left to do.

    Without this, what fails on after it has been sent back is sent back at every look.
    """
    return harm.level != 1 or not harm.services or any(served.weights.get(name, 0) for name in harm.services)


def _by_hand(record: Record) -> bool:
    """Whether nobody is going to come back to it: a soak after an update by hand. A runner's HOLD is a person's."""
    return record.here is None and record.state is not State.INTENT
