"""The local cloud keeps what it is given, whoever else writes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from standin.gcp.cloud import Cloud, Thing
from standin.gcp.resources import Refused, Resources
from standin.gcp.schema import Schemas

BUCKET = "gcp:storage/bucket:Bucket"
ACCOUNT = "gcp:serviceaccount/account:Account"
MEMBER = "gcp:projects/iAMMember:IAMMember"
POLICY = "gcp:monitoring/alertPolicy:AlertPolicy"
DATABASE = "gcp:firestore/database:Database"
NOW = datetime(2025, 8, 27, 12, tzinfo=UTC)
URN = "urn:pulumi:local::causeway::gcp:x/y:Y::"


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    schemas = Schemas(tmp_path / "schemas")
    return Resources(Cloud(tmp_path / "cloud"), documents=None, schemas=schemas, project="demo", now=lambda: NOW)


def test_fifty_creations_at_once_are_all_kept(resources: Resources) -> None:
    """Prevents what a state file written whole without a lock did: one of fifty parallel creations was lost."""
    with ThreadPoolExecutor(50) as pool:
        made = list(
            pool.map(lambda n: resources.create(BUCKET, f"{URN}b{n}", {"name": f"b{n}", "location": "EU"}), range(50))
        )
    assert all(resources.read(BUCKET, live.id, {}) == live for live in made)
    assert len({live.id for live in made}) == 50


def test_of_many_that_create_the_same_thing_one_succeeds(tmp_path: Path) -> None:
    cloud, together = Cloud(tmp_path), threading.Barrier(8)

    def create(number: int) -> bool:
        together.wait()
        return cloud.create(Thing(BUCKET, "projects/demo/buckets/b", {"n": number}, {}))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [False] * 7 + [True]


def test_a_named_resource_that_exists_is_refused_and_unchanged(resources: Resources) -> None:
    first = resources.create(ACCOUNT, URN + "a", {"accountId": "runner", "displayName": "one"})
    with pytest.raises(Refused, match="409"):
        resources.create(ACCOUNT, URN + "b", {"accountId": "runner", "displayName": "two"})
    assert resources.read(ACCOUNT, first.id, {}) == first


def test_an_unnamed_resource_created_again_after_a_crash_is_the_same_resource(resources: Resources) -> None:
    inputs = {"displayName": "d", "combiner": "OR", "conditions": []}
    assert resources.create(POLICY, URN + "p", inputs).id == resources.create(POLICY, URN + "p", inputs).id
    assert resources.create(POLICY, URN + "q", inputs).id != resources.create(POLICY, URN + "p", inputs).id


@pytest.mark.parametrize(
    ("token", "one", "other"),
    [
        ("gcp:storage/bucketObject:BucketObject", {"bucket": "a", "name": "x"}, {"bucket": "b", "name": "x"}),
        ("gcp:bigquery/table:Table", {"datasetId": "d", "tableId": "x"}, {"datasetId": "d", "tableId": "y"}),
        (
            "gcp:cloudrunv2/serviceIamMember:ServiceIamMember",
            {"name": "s", "role": "roles/run.invoker", "member": "user:a"},
            {"name": "s", "role": "roles/run.viewer", "member": "user:a"},
        ),
        (
            "gcp:firestore/field:Field",
            {"database": "d", "collection": "a", "field": "expires"},
            {"database": "d", "collection": "b", "field": "expires"},
        ),
        (BUCKET, {"name": "x" * 400 + "a"}, {"name": "x" * 400 + "b"}),
    ],
)
def test_neighbours_do_not_collide(
    resources: Resources, token: str, one: dict[str, str], other: dict[str, str]
) -> None:
    first, second = (resources.create(token, URN + name, inputs) for name, inputs in (("1", one), ("2", other)))
    assert first.id != second.id
    assert resources.read(token, first.id, {}) == first
    assert resources.read(token, second.id, {}) == second


def test_a_grant_given_twice_is_one_grant(resources: Resources) -> None:
    grant = {"project": "demo", "role": "roles/datastore.user", "member": "serviceAccount:a"}
    assert resources.create(MEMBER, URN + "a", grant).id == resources.create(MEMBER, URN + "b", grant).id


def test_what_the_cloud_adds_is_what_programs_rely_on(resources: Resources) -> None:
    account = resources.create(ACCOUNT, URN + "a", {"accountId": "runner"})
    assert account.outputs["email"] == "runner@demo.iam.gserviceaccount.com"
    assert account.outputs["member"] == "serviceAccount:runner@demo.iam.gserviceaccount.com"
    assert account.outputs["name"] == "projects/demo/serviceAccounts/runner@demo.iam.gserviceaccount.com"
    service = {"name": "watcher", "location": "europe-west1", "template": {}, "labels": {"a": "b"}}
    outputs = resources.create("gcp:cloudrunv2/service:Service", URN + "s", service).outputs
    assert outputs["uri"].startswith("https://watcher-")
    assert outputs["effectiveLabels"] == {"a": "b"}
    assert isinstance(outputs["reconciling"], bool)
    assert isinstance(outputs["conditions"], list)


@pytest.mark.parametrize("token", [BUCKET, ACCOUNT, POLICY, DATABASE, "gcp:cloudrunv2/service:Service", MEMBER])
def test_computed_outputs_have_the_types_of_the_sdk(resources: Resources, token: str) -> None:
    from standin.gcp.check import check
    from standin.gcp.schema import Schema

    outputs = resources.create(token, URN + "x", {}).outputs
    declared = resources.schemas.of(token).outputs
    as_inputs = {name: {"type": kind, "required": False} for name, kind in declared.items()}
    assert check(Schema(token, as_inputs, {}), outputs) == []


def test_an_update_keeps_identity_and_creation(resources: Resources) -> None:
    made = resources.create(BUCKET, URN + "b", {"name": "b", "location": "EU"})
    changed = resources.update(BUCKET, made.id, {"name": "b", "location": "EU", "storageClass": "ARCHIVE"})
    assert changed.outputs["selfLink"] == made.outputs["selfLink"]
    assert changed.outputs["storageClass"] == "ARCHIVE"
    with pytest.raises(Refused, match="404"):
        resources.update(BUCKET, made.id + "x", {})


def test_an_update_that_drops_an_input_drops_its_output(resources: Resources) -> None:
    made = resources.create(BUCKET, URN + "b", {"name": "b", "location": "EU", "storageClass": "ARCHIVE"})
    assert resources.update(BUCKET, made.id, {"name": "b", "location": "EU"}).outputs["storageClass"] == ""


def test_deletion_heeds_protection_and_policy(resources: Resources) -> None:
    inputs = {"name": "causeway", "locationId": "eur3", "type": "FIRESTORE_NATIVE"}
    kept = resources.create(DATABASE, URN + "d", inputs)
    resources.delete(DATABASE, kept.id, inputs)
    assert resources.read(DATABASE, kept.id, {}) is not None, "a database is abandoned unless told otherwise"
    protected = {**inputs, "deletionPolicy": "DELETE", "deleteProtectionState": "DELETE_PROTECTION_ENABLED"}
    with pytest.raises(Refused, match="protected"):
        resources.delete(DATABASE, kept.id, protected)
    resources.delete(DATABASE, kept.id, {**inputs, "deletionPolicy": "DELETE"})
    assert resources.read(DATABASE, kept.id, {}) is None


def test_names_are_drawn_once_and_then_kept(resources: Resources) -> None:
    schema, urn = resources.schemas.of(BUCKET), URN + "backups"
    drawn = resources.named(schema, urn, {"location": "EU"}, {}, b"seed")
    assert drawn["name"].startswith("backups-")
    assert resources.named(schema, urn, {"location": "EU"}, drawn, b"other") == drawn
    assert resources.named(schema, urn, {"name": "mine"}, drawn, b"") == {"name": "mine"}
    assert "name" not in resources.named(resources.schemas.of(POLICY), urn, {}, {}, b"")


def test_documents_without_an_emulator_are_refused_with_the_remedy(resources: Resources) -> None:
    with pytest.raises(Refused, match="make local"):
        resources.create(
            "gcp:firestore/document:Document", URN + "d", {"collection": "c", "documentId": "d", "fields": "{}"}
        )
