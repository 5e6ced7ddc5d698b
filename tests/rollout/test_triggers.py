"""Rollback triggers as records: what fires them, that they are armed, every firing."""

from __future__ import annotations

import datetime
from dataclasses import replace

from causeway.model.guardrails import Guardrails, Pace
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.rollout import control as controls
from causeway.rollout import triggers
from tests.rollout.fakes import World


def records(here: World, kind: str) -> dict[str, dict[str, object]]:
    return {
        path.removeprefix("rollback_triggers/test-"): dict(each.values)
        for path, each in here.store.documents.items()
        if path.startswith("rollback_triggers/") and each.values["kind"] == kind
    }


def test_the_conditions_in_words(here: World) -> None:
    assert dict(triggers.conditions(here.config)) == {
        "error_rate": "more than 5 % failed: immediately",
        "response_time": "above 2 x baseline: gracefully; above 3 x: immediately",
        "throughput": "below 60 % of demand: immediately",
        "availability": "below 99 %: immediately",
        "probes": "3 consecutive failures of a functionality or integration check",
        "data_integrity": "any failure: everything goes back at once",
    }
    bare = replace(
        here.config, guardrails=Guardrails(error_rate=None, response_time=None, throughput=None, availability=None)
    )
    assert [name for name, _ in triggers.conditions(bare)] == ["probes", "data_integrity"]


def test_installing_again_writes_only_what_has_changed(here: World) -> None:
    triggers.install(here.store, here.config)
    assert set(records(here, "condition")) == dict(triggers.conditions(here.config)).keys()
    ticks = here.store.ticks
    triggers.install(here.store, here.config)
    assert here.store.ticks == ticks
    rail = here.config.guardrails.error_rate
    assert rail is not None
    changed = replace(here.config.guardrails, error_rate=replace(rail, roll_back=0.1))
    triggers.install(here.store, replace(here.config, guardrails=changed))
    assert here.store.ticks == ticks + 1
    assert records(here, "condition")["error_rate"]["condition"] == "more than 10 % failed: immediately"


def test_a_firing_is_kept_with_its_evidence_and_two_at_once_are_two(here: World) -> None:
    harm = Reason(Decision.ROLL_BACK, Cause.HARM, "error_rate", "9 of 100 failed", "Reader", Pace.IMMEDIATE, 1)
    for _ in range(2):
        triggers.fired(here.stack, "low/Reader/50", Verdict.of([harm]), "rollback at level 1")
    found = list(records(here, "firing").items())
    assert len(found) == 2
    name, record = found[0]
    assert name.startswith("20260101T000000-")
    assert (record["service"], record["done"], record["position"]) == ("Reader", "rollback at level 1", "low/Reader/50")
    assert record["verdict"]["reasons"][0]["text"] == "9 of 100 failed"  # type: ignore[index]


def test_disarming_ends_by_itself_and_arming_ends_it_at_once(here: World) -> None:
    def now() -> str | None:
        return triggers.disarmed(here.stack.control(), here.stack.clock.now())

    assert now() is None
    said = triggers.disarm(here.stack, "we know", 10)["said"]
    assert said == "the triggers are disarmed until 00:10 UTC; traffic goes back only by hand until then"
    found = now()
    assert found is not None and found.endswith("until 00:10 UTC: we know")
    here.time.sleep(599)
    assert now() == found
    here.time.sleep(1)
    assert now() is None
    triggers.disarm(here.stack, "again", 10)
    assert triggers.arm(here.stack, "enough")["armed"] is True
    assert now() is None


def test_a_clock_that_is_wrong_disarms_neither_shorter_nor_longer(here: World) -> None:
    """Prevents: on a laptop that is ten minutes slow, `disarm --for 5` is over before it begins."""
    slow = replace(here.stack.clock, now=lambda: here.time.now() - datetime.timedelta(minutes=10))
    controls.change(here.store, "test", maintenance=None)
    triggers.disarm(replace(here.stack, clock=slow), "we know", 5)
    assert triggers.disarmed(here.stack.control(), here.stack.server_now())
    here.time.sleep(300)
    assert triggers.disarmed(here.stack.control(), here.stack.server_now()) is None


def test_who_disarmed_and_armed_is_recorded_and_told(here: World) -> None:
    """Prevents: after an incident nobody can say who had switched the rollbacks off."""
    triggers.disarm(here.stack, "planned outage", 5)
    triggers.arm(here.stack, "it is over")
    (off,), (on,) = records(here, "disarmed").values(), records(here, "armed").values()
    assert (off["why"], on["why"]) == ("planned outage", "it is over") and off["who"] == on["who"]
    assert [alert.key for alert in here.alerts.sent] == ["triggers-disarmed", "triggers-armed"]
