"""A soak looks until the evidence says what to do, and says HOLD where it never does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from causeway.health.checker import Look
from causeway.model.matrix import Version
from causeway.model.moves import Place
from causeway.model.observation import CollectionProbe, CompareProbe, HttpProbe, ParityProbe, Request
from causeway.model.plan import LAST
from causeway.model.verdict import Cause, Decision, Verdict
from causeway.model.window import Category, Check
from causeway.rollout.soaking import Soaked, not_in_force, soak
from tests.rollout.fakes import World

LOW = Place("low/Reader/50")
BASELINES = {"Reader": 0.01, "Writer": 0.01, "Saga": 0.01}


def watched(here: World, place: Place = LOW, moving: frozenset[str] = frozenset({"Reader"}), **more: object) -> Soaked:
    return soak(here.stack, place, here.observer, BASELINES, moving, **more)  # type: ignore[arg-type]


def test_health_advances_after_the_shortest_soak_and_not_before(here: World) -> None:
    found = watched(here)
    assert found.verdict.decision is Decision.ADVANCE
    assert found.seconds == here.config.soak.interval * here.config.soak.checks
    assert here.observer.looks == here.config.soak.checks + 1, "the look before the soak is not evidence"


def test_harm_ends_the_soak_at_once(here: World) -> None:
    here.observer.bad["Reader"] = 0.5
    found = watched(here)
    assert found.verdict.decision is Decision.ROLL_BACK
    assert found.verdict.services == ("Reader",)
    assert found.looks == 1


def test_silence_ends_in_a_hold_after_the_timeout(here: World) -> None:
    here.observer.requests = 0
    found = watched(here)
    assert found.verdict.decision is Decision.HOLD
    assert found.seconds == here.config.soak_timeout + here.config.soak.interval


def test_a_place_without_users_is_judged_by_its_actions_and_the_time_watched(here: World) -> None:
    """Nobody is on a package at infrastructure; it advances once it has been watched for as long as a soak takes."""
    found = watched(here, Place("infrastructure"), frozenset(), confirmed="provision confirmed")
    assert found.verdict.decision is Decision.ADVANCE
    assert found.verdict.decisive[0].text == "provision confirmed; watched for 3 of 3 windows"


def test_a_failing_check_stops_a_place_without_users_as_well(here: World) -> None:
    here.observer.checks = (Check(Category.DATA_INTEGRITY, "parity", False, "Writer", "3 differ"),)
    found = watched(here, Place("high/Writer/verify-parity"), frozenset())
    assert found.verdict.decision is Decision.ROLL_BACK
    assert found.verdict.level == 3


@pytest.mark.parametrize("place", [LOW, Place("infrastructure")])
def test_nothing_advances_before_each_probe_was_made(here: World, place: Place) -> None:
    """Prevents: a soak shorter than a probe's interval advances without one look at the data."""
    probes = (
        CollectionProbe("carts", "Reader", "carts", may_shrink=0.1),
        HttpProbe("answers", "Reader", Request("http://app")),
    )
    early = ParityProbe("parity", "Writer", "l", "p")
    here.stack = replace(here.stack, config=replace(here.config, probes=(*probes, early)))
    moving = frozenset({"Reader"}) if place == LOW else frozenset()
    here.observer.checks = (Check(Category.FUNCTIONALITY, "answers@package", True, "Reader"),)
    found = watched(here, place, moving)
    assert here.observer.begun == 1, "all are due at the begin of a soak"
    assert found.verdict.decision is Decision.HOLD
    assert [str(reason) for reason in found.verdict.decisive] == [
        "data integrity check carts of Reader: not made yet since the soak began"
    ]
    here.observer.checks += (Check(Category.DATA_INTEGRITY, "carts", True, "Reader"),)
    assert watched(here, place, moving).verdict.decision is Decision.ADVANCE


@pytest.mark.parametrize("place", [LOW, Place("infrastructure")])
def test_a_package_without_users_stops_nobody_else(here: World, place: Place) -> None:
    """Prevents: the probe of a package that is not deployed yet sends a healthy service back, or holds the rollout."""
    here.observer.checks = (Check(Category.FUNCTIONALITY, "probe@package", False, "Saga", "connection refused"),)
    found = watched(here, place, frozenset({"Reader"}) if place == LOW else frozenset())
    assert found.verdict.decision is Decision.ADVANCE


def test_whoever_takes_over_ends_the_soak(here: World) -> None:
    seen: list[tuple[Look, Verdict]] = []

    def taken(look: Look, verdict: Verdict) -> bool:
        seen.append((look, verdict))
        return len(seen) == 2

    found = watched(here, on_look=taken)
    assert found.looks == len(seen) == 2
    assert found.verdict.decision is Decision.HOLD
    assert any(reason.cause is Cause.EARLY for reason in found.verdict.reasons)


def test_parity_is_asked_for_from_the_backfill_to_the_end(here: World) -> None:
    """Prevents: before the backfill both sides differ, as they must, and the plan goes back for it."""
    probe = ParityProbe(service="Writer", name="parity", legacy="l", package="p")
    other = replace(probe, service="Reader", name="reader has no dual write")
    config = replace(here.config, probes=(probe, other))
    silent = [place.name for place in config.plan if "parity" in not_in_force(config, Place(place.name))]
    assert silent == [
        "infrastructure",
        "low/Reader/50",
        "low/Reader/100",
        "high/Writer/dual-write",
        "deprecation/retire-legacy",
    ]
    assert all("reader has no dual write" in not_in_force(config, Place(place.name)) for place in config.plan)


def test_a_legacy_that_is_retired_is_asked_nothing(here: World) -> None:
    """Prevents: the last position rolls back, or holds for ever, because what it has retired does not answer."""
    users = {Version.LEGACY: "qa", Version.PACKAGE: "qa"}
    probes = (
        CompareProbe("same answer", "Reader", Request("http://app"), users),
        HttpProbe("answers", "Reader", Request("http://app"), versions=(Version.LEGACY, Version.PACKAGE)),
    )
    config = replace(here.config, probes=probes)
    assert not_in_force(config, LOW) == frozenset()
    assert not_in_force(config, Place(LAST)) == {"same answer", "answers@legacy"}
    here.stack = replace(here.stack, config=config)
    here.observer.checks = (
        Check(Category.FUNCTIONALITY, "answers@package", True, "Reader"),
        Check(Category.FUNCTIONALITY, "answers@legacy", None, "Reader"),
        Check(Category.FUNCTIONALITY, "same answer", False, "Reader", "answered 200, legacy 502"),
    )
    assert watched(here, Place(LAST), frozenset()).verdict.decision is Decision.ADVANCE
