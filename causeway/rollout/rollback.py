"""The way back, in four levels. The weight falls first, by one conditional write; everything else is settled after.

1 the breaker of a service (its hold closure), 2 the phase, 3 everything, 4 everything and the data as of a chosen
time. The fast path never waits for Pulumi; `reconcile` brings config, stack and flags to what it wrote.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from causeway import flags
from causeway.errors import CausewayError, ConfigError, Conflict, Held, MoveRefused, Unreachable
from causeway.flags import FlagSet
from causeway.model import descent, moves
from causeway.model.closure import closure
from causeway.model.guardrails import Pace
from causeway.model.hold import Hold
from causeway.model.matrix import Traffic
from causeway.model.moves import Direction, Place, Standing
from causeway.model.plan import INFRASTRUCTURE, LAST
from causeway.model.strategies import RECIPES
from causeway.rollout import actions, settle, updates
from causeway.rollout import journal as journals
from causeway.rollout.desired import flag_set
from causeway.rollout.journal import Journal, Record, State
from causeway.rollout.notify import Alert, Severity
from causeway.rollout.stack import Stack, in_plan_order

#: How long a graceful rollback waits for services to drain, in seconds.
DRAIN = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: a level (1 to 3), the services of level 1, why, and how.

    `triggered` is the monotonic time of the trigger, where it came before the request. `anyway` sends traffic back
    even to a legacy side that does not answer; `asked` are the services whose legacy has been asked a moment ago.
    """

    level: int
    why: str
    services: tuple[str, ...] = ()
    pace: Pace = Pace.IMMEDIATE
    anyway: bool = False
    asked: frozenset[str] = frozenset()
    triggered: float | None = None
    evidence: Mapping[str, Any] | None = None


class Unsettled(CausewayError):
    """Traffic is on legacy and the stack has not followed. Exit code 1, whatever kept the stack back."""

    def __init__(self, record: Record, cause: CausewayError) -> None:
        self.record = record
        super().__init__(
            f"traffic went back to {record.there} in {record.facts['traffic_moved_s']} s, but the stack has not "
            f"followed: {cause.fact}",
            "applications obey the override meanwhile",
            f"`causeway reconcile --stack {record.stack}` settles the stack once that is mended.",
        )

    def as_dict(self) -> dict[str, object]:
        """With what did happen, so that a script can tell it from a rollback that moved nothing."""
        moved = self.record.facts["traffic_moved_s"]
        to, seq = str(self.record.there), self.record.seq
        return {**super().as_dict(), "stack": self.record.stack, "seq": seq, "to": to, "traffic_moved_s": moved}


def target(stack: Stack, here: Place, request: Request) -> Place:
    """Where a level leads from here. Raises MoveRefused where there is nothing to go back to."""
    plan = stack.config.plan
    if here.position == LAST and request.level < 4:
        raise MoveRefused(
            f"legacy is retired at {LAST}",
            "traffic would go to a side that is not there",
            f"Bring it back first: pulumi config set causeway:position {plan.positions[-2].name}",
        )
    if request.level == 1:
        unknown = [name for name in request.services if name not in stack.config.matrix.services]
        if unknown or not request.services:
            raise MoveRefused(
                f"level 1 needs a service of this stack, not {', '.join(unknown) or 'none'}",
                "no breaker was opened",
                f"Services: {', '.join(stack.config.matrix.services)}.",
            )
        fallen = closure(stack.config.matrix, request.services)
        return Place(here.position, here.hold.opened(in_plan_order(stack.config, fallen)))
    if request.level == 2:
        back = plan.before_phase(plan[here.position].phase).name
        still = plan.at(back).weights
        return Place(back, Hold({name: cap for name, cap in here.hold.caps.items() if still[name] > cap}))
    return Place(INFRASTRUCTURE)


def check(stack: Stack, request: Request) -> Request:
    """Raise what `send_back` would refuse, before a runner has lost its lease to a rollback that cannot be.

    Returns the request, which knows then whose legacy has answered.
    """
    if (serving := _serving(stack)) is None or request.level == 4:
        return request
    _, _, falling = _judged_way(stack, serving, request)
    return replace(request, asked=frozenset(falling))


def send_back(stack: Stack, journal: Journal, request: Request, *, ending: Record | None = None) -> Record:
    """Move the traffic: override and journal entry in one commit. The stack follows by `reconcile`.

    Level 4 freezes writes in the same commit; the record `ending`, whose verdict asks for this, is done with it.
    Raises Held where legacy does not answer and nobody has decided to go back anyway.
    """
    clock = stack.clock
    began = clock.monotonic() if request.triggered is None else request.triggered
    serving = _serving(stack)
    if serving is None:
        raise MoveRefused("this stack has applied nothing yet", "there is nothing to go back from")
    here, there, falling = _judged_way(stack, serving, request)
    if request.pace is Pace.GRACEFUL:
        _drain(stack, falling)
    left = _left_undone(journals.last(stack.store, stack.name))
    start = left.here if left and left.here else here
    fallen = {**(left.facts["weights"] if left else {}), **{name: list(pair) for name, pair in falling.items()}}
    control = stack.control()
    record = journal.open(
        Direction.BACK if there.position != start.position else Direction.HOLD,
        start,
        there,
        request.why,
        {"level": request.level, "evidence": dict(request.evidence or {}), "weights": fallen},
        ending=ending,
        override=flags.build(_for_the_same_users(flag_set(stack.config, there), serving), emergency=True),
        override_why=f"level {request.level}: {request.why}",
        epochs=_epochs(stack, control.epochs, falling),
        **({"maintenance": f"level 4: data is being restored ({request.why})"} if request.level == 4 else {}),
    )
    moved = clock.monotonic() - began
    slow = [name for name in falling if stack.config.matrix.services[name].traffic is not Traffic.FLAG]
    fast = ", ".join(name for name in falling if name not in slow) or "no service"
    stack.say("traffic", f"level {request.level}: traffic is on legacy for {fast}", there, moved)
    later = f"{', '.join(slow)} moves with the stack update, not by flag: that takes longer" if slow else ""
    if later:
        stack.say("slow", later, there)
    record = journal.advance(record, State.INTENT, "traffic moved", traffic_moved_s=round(moved, 3))
    stack.notifier.send(
        Alert(
            Severity.CRITICAL,
            f"rollback-{record.seq}",
            f"level {request.level} rollback from {here} to {there}: {request.why}",
            f"Traffic of {fast} moved to legacy in {moved:.1f} s." + (f" {later}." if later else ""),
            f"The stack follows by itself or by `causeway reconcile --stack {stack.name}`; then mend the package and "
            f"`causeway release` it."
            if request.level == 1
            else f"`causeway reconcile --stack {stack.name}`, then find the cause.",
        )
    )
    return _settle(stack, journal, record)


def settled(stack: Stack, journal: Journal, record: Record) -> Record:
    """The stack follows a rollback whose traffic has moved. Raises Unsettled; Conflict where somebody took over."""
    try:
        updates.clear(stack, journal.lease)
        return reconcile(stack, journal, record)
    except Conflict:
        raise
    except CausewayError as error:
        raise Unsettled(record, error) from error


def reconcile(stack: Stack, journal: Journal, record: Record) -> Record:
    """Bring config, stack and flags to a record's place; lift the override when they read back equal."""
    clock = stack.clock
    began = clock.monotonic()
    place = record.there
    _restored(record)
    if "settled_work" not in record.facts:
        record = _settle(stack, journal, record)
    if not record.reached:
        record = _followed(stack, journal, record)
    if not settle.reads_back(stack, place):
        stack.say("late", "the flag set was written after the update, by one that was dying; once more", place)
        record = _followed(stack, journal, record, refresh=True)
    if not record.state.ended and record.state is not State.ACTED:
        undone = _undo(stack, record)
        record = journal.advance(record, State.ACTED, undone=undone)
    record = journal.advance(record, State.ACTED, settled_s=round(clock.monotonic() - began, 3))
    record = settle.finish(journal, stack, record, place)
    stack.say("settled", f"stack, flags and config stand at {place}", place, clock.monotonic() - began)
    return record


def _followed(stack: Stack, journal: Journal, record: Record, *, refresh: bool = False) -> Record:
    """Config and stack follow to a record's place. Without `refresh`, a change behind the state's back stays unseen."""
    place = record.there
    with updates.running(stack, journal.lease):
        if refresh:
            stack.engine.refresh()
        applied = settle.apply(stack, place, record.why or "reconcile", guarded=False)
    differences, compared_with = settle.compare(stack, place, applied.export)
    _tell_comparison(stack, place, differences, compared_with)
    return journal.advance(
        record,
        State.APPLIED,
        export=settle.keep(stack.store, stack.name, applied.export),
        differences=differences,
        compared_with=compared_with,
        pulumi_s=round(applied.pulumi_s, 3),
    )


def _serving(stack: Stack) -> Standing | None:
    """What applications obey; where that cannot be read, what the stack file says, since a way back cannot wait."""
    try:
        return stack.served()
    except (ConfigError, KeyError) as error:
        known = stack.config.position in stack.config.plan
        place = Place(stack.config.position, stack.config.hold) if known else Place(INFRASTRUCTURE)
        stack.say("unreadable", f"what is served cannot be read ({error}); going by the stack file", place)
        return Standing(place, stack.config.plan.at(place.position, place.hold).weights)


def _way(stack: Stack, serving: Standing, request: Request) -> tuple[Place, Place]:
    """From where to where: down, whatever somebody has made of the plan since it was applied."""
    here = descent.known(stack.config.plan, serving)
    there = target(stack, here, request)
    lower = descent.never_up(stack.config.plan, serving, there)
    if here.position != serving.place.position or lower != there:
        stack.say("edited", f"the plan has changed since {serving.place} was applied; nothing is raised by it", lower)
    return here, lower


def _judged_way(stack: Stack, serving: Standing, request: Request) -> tuple[Place, Place, dict[str, tuple[int, int]]]:
    """From where, to where, and whose weights fall. Raises MoveRefused or Held where that must not be."""
    here, there = _way(stack, serving, request)
    falling = _falling(stack, serving, there)
    if request.level < 4:
        _not_over_a_point_of_no_return(stack, replace(serving, place=here), there)
    _legacy_answers(stack, request, falling)
    return here, there, falling


def _for_the_same_users(flag_set: FlagSet, serving: Standing) -> FlagSet:
    """Bucketed as what is served: with another seed or cohort, users would change sides by the dozen.

    And with the points of no return that were acknowledged for them, whatever config says now.
    """
    kept = tuple(replace(each, cohort=serving.cohorts.get(each.service, each.cohort)) for each in flag_set.flags)
    acknowledged = tuple(sorted({*flag_set.acknowledged, *serving.acknowledged}))
    return replace(flag_set, seed=serving.seed or flag_set.seed, flags=kept, acknowledged=acknowledged)


def _falling(stack: Stack, serving: Standing, there: Place) -> dict[str, tuple[int, int]]:
    wanted = stack.config.plan.at(there.position, there.hold).weights
    return {name: (old, wanted.get(name, 0)) for name, old in serving.weights.items() if old > wanted.get(name, 0)}


def _not_over_a_point_of_no_return(stack: Stack, here: Standing, there: Place) -> None:
    try:
        records = journals.history(stack.store, stack.name)
    except Unreachable:
        records = []
    moves.not_over(stack.gate.crossed(records, here, there), there, here.place)


def _legacy_answers(stack: Stack, request: Request, falling: Mapping[str, tuple[int, int]]) -> None:
    """Traffic is never sent to a legacy side that is down without saying so."""
    names = [name for name in falling if name not in request.asked]
    with ThreadPoolExecutor(max_workers=len(names) or 1) as at_once:  # one that hangs keeps no other waiting
        answers = dict(zip(names, at_once.map(stack.application.legacy_health, names), strict=True))
    down = {name: wrong for name, wrong in answers.items() if wrong}
    if not down:
        return
    said = "; ".join(f"{name}: {wrong}" for name, wrong in down.items())
    if request.anyway or stack.config.go_back_anyway:
        stack.say("legacy-down", f"legacy does not answer ({said}); going back anyway, as decided")
        return
    stack.notifier.send(
        Alert(
            Severity.CRITICAL,
            f"legacy-down-{','.join(down)}",
            f"a level {request.level} rollback is due ({request.why}), but legacy does not answer: {said}",
            "Nothing: traffic stays where it is.",
            "Bring legacy up, or decide: `causeway rollback … --anyway`.",
        )
    )
    raise Held(
        f"legacy does not answer ({said})",
        "going back would trade one failure for another",
        "Bring it up, or decide to go back all the same with --anyway (causeway:go_back_anyway for automatic ones).",
    )


def _drain(stack: Stack, falling: Mapping[str, tuple[int, int]]) -> None:
    """All at once, and not for long: level 1 has thirty seconds in all."""
    drained: set[str] = set()

    def drain(name: str) -> None:
        try:
            stack.application.perform(name, "drain", {"before": "rollback"})
        except CausewayError as error:
            stack.say("drain", f"{name} did not drain ({error.fact}); going back all the same")
        drained.add(name)

    threads = [threading.Thread(target=drain, args=(name,), daemon=True) for name in falling]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + DRAIN
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if late := [name for name in falling if name not in drained]:
        stack.say("drain", f"{', '.join(late)} did not drain within {DRAIN:g} s; going back all the same")


def _epochs(stack: Stack, epochs: Mapping[str, int], falling: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """A falling transaction participant starts a new epoch in the same write as its weight."""
    services = stack.config.matrix.services
    new = [name for name in falling if RECIPES[services[name].strategy].new_epoch_on_the_way_back]
    return {**epochs, **{name: epochs.get(name, 0) + 1 for name in new}}


def _settle(stack: Stack, journal: Journal, record: Record) -> Record:
    """Compensate and settle what was running; failures are told, since the traffic has moved already."""
    work = []
    for name in record.facts.get("weights", {}):
        try:
            work += actions.settle(
                stack.application, stack.config.plan, [name], stack.config.plan[record.there.position]
            )
        except CausewayError as error:
            stack.say("settle", f"work in flight is not settled: {error.fact}", record.there)
            work.append({"service": name, "performed": False, "why": error.fact})
    return journal.advance(record, record.state, "settled what was running", settled_work=work)


def _left_undone(newest: Record | None) -> Record | None:
    """A way back that another one took over before its actions were taken back: what it owed is owed still."""
    if (
        newest is None
        or newest.state is not State.SUPERSEDED
        or newest.direction not in (Direction.BACK, Direction.HOLD)
    ):
        return None
    return None if any(entry["state"] == State.ACTED for entry in newest.history) else newest


def _restored(record: Record) -> None:
    if record.facts.get("level") == 4 and "restored" not in record.facts:
        raise Held(
            f"record {record.seq}, a level 4 rollback, has not restored the data yet",
            "legacy would be opened on data that is half restored; writes stay frozen",
            "`causeway rollback --level 4` again resumes.",
        )


def _undo(stack: Stack, record: Record) -> list[dict[str, Any]]:
    plan = stack.config.plan
    if record.here is None or record.direction is not Direction.BACK or record.here.position not in plan:
        return []
    return actions.undo(stack.application, plan, plan[record.here.position], plan[record.there.position])


def _tell_comparison(stack: Stack, place: Place, differences: list[str] | None, seq: int | None) -> None:
    if differences is None:
        stack.say("compared", "this place was never reached before; there is nothing to compare with", place)
    elif not differences:
        stack.say("compared", f"resource inputs are equal to those kept by record {seq}", place)
    else:
        shown = "; ".join(differences[:5]) + (f" and {len(differences) - 5} more" if len(differences) > 5 else "")
        stack.say("compared", f"differs from what record {seq} kept: {shown}", place)


def unsettled(stack: Stack, standing: Standing | None) -> bool:
    """Whether an override stands, or the stack is elsewhere than its newest record says."""
    newest = journals.last(stack.store, stack.name)
    if stack.control().override:
        return True
    return newest is not None and not newest.state.ended and (standing is None or newest.there != standing.place)
