"""What decides about a move here and now: control, journal, calendar, certificate, accepted positions."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from causeway import flags
from causeway.config.records import AcceptedPosition, Freeze
from causeway.errors import ConfigError, Held, MoveRefused, Unreachable
from causeway.model.hold import Hold
from causeway.model.matrix import L_P, P_L, P_P, Evidence, Interaction, Kind, Scope, Status
from causeway.model.moves import Direction, Place, Standing
from causeway.model.plan import build
from causeway.model.verdict import Verdict
from causeway.rollout import control as controls
from causeway.rollout import journal as journals
from causeway.rollout.desired import flag_set, standing
from causeway.rollout.gate import Gate
from causeway.rollout.journal import Journal, State
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import T0, World

LOW = Place("low/Reader/50")


def at(here: World, place: Place) -> Standing:
    return Standing(place, here.config.plan.at(place.position, place.hold).weights)


def journal(here: World) -> Journal:
    return Journal(controls.acquire(here.store, "test", "anna@desk:1", force=True), here.time.now)


def judged(here: World, place: Place, decision: str = "ADVANCE", state: State = State.DONE) -> None:
    """The journal's record that a place was reached and judged."""
    book = journal(here)
    record = book.open(Direction.FORWARD, None, place)
    record = book.advance(record, State.APPLIED)
    book.advance(record, state, verdict={**Verdict.of(()).as_dict(), "decision": decision})


def gate(here: World, **changes: object) -> Gate:
    return Gate(replace(here.stack.config, **changes), lambda: here.store, here.time.now)  # type: ignore[arg-type]


def test_a_judged_place_may_be_left_by_one_step(here: World) -> None:
    judged(here, LOW)
    assert gate(here).judge(at(here, LOW), Place("low/Reader/100")).direction is Direction.FORWARD


@pytest.mark.parametrize(
    ("decision", "state", "said"),
    [
        ("HOLD", State.DONE, "the verdict was HOLD"),
        ("ROLL_BACK", State.DONE, "the verdict was ROLL_BACK"),
        ("ADVANCE", State.JUDGED, "its record 1 is at `verdict`"),
        ("ADVANCE", State.FAILED, "its record 1 is at `failed`"),
    ],
)
def test_anything_less_than_a_good_verdict_holds(here: World, decision: str, state: State, said: str) -> None:
    judged(here, LOW, decision, state)
    with pytest.raises(MoveRefused, match=said):
        gate(here).judge(at(here, LOW), Place("low/Reader/100"))


def test_a_place_that_was_applied_but_never_judged_holds(here: World) -> None:
    book = journal(here)
    book.advance(book.advance(book.open(Direction.BACK, None, LOW), State.APPLIED), State.DONE)
    with pytest.raises(MoveRefused, match="the verdict was never given"):
        gate(here).judge(at(here, LOW), Place("low/Reader/100"))


def test_the_verdict_of_another_place_counts_for_nothing(here: World) -> None:
    """A verdict given with a hold says nothing about the position without it, nor about another position."""
    judged(here, Place("low/Reader/50", Hold({"Saga": 0})))
    with pytest.raises(MoveRefused, match="the journal has no record of it"):
        gate(here).judge(at(here, LOW), Place("low/Reader/100"))


def test_a_move_that_failed_since_does_not_take_the_verdict_away(here: World) -> None:
    judged(here, LOW)
    book = journal(here)
    book.advance(book.open(Direction.FORWARD, LOW, Place("low/Reader/100")), State.FAILED)
    assert gate(here).judge(at(here, LOW), Place("low/Reader/100"))


def test_an_unreadable_journal_refuses_forward_and_allows_back(here: World) -> None:
    judged(here, LOW)
    here.store.down = True
    with pytest.raises(MoveRefused, match="cannot be known: Firestore does not answer"):
        gate(here).judge(at(here, LOW), Place("low/Reader/100"))
    assert gate(here).judge(at(here, LOW), Place("infrastructure"), "errors").direction is Direction.BACK
    assert gate(here).judge(at(here, LOW), Place(LOW.position, Hold({"Reader": 0}))).direction is Direction.HOLD


def test_a_store_that_cannot_even_be_opened_is_unreadable(here: World) -> None:
    def nothing() -> controls.Store:
        raise Unreachable("no credentials for Firestore")

    found = Gate(here.stack.config, nothing, here.time.now)
    with pytest.raises(MoveRefused, match="no credentials"):
        found.judge(at(here, LOW), Place("low/Reader/100"))
    assert found.judge(None, Place("infrastructure")).direction is Direction.CREATE, "a fresh stack needs none"


def test_an_override_holds_every_step_forward(here: World) -> None:
    judged(here, LOW)
    controls.change(here.store, "test", override="{}", override_why="level 1: errors")
    with pytest.raises(MoveRefused, match="an override stands: level 1: errors"):
        gate(here).judge(at(here, LOW), Place("low/Reader/100"))


def test_a_freeze_holds_from_its_first_to_its_last_moment(here: World) -> None:
    judged(here, LOW)
    window = Freeze(T0 + datetime.timedelta(hours=1), T0 + datetime.timedelta(hours=2), "audit")
    found = gate(here, freeze=(window,))
    held = []
    for seconds in (3599, 1, 3599, 1):
        here.time.sleep(seconds)
        held.append(found.frozen())
    assert held == [None, "audit (until 2026-01-01 02:00 UTC)", "audit (until 2026-01-01 02:00 UTC)", None]
    here.time.seconds = 3600
    with pytest.raises(MoveRefused, match="audit"):
        found.judge(at(here, LOW), Place("low/Reader/100"))
    assert found.judge(at(here, LOW), Place("infrastructure"), "errors")


def test_an_accepted_position_needs_no_verdict_until_it_expires(here: World) -> None:
    """Prevents: an expired acceptance of a position hides the one that replaced it."""
    day = datetime.timedelta(days=1)
    old = AcceptedPosition(LOW.position, "old", T0.date() - day)
    new = AcceptedPosition(LOW.position, "new", T0.date())
    assert gate(here, accepted_positions=(old, new)).judge(at(here, LOW), Place("low/Reader/100"))
    here.time.sleep(day.total_seconds())
    with pytest.raises(MoveRefused, match="has not been judged good"):
        gate(here, accepted_positions=(old, new)).judge(at(here, LOW), Place("low/Reader/100"))


def test_accepting_a_position_does_not_skip_its_actions(here: World) -> None:
    """Prevents: reads move to a side that was never filled, because somebody accepted the missing verdict."""
    place, following = Place("high/Writer/backfill"), Place("high/Writer/verify-parity")
    found = gate(here, accepted_positions=(AcceptedPosition(place.position, "why", T0.date()),))
    with pytest.raises(MoveRefused, match="its actions are not done"):
        found.judge(at(here, place), following)
    book = journal(here)
    record = book.advance(book.open(Direction.FORWARD, None, place), State.APPLIED)
    with pytest.raises(MoveRefused, match="its actions are not done"):
        found.judge(at(here, place), following)
    book.advance(record, State.ACTED)
    assert found.judge(at(here, place), following)


def test_a_walk_goes_on_from_an_accepted_position(here: World) -> None:
    """Prevents: a position that was accepted by name is soaked, and held, again and again."""
    here.observer.requests = 0
    with runner_of(here) as runner, pytest.raises(Held):
        runner.walk(LOW.position)
    text = here.stack.file.read_text()
    accept = f"  causeway:accept: [{{position: {LOW.position}, reason: quiet, expires: 2026-02-01}}]\n"
    here.stack.file.write_text(text.replace("  causeway:seed:", accept + "  causeway:seed:"))
    here.observer.requests = 400
    here.engine.ups.clear()
    here.stack = replace(here.stack, config=here.config)
    with runner_of(here) as runner:
        runner.walk("low/Reader/100")
    assert here.engine.ups == ["low/Reader/100"]
    records = journals.history(here.store, "test")
    assert [str(record.there) for record in records[:2]] == ["low/Reader/100", "low/Reader/50"], "no second soak of 50"


def with_evidence(here: World, interaction: Interaction, **more: object) -> dict[str, object]:
    """The config's changes for another interaction."""
    matrix = replace(here.stack.config.matrix, interactions=(interaction,), **more)  # type: ignore[arg-type]
    return {"matrix": matrix, "plan": build(matrix)}


def test_missing_evidence_blocks_the_steps_that_expose_it_and_no_other(here: World) -> None:
    good = Evidence(Status.VERIFIED, "tests")
    changes = with_evidence(here, Interaction("Saga", "Reader", evidence={L_P: good, P_L: good}))
    found = gate(here, **changes)
    judged(here, LOW)
    assert found.judge(at(here, LOW), Place("low/Reader/100"))
    judged(here, Place("high/Saga/epoch"))
    with pytest.raises(MoveRefused, match="Saga@package -> Reader@package"):
        found.judge(at(here, Place("high/Saga/epoch")), Place("high/Saga/50"))
    assert found.judge(at(here, Place("high/Saga/50")), Place("infrastructure"), "errors"), "never a way back"


def test_a_point_of_no_return_is_known_by_the_furthest_place_of_the_journal(here: World) -> None:
    """Saga's legacy cannot read what Writer's package has written: once Writer moved, Saga does not go back.

    Also after a step back behind Writer's first rung: what was written stays written, until data is restored.
    """
    good = Evidence(Status.VERIFIED, "tests")
    state = Interaction("Saga", "Writer", Kind.STATE, scope=Scope.SHARED, evidence={P_L: good, P_P: good})
    changes = with_evidence(here, state, acknowledged=frozenset({"Saga"}))
    found = gate(here, **changes)
    config = found.config
    first = next(each for each in config.plan if each.changes.get("Writer"))
    before = config.plan.positions[first.index - 1]

    def standing(name: str) -> Standing:
        return Standing(Place(name), config.plan.at(name).weights)

    with pytest.raises(MoveRefused, match="point of no return of Saga"):
        found.judge(standing(first.name), Place("infrastructure"), "errors")
    assert found.judge(standing(before.name), Place("infrastructure"), "errors"), "not crossed yet"
    judged(here, Place(first.name))
    with pytest.raises(MoveRefused, match="point of no return of Saga"):
        found.judge(standing(before.name), Place("infrastructure"), "errors")
    book = journal(here)
    record = book.open(Direction.BACK, Place(first.name), Place("infrastructure"))
    record = book.advance(record, State.INTENT, restored="2026-01-01T00:00:00Z")
    assert found.judge(standing(first.name), Place("infrastructure"), "level 4"), "prevents: level 4 refuses itself"
    book.advance(book.advance(record, State.APPLIED), State.DONE)
    assert found.judge(standing(before.name), Place("infrastructure"), "errors"), "restored: nothing of it is left"
    with pytest.raises(MoveRefused, match="point of no return of Saga"):
        found.judge(standing(first.name), Place("infrastructure"), "errors")  # written anew since the restore ended


SAGA_READS = Interaction(
    "Saga",
    "Writer",
    Kind.STATE,
    scope=Scope.SHARED,
    evidence=dict.fromkeys((P_L, P_P), Evidence(Status.VERIFIED, "tests")),
)


def past_the_point(here: World, *acknowledged: str) -> tuple[Gate, Place]:
    """A gate whose config acknowledges so much, and the place behind the first rung of Writer."""
    found = gate(here, **with_evidence(here, SAGA_READS, acknowledged=frozenset(acknowledged)))
    return found, Place(next(each.name for each in found.config.plan if each.changes.get("Writer")))


def refused(found: Gate, here: Standing) -> bool:
    """Whether every way back and the breaker are refused, all in the words of the point of no return."""
    said = []
    for there in (Place("infrastructure"), Place(here.place.position, Hold({"Saga": 0}))):
        try:
            found.judge(here, there, "errors")
        except MoveRefused as error:
            said.append("point of no return of Saga" in error.fact)
    return said == [True, True]


def test_a_point_that_was_acknowledged_is_one_in_an_older_checkout_as_well(here: World) -> None:
    """Prevents: reverting the commit that acknowledged it, or tidying it away, leads back over it in silence."""
    passed, place = past_the_point(here, "Saga")
    forgotten, _ = past_the_point(here)
    assert refused(forgotten, standing(flags.build(flag_set(passed.config, place)))), "the flag set knows it"
    nowhere_written = standing(flags.build(flag_set(forgotten.config, place)))
    assert not refused(forgotten, nowhere_written), "what nobody has acknowledged blocked the way there, not back"
    book = replace(journal(here), acknowledged=passed.config.matrix.acknowledged)
    book.advance(book.open(Direction.FORWARD, None, place), State.APPLIED)
    assert refused(forgotten, nowhere_written), "the journal knows it"


def test_a_point_is_passed_by_weights_whatever_the_places_are_called_now(here: World) -> None:
    """Prevents: a phase is renamed in the commit that goes back, and nothing has ever been passed."""
    passed, place = past_the_point(here, "Saga")
    stands = standing(flags.build(flag_set(passed.config, place)))
    phases = tuple(replace(each, name=f"{each.name}2") for each in passed.config.matrix.phases)
    renamed = gate(here, **with_evidence(here, SAGA_READS, acknowledged=frozenset(("Saga",)), phases=phases))
    with pytest.raises(MoveRefused, match="point of no return of Saga"):
        renamed.judge(stands, Place("infrastructure"), "errors")
    before = passed.config.plan.positions[passed.config.plan[place.position].index - 1]
    behind = standing(flags.build(flag_set(passed.config, Place(before.name))))
    assert renamed.judge(behind, Place("infrastructure"), "errors"), "not passed yet"
    book = journal(here)
    book.advance(book.open(Direction.FORWARD, None, place, "", {"weights": {"Writer": [0, 50]}}), State.APPLIED)
    with pytest.raises(MoveRefused, match="point of no return of Saga"):
        renamed.judge(behind, Place("infrastructure"), "errors")


def test_an_unknown_position_is_no_move(here: World) -> None:
    with pytest.raises(ConfigError, match="no position low/Reader/60"):
        gate(here).judge(at(here, LOW), Place("low/Reader/60"))


def test_the_flag_set_of_a_place_is_a_standing_the_gate_understands(here: World) -> None:
    from causeway import flags
    from causeway.rollout.desired import standing

    judged(here, LOW)
    applied = standing(flags.build(flag_set(here.config, LOW)))
    assert gate(here).judge(applied, Place("low/Reader/100"))
