"""Drift is found and shown, whatever was done to the documents; looking changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from causeway.rollout.status import drift
from causeway.rollout.store import Write
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World


def edited(here: World, definition: str) -> list[str]:
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    found = here.store.read("flags/test")
    assert found is not None
    changed = definition or found.values["definition"].replace(
        '["package",50],["legacy",50]', '["package",75],["legacy",25]'
    )
    here.store.commit([Write("flags/test", {**found.values, "definition": changed}, found.updated)])
    before = dict(here.store.documents)
    lines: list[str] = drift(replace(here.stack, config=here.config))["drift"]
    assert here.store.documents == before
    return lines


def test_a_weight_edited_by_hand_is_drift(here: World) -> None:
    assert edited(here, "") == ["flags/test gives Reader 75 %, the plan says 50 % at low/Reader/50"]


@pytest.mark.parametrize("nonsense", ["{}", "not JSON"])
def test_a_flag_set_that_cannot_be_read_is_drift_as_well(here: World, nonsense: str) -> None:
    """Prevents: `causeway drift` itself fails on the worst drift there is, with the exit code of a wrong config."""
    (line,) = edited(here, nonsense)
    assert line.startswith("flags/test cannot be read as a flag set")
