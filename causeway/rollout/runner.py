"""Walking the plan: apply a step, perform its actions, soak it, judge it, and go on, or back.

Every step is one stack update and one journal record, intent -> applied -> actions -> observed -> verdict -> done.
Whoever starts reads the journal first and finishes what a dead runner has left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from causeway.errors import CausewayError, Conflict, Exit, Held, MoveRefused
from causeway.health.checker import Look
from causeway.model.closure import closure
from causeway.model.guardrails import Measure, Pace
from causeway.model.moves import Direction, Place, Standing
from causeway.model.order import order
from causeway.model.plan import Position
from causeway.model.verdict import Decision, Verdict
from causeway.rollout import actions, checkpoint, rollback, settle, triggers, updates
from causeway.rollout import journal as journals
from causeway.rollout.engine import Export
from causeway.rollout.gate import unjudged
from causeway.rollout.heartbeat import Heartbeat
from causeway.rollout.journal import Journal, Record, State
from causeway.rollout.settle import Applied
from causeway.rollout.soaking import Observer, soak
from causeway.rollout.stack import Stack

_BY_HAND = "`causeway rollback` sends it back by hand; `causeway arm` arms the triggers again."


class RolledBack(CausewayError):
    """The gates have sent traffic back."""

    code = Exit.ROLLED_BACK


@dataclass
class Runner:
    """One runner of one stack, under its lease. `on_look` sees every look and verdict."""

    stack: Stack
    journal: Journal
    heartbeat: Heartbeat
    observer: Observer
    on_look: Callable[[Place, Look, Verdict], None] = lambda place, look, verdict: None
    _standing: Standing | None = field(default=None, init=False)

    def resume(self) -> Place | None:
        """Finish what the last move has left, if anything; where the stack stands after that.

        A move that was never applied is given up, one that was is gone on with. None: a fresh stack.
        """
        record = journals.last(self.stack.store, self.stack.name)
        export = self.stack.engine.export()
        if export.pending or (record and not record.state.ended):
            self.stack.say("recover", "the last move did not end; clearing what it left")
            updates.clear(self.stack, self.journal.lease)
            export = self.stack.engine.export()
        self._standing = self.stack.standing(export)
        if record is not None and not record.state.ended:
            self._finish(self._found(record))
        return self._standing.place if self._standing else None

    def create(self) -> None:
        """The first update of a fresh stack: everything but traffic."""
        place = Place(self.stack.config.plan.positions[0].name)
        self.move(place, "first update")

    def walk(self, target: str, reason: str = "") -> Place:
        """Step by step to the end of a target (a phase or a position); returns where the stack then stands.

        Raises Held, RolledBack, MoveRefused or Conflict where it stops before.
        """
        plan = self.stack.config.plan
        end = plan.last_of(target)
        here = self.resume()
        if here is None:
            self.create()
            here = self._place()
        if self.stack.gate.unjudged(journals.history(self.stack.store, self.stack.name), here) is not None:
            self.soak_here(here)
        while plan[here.position].index < end.index:
            following = plan.next(here.position)
            assert following is not None
            self.move(Place(following.name, here.hold), reason)
            here = self._place()
        return here

    def soak_here(self, here: Place) -> None:
        """Perform and judge the present place, unless it has been judged good already."""
        records = journals.history(self.stack.store, self.stack.name)
        if unjudged(records, here) is None:
            return
        direction = Direction.STAY if any(record.there == here for record in records) else Direction.FORWARD
        record = self.journal.open(direction, None, here, "soak of the present place")
        self._finish(self._applied(record, self.stack.engine.export(), "applied by hand"))

    def release(self, service: str, reason: str) -> Place:
        """Close a breaker again: its services climb their ladders from the first rung, group by group."""
        here = self.resume()
        if here is None or service not in here.hold.caps:
            raise MoveRefused(
                f"the breaker of {service} is not open", "there is nothing to close", "`causeway status` shows what is."
            )
        for group in order(self.stack.config.matrix).groups:
            members = [name for name in group if name in here.hold.caps]
            if members and (service in members or self._waits_for(service, members)):
                here = self._climb(here, members, reason)
        return here

    def move(self, there: Place, why: str = "") -> Record:
        """One judged stack update. Raises MoveRefused before anything is written where it is not legal."""
        self.heartbeat.check()
        stack, began = self.stack, self.stack.clock.monotonic()
        self._untouched()
        found = stack.gate.judge(self._standing, there, why or None)
        stack.say("moving", str(found), there)
        record = self.journal.open(found.direction, found.here, there, why, {"weights": _pairs(found.changes)})
        try:
            applied = self._apply(there, why)
        except CausewayError as error:
            self.journal.advance(record, State.INTENT if self._moved_to(record) else State.FAILED, error.fact)
            raise
        ours = stack.clock.monotonic() - began - applied.pulumi_s
        times = {"pulumi_s": round(applied.pulumi_s, 3), "ours_s": round(ours, 3)}
        record = self._applied(record, applied.export, facts=times)
        self._standing = stack.standing(applied.export)
        return self._finish(record)

    def _untouched(self) -> None:
        """Nobody has edited the flag set since the last move ended well; one that failed may have written it itself."""
        if self._standing is None:
            return
        newest = journals.last(self.stack.store, self.stack.name)
        if newest is not None and newest.state is State.DONE:
            settle.untouched(self.stack, self._standing)

    def _apply(self, there: Place, why: str) -> Applied:
        with updates.running(self.stack, self.journal.lease):
            return settle.apply(self.stack, there, why)

    def _moved_to(self, record: Record) -> bool:
        """Whether a move that failed has moved the traffic all the same, or may have: then it is not over."""
        try:
            export = self.stack.engine.export()
        except CausewayError:
            return True
        standing = self.stack.standing(export)
        at_its_place = standing is not None and standing.place == record.there
        return bool(export.pending) or (at_its_place and record.here != record.there)

    # --- from applied to done -------------------------------------------------------------------------------------

    def _finish(self, record: Record) -> Record:
        """Take a record from where it is to its end."""
        if record.direction in (Direction.BACK, Direction.HOLD):
            return self._reconciled(record)
        if record.state.ended:
            return record
        if record.state is State.JUDGED and record.verdict == Decision.ROLL_BACK and not record.facts.get("disarmed"):
            self._roll_back(record, Verdict.parse(record.facts["verdict"]))  # died before it could
        if record.state is State.APPLIED:
            triggers.install(self.stack.store, self.stack.config)
            done = actions.perform(self.stack.application, self.stack.config.plan, self._position(record))
            for each in done:
                self.stack.say("acted", f"{each['action']} of {each['service']}: {_said(each)}", record.there)
            kept = [name for name in self._position(record).services if self.stack.keep_state(name, record.there)]
            record = self.journal.advance(record, State.ACTED, actions=done, state_kept=kept)
        return self._judge(record)

    def _judge(self, record: Record) -> Record:
        place, baselines, moving = record.there, self.stack.comparable(record.there), self._moving(record)
        self._foresee(place, baselines, moving)
        watched = soak(
            self.stack,
            place,
            self.observer,
            baselines,
            moving,
            confirmed=", ".join(f"{a['action']} of {a['service']} confirmed" for a in record.facts.get("actions", ()))
            or "the stack update was applied",
            on_look=lambda look, verdict: self._looked(place, look, verdict),
        )
        self.heartbeat.check()
        record = self.journal.advance(
            record,
            State.OBSERVED,
            looks=watched.looks,
            soak_s=round(watched.seconds, 3),
            began_again=watched.began_again,
        )
        verdict = watched.verdict
        if verdict.decision is Decision.ADVANCE and self.stack.config.plan.ends_phase(place.position):
            verdict = checkpoint.phase_end(self.stack, place, verdict)
        record = self.journal.advance(record, State.JUDGED, verdict.headline, verdict=verdict.as_dict())
        self.stack.say("verdict", str(verdict), place, watched.seconds)
        if verdict.decision is Decision.ADVANCE:
            return self.journal.advance(record, State.DONE)
        if verdict.decision is Decision.ROLL_BACK:
            self._roll_back(record, verdict)
        raise Held(
            f"{place} is not judged good: {verdict.headline}; {verdict.decisive[0].text}",
            "nothing moves forward on this",
            "`causeway soak` goes on watching; causeway:accept records an exception.",
        )

    def _foresee(self, place: Place, baselines: Mapping[str, float], moving: frozenset[str]) -> None:
        """Say before a soak what will hold at its end: that takes as long as the soak to find out otherwise."""
        config, slow = self.stack.config, [name for name in sorted(moving) if name not in baselines]
        if slow and any(rail.name is Measure.RESPONSE_TIME for rail in config.guardrails):
            text = f"no fresh baseline of {', '.join(slow)}: this soak watches for harm and cannot judge it good"
            self.stack.say("lacking", f"{text}; `causeway baseline record`, then `causeway soak`", place)
        if config.plan.ends_phase(place.position) and (ahead := checkpoint.unmeasured(self.stack, place, baselines)):
            text = f"no fresh baseline of {', '.join(ahead)}, which the end of the phase needs"
            self.stack.say("lacking", f"{text}; `causeway baseline record` measures them while this soak runs", place)

    def _roll_back(self, record: Record, verdict: Verdict) -> NoReturn:
        """Send traffic back on the verdict's evidence; the step that brought it here ends with that verdict."""
        why_not = triggers.disarmed(self.stack.control(), self.stack.server_now())
        triggers.fired(self.stack, record.there.position, verdict, why_not or f"rollback at level {verdict.level}")
        if why_not:
            self.journal.advance(record, record.state, why_not, disarmed=True)  # judged anew when they are armed again
            raise Held(f"{verdict.decisive[0].text}; the triggers are {why_not}", "traffic stays where it is", _BY_HAND)
        request = rollback.Request(
            level=verdict.level or 1,
            why=verdict.decisive[0].text,
            services=verdict.services or self._position(record).services,
            pace=verdict.pace or Pace.IMMEDIATE,
            evidence=verdict.as_dict(),
        )
        try:
            back = rollback.send_back(self.stack, self.journal, request, ending=record)
        except (Held, MoveRefused) as refused:
            self.journal.advance(record, State.DONE, f"ended by its verdict; {refused.fact}")
            raise
        try:
            back = self._reconciled(back)
        except Conflict:
            raise
        except CausewayError as error:
            unsettled = rollback.Unsettled(back, error)
            raise RolledBack(unsettled.fact, unsettled.consequence, unsettled.remedy) from error
        raise RolledBack(
            f"traffic went back from {record.there} to {back.there}: {verdict.decisive[0].text}",
            f"level {request.level}, moved in {back.facts['traffic_moved_s']} s",
            f"Mend the package, then `causeway release {request.services[0]} --reason TEXT`."
            if request.level == 1
            else "Find the cause, then `causeway run` walks forward again.",
        )

    def _reconciled(self, record: Record) -> Record:
        record = rollback.reconcile(self.stack, self.journal, record)
        self._standing = self.stack.standing(self.stack.engine.export())
        return record

    def _found(self, record: Record) -> Record:
        """The record of a move that did not end, brought to what the stack says of it.

        A flag set that has been written says nothing of what comes after it: the update is carried out again, and does
        nothing where it was complete.
        """
        if record.direction in (Direction.BACK, Direction.HOLD):
            return record
        at_its_place = self._standing is not None and self._standing.place == record.there
        if record.state is State.INTENT and at_its_place:
            return self._applied(record, self._apply(record.there, record.why).export, "found applied after a crash")
        if record.state is State.INTENT:
            return self._give_up(record)
        if not at_its_place:
            return self.journal.advance(record, State.SUPERSEDED, "the stack has been moved by hand since")
        return record

    def _applied(
        self, record: Record, export: Export, note: str = "", facts: Mapping[str, float] | None = None
    ) -> Record:
        """The state that a place was reached with is kept, for ways back to be compared with."""
        digest = settle.keep(self.stack.store, self.stack.name, export)
        return self.journal.advance(record, State.APPLIED, note, None, export=digest, **(facts or {}))

    def _give_up(self, record: Record) -> Record:
        """A move that died before it was applied: the stack file goes back to where the stack stands."""
        record = self.journal.advance(record, State.FAILED, "died before it was applied")
        if self._standing is not None:
            self.stack.write_place(self._standing.place)
            self.stack.record_place(self._standing.place, "the last move was not applied")
        return record

    def _looked(self, place: Place, look: Look, verdict: Verdict) -> bool:
        self.on_look(place, look, verdict)
        return self.heartbeat.lost is not None

    # --- small questions ------------------------------------------------------------------------------------------

    def _place(self) -> Place:
        assert self._standing is not None
        return self._standing.place

    def _position(self, record: Record) -> Position:
        return self.stack.config.plan[record.there.position]

    def _moving(self, record: Record) -> frozenset[str]:
        """The services whose weight rose with this move: they have to be shown to be safe."""
        rising = {name for name, (old, new) in record.facts.get("weights", {}).items() if new > old}
        return frozenset(rising or self._position(record).changes)

    def _waits_for(self, service: str, members: list[str]) -> bool:
        """Whether these are held because they must not be ahead of the service."""
        return bool(closure(self.stack.config.matrix, [service]) & set(members))

    def _climb(self, here: Place, members: list[str], reason: str) -> Place:
        plan = self.stack.config.plan
        wanted = plan.at(here.position).weights
        ladder = plan.matrix.services[members[0]].ladder
        start = max(here.hold.caps[name] for name in members)
        for rung in [rung for rung in ladder if start < rung < max(wanted[name] for name in members)]:
            here = self._to(Place(here.position, here.hold.capped(members, rung)), reason)
        return self._to(Place(here.position, here.hold.capped(members, 100)), reason)

    def _to(self, there: Place, reason: str) -> Place:
        self.move(there, reason)
        return self._place()


def _pairs(changes: Mapping[str, tuple[int, int]]) -> dict[str, list[int]]:
    return {name: list(pair) for name, pair in changes.items()}


def _said(done: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in done.items() if key not in ("service", "action", "performed"))
