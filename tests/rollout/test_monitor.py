"""The monitor, stepped by hand: it looks whatever happens, acts only where nobody else does, and says what it sees."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from causeway.errors import Conflict, Held, IntegrityError, Unreachable
from causeway.health.baselines import Baseline
from causeway.health.history import History
from causeway.health.reports import Figure, ServiceHealth, report
from causeway.model.moves import Place
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.model.window import Category, Check, Histogram, Tally
from causeway.rollout import control as controls
from causeway.rollout import journal as journals
from causeway.rollout import monitor_conditions as wrong
from causeway.rollout import monitor_duty, triggers
from causeway.rollout.journal import Journal, State
from causeway.rollout.monitor_alarms import Condition
from causeway.rollout.monitor_duty import Duty
from causeway.rollout.monitor_pulse import Pulse
from causeway.rollout.monitor_reports import document
from causeway.rollout.monitor_watch import Watch
from causeway.rollout.notify import Severity
from tests.rollout.fakes import T0, World
from tests.rollout.monitors import US, later, monitor_of, step, taken, walked


def keys(here: World) -> list[str]:
    return [alert.key for alert in here.alerts.sent]


def firings(here: World) -> list[str]:
    stored = here.store.documents.items()
    return [each.values["done"] for _, each in stored if each.values.get("kind") == "firing"]


def up_by_hand(here: World, position: str) -> None:
    """What `pulumi up` by hand leaves: a place applied, and no word of it in the journal."""
    text = here.stack.file.read_text()
    here.stack.file.write_text(text.replace(f"position: {here.config.position} ", f"position: {position} "))
    here.engine.up(None)


# --- harm ------------------------------------------------------------------------------------------------------------


def test_harm_without_a_runner_goes_back_within_two_looks(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    here.observer.bad["Reader"] = 1.0
    step(monitor, 2)
    assert here.served("Reader") == 0
    assert here.config.hold.entries() == ["Reader", "Saga"]
    assert here.stack.control().override is None, "the stack has followed"
    assert here.stack.control().holder == "", "the lease is given back"
    assert firings(here) == ["rollback at level 1, by the monitor"]
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.who == US and newest.state is State.DONE
    assert "critical" in [alert.severity for alert in here.alerts.sent]


def test_harm_with_a_dead_runner_is_taken_over_under_a_fencing_number_of_its_own(here: World) -> None:
    walked(here, "high/Writer/50")
    monitor = monitor_of(here)
    stale = controls.acquire(here.store, "test", "anna@desk:1")
    here.observer.bad["Writer"] = 1.0
    step(monitor, 10)
    assert here.served("Writer") == 50, "the lease has not expired yet"
    here.time.sleep(controls.LEASE + 1)
    step(monitor, 1)
    assert here.served("Writer") == 0
    with pytest.raises(Conflict):
        stale.commit(override="late")
    assert here.stack.control().fence > stale.fence
    assert "holder" in keys(here)


def test_harm_with_a_living_runner_is_told_and_left_to_it(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    runner = controls.acquire(here.store, "test", "anna@desk:1")
    here.observer.bad["Reader"] = 1.0
    for _ in range(20):
        runner.commit()
        step(monitor, 1)
    assert here.served("Reader") == 50
    assert here.stack.control().fence == runner.fence
    assert any("anna@desk:1 holds the lease" in event.text for event in here.told)
    assert "harm-moved" not in keys(here), "it has time to react"
    for _ in range(20):
        runner.commit()
        step(monitor, 1)
    assert "harm-moved" in keys(here)
    assert not firings(here)


def test_a_living_runner_that_does_not_act_is_not_waited_for_without_end(here: World) -> None:
    """Prevents: Pulumi or a hook hangs, the runner's heart beats on, and nobody acts on a package that fails."""
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    runner = controls.acquire(here.store, "test", "anna@desk:1")
    here.observer.bad["Reader"] = 1.0
    with pytest.raises(Conflict):
        for _ in range(70):
            runner.commit()
            step(monitor, 1)
    assert here.served("Reader") == 0
    assert firings(here) == ["rollback at level 1, by the monitor"]


def test_without_baselines_errors_are_judged_all_the_same(here: World) -> None:
    """Prevents: one damaged baseline document, and nobody acts on a package that fails all of its requests."""
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)

    def damaged() -> dict[str, float]:
        raise IntegrityError("performance_baselines/x is no baseline")

    monitor.stack = replace(monitor.stack, baselines=damaged)
    monitor.watch = Watch(monitor.stack)
    here.observer.bad["Reader"] = 1.0
    step(monitor, 5)
    assert here.served("Reader") == 0


def test_a_report_of_many_short_windows_fits_into_a_document(here: World) -> None:
    """Prevents: after a quarter of an hour of short windows no report is written to Firestore any more."""
    names = [f"S{number}" for number in range(400)]
    figure = Figure("error rate", 0.01, 0.01, tuple(number / 4500 for number in range(4500)), None, "ok")
    services = tuple(ServiceHealth(name, 50, "1", (figure,) * 4, (figure,) * 3, figure) for name in names)
    found = report(History(0.4), "test", "low", {}, here.config.guardrails, here.time.now())
    written = document(replace(found, services=services))
    assert len(json.dumps(written, default=str)) < 900_000
    course = written["services"][0]["package"][0]["course"]
    assert course[-1] == figure.course[-1], "the newest point stays"


def test_a_way_back_under_way_is_never_taken_over(here: World) -> None:
    walked(here, "high/Writer/50")
    monitor = monitor_of(here)
    lease = controls.acquire(here.store, "test", "anna@desk:1")
    Journal(lease, here.time.now).open(journals.Direction.BACK, Place("high/Writer/50"), Place("low/Reader/100"))
    here.observer.bad["Writer"] = 1.0
    for _ in range(80):
        lease.commit()
        step(monitor, 1)
    assert not firings(here)


def test_a_new_build_begins_again(here: World) -> None:
    """Prevents: a package that was mended is sent back for what the one before it did."""
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    runner = controls.acquire(here.store, "test", "anna@desk:1")
    here.observer.bad["Reader"] = 1.0
    step(monitor, 5)
    here.observer.bad.clear()
    here.observer.builds["Reader"] = "2"
    step(monitor, 1)
    runner.release()
    step(monitor, 5)
    assert here.served("Reader") == 50


def test_a_baseline_recorded_while_it_watches_is_judged_by(here: World) -> None:
    """Prevents: the response time stays unjudged after a `baseline record`, which the alert asked for."""
    walked(here, "low/Reader/50")
    baselines: dict[str, float] = {}
    here.stack = replace(here.stack, baselines=lambda: dict(baselines))
    monitor = monitor_of(here)
    here.observer.slow = True
    step(monitor, 80)
    assert here.served("Reader") == 50, "nothing to compare with"
    baselines["Reader"] = 0.01
    step(monitor, 80)
    assert here.served("Reader") == 0


def test_a_baseline_that_cannot_be_read_for_a_while_loses_no_evidence(here: World) -> None:
    """Prevents: an outage of Firestore makes the watch forget."""
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    step(monitor, 30)

    def unreachable() -> dict[str, float]:
        raise Unreachable("Firestore does not answer")

    looks = monitor.watch._soak.looks if monitor.watch._soak else 0
    monitor.watch.stack = replace(monitor.watch.stack, baselines=unreachable)
    step(monitor, 60)
    assert monitor.watch._soak is not None and monitor.watch._soak.looks == looks + 60


def test_disarmed_triggers_hold_and_evidence_is_gathered_anew_once_they_are_armed(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    triggers.disarm(here.stack, "we know", 10)
    here.observer.bad["Reader"] = 1.0
    step(monitor, 5)
    assert here.served("Reader") == 50
    assert len(firings(here)) == 1 and firings(here)[0].startswith("disarmed by")
    assert "harm-disarmed" in keys(here)
    here.observer.bad.clear()
    here.time.sleep(600)
    step(monitor, 5)
    assert here.served("Reader") == 50, "what is over when they are armed again rolls nothing back"
    here.observer.bad["Reader"] = 1.0
    step(monitor, 3)
    assert here.served("Reader") == 0


def test_watches_at_full_traffic_until_deprecation_and_then_only_tells(here: World) -> None:
    walked(here, "high/Saga/100")
    monitor = monitor_of(here)
    step(monitor, 50)
    here.observer.bad["Writer"] = 1.0
    step(monitor, 3)
    assert here.served("Writer") == 0


def test_harm_after_legacy_has_retired_has_nowhere_to_go(here: World) -> None:
    walked(here, "deprecation")
    monitor = monitor_of(here)
    here.observer.bad["Writer"] = 1.0
    step(monitor, 5)
    assert here.served("Writer") == 100
    assert keys(here) == ["harm-retired"]


def test_failed_data_integrity_takes_everything_back(here: World) -> None:
    walked(here, "high/Writer/50")
    monitor = monitor_of(here)
    here.observer.checks = (Check(Category.DATA_INTEGRITY, "parity", False, "Writer", "3 differ"),)
    step(monitor, 2)
    assert {here.served(name) for name in here.config.matrix.services} == {0}
    assert here.config.position == "infrastructure"


def test_a_package_that_fails_on_after_its_rollback_is_left_alone(here: World) -> None:
    """Prevents: a rollback, a journal record and an alert at every look, for a probe of a package nobody is on."""
    walked(here, "high/Writer/50")
    monitor = monitor_of(here)
    here.observer.checks = (Check(Category.FUNCTIONALITY, "probe@package", False, "Writer", "answered 500"),)
    step(monitor, 20)
    assert (here.served("Writer"), here.served("Reader")) == (0, 100)
    assert len([did for did in monitor.did if did.startswith("traffic went back")]) == 1
    records = len(journals.history(here.store, "test"))
    step(monitor, 20)
    assert len(journals.history(here.store, "test")) == records


def test_a_rollback_that_would_move_nobody_is_no_duty(here: World) -> None:
    """Prevents: rolling back for ever where a verdict names a service whose breaker is open already."""
    walked(here, "high/Writer/50")
    scene = monitor_duty.read(here.stack)
    reason = Reason(Decision.ROLL_BACK, Cause.FAILED, "functionality", "failed", "Saga", level=1)
    assert monitor_duty.due(scene, US, Verdict.of([reason])) is Duty.WATCH
    assert monitor_duty.due(scene, US, Verdict.of([replace(reason, service="Writer")])) is Duty.ROLL_BACK
    assert monitor_duty.due(scene, US, Verdict.of([replace(reason, service=None, level=2)])) is Duty.ROLL_BACK


def test_traffic_moves_though_pulumi_fails_and_the_stack_follows_later(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    here.observer.bad["Reader"] = 1.0
    here.engine.fail = ["preview", "preview", "preview"]
    step(monitor, 2)
    assert here.served("Reader") == 0
    assert here.stack.control().override is not None
    ups = len(here.engine.ups)
    step(monitor, 40)
    assert here.stack.control().override is None
    assert len(here.engine.ups) == ups + 1
    assert not here.engine.fail
    assert "undone-reconcile" in keys(here) and "undone-reconcile-over" in keys(here)


def test_legacy_that_is_down_holds_the_traffic_and_is_asked_again(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    here.observer.bad["Reader"] = 1.0
    here.application.legacy_down["Reader"] = "503"
    step(monitor, 20)
    assert here.served("Reader") == 50
    assert len(firings(here)) == 1, "one firing, however often it is tried"
    here.application.legacy_down.clear()
    step(monitor, 30)
    assert here.served("Reader") == 0


def test_a_restore_that_died_is_left_to_a_person(here: World) -> None:
    """Prevents: traffic is opened on data that is half restored."""
    from causeway.rollout import rollback

    walked(here, "low/Reader/50")
    lease = controls.acquire(here.store, "test", "eve@desk:9")
    rollback.send_back(here.stack, Journal(lease, here.time.now), rollback.Request(4, "lost data"))
    lease.commit(maintenance="level 4: data is being restored")
    here.time.sleep(controls.LEASE + 1)
    ups = len(here.engine.ups)
    monitor = monitor_of(here)
    later(monitor, 90)
    assert here.stack.control().override is not None
    assert len(here.engine.ups) == ups
    assert "frozen" in keys(here)


# --- outages ---------------------------------------------------------------------------------------------------------


def test_metrics_that_are_gone_hold_everything_and_looks_become_rarer_until_they_are_back(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    monitor.observer.gone = True  # type: ignore[attr-defined]
    pauses = []
    while here.time.seconds < 300:
        pauses.append(monitor.round())
        here.time.sleep(pauses[-1])
    assert max(pauses) == 30 and pauses == sorted(pauses)
    assert here.served("Reader") == 50
    assert keys(here) == ["metrics"], "told once, after a while"
    assert monitor.verdict is not None and monitor.verdict.decision == "HOLD"
    monitor.observer.gone = False  # type: ignore[attr-defined]
    step(monitor, 1)
    assert monitor.round() == 1
    assert keys(here) == ["metrics", "metrics-over"]
    here.observer.bad["Reader"] = 1.0
    step(monitor, 2)
    assert here.served("Reader") == 0


def test_a_service_whose_metrics_alone_are_gone_is_told(here: World) -> None:
    """Prevents: a service at full traffic is unwatched for ever, and nobody hears of it because others are counted."""
    walked(here, "high/Writer/50")
    monitor = monitor_of(here)
    monitor.observer.unread = "Reader"  # type: ignore[attr-defined]
    step(monitor, 120)
    assert keys(here) == ["missing-Reader"], "once, and not of Writer"
    told = here.alerts.sent[0]
    assert told.severity is Severity.CRITICAL and "http://app/metrics did not answer" in told.happened
    monitor.observer.gone = True  # type: ignore[attr-defined]
    later(monitor, 120)
    assert keys(here) == ["missing-Reader", "metrics"], "of all at once in one message"
    monitor.observer.gone = False  # type: ignore[attr-defined]
    monitor.observer.unread = ""  # type: ignore[attr-defined]
    step(monitor, 2)
    assert sorted(keys(here)[2:]) == ["metrics-over", "missing-Reader-over"]


def test_a_short_outage_is_nobodys_concern(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    monitor.observer.gone = True  # type: ignore[attr-defined]
    step(monitor, 3)
    monitor.observer.gone = False  # type: ignore[attr-defined]
    step(monitor, 3)
    assert keys(here) == []


def test_firestore_that_is_gone_stops_nothing_but_the_moves(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    here.store.down = True
    here.observer.bad["Reader"] = 1.0
    later(monitor, 400)
    assert "records" in keys(here)
    assert list((here.stack.work / "out").glob("*.md")), "the report still goes to its folder"
    here.store.down = False
    step(monitor, 1)
    assert here.served("Reader") == 0


def test_a_round_that_breaks_is_told_and_the_next_one_comes(here: World) -> None:
    """Prevents: the watcher dies of a defect while users are exposed."""
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    observer, monitor.observer = monitor.observer, None  # type: ignore[assignment]
    step(monitor, 2)
    assert keys(here) == ["round-AttributeError"]
    monitor.observer = observer
    here.observer.bad["Reader"] = 1.0
    step(monitor, 2)
    assert here.served("Reader") == 0


# --- soaks of what came by hand --------------------------------------------------------------------------------------


def test_a_place_that_was_applied_by_hand_is_performed_and_judged(here: World) -> None:
    walked(here, "low/Reader/100")
    up_by_hand(here, "high/Writer/dual-write")
    step(monitor_of(here), 1)
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.there == Place("high/Writer/dual-write")
    assert (newest.state, newest.verdict, newest.who) == (State.DONE, "ADVANCE", US)
    assert ("Writer", "dual-write") in here.application.asked
    assert here.stack.control().holder == ""
    with_fence = here.stack.control().fence
    step(monitor_of(here), 5)
    assert here.stack.control().fence == with_fence, "a judged place is left alone"


def test_harm_in_a_soak_by_hand_goes_back(here: World) -> None:
    walked(here, "infrastructure")
    up_by_hand(here, "low/Reader/50")
    here.observer.bad["Reader"] = 1.0
    step(monitor_of(here), 1)
    assert here.served("Reader") == 0
    assert not here.stack.control().yields, "whoever sends traffic back does not give way"


def test_a_soak_by_hand_without_evidence_is_gone_on_with_in_one_record(here: World) -> None:
    walked(here, "infrastructure")
    up_by_hand(here, "low/Reader/50")
    here.observer.requests = 0
    monitor = monitor_of(here)
    here.time.sleep(60)
    here.observer.requests = 400
    step(monitor, 20)
    records = journals.history(here.store, "test")
    assert [(str(each.there), each.verdict) for each in records] == [
        ("low/Reader/50", "ADVANCE"),
        ("infrastructure", "ADVANCE"),
    ]


def test_a_runner_takes_over_from_a_soak_without_waiting(here: World) -> None:
    walked(here, "infrastructure")
    up_by_hand(here, "low/Reader/50")
    look, runners = here.observer.look, []

    def look_while_anna_comes(weights):  # type: ignore[no-untyped-def]
        if here.observer.looks >= 3 and not runners:  # its soak has begun
            runners.append(controls.acquire(here.store, "test", "anna@desk:1"))
        return look(weights)

    here.observer.look = look_while_anna_comes  # type: ignore[method-assign]
    here.observer.looks = 0
    step(monitor_of(here), 1)
    assert runners and here.stack.control().fence == runners[0].fence
    assert here.stack.control().holder == "anna@desk:1"


def test_a_soak_ends_where_the_stack_goes_on_by_hand(here: World) -> None:
    walked(here, "infrastructure")
    up_by_hand(here, "low/Reader/50")
    look, updates = here.observer.look, ["low/Reader/100"]

    def look_while_somebody_updates(weights):  # type: ignore[no-untyped-def]
        if here.observer.looks >= 3 and updates:  # its soak has begun
            updates.clear()
            up_by_hand(here, "low/Reader/100")
        return look(weights)

    here.observer.look = look_while_somebody_updates  # type: ignore[method-assign]
    here.observer.looks = 0
    step(monitor_of(here), 3)
    records = journals.history(here.store, "test")
    assert [(str(each.there), each.state) for each in records[:2]] == [
        ("low/Reader/100", State.DONE),
        ("low/Reader/50", State.SUPERSEDED),
    ]


def test_what_a_runner_held_is_left_to_a_person(here: World) -> None:
    """Prevents: the monitor holds the lease whenever somebody wants to try again."""
    here.observer.requests = 0
    with pytest.raises(Held, match="judged"):
        walked(here, "low/Reader/50")
    controls.change(here.store, "test", holder="")
    fence = here.stack.control().fence
    step(monitor_of(here), 5)
    assert here.stack.control().fence == fence


def test_a_dead_runners_soak_is_gone_on_with(here: World) -> None:
    walked(here, "infrastructure")
    here.stack.file.write_text(
        here.stack.file.read_text().replace("position: infrastructure ", "position: low/Reader/50 ")
    )
    lease = controls.acquire(here.store, "test", "anna@desk:1")
    journal = Journal(lease, here.time.now)
    record = journal.open(journals.Direction.FORWARD, Place("infrastructure"), Place("low/Reader/50"))
    here.engine.up(None)
    journal.advance(record, State.APPLIED)
    monitor = monitor_of(here)
    step(monitor, 5)
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.state is State.APPLIED, "its lease still counts"
    here.time.sleep(controls.LEASE + 1)
    step(monitor, 1)
    newest = journals.last(here.store, "test")
    assert newest is not None and (newest.state, newest.verdict) == (State.DONE, "ADVANCE")


# --- the watchdog ----------------------------------------------------------------------------------------------------


def test_once_finds_nothing_to_do_and_reports(here: World) -> None:
    walked(here, "low/Reader/50")
    began = here.time.seconds
    facts = monitor_of(here).once()
    assert facts["did"] == [] and facts["wrong"] == []
    assert here.time.seconds - began <= 26
    assert any(path.startswith("migration_checkpoints/test-health-") for path in here.store.documents)


def test_once_rolls_back_where_harm_is_shown(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    here.observer.bad["Reader"] = 1.0
    facts = monitor.once()
    assert here.served("Reader") == 0
    assert facts["did"][0].startswith("traffic went back from low/Reader/50")


def test_once_finishes_what_a_dead_operator_has_left(here: World) -> None:
    from causeway.rollout import rollback

    walked(here, "low/Reader/50")
    lease = controls.acquire(here.store, "test", "eve@desk:9")
    rollback.send_back(here.stack, Journal(lease, here.time.now), rollback.Request(1, "errors", ("Reader",)))
    monitor = monitor_of(here)
    assert monitor.once()["did"] == []
    assert here.stack.control().override is not None, "somebody alive is at it"
    here.time.sleep(controls.LEASE + 1)
    assert monitor.once()["did"] == ["the stack stands at low/Reader/50 (hold Reader,Saga)"]
    assert here.stack.control().override is None


def test_once_leaves_the_looking_to_a_monitor_that_lives(here: World) -> None:
    walked(here, "low/Reader/50")
    controls.change(here.store, "test", renewed_at=controls.NOW)
    began = here.time.seconds
    monitor_of(here).once()
    assert here.time.seconds == began


# --- heartbeat, health, reports --------------------------------------------------------------------------------------


def test_the_pulse_is_renewed_while_somebody_looks_and_no_longer(here: World) -> None:
    """Prevents: users are exposed on the word of a process that hangs."""
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    pulse = Pulse(here.stack, monitor.alive)
    assert pulse.beat()
    assert not pulse.beat(), "somebody has just renewed it"
    here.time.sleep(3)
    assert pulse.beat()
    here.time.sleep(120)
    assert not monitor.alive() and not monitor.health()[0]
    assert not pulse.beat()
    monitor.round()
    assert pulse.beat()


def test_a_baseline_that_is_stale_is_told(here: World) -> None:
    walked(here, "low/Reader/50")
    old = Baseline("Reader", T0, T0, 3600, Tally(0, 1000), Histogram((0.1, float("inf")), (1000, 0)))
    monitor = monitor_of(here)
    here.time.sleep(here.config.baseline.max_age + 1)
    monitor.baselines = lambda: {"Reader": old}
    step(monitor, 2)  # the first one reports, and reads baselines anew
    assert "baseline-Reader" in keys(here)


def test_a_stale_baseline_is_not_told_twice(here: World) -> None:
    """Prevents: for each stale baseline a second alert, that the response time is missing."""
    missing = Reason(Decision.HOLD, Cause.MISSING, "response_time", "no baseline", "Reader")
    stale = Condition("baseline-Reader", Severity.WARNING, "old", "", "")
    assert not list(wrong.missing(Verdict.of([missing]), [stale]))
    assert [each.key for each in wrong.missing(Verdict.of([missing]), [])] == ["missing-Reader"]


def test_a_failure_or_two_at_the_begin_of_a_block_are_nobodys_concern(here: World) -> None:
    """Prevents: half of all healthy soaks send a mail, and another one that it is over."""
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    here.observer.bad["Reader"] = 0.03
    step(monitor, 1)
    here.observer.bad.clear()
    step(monitor, 20)
    assert keys(here) == []


def test_a_warning_is_told_and_moves_nothing(here: World) -> None:
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    here.observer.bad["Reader"] = 0.045
    step(monitor, 5)
    assert here.served("Reader") == 50
    warned = [alert for alert in here.alerts.sent if alert.severity is Severity.WARNING]
    assert [alert.key for alert in warned] == ["warning-Reader-error_rate"]
    assert "Reader" in warned[0].happened


def test_a_report_every_five_minutes_with_the_baseline_beside_each_figure(here: World) -> None:
    walked(here, "low/Reader/50")
    measured = Baseline("Reader", T0, T0, 3600, Tally(4, 4000), Histogram((0.01, 0.02, float("inf")), (4000, 0, 0)))
    monitor = monitor_of(here)
    monitor.baselines = lambda: {"Reader": measured}
    monitor._refresh()
    here.observer.bad["Reader"] = 0.01
    later(monitor, 600)
    written = sorted((here.stack.work / "out").glob("*.md"))
    assert len(written) == 2
    golden = Path(__file__).parent / "golden" / "health.md"
    assert written[0].read_text() == golden.read_text()
    facts = json.loads(written[0].with_suffix(".json").read_text())
    assert facts["services"][0]["package"][0]["baseline"] == 0.001
    stored = [each.values for path, each in here.store.documents.items() if "test-health-" in path]
    assert len(stored) == 2
    assert (stored[0]["expires_at"] - stored[0]["at"]).days == 7
    assert "seq" not in stored[0], "no record of the journal"
    assert journals.last(here.store, "test") is not None


def test_a_fresh_stack_is_watched_in_peace(here: World) -> None:
    monitor = monitor_of(here)
    later(monitor, 400)
    assert here.store.documents.keys() == {path for path in here.store.documents if "-health-" in path}
    assert keys(here) == []


def test_the_lease_of_a_round_that_was_interrupted_is_given_back(here: World) -> None:
    """SIGTERM comes as an exception wherever the monitor is; here, in the middle of Pulumi."""
    walked(here, "low/Reader/50")
    monitor = monitor_of(here)
    here.observer.bad["Reader"] = 1.0

    def interrupted() -> None:
        raise KeyboardInterrupt

    here.engine.recover = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        step(monitor, 2)
    assert here.served("Reader") == 0
    assert here.stack.control().holder == ""


def test_a_lease_that_yields_is_not_taken_from_a_living_mover(here: World) -> None:
    controls.acquire(here.store, "test", "anna@desk:1")
    with pytest.raises(Conflict), taken(replace(here.stack), yields=True):
        raise AssertionError("not reached")
