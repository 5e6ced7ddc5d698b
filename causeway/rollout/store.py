"""The database `causeway`: documents read with their update time, and written only where that has not changed.

A port (`Store`) with one implementation on Firestore. Times are the server's, so clocks of operators do not matter.
"""

from __future__ import annotations

import datetime
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from causeway.asking import stream_once
from causeway.errors import Conflict, Unreachable

DATABASE = "causeway"
Values = Mapping[str, Any]
#: How Firestore says so; that a document is not there it says otherwise.
_NO_DATABASE = re.compile(r"database .* does not exist", re.IGNORECASE)


class Now:
    """Stands for the server's time in a write."""

    def __repr__(self) -> str:
        return "NOW"


#: In a value: the time at which the server commits the write.
NOW = Now()


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read: `updated` guards the next write, `read` is the server's time of reading."""

    path: str
    values: Values
    updated: datetime.datetime
    read: datetime.datetime


@dataclass(frozen=True, slots=True)
class Write:
    """A whole document to write; only if it was last updated at `expected`, or, if that is None, does not exist."""

    path: str
    values: Values
    expected: datetime.datetime | None = None


class Store(Protocol):
    """Documents by path (`collection/id`)."""

    def read(self, path: str) -> Document | None:
        """One document; None where there is none. Raises Unreachable."""

    def newest(self, collection: str, stack: str, count: int) -> list[Document]:
        """The documents of a stack with the highest `seq`, highest first. Raises Unreachable."""

    def commit(self, writes: Sequence[Write]) -> datetime.datetime:
        """All writes or none; returns their update time. Raises Conflict where one does not meet its condition."""


def preload() -> None:
    """Import Google's library beside what its caller does next: it takes a third of a second, others only wait."""
    threading.Thread(target=import_module, args=("google.cloud.firestore",), daemon=True).start()


class FirestoreStore:
    """The store on Firestore. `timeout` bounds every request, in seconds."""

    def __init__(self, project: str, *, database: str = DATABASE, timeout: float = 5.0) -> None:
        os.environ.setdefault("METADATA_SERVER_DETECTION", "none")
        from google.cloud import firestore

        self._timeout = timeout
        try:
            self.client = firestore.Client(project=project, database=database)
        except Exception as error:  # google.auth raises its own family
            raise Unreachable(
                f"no credentials for Firestore in project {project}: {error}",
                "neither position nor journal can be read",
                "`gcloud auth application-default login`, or set FIRESTORE_EMULATOR_HOST.",
            ) from None

    def read(self, path: str) -> Document | None:
        with _reaching():
            found = self.client.document(path).get(timeout=self._timeout, retry=None)
        if not found.exists:
            return None
        return Document(path, found.to_dict() or {}, found.update_time, found.read_time)

    def newest(self, collection: str, stack: str, count: int) -> list[Document]:
        from google.cloud.firestore_v1.base_query import FieldFilter

        query = (
            self.client.collection(collection)
            .where(filter=FieldFilter("stack", "==", stack))
            .order_by("seq", direction="DESCENDING")
            .limit(count)
        )
        with _reaching():
            found = list(stream_once(query, self._timeout))
        return [
            Document(f"{collection}/{each.id}", each.to_dict() or {}, each.update_time, each.read_time)
            for each in found
        ]

    def commit(self, writes: Sequence[Write]) -> datetime.datetime:
        from google.api_core import exceptions

        batch = self.client.batch()
        for write in writes:
            reference, values = self.client.document(write.path), _with_server_time(write.values)
            if write.expected is None:
                batch.create(reference, values)
            else:
                # `update` with every field replaced, because only it takes a condition on the update time.
                batch.update(reference, values, option=self.client.write_option(last_update_time=write.expected))
        try:
            with _reaching():
                results = batch.commit(timeout=self._timeout, retry=None)
        except (exceptions.FailedPrecondition, exceptions.AlreadyExists, exceptions.Aborted, exceptions.NotFound):
            raise Conflict(
                f"{', '.join(write.path for write in writes)} changed while it was being written",
                "somebody else moves this stack; nothing was written",
                "`causeway status` shows who; try again.",
            ) from None
        updated: datetime.datetime = results[-1].update_time
        return updated


class _reaching:  # noqa: N801 - reads as a phrase
    """Turns what Google's library raises when nobody answers into one message."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from google.api_core import exceptions

        unavailable = exceptions.RetryError | exceptions.ServerError | exceptions.TooManyRequests | exceptions.Cancelled
        if isinstance(error, unavailable | exceptions.Forbidden | exceptions.Unauthorized):
            host = os.environ.get("FIRESTORE_EMULATOR_HOST")
            raise Unreachable(
                f"Firestore does not answer{f' at {host}' if host else ''}: {error}",
                "position, verdicts and overrides can be neither read nor written",
                "Start it with `make local`." if host else "Check the network and the permissions of this account.",
            ) from None
        if isinstance(error, exceptions.NotFound) and _NO_DATABASE.search(str(error)):
            raise Unreachable(
                f"the database {DATABASE} is not there: {error}",
                "there are no position, verdicts and overrides to read or write",
                "`pulumi up` at the position infrastructure makes it; check gcp:project if it should be there.",
            ) from None


def _with_server_time(values: Values) -> dict[str, Any]:
    from google.cloud.firestore import SERVER_TIMESTAMP

    return {name: SERVER_TIMESTAMP if value is NOW else value for name, value in values.items()}
