"""Walking the plan: every step judged, recorded and resumable; what is not shown to be good does not move."""

from __future__ import annotations

from dataclasses import replace

import pytest

from causeway import flags
from causeway.errors import CausewayError, Conflict, Held, MoveRefused, Unreachable
from causeway.model.moves import Direction, Place
from causeway.model.window import Category, Check
from causeway.rollout import control as controls
from causeway.rollout import journal as journals
from causeway.rollout import rollback
from causeway.rollout.desired import flag_set
from causeway.rollout.engine import UpdateFailed
from causeway.rollout.journal import State
from causeway.rollout.runner import RolledBack
from causeway.rollout.store import Write
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World


def test_walks_the_whole_plan_one_update_a_position(here: World) -> None:
    with runner_of(here) as runner:
        place = runner.walk("deprecation")
    assert place.position == "deprecation/retire-legacy"
    assert here.engine.ups == [position.name for position in here.config.plan]
    records = journals.history(here.store, "test")
    assert all(record.state is State.DONE and record.verdict == "ADVANCE" for record in records)
    assert ("Writer", "backfill") in here.application.asked


def test_the_stack_file_changes_in_one_line_and_keeps_its_comment(here: World) -> None:
    before = here.stack.file.read_text()
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    after = here.stack.file.read_text()
    assert after == before.replace("position: infrastructure  #", "position: low/Reader/50  #")


def test_stops_at_the_target_and_goes_on_from_there(here: World) -> None:
    with runner_of(here) as runner:
        assert runner.walk("low").position == "low/Reader/100"
    with runner_of(here) as runner:
        assert runner.walk("high/Writer/50").position == "high/Writer/50"
    assert here.engine.ups.count("low/Reader/100") == 1


def test_a_harmful_package_goes_back_by_itself_and_its_breaker_stays_open(here: World) -> None:
    here.observer.bad["Reader"] = 0.5
    with runner_of(here) as runner, pytest.raises(RolledBack, match="Reader"):
        runner.walk("low")
    assert here.served("Reader") == 0
    assert here.config.hold.entries() == ["Reader", "Saga"], "the closure falls with it"
    assert here.stack.control().override is None, "lifted once the stack stands there as well"
    assert [alert.severity for alert in here.alerts.sent] == ["critical"]
    firings = [each for path, each in here.store.documents.items() if path.startswith("rollback_triggers/test-2")]
    assert firings and firings[0].values["service"] == "Reader"


def test_a_soak_without_baselines_finds_harm(here: World) -> None:
    """Prevents: the runner dies on records that do not answer, while users are on a package that fails."""

    def unreachable() -> dict[str, float]:
        raise Unreachable("performance_baselines cannot be reached")

    with runner_of(here) as runner:
        runner.walk("infrastructure")
    here.stack = replace(here.stack, baselines=unreachable)
    here.observer.bad["Reader"] = 0.5
    with runner_of(here) as runner, pytest.raises(RolledBack, match="Reader"):
        runner.walk("low")
    assert "judging without baselines: performance_baselines cannot be reached" in [each.text for each in here.told]


def test_nothing_moves_forward_while_a_breaker_is_open_and_release_climbs_again(here: World) -> None:
    here.observer.bad["Reader"] = 0.5
    with runner_of(here) as runner, pytest.raises(RolledBack):
        runner.walk("low/Reader/100")
    with runner_of(here) as runner, pytest.raises(MoveRefused, match="breaker"):
        runner.walk("low")
    here.observer.bad.clear()
    here.observer.builds["Reader"] = "2"
    with runner_of(here) as runner:
        place = runner.release("Reader", "fixed in build 2")
    assert not place.hold
    assert here.served("Reader") == 50
    with runner_of(here) as runner:
        assert runner.walk("deprecation").position == "deprecation/retire-legacy"


def test_silence_holds(here: World) -> None:
    """Prevents: a rollout without measurements succeeds."""
    here.observer.requests = 0
    with runner_of(here) as runner, pytest.raises(Held, match="not judged good"):
        runner.walk("low/Reader/50")
    assert here.served("Reader") == 50
    with runner_of(here) as runner, pytest.raises(Held):
        runner.walk("low/Reader/100")
    assert here.engine.ups[-1] == "low/Reader/50", "no step on a HOLD"


def test_what_no_soak_can_mend_is_said_before_it_begins(here: World) -> None:
    """Prevents: five minutes of soak at infrastructure, and only then that baselines are missing."""
    measured: dict[str, float] = {}
    here.stack = replace(here.stack, baselines=lambda: measured)

    def said() -> list[str]:
        kinds = [event.kind for event in here.told]
        assert "lacking" not in kinds[kinds.index("verdict") :], "before the soak, not after it"
        found = [event.text for event in here.told if event.kind == "lacking"]
        here.told.clear()
        return found

    with runner_of(here) as runner, pytest.raises(Held, match="no fresh baseline of Reader"):
        runner.walk("low")
    assert said() == [
        "no fresh baseline of Reader, which the end of the phase needs; `causeway baseline record` measures them while "
        "this soak runs"
    ]
    measured["Reader"] = 0.01
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    assert said() == []
    measured.clear()
    with runner_of(here) as runner, pytest.raises(Held):
        runner.walk("low")
    alone, ahead = said()
    assert alone.startswith("no fresh baseline of Reader: this soak watches for harm and cannot judge it good")
    assert ahead.startswith("no fresh baseline of Writer, Saga, which the end of the phase needs")


def test_a_refused_preview_leaves_the_stack_file_as_it_was(here: World) -> None:
    with runner_of(here) as runner:
        runner.walk("infrastructure")
    before = here.stack.file.read_text()
    here.engine.fail = ["preview"]
    with runner_of(here) as runner, pytest.raises(UpdateFailed):
        runner.walk("low/Reader/50")
    assert here.stack.file.read_text() == before
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.state is State.FAILED
    with runner_of(here) as runner:
        assert runner.walk("low/Reader/50").position == "low/Reader/50"


def test_an_update_that_died_before_it_was_applied_is_given_up_and_taken_again(here: World) -> None:
    with runner_of(here) as runner:
        runner.walk("infrastructure")
        runner.resume()
        journal = runner.journal
        journal.open(journals.Direction.FORWARD, Place("infrastructure"), Place("low/Reader/50"))
    with runner_of(here, "bob@desk:2") as runner:
        assert runner.walk("low/Reader/50").position == "low/Reader/50"
    states = [record.state for record in reversed(journals.history(here.store, "test"))]
    assert states == [State.DONE, State.FAILED, State.DONE]
    assert here.engine.recovered == 1


def test_an_update_that_was_applied_before_the_runner_died_is_gone_on_with(here: World) -> None:
    with runner_of(here) as runner:
        runner.walk("infrastructure")
    here.engine.fail = ["after-up"]
    with runner_of(here) as runner, pytest.raises(UpdateFailed):
        runner.walk("low/Reader/50")
    # The record says FAILED, because the engine did; the stack stands at the new place all the same.
    with runner_of(here) as runner:
        assert runner.walk("low/Reader/100").position == "low/Reader/100"
    assert here.engine.ups.count("low/Reader/50") == 1


def test_a_second_runner_is_told_who_moves_the_stack(here: World) -> None:
    with runner_of(here) as runner:
        runner.walk("infrastructure")
        with pytest.raises(Conflict, match="anna@desk:1 moves this stack"):
            controls.acquire(here.store, "test", "bob@desk:2")


def test_a_silent_holder_is_taken_over_and_its_late_write_is_refused(here: World) -> None:
    stale = controls.acquire(here.store, "test", "anna@desk:1")
    here.time.sleep(controls.LEASE + 1)
    controls.acquire(here.store, "test", "bob@desk:2")
    with pytest.raises(Conflict, match="bob@desk:2 has taken this stack over"):
        stale.commit(override="late")
    assert here.stack.control().override is None


def test_clocks_of_operators_do_not_break_the_lease(here: World) -> None:
    """Prevents: an operator whose clock is ten minutes ahead takes a living lease over."""
    controls.acquire(here.store, "test", "anna@desk:1")
    # Ages are the store's own: only its time counts, and it has not moved.
    with pytest.raises(Conflict):
        controls.acquire(here.store, "test", "bob@desk:2")


def test_a_heartbeat_in_between_does_not_cost_a_write(here: World) -> None:
    lease = controls.acquire(here.store, "test", "anna@desk:1")
    beats = iter([True, False, False])

    def beat(writes: object) -> None:
        if next(beats, False):
            hook, here.store.before_commit = here.store.before_commit, lambda _: None
            controls.change(here.store, "test", renewed_at=None)
            here.store.before_commit = hook

    here.store.before_commit = beat
    lease.commit(maintenance="yes")
    assert here.stack.control().maintenance == "yes"


def test_triggers_that_are_disarmed_hold_instead_of_rolling_back(here: World) -> None:
    from causeway.rollout import triggers

    triggers.disarm(here.stack, "we know", 10)
    here.observer.bad["Reader"] = 0.5
    with runner_of(here) as runner, pytest.raises(Held, match="disarmed by"):
        runner.walk("low/Reader/50")
    assert here.served("Reader") == 50
    here.time.sleep(601)
    with runner_of(here) as runner, pytest.raises(RolledBack):
        runner.walk("low/Reader/50")


def test_a_runner_that_dies_between_verdict_and_way_back_leaves_the_verdict_to_the_next(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: what failed just once, as a data integrity check may, is forgotten with the process that saw it."""
    here.observer.bad["Reader"] = 0.5

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(rollback, "send_back", dies)
        with pytest.raises(KeyboardInterrupt), runner_of(here) as runner:
            runner.walk("low/Reader/50")
    assert here.served("Reader") == 50
    here.observer.bad.clear()
    with runner_of(here) as runner, pytest.raises(RolledBack, match="Reader"):
        runner.walk("low/Reader/50")
    assert here.served("Reader") == 0
    assert [record.state for record in journals.history(here.store, "test", 2)] == [State.DONE, State.DONE]


@pytest.mark.parametrize("legible", [True, False])
def test_a_flag_set_that_somebody_has_edited_stops_the_next_step(here: World, legible: bool) -> None:
    """Prevents: weights that an operator has set by hand are overwritten, and nobody is told."""
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    document = here.store.documents["flags/test"]
    by_hand = flags.build(flag_set(here.config, Place("low/Reader/100")))
    changed = by_hand if legible else document.values["definition"].replace("50", "40")
    here.store.commit([Write("flags/test", {**document.values, "definition": changed}, document.updated)])
    with runner_of(here) as runner, pytest.raises(CausewayError, match="not what the stack has applied"):
        runner.walk("low")
    assert here.store.documents["flags/test"].values["definition"] == changed


def test_what_a_failed_update_has_written_is_no_edit_by_hand(here: World) -> None:
    """Prevents: a provider dies behind its write, and every later step is refused for what nobody has edited."""
    with runner_of(here) as runner:
        runner.walk("infrastructure")
        record = runner.journal.open(Direction.FORWARD, Place("infrastructure"), Place("low/Reader/50"))
        runner.journal.advance(record, State.FAILED, "the provider died")
    document = here.store.documents["flags/test"]
    written = flags.build(flag_set(here.config, Place("low/Reader/50")))
    here.store.commit([Write("flags/test", {**document.values, "definition": written}, document.updated)])
    with runner_of(here) as runner:
        assert runner.walk("low/Reader/50").position == "low/Reader/50"


def test_a_phase_does_not_end_on_drift(here: World) -> None:
    here.engine.drifted = 1
    with runner_of(here) as runner, pytest.raises(Held, match="drifted"):
        runner.walk("low")


def test_a_new_build_in_mid_soak_starts_the_soak_again(here: World) -> None:
    with runner_of(here) as runner:
        runner.walk("infrastructure")
    builds = iter(["1", "1", "2"])
    look = here.observer.look

    def changing(weights):  # type: ignore[no-untyped-def]
        here.observer.builds["Reader"] = next(builds, "2")
        return look(weights)

    here.observer.look = changing  # type: ignore[method-assign]
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.facts["began_again"] == 1


def test_without_users_on_a_package_a_failing_check_holds(here: World) -> None:
    """Prevents: with the application down, infrastructure "rolls back" to infrastructure."""
    here.observer.checks = (Check(Category.FUNCTIONALITY, "front answers", False, None, "connection refused"),)
    with runner_of(here) as runner, pytest.raises(Held, match="connection refused"):
        runner.walk("infrastructure")
