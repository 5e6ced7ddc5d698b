"""Reading and keeping on the real Firestore emulator: every type, every page, and baselines that come back equal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from causeway.errors import Unreachable
from causeway.health.baseline_store import COLLECTION, load_baselines, read_baselines, save_baseline
from causeway.health.baselines import Baseline, Hour
from causeway.health.documents import FirestoreDocuments
from causeway.model.window import Histogram, Tally

pytestmark = pytest.mark.e2e
T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
PROJECT = "health-documents"


@pytest.fixture
def client(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    monkeypatch.setenv("METADATA_SERVER_DETECTION", "none")
    from google.cloud import firestore

    return firestore.Client(project=PROJECT)


@pytest.fixture
def documents(emulator: str) -> Iterator[FirestoreDocuments]:
    with Connection.open(Database(PROJECT), emulator) as connection:
        yield FirestoreDocuments(connection)


def test_equal_documents_have_equal_digests_whatever_they_hold(client: Any, documents: FirestoreDocuments) -> None:
    from google.cloud.firestore import GeoPoint

    def fields() -> dict[str, Any]:
        other = client.document("elsewhere/1")
        nested = {"b": [1, {"c": None}], "a": GeoPoint(1, 2), "é": other}
        return {"n": nested, "x": math.nan, "t": T0, "by": b"\x00\xff", "at": 1}

    client.document("one/1").set(fields())
    client.document("two/1").set(dict(reversed(fields().items())))
    client.document("two/2").set({**fields(), "at": 2})
    assert documents.digests("one")["1"] == documents.digests("two")["1"]
    assert documents.digests("two")["1"] != documents.digests("two")["2"]
    assert len(set(documents.digests("two", ignore=("at",)).values())) == 1


def test_an_integer_and_a_float_are_not_the_same(client: Any, documents: FirestoreDocuments) -> None:
    client.document("numbers/1").set({"n": 1})
    client.document("numbers/2").set({"n": 1.0})
    assert len(set(documents.digests("numbers").values())) == 2


def test_every_page_is_read_and_subcollections_are_not(client: Any, documents: FirestoreDocuments) -> None:
    batch = client.batch()
    for number in range(450):
        batch.set(client.document(f"many/{number:04}"), {"n": number})
    batch.set(client.document("many/0001/deeper/1"), {"n": 0})
    batch.commit()
    documents._page = 200
    assert len(documents.digests("many")) == 450
    assert documents.ids("many/0001/deeper") == {"1"}
    assert documents.ids("nothing") == frozenset()


def test_a_reading_is_of_one_moment(client: Any, documents: FirestoreDocuments) -> None:
    """Prevents: a document that moves while pages are read is counted as lost."""
    client.document("moving/1").set({"n": 1})
    then = documents.pinned()
    client.document("moving/1").delete()
    client.document("moving/2").set({"n": 2})
    assert (then.ids("moving"), documents.ids("moving")) == ({"1"}, {"2"})
    assert then.digests("moving").keys() == {"1"}


def test_references_are_read_as_references_and_as_text(client: Any, documents: FirestoreDocuments) -> None:
    client.document("cvs/1").set({"of user": client.document("users/ada")})
    client.document("cvs/2").set({"of user": "bob"})
    client.document("cvs/3").set({"of user": None})
    client.document("cvs/4").set({"other": 1})
    assert documents.references("cvs", "of user") == {"1": "ada", "2": "bob", "3": None, "4": None}


def test_a_database_that_does_not_answer_is_unreachable() -> None:
    with Connection.open(Database(PROJECT), "127.0.0.1:1") as connection, pytest.raises(Unreachable):
        FirestoreDocuments(connection).ids("users")


BASELINE = Baseline(
    "CacheManager", T0 - timedelta(hours=2), T0, 7200.0, Tally(12, 34_567),
    Histogram((0.1, 0.25, math.inf), (30_000, 4_000, 567)), Tally(0, 1440),
    {11: Hour(17_000, 3600.0), 12: Hour(17_567, 3600.0)},
)  # fmt: skip


def test_a_baseline_comes_back_equal_and_the_latest_counts(client: Any) -> None:
    newer = Baseline("CacheManager", T0, T0 + timedelta(hours=1), 3600.0, Tally(0, 9), BASELINE.latency)
    save_baseline(client, "local", newer)
    save_baseline(client, "local", BASELINE)
    save_baseline(client, "other", BASELINE)
    assert load_baselines(client, "local") == {"CacheManager": newer}
    assert load_baselines(client, "other") == {"CacheManager": BASELINE}
    assert load_baselines(client, "none") == {}


def test_a_damaged_baseline_is_named_and_costs_its_service_alone(client: Any) -> None:
    """Prevents: one damaged document, and nothing is judged by any baseline."""
    older = replace(BASELINE, until=T0 - timedelta(hours=1))
    other = replace(BASELINE, service="Writer")
    for each in (older, BASELINE, other):
        save_baseline(client, "damaged", each)
    old = save_baseline(client, "damaged", replace(other, until=T0 - timedelta(hours=2)))
    name = f"damaged.CacheManager.{T0:%Y%m%dT%H%M%SZ}"
    for each in (name, old):
        client.document(f"{COLLECTION}/{each}").update({"counts": [1, 2]})
    client.document(f"{COLLECTION}/anything").set({"stack": "damaged"})
    assert load_baselines(client, "damaged") == {"Writer": other}
    _, damaged = read_baselines(client, "damaged")
    assert {name in error.fact for error in damaged} == {True, False} and len(damaged) == 3
