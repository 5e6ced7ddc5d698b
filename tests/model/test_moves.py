"""Which moves are legal: every pair of places over small plans, and the words in which the others are refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.errors import CausewayError, Exit, MoveRefused
from causeway.model.hold import NO_HOLD, Hold
from causeway.model.matrix import Matrix, Phase, Service
from causeway.model.moves import Circumstances, Direction, Move, Place, Standing, judge
from causeway.model.plan import INFRASTRUCTURE, LAST, Plan, build
from tests.model.matrix_examples import matrices

GOLDEN = Path(__file__).parent / "golden" / "refusals.txt"
MATRIX = Matrix(
    {"A": Service("A", ladder=(50, 100)), "B": Service("B", "dual_write", (50, 100))},
    (Phase("low", ("A",)), Phase("high", ("B",))),
)
PLAN = build(MATRIX)
GOOD = Circumstances()
WHY = Circumstances(reason="it is slow")
#: Everything that stops a step forward, one at a time.
BRAKES = {
    "unreadable": Circumstances(unreadable="Firestore does not answer"),
    "override": Circumstances(override="level 1: errors"),
    "maintenance": Circumstances(maintenance="level 4: data is being restored"),
    "frozen": Circumstances(frozen="Christmas (until 2026-12-27 00:00 UTC)"),
    "blocked": Circumstances(blocked=("A@package -> B@legacy (call) is not verified", "another")),
    "unjudged": Circumstances(unjudged="the verdict was HOLD"),
}
plans = matrices().map(build)


def standing(plan: Plan, position: str, hold: Hold = NO_HOLD) -> Standing:
    """A stack that has applied what the plan says."""
    state = plan.at(position, hold)
    return Standing(Place(position, hold), state.weights, stages=state.stages, modes=state.modes)


def move(here: str, there: str, now: Circumstances = GOOD, *, held: Hold = NO_HOLD, holding: Hold = NO_HOLD) -> Move:
    return judge(PLAN, standing(PLAN, here, held), Place(there, holding), now)


def legal(plan: Plan, here: Standing, there: Place, now: Circumstances) -> bool:
    try:
        judge(plan, here, there, now)
    except MoveRefused:
        return False
    return True


@settings(max_examples=25)
@given(plans)
def test_forward_is_legal_iff_it_is_the_next_position(plan: Plan) -> None:
    for here in plan:
        for there in plan.positions[here.index + 1 :]:
            allowed = legal(plan, standing(plan, here.name), Place(there.name), GOOD)
            assert allowed == (there.index == here.index + 1), f"{here.name} -> {there.name}"


@settings(max_examples=25)
@given(plans, st.sampled_from(sorted(BRAKES)))
def test_any_one_brake_stops_every_step_forward_and_no_way_back(plan: Plan, brake: str) -> None:
    now = BRAKES[brake]
    for here, there in zip(plan.positions, plan.positions[1:], strict=False):
        assert not legal(plan, standing(plan, here.name), Place(there.name), now)
        assert legal(plan, standing(plan, there.name), Place(here.name), replace(now, reason="back"))


@settings(max_examples=25)
@given(plans)
def test_back_is_always_legal_with_a_reason_and_never_without(plan: Plan) -> None:
    """Except from where legacy is retired: from there only to the position before, where it is brought back."""
    for here in plan:
        for there in plan.positions[: here.index]:
            retired = here.name == LAST and there.index != here.index - 1
            assert legal(plan, standing(plan, here.name), Place(there.name), WHY) != retired
            assert not legal(plan, standing(plan, here.name), Place(there.name), GOOD)


@settings(max_examples=25)
@given(plans)
def test_a_point_of_no_return_stops_every_way_back(plan: Plan) -> None:
    now = replace(WHY, no_return=("A",))
    for here in plan:
        for there in plan.positions[: here.index]:
            assert not legal(plan, standing(plan, here.name), Place(there.name), now)


@settings(max_examples=25)
@given(plans)
def test_a_legal_move_changes_the_weights_that_differ_and_says_so(plan: Plan) -> None:
    for here, there in zip(plan.positions, plan.positions[1:], strict=False):
        found = judge(plan, standing(plan, here.name), Place(there.name), GOOD)
        assert found.direction is Direction.FORWARD
        before = plan.at(here.name).weights
        assert found.changes == {name: (before[name], weight) for name, weight in there.changes.items()}


@settings(max_examples=25)
@given(plans, st.data())
def test_opening_a_breaker_is_legal_at_every_position_whatever_the_brakes(plan: Plan, data: st.DataObject) -> None:
    """Even unreadable control and journal, an override or a freeze: what only lowers weights never waits."""
    name = data.draw(st.sampled_from(sorted(plan.matrix.services)))
    brake = data.draw(st.sampled_from(sorted(BRAKES)))
    for here in plan.positions[:-1]:
        found = judge(plan, standing(plan, here.name), Place(here.name, Hold({name: 0})), BRAKES[brake])
        assert found.direction is Direction.HOLD
        assert all(new < old for old, new in found.changes.values())
    assert not legal(plan, standing(plan, LAST), Place(LAST, Hold({name: 0})), GOOD), "nothing is left to fall back to"


@settings(max_examples=25)
@given(plans, st.data())
def test_nothing_goes_forward_while_a_breaker_is_open(plan: Plan, data: st.DataObject) -> None:
    hold = Hold({data.draw(st.sampled_from(sorted(plan.matrix.services))): data.draw(st.integers(0, 99))})
    for here, there in zip(plan.positions[:-1], plan.positions[1:-1], strict=False):
        for before, after in ((hold, hold), (hold, NO_HOLD), (NO_HOLD, hold)):
            assert not legal(plan, standing(plan, here.name, before), Place(there.name, after), WHY)


@settings(max_examples=25)
@given(plans, st.data())
def test_a_move_back_may_keep_its_hold_and_never_raises_a_weight(plan: Plan, data: st.DataObject) -> None:
    hold = Hold({data.draw(st.sampled_from(sorted(plan.matrix.services))): 0})
    for here in plan.positions[1:-1]:
        for there in plan.positions[: here.index]:
            assert legal(plan, standing(plan, here.name, hold), Place(there.name, hold), WHY)
            rising = any(
                plan.at(there.name).weights[name] > weight for name, weight in plan.at(here.name, hold).weights.items()
            )
            assert legal(plan, standing(plan, here.name, hold), Place(there.name), WHY) != rising


@pytest.mark.parametrize("position", [each.name for each in PLAN if each.name != LAST])
def test_staying_is_legal_and_changes_nothing(position: str) -> None:
    assert move(position, position, BRAKES["unreadable"]) == Move(Direction.STAY, Place(position), Place(position))


def test_a_fresh_stack_begins_with_infrastructure_alone() -> None:
    assert judge(PLAN, None, Place(INFRASTRUCTURE), GOOD).direction is Direction.CREATE
    for position in PLAN.positions[1:]:
        with pytest.raises(MoveRefused, match="is not where a plan starts"):
            judge(PLAN, None, Place(position.name), WHY)


def test_a_release_climbs_one_rung_at_a_time() -> None:
    """A stands at 100 in the plan and at 0 because of its hold: 50 comes next, then 100."""
    rungs = [Hold({"A": 0}), Hold({"A": 50}), NO_HOLD]
    for before, after in itertools.pairwise(rungs):
        assert move("high/B/50", "high/B/50", WHY, held=before, holding=after).direction is Direction.RELEASE
    for cap in (51, 99):
        with pytest.raises(MoveRefused, match="50 % comes next"):
            move("high/B/50", "high/B/50", WHY, held=rungs[0], holding=Hold({"A": cap}))
    with pytest.raises(MoveRefused, match="the ladder starts again"):
        move("high/B/50", "high/B/50", WHY, held=rungs[0], holding=NO_HOLD)


def test_the_first_rung_of_a_release_needs_a_reason_and_the_next_one_a_verdict() -> None:
    first = {"held": Hold({"A": 0}), "holding": Hold({"A": 50})}
    second = {"held": Hold({"A": 50}), "holding": NO_HOLD}
    with pytest.raises(MoveRefused, match="needs a reason"):
        move("low/A/100", "low/A/100", BRAKES["unjudged"], **first)
    assert move("low/A/100", "low/A/100", replace(BRAKES["unjudged"], reason="fixed"), **first)
    with pytest.raises(MoveRefused, match="has not been judged good"):
        move("low/A/100", "low/A/100", replace(BRAKES["unjudged"], reason="fixed"), **second)
    assert move("low/A/100", "low/A/100", GOOD, **second)


def test_a_breaker_that_holds_nobody_yet_is_closed_for_a_reason_as_well() -> None:
    """Prevents: `causeway:hold: []` at weight 0 takes a breaker away without a word of why, and the ladder begins."""
    held = {"held": Hold({"B": 0})}
    with pytest.raises(MoveRefused, match="closing the breaker of B needs a reason"):
        move("low/A/50", "low/A/50", BRAKES["frozen"], **held)
    assert (
        move("low/A/50", "low/A/50", replace(BRAKES["frozen"], reason="fixed"), **held).direction is Direction.RELEASE
    )
    with pytest.raises(MoveRefused, match="closing the breaker of B needs a reason"):
        move("low/A/50", "low/A/50", **held, holding=Hold({"A": 0}))
    swapped = move("low/A/50", "low/A/50", WHY, **held, holding=Hold({"A": 0}))
    assert swapped.direction is Direction.HOLD


@pytest.mark.parametrize("brake", sorted(set(BRAKES) - {"unjudged"}))
def test_brakes_stop_a_release_as_they_stop_a_step(brake: str) -> None:
    with pytest.raises(MoveRefused):
        move("low/A/50", "low/A/50", replace(BRAKES[brake], reason="fixed"), held=Hold({"A": 0}))


# --- a plan that was edited since ---------------------------------------------------------------------------------


def test_a_change_of_matrix_that_would_alter_today_s_weights_is_refused() -> None:
    edited = build(replace(MATRIX, services={**MATRIX.services, "A": Service("A", ladder=(25, 50, 75, 100))}))
    here = standing(PLAN, "low/A/50")
    assert judge(edited, here, Place("low/A/50"), GOOD).direction is Direction.STAY, "both plans agree here"
    earlier = build(replace(MATRIX, phases=tuple(reversed(MATRIX.phases))))
    with pytest.raises(MoveRefused, match="the plan has changed so that B would go from 0 to 100 %"):
        judge(earlier, here, Place("low/A/50"), WHY)
    with pytest.raises(MoveRefused, match="other weights than the stack has applied"):
        judge(earlier, here, Place("low/A/100"), WHY)


def test_a_step_forward_must_not_take_along_a_service_that_the_matrix_no_longer_has() -> None:
    """Prevents: A is dropped from the matrix at 100, and the next step of B sends it to legacy unseen."""
    services = {"B": MATRIX.services["B"]}
    edited = build(replace(MATRIX, services=services, phases=(Phase("low", ()), MATRIX.phases[1])))
    with pytest.raises(MoveRefused, match="other weights than the stack has applied"):
        judge(edited, standing(PLAN, "high/B/50"), Place("high/B/100"), WHY)
    with pytest.raises(MoveRefused, match="A would go from 100 to 0 %"):
        judge(edited, standing(PLAN, "high/B/50"), Place("high/B/50"), WHY)


def test_from_a_position_that_the_plan_no_longer_has_only_weights_count() -> None:
    """Where no weight falls it is sideways and must change nothing; where one falls it is a way back, with a reason."""
    here = Standing(Place("old/A/30"), {"A": 50, "B": 0})
    assert judge(PLAN, here, Place("low/A/50"), GOOD).direction is Direction.STAY
    with pytest.raises(MoveRefused, match="A would go from 50 to 100 %"):
        judge(PLAN, here, Place("low/A/100"), WHY)
    with pytest.raises(MoveRefused, match="by accident"):
        judge(PLAN, here, Place(INFRASTRUCTURE), GOOD)
    assert judge(PLAN, here, Place(INFRASTRUCTURE), WHY).direction is Direction.BACK


def renamed(matrix: Matrix) -> Plan:
    """The plan of a matrix whose phases have got other names."""
    phases = tuple(replace(phase, name=f"renamed-{number}") for number, phase in enumerate(matrix.phases))
    return build(replace(matrix, phases=phases))


def test_a_renamed_phase_skips_nothing() -> None:
    """Prevents: a phase is renamed, and any place of the same weights is a legal `stay`, actions skipped unseen."""
    edited = build(replace(MATRIX, phases=(MATRIX.phases[0], Phase("top", ("B",)))))
    here = standing(PLAN, "high/B/dual-write")
    assert judge(edited, here, Place("top/B/dual-write"), GOOD).direction is Direction.STAY
    with pytest.raises(MoveRefused, match="no position high/B/dual-write any more, and top/B/verify-parity is further"):
        judge(edited, here, Place("top/B/verify-parity"), WHY)
    before = standing(PLAN, "low/A/100")
    for there in ("renamed-0/A/100", "renamed-1/B/dual-write", "renamed-1/B/verify-parity"):
        assert legal(renamed(MATRIX), before, Place(there), WHY) == (there == "renamed-0/A/100"), there


def test_legacy_is_retired_from_the_position_before_it_alone() -> None:
    """Prevents: a phase is renamed at its last rung, and the next update retires legacy without the last soak."""
    edited = build(replace(MATRIX, phases=(MATRIX.phases[0], Phase("top", ("B",)))))
    here = standing(PLAN, "high/B/100")
    assert judge(edited, here, Place("top/B/100"), GOOD).direction is Direction.STAY
    for known in (here, Standing(here.place, here.weights)):
        with pytest.raises(MoveRefused):
            judge(edited, known, Place(LAST), WHY)


def test_what_a_strategy_has_begun_is_taken_back_with_a_reason_alone() -> None:
    """Prevents: a checkout with another phase name ends the dual write without a word, since no weight falls by it."""
    edited = build(replace(MATRIX, phases=(MATRIX.phases[0], Phase("top", ("B",)))))
    here = standing(PLAN, "high/B/dual-write")
    with pytest.raises(MoveRefused, match="by accident"):
        judge(edited, here, Place("low/A/100"), GOOD)
    assert judge(edited, here, Place("low/A/100"), WHY).direction is Direction.BACK


@pytest.mark.parametrize(("then", "now"), [("dual_write", "direct"), ("direct", "dual_write")])
def test_a_strategy_does_not_change_while_its_service_is_under_way(then: str, now: str) -> None:
    """Prevents: at 50 %, another strategy is a legal `stay` that ends a dual write, or invents one."""
    before, after = (
        build(replace(MATRIX, services={**MATRIX.services, "B": Service("B", each, (50, 100))})) for each in (then, now)
    )
    here = standing(before, "high/B/50")
    for there in ("high/B/50", "high/B/100"):
        with pytest.raises(MoveRefused, match="the plan has B in progress"):
            judge(after, here, Place(there), WHY)
    assert judge(after, here, Place("low/A/100"), WHY).direction is Direction.BACK, "the way out"
    assert judge(after, standing(before, "low/A/100"), Place("low/A/100"), GOOD), "B is untouched there"
    held = standing(before, "high/B/50", Hold({"A": 0}))
    with pytest.raises(MoveRefused, match="the plan has B in progress"):
        judge(after, held, Place("high/B/50", Hold({"A": 50})), WHY)


@settings(max_examples=50)
@given(matrices(), st.data())
def test_under_another_name_a_phase_goes_on_where_it_stands(matrix: Matrix, data: st.DataObject) -> None:
    """Every position of the old plan is a `stay` at its counterpart, and nothing further on is anything but refused."""
    old, new = build(matrix), renamed(matrix)
    position = data.draw(st.sampled_from(old.positions[1:-1]))
    here = standing(old, position.name)
    assert judge(new, here, Place(new.positions[position.index].name), GOOD).direction is Direction.STAY
    for there in new.positions[position.index + 1 :]:
        assert not legal(new, here, Place(there.name), WHY), there.name


# --- words --------------------------------------------------------------------------------------------------------

A, HALF = Hold({"A": 0}), Hold({"A": 50})
REFUSALS = {
    "a fresh stack": lambda: judge(PLAN, None, Place("low/A/50"), GOOD),
    "steps ahead": lambda: move(INFRASTRUCTURE, "high/B/50"),
    "steps ahead, exposing": lambda: move(INFRASTRUCTURE, "high/B/50", BRAKES["blocked"]),
    "control or journal unreadable": lambda: move("low/A/50", "low/A/100", BRAKES["unreadable"]),
    "an override": lambda: move("low/A/50", "low/A/100", BRAKES["override"]),
    "an open breaker": lambda: move("low/A/50", "low/A/100", held=A),
    "a freeze": lambda: move("low/A/50", "low/A/100", BRAKES["frozen"]),
    "no evidence": lambda: move("low/A/50", "low/A/100", BRAKES["blocked"]),
    "no verdict": lambda: move("low/A/50", "low/A/100", BRAKES["unjudged"]),
    "an edited plan, forward": lambda: judge(PLAN, Standing(Place("low/A/50"), {"A": 25}), Place("low/A/100"), GOOD),
    "an edited plan, sideways": lambda: judge(PLAN, Standing(Place("low/A/50"), {"A": 25}), Place("low/A/50"), GOOD),
    "an edited strategy": lambda: judge(
        build(replace(MATRIX, services={**MATRIX.services, "B": Service("B", ladder=(50, 100))})),
        standing(PLAN, "high/B/50"),
        Place("high/B/50"),
        GOOD,
    ),
    "a renamed phase": lambda: judge(
        renamed(MATRIX), standing(PLAN, "high/B/dual-write"), Place("renamed-1/B/verify-parity"), GOOD
    ),
    "back without a reason": lambda: move("high/B/50", "low/A/50"),
    "back over a point of no return": lambda: move("high/B/50", "low/A/50", replace(WHY, no_return=("A", "B"))),
    "back with less hold": lambda: move("high/B/50", "low/A/100", WHY, held=A),
    "back from the end": lambda: move(LAST, "low/A/50", WHY),
    "a breaker at the end": lambda: move(LAST, LAST, holding=A),
    "a release too far": lambda: move("low/A/100", "low/A/100", WHY, held=A),
    "a release without a reason": lambda: move("low/A/100", "low/A/100", held=A, holding=HALF),
    "a release without a verdict": lambda: move("low/A/100", "low/A/100", BRAKES["unjudged"], held=HALF),
}


def refused(name: str) -> CausewayError:
    with pytest.raises(MoveRefused) as raised:
        REFUSALS[name]()
    return raised.value


def test_every_refusal_in_words() -> None:
    """Golden: `python -m tests.model.test_moves > tests/model/golden/refusals.txt` writes it again."""
    assert golden() == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_has_fact_consequence_remedy_and_one_exit_code(name: str) -> None:
    error = refused(name)
    assert error.fact and error.consequence and error.remedy
    assert error.code is Exit.REFUSED


def golden() -> str:
    return "\n\n".join(f"{name}:\n  {refused(name)}" for name in REFUSALS) + "\n"


if __name__ == "__main__":
    print(golden(), end="")


def test_a_seed_does_not_change_while_anybody_is_split_by_it() -> None:
    """Prevents: another seed is a legal `stay` that sends three of four package users back."""
    there = Place("low/A/50")
    here = replace(standing(PLAN, "low/A/50"), seed="s")
    with pytest.raises(MoveRefused, match="causeway:seed is other, and A was split by s"):
        judge(PLAN, here, there, Circumstances(seed="other"))
    assert judge(PLAN, here, Place(INFRASTRUCTURE), Circumstances(reason="start over", seed="other"))
    assert judge(PLAN, here, there, Circumstances(seed="s")).direction is Direction.STAY


def test_a_cohort_does_not_change_on_the_ladder() -> None:
    there = Place("low/A/50")
    here = replace(standing(PLAN, "low/A/50"), cohorts={"A": "tenant", "B": "user"})
    with pytest.raises(MoveRefused, match="the cohort of A has changed"):
        judge(PLAN, here, there, GOOD)


def test_a_breaker_is_no_way_around_a_point_of_no_return() -> None:
    """Prevents: what a rollback refuses, `causeway:hold` and `pulumi up` do."""
    over = Circumstances(no_return=("B",))
    with pytest.raises(MoveRefused, match="the point of no return of B lies between"):
        move("high/B/50", "high/B/50", over, holding=Hold({"B": 0}))
