"""The seven recipes: each has a way back, and says nothing that its flag could not carry."""

from __future__ import annotations

from itertools import chain

import pytest

from causeway import flags
from causeway.flags import Flag, FlagSet
from causeway.model.matrix import Matrix, Phase, Service
from causeway.model.plan import build
from causeway.model.stage import Stage
from causeway.model.strategies import RECIPES, Recipe, converts_state

recipes = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def test_the_seven_of_the_matrix() -> None:
    assert set(RECIPES) == {
        "direct",
        "basic_orchestration",
        "feature_toggle",
        "dual_write",
        "state_preservation",
        "workflow_compensation",
        "distributed_transaction",
    }


@recipes
def test_actions_have_names_of_their_own_and_are_found_by_them(recipe: Recipe) -> None:
    actions = [*recipe.before, *recipe.after]
    assert len({action.name for action in actions}) == len(actions)
    assert all(recipe.action(action.name) is action for action in actions)
    assert recipe.action("25") is None, "a rung is no action"


@recipes
def test_what_switches_something_on_can_switch_it_off_or_needs_not(recipe: Recipe) -> None:
    """An action with an undo says what it undoes; one without says that the weight is the way back."""
    for action in (*recipe.before, *recipe.after):
        assert (action.undo is None) == action.undoes.startswith("nothing to undo")
        assert action.does


@recipes
def test_two_switches_of_a_recipe_never_fight_over_one_mode(recipe: Recipe) -> None:
    modes = list(chain(recipe.modes, *(action.modes for action in (*recipe.before, *recipe.after))))
    assert len(modes) == len(set(modes))


@recipes
def test_the_modes_of_every_position_fit_into_a_flag(recipe: Recipe) -> None:
    plan = build(Matrix({"A": Service("A", recipe.name, (50, 100))}, (Phase("low", ("A",)),)))
    for position in plan:
        modes = plan.at(position.name).modes["A"]
        one = FlagSet("s", position.name, "seed", (Flag("A", 0, Stage.UNTOUCHED, modes=modes),))
        assert flags.read(flags.build(one)).by_service["A"].modes == modes


@pytest.mark.parametrize(
    ("strategy", "actions"),
    [
        ("direct", ["50", "100"]),
        ("basic_orchestration", ["50", "100", "drain"]),
        ("feature_toggle", ["toggle", "50", "100"]),
        ("dual_write", ["dual-write", "backfill", "verify-parity", "50", "100"]),
        ("state_preservation", ["snapshot", "hand-over", "50", "100"]),
        ("workflow_compensation", ["50", "100", "drain"]),
        ("distributed_transaction", ["epoch", "50", "100", "settle"]),
    ],
)
def test_what_happens_around_the_ladder(strategy: str, actions: list[str]) -> None:
    plan = build(Matrix({"A": Service("A", strategy, (50, 100))}, (Phase("low", ("A",)),)))
    assert [position.action for position in plan.positions[1:-1]] == actions


def test_only_converting_strategies_let_a_package_read_legacy_data_unproven() -> None:
    assert {name for name in RECIPES if converts_state(name)} == {"dual_write", "state_preservation"}
