"""What the tests of backups do again and again: take, restore, look."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import DOCUMENT, relative_path
from causeway.backup.history import Part, Point, find
from causeway.backup.queries import scan, server_time
from causeway.backup.ramp import unlimited
from causeway.backup.ranges import ALL
from causeway.backup.restore import Outcome, Restore
from causeway.backup.snapshot import Request, snapshot
from tests.backup import shapes

Connect = Callable[..., Connection]


def no_sleep(_: float) -> None:
    raise AssertionError("nothing here should have to wait")


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


def causeway(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in the emulator's environment that the fixtures have set."""
    command = [sys.executable, "-W", "ignore", "-c", "from causeway.cli import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
    )
