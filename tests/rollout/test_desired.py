"""From a place to the document that is applied, and back: the same place is the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway import flags
from causeway.errors import ConfigError
from causeway.model.hold import Hold
from causeway.model.moves import Place
from causeway.model.stage import Stage
from causeway.rollout.desired import flag_set, standing
from tests.rollout.fakes import World

fixed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
holds = st.builds(Hold, st.dictionaries(st.sampled_from(["Reader", "Writer", "Saga"]), st.integers(0, 99)))


@fixed
@given(data=st.data())
def test_going_forth_and_back_gives_the_same_document(here: World, data: st.DataObject) -> None:
    """Byte for byte, from a config that was read again: nothing of the way is in it."""
    place = Place(data.draw(st.sampled_from([each.name for each in here.config.plan])), data.draw(holds))
    first = flags.build(flag_set(here.config, place))
    for each in data.draw(st.lists(st.sampled_from(here.config.plan.positions), max_size=3)):
        flags.build(flag_set(here.config, Place(each.name)))
    assert flags.build(flag_set(here.stack.config, place)) == first


@fixed
@given(data=st.data())
def test_what_is_applied_says_where_the_stack_stands(here: World, data: st.DataObject) -> None:
    place = Place(data.draw(st.sampled_from([each.name for each in here.config.plan])), data.draw(holds))
    found = standing(flags.build(flag_set(here.config, place)))
    assert found.place == place
    state = here.config.plan.at(place.position, place.hold)
    assert (found.weights, found.stages, found.modes) == (state.weights, state.stages, state.modes)


def test_every_flag_carries_its_rollback_conditions_and_its_stage(here: World) -> None:
    found = flag_set(here.config, Place("high/Writer/50")).by_service
    assert all("5 %" in flag.rollback for flag in found.values())
    assert (found["Reader"].stage, found["Writer"].stage, found["Saga"].stage) == (
        Stage.COMPLETE,
        Stage.IN_PROGRESS,
        Stage.UNTOUCHED,
    )
    assert found["Writer"].modes == {"writes": "both"}


@pytest.mark.parametrize("definition", ["", "{}", "null", '{"flags": {}}'])
def test_anything_else_is_no_standing(definition: str) -> None:
    with pytest.raises(ConfigError):
        standing(definition)
