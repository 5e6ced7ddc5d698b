"""A way back never raises anybody, whatever has been made of the plan since it was applied."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from causeway.model.descent import known, never_up
from causeway.model.hold import NO_HOLD, Hold
from causeway.model.matrix import Matrix
from causeway.model.moves import Place, Standing
from causeway.model.plan import build
from tests.model.matrix_examples import matrices


def served_by(matrix: Matrix, draw: DataObject) -> Standing:
    plan = build(matrix)
    position = draw.draw(st.sampled_from([each.name for each in plan]))
    held = draw.draw(st.sets(st.sampled_from(sorted(matrix.services))))
    hold = NO_HOLD.opened(held)
    return Standing(Place(position, hold), plan.at(position, hold).weights)


@given(matrices(), matrices(), st.data())
def test_no_place_of_an_edited_plan_raises_what_is_served(then: Matrix, now: Matrix, data: DataObject) -> None:
    """Prevents: a contract test turns out false, the order changes with it, and the rollback puts users on packages."""
    served, plan = served_by(then, data), build(now)
    here = known(plan, served)
    assert here.position in plan
    for target in (here, Place(data.draw(st.sampled_from([each.name for each in plan])), here.hold)):
        lower = never_up(plan, served, target)
        weights = plan.at(lower.position, lower.hold).weights
        assert all(weight <= served.weights.get(name, 0) for name, weight in weights.items())
        assert all(weight <= plan.at(target.position, target.hold).weights[name] for name, weight in weights.items())


@given(matrices(), st.data())
def test_on_the_plan_that_was_applied_nothing_changes(matrix: Matrix, data: DataObject) -> None:
    served, plan = served_by(matrix, data), build(matrix)
    assert known(plan, served) == served.place
    assert never_up(plan, served, served.place) == served.place


@given(matrices(), st.data())
def test_a_position_that_is_no_more_is_replaced_by_the_last_below(matrix: Matrix, data: DataObject) -> None:
    """Prevents: a ladder is edited, the position is gone, and status and rollback refuse to work at all."""
    plan = build(matrix)
    position = data.draw(st.sampled_from([each.name for each in plan]))
    served = Standing(Place("low/Gone/33", Hold({"Gone": 0})), plan.at(position).weights)
    here = known(plan, served)
    assert plan.at(here.position).weights == served.weights
    assert not here.hold
    nobody = known(plan, Standing(Place("low/Gone/33"), {})).position
    assert not any(plan.at(nobody).weights.values())
