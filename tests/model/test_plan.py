"""The plan never changes, the position does: what follows from a position, for every plan there can be."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.errors import ConfigError
from causeway.model.certificate import certify
from causeway.model.hold import Hold
from causeway.model.matrix import L_P, P_P, Interaction, Matrix, Phase, Service
from causeway.model.order import order
from causeway.model.plan import INFRASTRUCTURE, LAST, Plan, build, label
from causeway.model.stage import Stage
from tests.model.matrix_examples import INCOMPATIBLE, VERIFIED, matrices

plans = matrices().map(build)
few = settings(max_examples=60)


def small(**more: object) -> Matrix:
    """Two phases: A alone, then B, which writes both sides."""
    services = {"A": Service("A", ladder=(50, 100)), "B": Service("B", "dual_write", (50, 100))}
    return replace(Matrix(services, (Phase("low", ("A",)), Phase("high", ("B",)))), **more)  # type: ignore[arg-type]


@few
@given(plans)
def test_at_is_total_and_pure(plan: Plan) -> None:
    """Every position has a whole state: a weight, a stage and modes of every service, the same at each asking."""
    for position in plan:
        state = plan.at(position.name)
        assert state == plan.at(position.name)
        assert set(state.weights) == set(state.stages) == set(state.modes) == set(plan.matrix.services)
        assert all(0 <= weight <= 100 for weight in state.weights.values())


@few
@given(plans)
def test_each_position_changes_exactly_what_it_says(plan: Plan) -> None:
    """The plan as changes and the plan as tables are one plan."""
    table = dict.fromkeys(plan.matrix.services, 0)
    for position in plan:
        before = dict(table)
        table.update(position.changes)
        assert plan.at(position.name).weights == table
        assert all(before[name] != weight for name, weight in position.changes.items())


@few
@given(plans)
def test_weights_never_fall_along_the_plan_and_end_at_100(plan: Plan) -> None:
    table = [plan.at(position.name).weights for position in plan]
    for before, after in itertools.pairwise(table):
        assert all(before[name] <= after[name] for name in before)
    assert set(table[0].values()) == {0}
    assert set(table[-1].values()) == {100}


@few
@given(plans)
def test_every_service_climbs_its_own_ladder(plan: Plan) -> None:
    """Impossible groups of unequal ladders climb one by one, so nobody ever stands on a rung that is not theirs."""
    for name, service in plan.matrix.services.items():
        rungs = [position.changes[name] for position in plan if name in position.changes]
        assert tuple(rungs) == service.ladder


@few
@given(plans)
def test_stages_only_go_on(plan: Plan) -> None:
    """untouched -> in progress -> complete -> retired, each service through all of them in that order."""
    ranks = list(Stage)
    for name in plan.matrix.services:
        stages = [plan.at(position.name).stages[name] for position in plan]
        assert [ranks.index(stage) for stage in stages] == sorted(ranks.index(stage) for stage in stages)
        assert (stages[0], stages[-1]) == (Stage.UNTOUCHED, Stage.RETIRED)
        assert Stage.IN_PROGRESS in stages


@few
@given(plans)
def test_a_service_has_no_users_before_its_first_position_and_all_of_them_once_complete(plan: Plan) -> None:
    for position in plan:
        state = plan.at(position.name)
        for name, stage in state.stages.items():
            assert stage is not Stage.UNTOUCHED or state.weights[name] == 0
            assert stage not in (Stage.COMPLETE, Stage.RETIRED) or state.weights[name] == 100


@few
@given(plans)
def test_names_are_unique_and_find_their_position(plan: Plan) -> None:
    assert len({position.name for position in plan}) == len(plan.positions)
    for index, position in enumerate(plan):
        assert plan[position.name] is position
        assert position.index == index
        assert position.name in plan
        following = plan.next(position.name)
        assert following is (plan.positions[index + 1] if position.name != LAST else None)


@few
@given(plans)
def test_phases_are_contiguous_and_each_knows_what_comes_before_it(plan: Plan) -> None:
    phases = [position.phase for position in plan]
    assert list(dict.fromkeys(phases)) == [phase for n, phase in enumerate(phases) if n == 0 or phases[n - 1] != phase]
    for phase in dict.fromkeys(phases[1:]):
        before = plan.before_phase(phase)
        assert plan.positions[before.index + 1].phase == phase
        assert before.phase != phase
        assert plan.ends_phase(before.name)
        assert plan.last_of(phase).phase == phase and plan.ends_phase(plan.last_of(phase).name)


@few
@given(plans, st.data())
def test_a_hold_lowers_weights_and_raises_none(plan: Plan, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(plan.matrix.services)))
    position = data.draw(st.sampled_from(plan.positions))
    cap = data.draw(st.integers(0, 99))
    free, held = plan.at(position.name), plan.at(position.name, Hold({name: cap}))
    assert all(held.weights[each] <= free.weights[each] for each in free.weights)
    assert held.weights[name] <= cap
    assert held.stages[name] is not Stage.COMPLETE, "an open breaker is no finished migration"


@few
@given(plans)
def test_actions_are_performed_where_no_traffic_moves(plan: Plan) -> None:
    for position in plan:
        assert not (plan.performs(position) and position.shifts)
        assert all(action.name in position.actions for _, action in plan.performs(position))


def test_the_positions_of_a_small_plan() -> None:
    assert [position.name for position in build(small())] == [
        "infrastructure",
        "low/A/50",
        "low/A/100",
        "high/B/dual-write",
        "high/B/backfill",
        "high/B/verify-parity",
        "high/B/50",
        "high/B/100",
        "deprecation/retire-legacy",
    ]


def test_modes_begin_with_their_action_and_end_with_legacy() -> None:
    plan = build(small())
    writes = {position.name: plan.at(position.name).modes["B"].get("writes") for position in plan}
    assert [name for name, mode in writes.items() if mode == "both"] == [
        position.name for position in plan if position.name.startswith("high/B/")
    ]


def test_services_that_move_together_share_a_position_and_its_actions() -> None:
    pair = Interaction("A", "B", evidence={P_P: VERIFIED})
    services = {"A": Service("A", "feature_toggle", (50, 100)), "B": Service("B", ladder=(50, 100))}
    plan = build(Matrix(services, (Phase("low", ("A", "B")),), interactions=(pair,)))
    assert [position.name for position in plan][1:-1] == ["low/A+B/toggle", "low/A+B/50", "low/A+B/100"]
    assert plan["low/A+B/toggle"].services == ("A",)
    assert plan["low/A+B/50"].changes == {"A": 50, "B": 50}
    assert plan.performs(plan["low/A+B/toggle"])[0][0] == "A"


def alike(count: int) -> Plan:
    """Services about whose mixtures nothing is known: they move together."""
    names = tuple(f"S{number}" for number in range(count))
    rows = tuple(Interaction(a, b, evidence={P_P: VERIFIED}) for a, b in itertools.pairwise((*names, names[0])))
    return build(Matrix({n: Service(n, ladder=(50, 100)) for n in names}, (Phase("low", names),), interactions=rows))


def test_a_position_names_few_services_however_many_move() -> None:
    """Prevents: 1,500 services without evidence, whose one group is named in full at every pair: 126 MB of JSON."""
    assert alike(8).positions[1].name == "low/S0+S1+S2+S3+S4+S5+S6+S7/50"
    names = [position.name for position in alike(9)]
    assert names[1:-1] == ["low/S0+S1+S2+6more-37222598/50", "low/S0+S1+S2+6more-37222598/100"]
    assert len(alike(9).positions[1].services) == 9
    assert alike(10).positions[1].name.startswith("low/S0+S1+S2+7more-")
    assert len(json.dumps(certify(alike(300).matrix).as_dict()["exposures"])) < 100_000


def test_a_label_says_which_services_move() -> None:
    """Prevents: two groups with one name, or another name because config lists the same services in another order."""
    many = [f"S{number}" for number in range(12)]
    assert label(many) == label([*many[:3], *many[:2:-1]])
    assert label(many) != label([*many[:11], "S99"])
    assert not re.match("[A-Za-z]", label(many).rpartition("+")[2])


def test_an_unknown_position_names_what_comes_nearest() -> None:
    plan = build(small())
    with pytest.raises(ConfigError, match=r"no position low/A/60.*Did you mean low/A/50"):
        plan["low/A/60"]
    with pytest.raises(ConfigError, match="`causeway plan` lists all positions"):
        plan["xxxxxxxxxxxxxxxxxxxx"]
    assert "low/A/60" not in plan


def test_a_target_is_a_phase_or_a_position() -> None:
    plan = build(small())
    assert plan.last_of("low").name == "low/A/100"
    assert plan.last_of("high/B/50").name == "high/B/50"
    assert plan.last_of(INFRASTRUCTURE).name == INFRASTRUCTURE
    with pytest.raises(ConfigError, match="no position medium"):
        plan.last_of("medium")


def test_an_impossible_matrix_has_a_plan_by_phases_all_the_same() -> None:
    """Prevents: what has moved before the matrix was edited cannot find its way back."""
    broken = Interaction("B", "A", evidence={P_P: INCOMPATIBLE, L_P: INCOMPATIBLE})
    matrix = small(interactions=(broken, replace(broken, consumer="A", provider="B")))
    assert order(matrix).conflict
    assert [position.name for position in build(matrix)] == [position.name for position in build(small())]
