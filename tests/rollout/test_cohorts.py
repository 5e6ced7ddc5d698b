"""A support desk hears what users get, and of which services its keys say nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from causeway import flags
from causeway.config import Config
from causeway.config.records import UrlMapSplit
from causeway.errors import Unreachable
from causeway.flags import Flag, FlagSet
from causeway.model.moves import Place
from causeway.model.stage import Stage
from causeway.rollout import cohorts
from causeway.rollout.levels import roll_back
from causeway.rollout.rollback import Request
from causeway.rollout.store import Store
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World

KEYS = [f"user-{number}" for number in range(50)]


def asked(here: World) -> tuple[set[str], str]:
    """Who is on Reader's package, and by what."""
    served, source = cohorts.as_served(here.config, lambda config: here.store)
    return {key for key, names in cohorts.packages(served, KEYS, ["Reader"]).items() if names}, source


def test_what_is_served_is_what_is_told_an_override_included(here: World) -> None:
    """Prevents: right after a rollback the support desk hears the opposite of what users get."""
    assert asked(here) == (set(), "by config: the stack has applied nothing yet")
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    half, source = asked(here)
    assert 10 < len(half) < 40
    assert source == "as served: low/Reader/50"
    here.engine.fail = ["preview"]
    with pytest.raises(Exception, match="traffic went back"):
        roll_back(replace(here.stack, config=here.config), Request(1, "errors", ("Reader",)))
    assert asked(here) == (set(), "as served: low/Reader/50, by an override (level 1: errors)")


def test_without_the_stack_config_answers_and_says_so(here: World) -> None:
    def unreachable(config: Config) -> Store:
        raise Unreachable("Firestore does not answer")

    _, source = cohorts.as_served(here.config, unreachable)
    assert source == "by config, since the stack cannot be asked: Firestore does not answer"


def test_keys_of_another_cohort_say_nothing_of_a_part(here: World) -> None:
    """Prevents: the key of a user is hashed as if it were that of an account, and the answer given without a word."""
    listed = (
        Flag("Accounts", 50, Stage.IN_PROGRESS, cohort="account"),
        Flag("Done", 100, Stage.COMPLETE, cohort="account"),
        Flag("Reader", 50, Stage.IN_PROGRESS),
        Flag("Split", 50, Stage.IN_PROGRESS),
    )
    served = FlagSet("test", "x", "s", listed)
    config = replace(here.config, splits={"Split": UrlMapSplit("l", "p")})
    assert cohorts.unknowable(served, "user", config) == {
        "Accounts": "goes by account, not by user",
        "Split": "is split anew for each request",
    }
    assert set(cohorts.unknowable(served, "account", config)) == {"Reader", "Split"}
    known = [flag.service for flag in listed if flag.service not in cohorts.unknowable(served, "account", config)]
    (found,) = cohorts.packages(served, ["a"], known).values()
    assert "Done" in found, "everybody is on it, whatever the key"
    assert ("Accounts" in found) == (flags.bucket("s", "a") < 50)


def test_by_config_a_hold_counts(here: World) -> None:
    assert cohorts.by_config(here.config, "low/Reader/50").by_service["Reader"].weight == 50
    held = replace(here.config, hold=here.config.hold.opened(["Reader"]))
    assert cohorts.by_config(held, "low/Reader/50").by_service["Reader"].weight == 0
    assert Place(cohorts.by_config(here.config).position) == Place("infrastructure")
