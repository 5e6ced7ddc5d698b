"""The monitor: a process of its own that looks at every scrape, reports, and sends traffic back when nobody else can.

Each round is one look, one judgement and at most one duty (`monitor_duty.due`). While somebody alive holds the lease,
the monitor only watches and tells; when nobody does it takes the lease under a fencing number of its own, and gives
it back. Whatever a round meets, the next one comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from causeway.errors import CausewayError, Conflict, Held
from causeway.health.baselines import Baseline
from causeway.health.checker import Look
from causeway.health.exposition import Exposition
from causeway.model.guardrails import Pace
from causeway.model.moves import Place
from causeway.model.verdict import Verdict
from causeway.model.window import Missing
from causeway.rollout import journal as journals
from causeway.rollout import levels, monitor_duty, rollback, triggers, updates
from causeway.rollout import monitor_conditions as wrong
from causeway.rollout.heartbeat import Heartbeat
from causeway.rollout.journal import Journal, State
from causeway.rollout.monitor_alarms import Alarms, Condition
from causeway.rollout.monitor_duty import Duty, Scene, can_go_back
from causeway.rollout.monitor_reports import Reports
from causeway.rollout.monitor_watch import Watch, harmed
from causeway.rollout.opening import lease
from causeway.rollout.runner import RolledBack, Runner
from causeway.rollout.soaking import Observer
from causeway.rollout.stack import Stack, whoami

#: While metrics are missing, looks become rarer, up to one in so many seconds.
_RAREST = 30.0
#: A duty that fails is tried again after 5, 10, 20 … seconds, at most so many; a rollback oftener.
_FIRST, _MOST = 5.0, {Duty.ROLL_BACK: 30.0}
_MOST_ELSE = 300.0
#: Seconds beyond the next look after which the monitor counts as hanging; a duty may take Pulumi's time on top.
_GRACE, _DUTY = 60.0, 900.0
#: Harm that whoever moves the stack has not acted on for so long is acted on by the monitor, in seconds.
TAKES_OVER = 2 * wrong.PATIENCE
#: How long the watchdog looks before it says that all is well; what it may have to do comes on top.
ONCE = 25.0


class Take(Protocol):
    """Takes the lease of a stack (`opening.lease`)."""

    def __call__(
        self, stack: Stack, *, force: bool = ..., yields: bool = ...
    ) -> AbstractContextManager[tuple[Journal, Heartbeat]]: ...


class _Elsewhere(Held):
    """The stack has moved on while it was being soaked."""


@dataclass
class _Attempts:
    """A duty that has not succeeded yet."""

    duty: Duty
    failures: int = 0
    again_at: float = 0.0
    trouble: Condition | None = None

    def failed(self, now: float, trouble: Condition) -> None:
        wait = min(_FIRST * 2**self.failures, _MOST.get(self.duty, _MOST_ELSE))
        self.failures, self.again_at, self.trouble = self.failures + 1, now + wait, trouble


@dataclass
class Monitor:
    """The monitor of one stack. Step it with `round`, or let it `run`.

    `baselines` are read anew with every report, and `renewed` hears of them. `soaks`: whether it judges places that
    came by hand, which takes as long as a soak does. `did` lists the duties it has carried out.
    """

    stack: Stack
    observer: Observer
    reports: Reports
    exposition: Exposition
    take: Take = lease
    baselines: Callable[[], Mapping[str, Baseline]] = dict
    renewed: Callable[[Mapping[str, Baseline]], None] = lambda found: None
    soaks: bool = True
    us: str = field(default_factory=whoami)
    looks: int = field(default=0, init=False)
    did: list[str] = field(default_factory=list, init=False)
    alarms: Alarms = field(init=False)
    watch: Watch = field(init=False)
    scene: Scene | None = field(default=None, init=False)
    verdict: Verdict | None = field(default=None, init=False)
    _baselines: Mapping[str, Baseline] = field(default_factory=dict, init=False)
    _now: list[Condition] = field(default_factory=list, init=False)
    _unread: bool = field(default=False, init=False)
    _blind: int = field(default=0, init=False)
    _disarmed: bool = field(default=False, init=False)
    _bad_since: float | None = field(default=None, init=False)
    _fired: tuple[str, str] | None = field(default=None, init=False)
    _attempts: _Attempts = field(default_factory=lambda: _Attempts(Duty.WATCH), init=False)
    _alive_until: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.alarms = Alarms(self.stack.notifier, self.stack.clock.monotonic)
        self.watch = Watch(self.stack)
        self._lives(_GRACE)
        self._refresh()

    def run(self, ends: Callable[[], bool]) -> None:
        """Round after round until `ends` says so."""
        while not ends():
            self.stack.clock.sleep(self.round())

    def once(self, seconds: float = ONCE) -> dict[str, Any]:
        """The watchdog: looks for so many seconds, does what is due, reports. Says what it found and did."""
        self.soaks = False
        clock, config = self.stack.clock, self.stack.config
        end = clock.monotonic() + seconds
        while True:
            pause = self.round()
            cared_for = self.scene and (self.scene.mover(self.us) or self.scene.watched(config.freshness.max_age))
            if self.did or cared_for or clock.monotonic() + pause > end:
                break
            clock.sleep(pause)
        self._report()
        return {**self.health()[1], "did": list(self.did)}

    def round(self) -> float:
        """One look, one judgement, one duty. Returns the seconds until the next one; raises nothing."""
        clock, self._now = self.stack.clock, []
        began = clock.monotonic()
        try:
            self._round()
        except Exception as error:  # whoever watches must outlive whatever it meets
            self._now.append(wrong.unexpected(error))
        self._settle()
        return max(0.0, self._pause() - (clock.monotonic() - began))

    def begin(self) -> None:
        """Of a soak: every probe is due."""
        self.observer.begin()

    def skip(self, weights: Mapping[str, int]) -> None:
        """Of a soak: what comes before is no evidence of it."""
        self.observer.skip(weights)

    def look(self, weights: Mapping[str, int]) -> Look:
        """A look that reports and the monitor's own metrics see as well; what its soaks observe by."""
        look = self.observer.look(weights)
        self.looks += 1
        look = replace(look, baselines=self._baselines) if self._baselines else look
        self._blind = self._blind + 1 if blind(look) else 0
        self.reports.add(look)
        self.exposition.observe(look)
        return look

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether it still looks, and what it sees."""
        alive, served = self.alive(), self.scene.served if self.scene else None
        return alive, {
            "stack": self.stack.name,
            "alive": alive,
            "looks": self.looks,
            "position": str(served.place) if served else None,
            "weights": dict(served.weights) if served else {},
            "moved_by": self.scene.mover(self.us) if self.scene else None,
            "verdict": self.verdict.headline if self.verdict else None,
            "wrong": [each.happened for each in self.alarms.present],
        }

    def alive(self) -> bool:
        """Whether the last round, or the duty under way, is no longer ago than it may be."""
        return self.stack.clock.monotonic() <= self._alive_until

    # --- one round ------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        scene = self._read()
        served = scene.served if scene else None
        look = self.look(served.weights if served else dict.fromkeys(self.stack.config.matrix.services, 0))
        self.verdict = self.watch.observe(served, look) if served else None
        self._tell(look)
        if scene is not None and not self._unread:
            self._perform(scene)

    def _read(self) -> Scene | None:
        """The scene now, or as last known."""
        try:
            self.scene, self._unread = monitor_duty.read(self.stack), False
        except CausewayError as error:
            self._unread = True
            self._now.append(wrong.unreadable(error))
        return self.scene

    def _tell(self, look: Look) -> None:
        """What is wrong, by this look."""
        now, scene, verdict = self.stack.clock.now(), self.scene, self.verdict
        rules = self.stack.config.baseline
        self._now += wrong.stale_baselines(self._baselines.values(), now, rules.max_age)
        if self._blind:
            self._now.append(wrong.no_metrics(look))
        if verdict is not None:
            self._now += wrong.warnings(verdict, self.stack.config.soak.interval)
            self._now += wrong.missing(verdict, self._now)
        if scene is None:
            return
        if scene.silent and scene.silent != self.us:
            self._now.append(wrong.silent_holder(scene.silent))
        mover = scene.mover(self.us)
        if scene.control.maintenance and not mover:
            self._now.append(wrong.frozen(scene.control.maintenance))
        if verdict is not None and harmed(verdict):
            if mover:
                self._now.append(wrong.harm_with_a_mover(verdict, mover))
            elif scene.served and any(scene.served.weights.values()) and not can_go_back(scene.served):
                self._now.append(wrong.harm_without_legacy(verdict))

    def _settle(self) -> None:
        """Alerts, the report if it is time, and a sign of life."""
        for begun in self.alarms.update(self._now):
            self.stack.say("wrong", f"{begun.happened}. {begun.done}")
        if self.reports.due:
            self._refresh()
            self._report()
        self._lives(self._pause() + _GRACE)

    def _pause(self) -> float:
        config = self.stack.config
        every = min(config.metrics.every if config.metrics else config.soak.interval, config.soak.interval)
        return max(every, min(every * 2.0 ** min(self._blind, 10), _RAREST)) if self._blind > 1 else every

    def _report(self) -> None:
        served = self.scene.served if self.scene else None
        shown = self.verdict.decisive[0].text if self.verdict and harmed(self.verdict) else "No harm is shown."
        self.reports.write(served, [shown, *(each.happened for each in self.alarms.present)])

    def _refresh(self) -> None:
        try:
            self._baselines = self.baselines()
            self.renewed(self._baselines)
        except CausewayError as error:
            self.stack.say("baselines", f"baselines cannot be read now: {error.fact}")

    def _lives(self, seconds: float) -> None:
        self._alive_until = self.stack.clock.monotonic() + seconds

    # --- duties ---------------------------------------------------------------------------------------------------

    def _perform(self, scene: Scene) -> None:
        duty = self._duty(scene)
        if self._attempts.duty is not duty:
            self._attempts = _Attempts(duty)
        attempts, clock = self._attempts, self.stack.clock
        if duty is Duty.WATCH:
            return
        if clock.monotonic() < attempts.again_at:
            self._now += [attempts.trouble] if attempts.trouble else []
            return
        self._lives(_DUTY)
        try:
            self._carry_out(duty, scene)
        except (Conflict, _Elsewhere) as error:
            self.stack.say("gave-way", error.fact)
        except RolledBack as error:
            self.did.append(error.fact)
        except Exception as error:
            trouble = wrong.undone(duty, error)
            attempts.failed(clock.monotonic(), trouble)
            self._now.append(trouble)
        else:
            self._attempts = _Attempts(Duty.WATCH)

    def _duty(self, scene: Scene) -> Duty:
        bad = self.verdict is not None and harmed(self.verdict)
        why_not = triggers.disarmed(scene.control, scene.read)
        if self._disarmed and not why_not:
            self.watch.again()  # what was seen while disarmed may be over: it has to be seen again
            bad = False
        self._disarmed = bool(why_not)
        now = self.stack.clock.monotonic()
        self._bad_since = (self._bad_since if self._bad_since is not None else now) if bad and not why_not else None
        overdue = self._bad_since is not None and now - self._bad_since >= TAKES_OVER
        duty = monitor_duty.due(scene, self.us, self.verdict if bad and not why_not else None, overdue=overdue)
        if bad and why_not and self.verdict is not None and not scene.mover(self.us):
            self._now.append(wrong.harm_while_disarmed(self.verdict, why_not))
            self._fire(self.verdict, scene, why_not)
            duty = duty if duty is Duty.RECONCILE else Duty.WATCH
        if not self.soaks:
            duty = {Duty.SOAK: Duty.WATCH, Duty.RESUME: Duty.RECONCILE}.get(duty, duty)
        return duty

    def _carry_out(self, duty: Duty, scene: Scene) -> None:
        match duty:
            case Duty.ROLL_BACK:
                assert self.verdict is not None
                self._roll_back(self.verdict, scene)
            case Duty.RECONCILE:
                with self.take(self.stack) as (journal, _):
                    self.did.append(str(levels.finish(self.stack, journal)["done"]))
            case _:
                assert scene.applied is not None
                self._soak(scene.applied.place, resume=duty is Duty.RESUME)

    def _roll_back(self, verdict: Verdict, scene: Scene) -> None:
        """Traffic first; the stack follows here, or by later rounds where Pulumi fails."""
        request = rollback.Request(
            level=verdict.level or 1,
            why=verdict.decisive[0].text,
            services=verdict.services,
            pace=verdict.pace or Pace.IMMEDIATE,
            triggered=self.stack.clock.monotonic(),
            evidence=verdict.as_dict(),
        )
        with self.take(self.stack, force=scene.mover(self.us) is not None) as (journal, _):
            levels.give_up(journal, self.stack)
            try:
                record = rollback.send_back(self.stack, journal, request)
            except CausewayError as error:
                self._fire(verdict, scene, f"not done: {error.fact}")
                raise
            self.did.append(f"traffic went back from {record.here} to {record.there}: {request.why}")
            self._fire(verdict, scene, f"rollback at level {request.level}, by the monitor")
            updates.clear(self.stack, journal.lease)
            rollback.reconcile(self.stack, journal, record)

    def _fire(self, verdict: Verdict, scene: Scene, done: str) -> None:
        """Record the firing, once for what was done about it."""
        assert scene.served is not None
        position = scene.served.place.position
        if self._fired != (position, done):
            triggers.fired(self.stack, position, verdict, done)
            self._fired = position, done

    def _soak(self, place: Place, *, resume: bool) -> None:
        """What `causeway soak` does, under a lease that gives way to whoever wants to move the stack."""
        with self.take(self.stack, yields=True) as (journal, heartbeat):
            runner = Runner(self.stack, journal, heartbeat, self)
            runner.on_look = lambda here, look, verdict: self._soaking(journal, here, look, verdict)
            try:
                here = runner.resume() if resume else place
                if here is not None:
                    runner.soak_here(here)
            except _Elsewhere as error:
                newest = journals.last(self.stack.store, self.stack.name)
                if newest is not None and not newest.state.ended:
                    journal.advance(newest, State.SUPERSEDED, error.fact)
                raise
            self.did.append(f"{here} was judged")

    def _soaking(self, journal: Journal, place: Place, look: Look, verdict: Verdict) -> None:
        """A look of a soak is a round as well. Raises _Elsewhere once another place is served."""
        self._now, self.verdict = [], verdict
        scene = self._read()
        self._tell(look)
        self._settle()
        served = scene.served if scene else None
        if not self._unread and served is not None and served.place != place:
            raise _Elsewhere(f"the stack went on to {served.place} while {place} was being judged")
        if harmed(verdict):
            journal.lease.commit(yields=False)  # from here on it moves the stack


def blind(look: Look) -> bool:
    """Whether nothing at all could be counted. The first look has nothing to compare with and does not tell."""
    windows = [*look.windows.values(), *look.legacy.values()]
    return look.since is not None and bool(windows) and all(isinstance(each.errors, Missing) for each in windows)
