"""The checkpoint at a phase's end: one finding a condition, and any that does not hold is a HOLD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from causeway.errors import Unreachable
from causeway.model.matrix import L_P, Evidence, Interaction, Status
from causeway.model.moves import Place
from causeway.model.plan import LAST, build
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.rollout import checkpoint
from causeway.rollout import control as controls
from causeway.rollout.stack import Stack
from tests.rollout.fakes import World

END = Place("low/Reader/100")
GOOD = Verdict.of([Reason(Decision.ADVANCE, Cause.SAFE, "error_rate", "safe")])


def findings(stack: Stack, place: Place = END) -> dict[str, tuple[bool, str]]:
    verdict = checkpoint.phase_end(stack, place, GOOD)
    return {
        each.source.removeprefix("checkpoint: "): (each.decision is Decision.ADVANCE, each.text)
        for each in verdict.reasons
        if each.source.startswith("checkpoint")
    }


def test_a_phase_ends_where_everything_holds(here: World) -> None:
    verdict = checkpoint.phase_end(here.stack, END, GOOD)
    assert verdict.decision is Decision.ADVANCE
    assert {reason.source for reason in verdict.reasons} == {
        "error_rate",
        *(f"checkpoint: {name}" for name in ("evidence", "override", "drift", "state", "baselines")),
    }


def test_the_soak_s_verdict_is_never_made_better(here: World) -> None:
    bad = Verdict.of([Reason(Decision.ROLL_BACK, Cause.HARM, "error_rate", "9 of 10 failed", "Reader")])
    assert checkpoint.phase_end(here.stack, END, bad).decision is Decision.ROLL_BACK


def drifted(world: World) -> Stack:
    world.engine.drifted = 2
    return world.stack


def overridden(world: World) -> Stack:
    controls.change(world.store, "test", override="{}", override_why="")
    return world.stack


def unmeasured(world: World) -> Stack:
    return replace(world.stack, baselines=lambda: {"Writer": 0.01})


def unkept(world: World) -> Stack:
    def fails(service: str, place: Place) -> bool:
        raise Unreachable("Firestore does not answer")

    return replace(world.stack, keep_state=fails)


def unproven(world: World) -> Stack:
    """Reader's package is not known to bear Saga's: exposed by the last service of the next phase only."""
    evidence = {L_P: Evidence(Status.VERIFIED, "tests")}
    matrix = replace(world.config.matrix, interactions=(Interaction("Saga", "Reader", evidence=evidence),))
    return replace(world.stack, config=replace(world.config, matrix=matrix, plan=build(matrix)))


@pytest.mark.parametrize(
    ("make", "source", "said"),
    [
        (drifted, "drift", "2 resources have drifted"),
        (overridden, "override", "an override stands"),
        (unmeasured, "baselines", "no fresh baseline of Saga"),
        (unkept, "state", "service state is not kept: Firestore does not answer"),
        (unproven, "evidence", "Saga@package -> Reader@package"),
    ],
)
def test_each_condition_alone_holds(here: World, make: Callable[[World], Stack], source: str, said: str) -> None:
    stack = make(here)
    found = findings(stack)
    assert [name for name, (holds, _) in found.items() if not holds] == [source]
    assert said in found[source][1]
    assert checkpoint.phase_end(stack, END, GOOD).decision is Decision.HOLD


def test_drift_that_cannot_be_known_holds(here: World) -> None:
    def fails() -> None:
        raise Unreachable("pulumi is not on the PATH")

    here.engine.drift = fails  # type: ignore[assignment, method-assign]
    assert findings(here.stack)["drift"] == (False, "drift cannot be known: pulumi is not on the PATH")


def test_the_state_of_the_phase_s_own_services_is_kept(here: World) -> None:
    kept: list[str] = []
    stack = replace(here.stack, keep_state=lambda service, place: kept.append(f"{service} at {place}") is None)
    assert findings(stack, Place("high/Saga/settle"))["state"] == (
        True,
        "state of Writer, Saga is kept and reads back by digest",
    )
    assert kept == ["Writer at high/Saga/settle", "Saga at high/Saga/settle"]


def test_the_last_position_has_nothing_to_wait_for(here: World) -> None:
    stack = replace(here.stack, baselines=dict)
    assert all(holds for holds, _ in findings(stack, Place(LAST)).values())
