"""Databases of the tests' own in the shared emulator, and archives in temporary directories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import shapes

from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import DOCUMENT, Database, relative_path
from causeway.backup.history import Part, Point, find
from causeway.backup.queries import scan, server_time
from causeway.backup.ramp import unlimited
from causeway.backup.ranges import ALL
from causeway.backup.restore import Outcome, Restore
from causeway.backup.snapshot import Request, snapshot
from causeway.backup.storage import LocalStorage

_NUMBERS = count()

Connect = Callable[..., Connection]


def no_sleep(_: float) -> None:
    raise AssertionError("nothing here should have to wait")


@pytest.fixture
def connect(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connections to databases nobody else uses; emptied afterwards, since the emulator keeps everything in memory."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    monkeypatch.setenv("METADATA_SERVER_DETECTION", "none")
    with ExitStack() as opened:

        def open_one(database: str = "(default)", project: str = "") -> Connection:
            made = Database(project or f"backup-{next(_NUMBERS)}-{id(opened)}", database)
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
    return Archive.create(LocalStorage(tmp_path / "archive"), source.database)


def take(archive: Archive, connection: Connection, *collections: str, incremental: bool = False) -> Point:
    """A snapshot, as the point that can be restored."""
    taken = snapshot(archive, connection, Request(collections, "", incremental), sleep=no_sleep)
    assert taken.completed is not None
    return Point(taken, taken.read_time)


def restore(archive: Archive, target: Connection, point: Point | None = None, **options: Any) -> Outcome:
    """Plan and apply."""
    part = Part(point) if point else find(archive)[0]
    with Restore(archive, part, target, **options) as work:
        return work.apply(work.plan(), wait=unlimited, sleep=no_sleep)


def contents(connection: Connection) -> dict[str, bytes]:
    """Every document by path, for comparing across databases: read without the code that compares digests."""
    found = {}
    for raw in scan(connection, ALL, server_time(connection)):
        message = DOCUMENT.FromString(raw)
        found[relative_path(message.name)] = shapes.canonical(message, connection.database.root)
    return found
