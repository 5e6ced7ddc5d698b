"""The reader against the real Firestore emulator: how fast a write is obeyed, and what an outage does."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from causeway.client.firestore import FirestoreSource
from causeway.client.follow import Follower
from tests.client.test_view import definition

pytestmark = pytest.mark.e2e

ANN = {"targetingKey": "ann"}


def until(true: Callable[[], bool], seconds: float) -> float:
    """Seconds until it is true; fails after `seconds`."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s"
        time.sleep(0.005)
    return time.monotonic() - begun


@pytest.fixture
def database(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from google.cloud import firestore

    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    monkeypatch.setenv("METADATA_SERVER_DETECTION", "none")
    client = firestore.Client(project="demo-client", database="causeway")
    yield client
    client.close()


@pytest.fixture(params=[False, True], ids=["poll", "watch"])
def follower(database: Any, request: pytest.FixtureRequest) -> Iterator[Follower]:
    database.document("flags/local").set({"definition": definition(max_age_s=4), "position": "low/A/100"})
    beat(database, override=None)
    following = Follower(FirestoreSource("local", "demo-client", watch=request.param))
    following.start()
    yield following
    following.stop()


def beat(database: Any, **fields: Any) -> None:
    now = datetime.datetime.now(datetime.UTC)
    database.document("control/local").set({"renewed_at": now, "fence": 1, **fields}, merge=True)


def test_writes_reach_the_decision_quickly(database: Any, follower: Follower) -> None:
    assert "A" in follower.packages(ANN)
    taken = []
    for weight in (0, 100, 0, 100):
        beat(database)
        database.document("flags/local").update({"definition": definition(weight, max_age_s=4)})
        taken.append(until(lambda want=weight == 100: ("A" in follower.packages(ANN)) is want, 1))
    beat(database, override=definition(0, max_age_s=4))
    taken.append(until(lambda: "A" not in follower.packages(ANN), 1))
    beat(database, override=None)
    taken.append(until(lambda: "A" in follower.packages(ANN), 1))
    assert sorted(taken)[len(taken) // 2] <= 0.3, taken


def test_silence_means_legacy_and_a_heartbeat_ends_it_at_once(database: Any, follower: Follower) -> None:
    assert "A" in follower.packages(ANN)
    until(lambda: "A" not in follower.packages(ANN), 6)
    assert follower.packages(ANN) == {"Done", "Gone"}
    beat(database)
    assert until(lambda: "A" in follower.packages(ANN), 2) <= 0.5
