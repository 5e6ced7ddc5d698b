"""Where a stack stands and what differs from it, as facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from causeway.config import Config
from causeway.errors import Unreachable
from causeway.model.hold import Hold
from causeway.model.matrix import L_P, P_L, P_P, Evidence, Interaction, Status
from causeway.model.moves import Place
from causeway.model.plan import build
from causeway.rollout import control as controls
from causeway.rollout import provision, rollback, status, triggers
from causeway.rollout.engine import Outcome
from causeway.rollout.journal import Journal
from causeway.rollout.rollback import Request
from causeway.rollout.store import NOW, Document
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World


def walked(here: World, target: str) -> World:
    with runner_of(here) as runner:
        runner.walk(target)
    here.stack = replace(here.stack, config=here.config)
    return here


def test_a_fresh_stack_has_applied_nothing(here: World) -> None:
    found = status.gather(here.stack)
    assert (found["applied"], found["served"], found["judged"], found["next"], found["last"]) == (None,) * 5
    assert (found["config"], found["weights"], found["certificate"]) == ("infrastructure", {}, "safe")
    assert found["lease"] == {"holder": None, "fence": 0, "alive": False}


def test_a_walked_stack_says_where_it_stands_and_what_comes_next(here: World) -> None:
    found = status.gather(walked(here, "high/Writer/50").stack)
    assert {name: found[name] for name in ("config", "applied", "served")} == dict.fromkeys(
        ("config", "applied", "served"), "high/Writer/50"
    )
    assert (found["phase"], found["judged"], found["next"]) == ("high", "good", "high/Writer/100")
    assert found["weights"] == {"Reader": 100, "Writer": 50, "Saga": 0}
    assert found["last"]["to"] == "high/Writer/50" and found["last"]["verdict"] == "ADVANCE"


def test_an_override_is_served_while_the_stack_still_stands_elsewhere(here: World) -> None:
    walked(here, "high/Writer/50")
    book = Journal(controls.acquire(here.store, "test", "eve@desk:9"), here.time.now)
    rollback.send_back(here.stack, book, Request(1, "errors", ("Writer",)))
    found = status.gather(here.stack)
    assert (found["applied"], found["served"]) == ("high/Writer/50", "high/Writer/50 (hold Writer)")
    assert found["override"] == "level 1: errors"
    assert found["weights"]["Writer"] == 0, "the weights are those that applications obey"
    assert found["lease"]["holder"] == "eve@desk:9" and found["lease"]["alive"]
    here.time.sleep(controls.LEASE + 1)
    assert not status.gather(here.stack)["lease"]["alive"]


def test_watched_means_a_heartbeat_that_readers_still_accept(here: World) -> None:
    assert status.gather(here.stack)["watched"] is False
    controls.change(here.store, "test", renewed_at=NOW)
    assert status.gather(here.stack)["watched"] is True
    here.time.sleep(here.config.freshness.max_age + 1)
    assert status.gather(here.stack)["watched"] is False


def test_what_stands_in_the_way_is_listed(here: World) -> None:
    controls.change(here.store, "test", maintenance="level 4: data is being restored")
    triggers.disarm(here.stack, "we know", 10)
    found = status.gather(here.stack)
    assert found["maintenance"] == "level 4: data is being restored"
    assert found["disarmed"]["reason"] == "we know"


def test_what_nobody_knows_and_somebody_accepts_is_said_until_it_is_gone(here: World) -> None:
    """Prevents: a status that reads `safe` where an operator has only accepted not to know."""
    why = Evidence(Status.VERIFIED, "accepted unknown: low traffic (until 2026-02-01)", accepted=True)
    assert status.gather(here.stack)["accepted"] == []
    here.stack = replace(here.stack, config=with_evidence(here.config, why))
    found = status.gather(here.stack)
    assert found["certificate"] == "safe"
    said = "Reader@package -> Writer@legacy (call): accepted unknown: low traffic (until 2026-02-01)"
    assert found["accepted"] == [said]
    assert provision.accepted(here.stack.config) == [said]


def with_evidence(config: Config, evidence: Evidence) -> Config:
    """Reader calls Writer, and the package knows nothing of Writer's legacy but this."""
    known = Evidence(Status.VERIFIED, "tests")
    row = Interaction("Reader", "Writer", evidence={P_L: evidence, L_P: known, P_P: known})
    matrix = replace(config.matrix, interactions=(row,))
    return replace(config, matrix=matrix, plan=build(matrix))


def test_without_firestore_there_is_no_status(here: World) -> None:
    here.store.down = True
    with pytest.raises(Unreachable):
        status.gather(here.stack)


def test_the_log_is_the_journal_newest_first(here: World) -> None:
    walked(here, "low/Reader/50")
    found = status.log(here.stack, 20)
    assert [each["to"] for each in found] == ["low/Reader/50", "infrastructure"]
    assert [entry["state"] for entry in found[0]["history"]] == [
        "intent",
        "applied",
        "actions",
        "observed",
        "verdict",
        "done",
    ]
    assert len(status.log(here.stack, 1)) == 1


# --- drift --------------------------------------------------------------------------------------------------------


def drift(here: World) -> list[str]:
    return list(status.drift(here.stack)["drift"])


def test_a_stack_that_is_as_it_says_has_no_drift(here: World) -> None:
    assert drift(here) == ["the stack has applied nothing yet"]
    assert drift(walked(here, "low/Reader/50")) == []


def test_an_edited_flag_set_is_named_by_service_and_weight(here: World) -> None:
    walked(here, "low/Reader/50")
    found = here.store.documents["flags/test"]
    edited = found.values["definition"]
    for before, after in (('["package",50]', '["package",75]'), ('["legacy",50]', '["legacy",25]')):
        edited = edited.replace(before, after)
    here.store.documents["flags/test"] = replace(found, values={**found.values, "definition": edited})
    assert drift(here) == ["flags/test gives Reader 75 %, the plan says 50 % at low/Reader/50"]


@pytest.mark.parametrize("values", [{"definition": "{}"}, {"definition": "broken"}, {}])
def test_a_flag_set_that_cannot_be_read_is_drift_and_no_failure(here: World, values: dict[str, str]) -> None:
    walked(here, "low/Reader/50")
    found = here.store.documents["flags/test"]
    here.store.documents["flags/test"] = Document(found.path, values, found.updated, found.read)
    (line,) = drift(here)
    assert line.startswith("flags/test cannot be read as a flag set")


def test_a_flag_set_that_is_gone_is_drift(here: World) -> None:
    walked(here, "low/Reader/50")
    del here.store.documents["flags/test"]
    assert drift(here) == ["flags/test is gone; the stack says low/Reader/50"]


def test_a_config_ahead_of_its_stack_is_drift(here: World) -> None:
    walked(here, "low/Reader/50")
    here.stack.write_place(Place("low/Reader/100", Hold({"Saga": 0})))
    here.stack = replace(here.stack, config=here.config)
    assert drift(here) == ["config says low/Reader/100 (hold Saga), the stack stands at low/Reader/50"]


def test_what_pulumi_finds_is_named_by_resource(here: World) -> None:
    walked(here, "low/Reader/50")
    urn = "urn:pulumi:test::causeway::gcp:storage/bucket:Bucket::archive"

    def changed(op: str, kind: str = "gcp:storage/bucket:Bucket") -> dict[str, object]:
        return {"resOutputsEvent": {"metadata": {"op": op, "type": kind, "urn": urn}}}

    events = (changed("update"), changed("same"), changed("update", "pulumi:pulumi:Stack"), {"summaryEvent": {}})
    here.engine.drift = lambda: Outcome({"update": 1, "same": 9}, events, 0.0)  # type: ignore[method-assign]
    assert drift(here) == ["archive differs in the cloud"]
    here.engine.drift = lambda: Outcome({"update": 2, "same": 9}, (), 0.0)  # type: ignore[method-assign]
    assert drift(here) == ["pulumi preview would change 2 (update)"]


def test_an_operation_that_never_ended_is_drift(here: World) -> None:
    walked(here, "low/Reader/50")
    here.engine.pending = ("urn:pulumi:test::causeway::gcp:storage/bucket:Bucket::archive",)
    assert drift(here) == ["archive has an operation that never ended"]
