"""An application under way, with a log of its own of what it wrote and when: what a restored state is held against."""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.cloud.firestore_v1.types import document as _document
from google.cloud.firestore_v1.types import firestore as _firestore

from causeway.backup import times
from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import DOCUMENT, Database
from causeway.backup.stream import Stream
from causeway.backup.stream_state import state_at
from causeway.errors import CausewayError

_COMMIT: Any = _firestore.CommitRequest.pb()
_COMMITTED: Any = _firestore.CommitResponse.pb()
_DOC: Any = _document.Document.pb()
Change = tuple[str, int | None]
"""A relative path and the value written, or None for a delete."""


def document(name: str, value: int, padding: int = 400) -> Any:
    message = _DOC(name=name)
    message.fields["value"].integer_value = value
    message.fields["padding"].string_value = "x" * padding
    return message


def commit(connection: Connection, changes: list[Change]) -> datetime:
    """Write in one commit; its commit time."""
    request = _COMMIT(database=connection.database.name)
    for path, value in changes:
        name = f"{connection.database.root}/{path}"
        if value is None:
            request.writes.add().delete = name
        else:
            request.writes.add().update.CopyFrom(document(name, value))
    response = _COMMITTED.FromString(connection.call("Commit", request.SerializeToString()))
    return times.from_proto(response.commit_time)


@dataclass
class WriteLog:
    """What was written, by commit time."""

    entries: list[tuple[datetime, list[Change]]] = field(default_factory=list)

    def at(self, when: datetime) -> dict[str, int]:
        """The state at an instant, computed from the log alone."""
        state: dict[str, int] = {}
        for time_, changes in sorted(self.entries, key=lambda entry: entry[0]):
            if time_ > when:
                break
            for path, value in changes:
                if value is None:
                    state.pop(path, None)
                else:
                    state[path] = value
        return state


COLLECTIONS = ("user_cvs", "recommendations")


def seed(connection: Connection, log: WriteLog, count: int) -> None:
    paths = [f"{COLLECTIONS[i % 2]}/{i:06}" for i in range(count - 1)] + ["user_cvs/absent/versions/1"]
    for start in range(0, count, 200):
        changes: list[Change] = [(path, 0) for path in paths[start : start + 200]]
        log.entries.append((commit(connection, changes), changes))


@contextlib.contextmanager
def writing(
    connect: Callable[[], Connection],
    log: WriteLog,
    documents: int,
    *,
    batch: int = 5,
    pause: float = 0.01,
    seed: int = 1,
) -> Iterator[None]:
    """Two writers in the background: updates, creates, deletes, subcollections, hot documents."""
    over = threading.Event()

    def write(number: int) -> None:
        rng = random.Random(seed * 100 + number)
        with connect() as connection:
            while not over.is_set():
                changes = dict(_change(rng, number, documents) for _ in range(batch))
                with contextlib.suppress(CausewayError):
                    log.entries.append((commit(connection, list(changes.items())), list(changes.items())))
                time.sleep(pause)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _change(rng: random.Random, writer: int, documents: int) -> Change:
    number = rng.randrange(3) if rng.random() < 0.1 else rng.randrange(documents)
    path = f"{COLLECTIONS[number % 2]}/{number:06}"
    if rng.random() < 0.1:
        path += f"/versions/{rng.randrange(5)}"
    return path, None if rng.random() < 0.2 else rng.randrange(1_000_000)


@contextlib.contextmanager
def running(stream: Stream, *, anew: bool = False) -> Iterator[list[BaseException]]:
    """The stream in a thread; what it raised is in the list."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            stream.run(anew=anew)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        stream.stop()
        thread.join()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for real processes; fails the test when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def restored(archive: Archive, asked: datetime) -> tuple[datetime, dict[str, int]]:
    """The watermark and the documents' values at it, by relative path."""
    state = state_at(archive, asked)
    found = (DOCUMENT.FromString(record.message) for record in state.documents)
    root = f"{archive.database.root}/"
    return state.watermark, {d.name.removeprefix(root): d.fields["value"].integer_value for d in found}


def database(name: str) -> Database:
    return Database(re.sub(r"[^a-z0-9]+", "-", name).strip("-"))
