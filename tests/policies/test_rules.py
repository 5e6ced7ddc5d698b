"""Each rule against what a stack could ask for: what it lets pass, and what it refuses, in whose words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from causeway import flags
from causeway.flags import Flag, FlagSet
from causeway.model.matrix import Matrix, Phase, Service
from causeway.model.moves import Circumstances, Place, judge
from causeway.model.plan import build
from causeway.model.stage import Stage
from components.flag_set import fields_json
from components.records import DENY_CLIENTS
from components.splits import UrlMapSplit, url_map_weights
from policies import access, protection, steps, watch, weights
from policies.facts import Expected, Resource

PLAN = build(
    Matrix(
        services={"A": Service("A", ladder=(10, 50, 100)), "B": Service("B", ladder=(100,))},
        phases=(Phase("low", ("A", "B")),),
    )
)


def no_move(*_: object) -> Any:
    raise AssertionError("this rule judges no move")


URL_MAP = UrlMapSplit("A", "a", "backend/legacy", "backend/package")
EXPECTED = Expected(
    plan=PLAN,
    guardrails=("error_rate", "response_time"),
    databases=("causeway", "causeway-verify"),
    backed_up=("causeway", "(default)"),
    retention_days=30,
    place=Place("low/A/50"),
    splits={"traffic-A-A": (URL_MAP, 50)},
    present=lambda: None,
    judge=no_move,
)


def definition(position: str, *, hold: tuple[str, ...] = (), **weight: int) -> str:
    """A flag set's definition with these weights; services that are not named are at 0."""
    shares = {"A": 0, "B": 0} | weight
    listed = tuple(Flag(name, share, Stage.IN_PROGRESS if share else Stage.UNTOUCHED) for name, share in shares.items())
    return flags.build(FlagSet("local", position, "seed", listed, hold=hold))


def flag_set(text: str, position: str, **inputs: Any) -> Resource:
    asked = {"collection": "flags", "database": "causeway", "documentId": "local"}
    return Resource(weights.DOCUMENT, "flags-document", asked | {"fields": fields_json(text, position)} | inputs)


def found(check: Any, subject: Any, expected: Expected = EXPECTED) -> list[str]:
    return list(check(subject, expected))


# --- weights ------------------------------------------------------------------------------------------------------


def test_a_flag_set_that_follows_the_plan_passes() -> None:
    resource = flag_set(definition("low/A/50", A=50), "low/A/50")
    assert found(weights.on_ladder, resource) == []
    assert found(weights.as_planned, resource) == []


def test_a_hold_is_part_of_the_plan() -> None:
    resource = flag_set(definition("low/A/50", hold=("A",)), "low/A/50")
    assert found(weights.as_planned, resource) == []


def test_a_weight_beside_the_ladder_is_refused() -> None:
    resource = flag_set(definition("low/A/50", A=60), "low/A/50")
    assert found(weights.on_ladder, resource) == ["A would get 60 %; its ladder is 0, 10, 50, 100"]


def test_a_rung_of_another_service_is_no_rung_of_this_one() -> None:
    resource = flag_set(definition("low/B/100", A=100, B=50), "low/B/100")
    assert found(weights.on_ladder, resource) == ["B would get 50 %; its ladder is 0, 100"]


def test_weights_of_another_position_are_refused() -> None:
    resource = flag_set(definition("low/A/10", A=50), "low/A/10")
    assert found(weights.as_planned, resource) == ["A would get 50 % at low/A/10, where the plan says 10 %"]


def test_a_position_that_is_in_no_plan_is_refused() -> None:
    resource = flag_set(definition("low/C/10"), "low/C/10")
    assert found(weights.as_planned, resource) == [
        "there is no position low/C/10 in this plan; `causeway plan` lists all"
    ]


def test_a_document_whose_position_contradicts_its_definition_is_refused() -> None:
    resource = flag_set(definition("low/A/10", A=10), "low/A/50")
    assert found(weights.as_planned, resource) == [
        "the document says low/A/50, its definition says low/A/10: which one is it?"
    ]


def test_a_service_of_no_matrix_gets_no_traffic() -> None:
    resource = flag_set(definition("low/A/10", A=10, Z=10), "low/A/10")
    assert found(weights.on_ladder, resource) == ["Z has a weight, but is no service of this stack's matrix"]
    assert found(weights.as_planned, resource) == ["Z would get 10 % at low/A/10, where the plan says no flag"]


@pytest.mark.parametrize("inputs", [{"collection": "notes"}, {"database": "(default)"}])
def test_other_documents_are_nobodys_flag_set(inputs: dict[str, str]) -> None:
    assert weights.definition_of(flag_set("no definition at all", "low/A/10", **inputs)) is None


def test_fields_that_are_no_flag_set_are_named() -> None:
    broken = flag_set("", "", fields=json.dumps({"definition": {"integerValue": "1"}}))
    with pytest.raises(weights.ConfigError, match="flags-document is no flag set"):
        weights.definition_of(broken)


# --- steps --------------------------------------------------------------------------------------------------------


def standing_at(text: str | None) -> Expected:
    """With a stack that has applied this definition, and nothing else to be said against a move."""
    return replace(EXPECTED, present=lambda: text, judge=lambda here, there: judge(PLAN, here, there, Circumstances()))


def test_the_next_step_passes() -> None:
    wanted = flag_set(definition("low/A/50", A=50), "low/A/50")
    assert found(steps.one_legal_move, wanted, standing_at(definition("low/A/10", A=10))) == []


def test_a_skipped_step_is_refused_in_the_words_of_the_hook() -> None:
    wanted = flag_set(definition("low/A/100", A=100), "low/A/100")
    (sentence,) = found(steps.one_legal_move, wanted, standing_at(definition("low/A/10", A=10)))
    assert sentence.startswith("position low/A/100 is 2 steps ahead of low/A/10")


def test_a_way_back_without_a_reason_is_refused() -> None:
    wanted = flag_set(definition("low/A/10", A=10), "low/A/10")
    (sentence,) = found(steps.one_legal_move, wanted, standing_at(definition("low/A/50", A=50)))
    assert "CAUSEWAY_REASON" in sentence


def test_a_stack_that_has_applied_nothing_starts_at_infrastructure() -> None:
    start = flag_set(definition("infrastructure"), "infrastructure")
    assert found(steps.one_legal_move, start, standing_at(None)) == []
    ahead = flag_set(definition("low/A/10", A=10), "low/A/10")
    assert len(found(steps.one_legal_move, ahead, standing_at(None))) == 1


def test_the_state_is_read_for_nothing_but_a_flag_set() -> None:
    def unreadable() -> str | None:
        raise AssertionError("the state was read")

    other = Resource("gcp:storage/bucket:Bucket", "b", {})
    assert found(steps.one_legal_move, other, replace(EXPECTED, present=unreadable)) == []


# --- traffic that no flag splits ----------------------------------------------------------------------------------


def url_map(percent: int, kind: str = "gcp:compute/uRLMap:URLMap") -> Resource:
    rows = [{"backendService": backend, "weight": share} for backend, share in url_map_weights(URL_MAP, percent)]
    return Resource(kind, "traffic-A-A", {"defaultRouteAction": {"weightedBackendServices": rows}})


def test_a_split_is_what_the_plan_says() -> None:
    assert found(weights.split_as_planned, url_map(50)) == []
    assert found(weights.split_as_planned, url_map(100)) == ["traffic-A-A would give A 100 %, where the plan says 50 %"]
    (sentence,) = found(weights.split_as_planned, replace(url_map(50), inputs={"defaultRouteAction": {}}))
    assert sentence.startswith("traffic-A-A is no split of A")
    assert found(weights.split_as_planned, url_map(100, "causeway:components:Traffic")) == [], (
        "a component has no share"
    )


def test_an_update_of_a_split_alone_is_judged_as_the_move_it_is() -> None:
    """Prevents: `pulumi up --target` of a URL map goes steps ahead of the flag set, and every policy is content."""
    (sentence,) = found(steps.one_legal_move, url_map(50), standing_at(definition("infrastructure")))
    assert sentence.startswith("position low/A/50 is 2 steps ahead of infrastructure")
    assert found(steps.one_legal_move, url_map(50), standing_at(definition("low/A/10", A=10))) == []


# --- protection ---------------------------------------------------------------------------------------------------

PROTECTED = {
    "name": "causeway",
    "pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_ENABLED",
    "deleteProtectionState": "DELETE_PROTECTION_ENABLED",
    "deletionPolicy": "PREVENT",
}
KEPT = {
    "name": "b",
    "publicAccessPrevention": "enforced",
    "uniformBucketLevelAccess": True,
    "versioning": {"enabled": True},
    "retentionPolicy": {"retentionPeriod": str(30 * 86_400)},
    "deletionPolicy": "PREVENT",
}


def database(**inputs: Any) -> Resource:
    return Resource(protection.DATABASE, "records-database", PROTECTED | inputs)


def bucket(**inputs: Any) -> Resource:
    return Resource(protection.BUCKET, "archive-bucket", KEPT | inputs)


def test_a_protected_database_and_bucket_pass() -> None:
    assert found(protection.databases_protected, database()) == []
    assert found(protection.bucket_protected, bucket()) == []


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_DISABLED"}, "pointInTimeRecoveryEnablement"),
        ({"deleteProtectionState": "DELETE_PROTECTION_DISABLED"}, "deleteProtectionState"),
        ({"deletionPolicy": "DELETE"}, "deletionPolicy"),
        ({"deletionPolicy": None}, "deletionPolicy"),
    ],
)
def test_each_protection_taken_from_the_database_is_named(inputs: dict[str, Any], word: str) -> None:
    (sentence,) = found(protection.databases_protected, database(**inputs))
    assert word in sentence


def test_the_scratch_database_needs_no_protection() -> None:
    scratch = database(name="causeway-verify", deletionPolicy="DELETE", deleteProtectionState=None)
    assert found(protection.databases_protected, scratch) == []


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"retentionPolicy": {"retentionPeriod": "86400"}}, "retained for 1 days, not 30"),
        ({"retentionPolicy": {}}, "retained for 0 days"),
        ({"versioning": {"enabled": False}}, "versioning"),
        ({"forceDestroy": True}, "forceDestroy"),
        ({"deletionPolicy": "DELETE"}, "deletionPolicy"),
        ({"lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 1.0}}]}, "lifecycle"),
    ],
)
def test_each_protection_taken_from_the_archives_is_named(inputs: dict[str, Any], word: str) -> None:
    (sentence,) = found(protection.bucket_protected, bucket(**inputs))
    assert word in sentence


def schedule(name: str, rhythm: str) -> Resource:
    return Resource(protection.SCHEDULE, f"{name}-{rhythm}", {"database": name, f"{rhythm}Recurrence": {}})


SCHEDULES = [schedule(name, rhythm) for name in ("causeway", "(default)") for rhythm in ("daily", "weekly")]


def test_a_stack_with_all_its_backups_passes() -> None:
    assert found(protection.backups_made, [database(), bucket(), *SCHEDULES]) == []


def test_a_missing_backup_is_named_by_database_and_rhythm() -> None:
    assert found(protection.backups_made, [database(), bucket(), *SCHEDULES[:-1]]) == [
        "database (default) has no weekly backup schedule"
    ]


def test_a_stack_without_bucket_and_database_says_so() -> None:
    assert len(found(protection.backups_made, SCHEDULES)) == 2


# --- alerts -------------------------------------------------------------------------------------------------------


def alert(service: str, guardrail: str, **inputs: Any) -> Resource:
    labels = {"causeway_service": service, "causeway_guardrail": guardrail}
    return Resource(watch.ALERT, f"{service}-{guardrail}", {"userLabels": labels} | inputs)


def test_every_service_needs_every_alert_and_switched_on() -> None:
    whole = [alert(service, guardrail) for service in "ab" for guardrail in ("error_rate", "response_time")]
    assert found(watch.every_service_has_its_alerts, whole) == []
    off = [*whole[:-1], alert("b", "response_time", enabled=False)]
    assert found(watch.every_service_has_its_alerts, off) == [
        "B has no alert for response_time: nobody would hear of its trouble"
    ]


def test_a_stack_without_metrics_is_told_so_once() -> None:
    """Prevents: a sentence for every service, none of which names the one key that is missing."""
    of_a_job = Resource(watch.ALERT, "missed", {"userLabels": {}})
    (said,) = found(watch.every_service_has_its_alerts, [of_a_job])
    assert "without causeway:metrics" in said


# --- access -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "resource",
    [
        Resource("gcp:cloudrunv2/serviceIamMember:ServiceIamMember", "r", {"member": "allUsers"}),
        Resource("gcp:storage/bucketIAMBinding:BucketIAMBinding", "r", {"members": ["user:a", "allUsers"]}),
        Resource("gcp:storage/bucketAccessControl:BucketAccessControl", "r", {"entity": "allAuthenticatedUsers"}),
        Resource(
            "gcp:projects/iAMPolicy:IAMPolicy",
            "r",
            {"policyData": json.dumps({"bindings": [{"role": "r", "members": ["allUsers"]}]})},
        ),
        Resource("gcp:storage/bucketACL:BucketACL", "r", {"roleEntities": ["OWNER:user-a", "READER:allUsers"]}),
        Resource("gcp:storage/bucketACL:BucketACL", "r", {"predefinedAcl": "publicRead"}),
        Resource(access.RUN_SERVICE, "r", {"invokerIamDisabled": True}),
        bucket(publicAccessPrevention="inherited"),
        bucket(uniformBucketLevelAccess=False),
    ],
)
def test_every_door_to_everybody_is_found(resource: Resource) -> None:
    assert len(found(access.nobody_public, resource)) == 1


@pytest.mark.parametrize(
    "resource",
    [
        Resource("gcp:projects/iAMMember:IAMMember", "r", {"member": "user:allusers@example.org"}),
        Resource("gcp:projects/iAMMember:IAMMember", "r", {"role": "roles/run.invoker"}),  # member not yet known
        bucket(),
    ],
)
def test_named_members_are_not_everybody(resource: Resource) -> None:
    assert found(access.nobody_public, resource) == []


def rules(content: str) -> Resource:
    return Resource(access.RULESET, "ruleset", {"source": {"files": [{"name": "r.rules", "content": content}]}})


def test_rules_that_deny_everything_pass() -> None:
    assert found(access.clients_denied, rules(DENY_CLIENTS)) == []
    assert found(access.clients_denied, rules("// allow read;\n/* allow write: if true; */")) == []


@pytest.mark.parametrize(
    "statement",
    [
        "allow read;",
        "allow read, write: if true;",
        "allow read: if request.auth != null;",
        "allow write: if false || request.auth.uid == 'me';",
        "allow\n  read\n;",
    ],
)
def test_any_other_rule_is_refused(statement: str) -> None:
    assert (
        len(found(access.clients_denied, rules(DENY_CLIENTS.replace("allow read, write: if false;", statement)))) == 1
    )


def test_the_applications_database_and_rules_stay_the_applications() -> None:
    assert found(access.application_untouched, database()) == []
    assert found(access.application_untouched, database(name="causeway-verify")) == []
    assert found(access.application_untouched, database(name="(default)")) == [
        "database (default) is not this stack's to own"
    ]
    own = Resource(access.RELEASE, "r", {"name": "cloud.firestore/causeway"})
    assert found(access.application_untouched, own) == []
    bare = Resource(access.RELEASE, "r", {"name": "cloud.firestore"})
    assert len(found(access.application_untouched, bare)) == 1
