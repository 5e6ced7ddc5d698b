"""Databases of the tests' own in the shared emulator, and archives in temporary directories."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from causeway.backup.storage import LocalStorage
from tests.backup import shapes
from tests.backup.helpers import Connect


@pytest.fixture
def connect(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connections to databases nobody else uses."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    monkeypatch.setenv("METADATA_SERVER_DETECTION", "none")
    with ExitStack() as opened:

        def open_one(database: str = "(default)") -> Connection:
            made = Database(f"backup-{secrets.token_hex(4)}", database)
            return opened.enter_context(Connection.open(made))

        yield open_one


@pytest.fixture
def source(connect: Connect) -> Connection:
    """A database with a document of every shape."""
    connection = connect()
    shapes.write(connection, list(shapes.documents(connection.database)))
    return connection


@pytest.fixture
def archive(tmp_path: Path, source: Connection) -> Archive:
    """The source's archive, empty."""
    return Archive.create(LocalStorage(tmp_path / "archive"), source.database)
