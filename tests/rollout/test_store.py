"""What the store says when Google refuses, at the library's edge."""

from __future__ import annotations

import pytest
from google.api_core import exceptions

from causeway.errors import Unreachable
from causeway.rollout.store import _reaching


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
