"""What the store says when Google refuses, at the library's edge."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions

from causeway.errors import Unreachable
from causeway.health.baseline_store import load_baselines
from causeway.rollout.store import FirestoreStore, _reaching


def test_a_database_that_is_not_there_is_named() -> None:
    """Prevents a stack trace on a project in which nothing was ever applied."""
    text = (
        "The database causeway does not exist for project demo Please visit https://console.cloud.google.com/datastore"
    )
    with pytest.raises(Unreachable, match="the database causeway is not there") as refused, _reaching():
        raise exceptions.NotFound(text)
    assert "infrastructure" in str(refused.value)


def test_a_document_that_is_not_there_is_not_the_database() -> None:
    with pytest.raises(exceptions.NotFound), _reaching():
        raise exceptions.NotFound("No document to update: projects/demo/databases/causeway/documents/control/local")


def test_a_query_that_breaks_off_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents an AttributeError of Google's library from being all that is seen of an overloaded database."""

    def breaking(**_: Any) -> Iterator[Any]:
        raise exceptions.DeadlineExceeded("Stream removed")
        yield

    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    store = FirestoreStore("demo")
    store.client._firestore_api_internal = SimpleNamespace(run_query=breaking)
    with pytest.raises(Unreachable, match="Firestore does not answer at"):
        store.newest("migration_checkpoints", "local", 1)
    with pytest.raises(Unreachable, match="performance_baselines cannot be reached"):
        load_baselines(store.client, "local")
