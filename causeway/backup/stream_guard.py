"""Is this still the database the archive is of? A sentinel that never changes, a heartbeat that always does.

A database that was lost, cleared, replaced, reseeded or imported over looks to a listener like one whose documents were
deleted. Mirrored, that would make the archive as empty as the accident. The sentinel is a document written once: where
it is gone or was written again, what follows is not this database's history. The heartbeat is written with the
precondition that it exists, so that it can never be what makes an empty database look alive.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import grpc
from google.cloud.firestore_v1.types import document as _document
from google.cloud.firestore_v1.types import firestore as _firestore

from causeway.backup import times
from causeway.backup.connection import Connection
from causeway.backup.documents import CONTROL
from causeway.backup.storage import Storage
from causeway.backup.stream_block import Block, Known
from causeway.errors import IntegrityError, Unreachable

_COMMIT: Any = _firestore.CommitRequest.pb()
_COMMITTED: Any = _firestore.CommitResponse.pb()
_GET: Any = _firestore.BatchGetDocumentsRequest.pb()
_GOT: Any = _firestore.BatchGetDocumentsResponse.pb()
_DOCUMENT: Any = _document.Document.pb()

SENTINELS = "sentinels/"
"""Where an archive keeps them, by the time at which each was written."""
CALL_SECONDS = 10.0
"""After this long a small call counts as unanswered."""
_GONE = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION})


class Refused(IntegrityError):
    """The stream stops rather than mirror this; nothing of it is in the archive."""


def refusal(what: str) -> Refused:
    """The refusal of a database that is not the one the archive is of."""
    return Refused(
        what,
        "this is not the database the archive is of any more; mirroring it would record the loss of every document "
        "as if it were meant",
        "restore the last watermark (`causeway backup restore --at …`), or, if this is meant, begin a new stream "
        "with `causeway backup stream --anew`",
    )


@dataclass(frozen=True, slots=True)
class Sentinel:
    """What was written into the database once, as the server confirmed it (times in microseconds since 1970)."""

    name: str
    nonce: str
    created: int
    updated: int

    @property
    def heartbeat(self) -> str:
        """The resource name of the heartbeat document that goes with it."""
        return f"{self.name}-heartbeat"

    def save(self, storage: Storage) -> None:
        """Keep it in the archive, where it outlives the machine that streams; the newest is the one in force."""
        storage.create(f"{SENTINELS}{self.created:020}.json", json.dumps(asdict(self)).encode() + b"\n")

    @staticmethod
    def load(storage: Storage) -> Sentinel | None:
        """The one in force, if there is one.

        Raises:
            IntegrityError: the object is not one of ours.
        """
        names = storage.names(SENTINELS)
        if not names:
            return None
        try:
            return Sentinel(**json.loads(storage.read(names[-1])))
        except (ValueError, TypeError) as error:
            raise IntegrityError(
                f"{names[-1]} in {storage.url} does not describe a sentinel",
                "it cannot be told whether this is still the same database",
                "begin a new stream with `causeway backup stream --anew`",
            ) from error


def judge(block: Block, known: Known, sentinel: Sentinel) -> None:
    """Hold a block against the sentinel, before anything of it is written.

    Raises:
        Refused: behind this block the sentinel is gone or is not the one that was written.
    """
    if sentinel.name in block.changes:
        version = block.changes[sentinel.name]
        updated = version.updated if version else None
    else:
        updated = known.of(CONTROL).get(sentinel.name)
    if updated is None:
        raise refusal(f"the sentinel document {sentinel.name} is gone at {times.text(block.read_time)}")
    if updated != sentinel.updated:
        raise refusal(f"the sentinel document {sentinel.name} was written again by somebody else")
    if block.changes.get(sentinel.heartbeat, block) is None:
        raise refusal(f"the heartbeat document {sentinel.heartbeat} is gone at {times.text(block.read_time)}")


def plant(connection: Connection) -> Sentinel:
    """Write a new sentinel and its heartbeat.

    Raises:
        Unreachable, CausewayError: the database does not answer or does not allow it.
    """
    nonce = secrets.token_hex(16)
    sentinel = Sentinel(f"{connection.database.root}/{CONTROL}/{nonce}", nonce, 0, 0)
    request = _COMMIT(database=connection.database.name)
    for name, fields in ((sentinel.name, {"nonce": nonce}), (sentinel.heartbeat, {"beat": 0})):
        write = request.writes.add()
        write.update.CopyFrom(_fields(name, fields))
        write.current_document.exists = False
    response = _COMMITTED.FromString(_call(connection, "Commit", request.SerializeToString()))
    at = times.micros(response.write_results[0].update_time)
    return Sentinel(sentinel.name, nonce, at, at)


def confirm(connection: Connection, sentinel: Sentinel) -> None:
    """Read the sentinel back before a stream is opened.

    Raises:
        Refused: it is gone, or another one stands in its place.
    """
    request = _GET(database=connection.database.name, documents=[sentinel.name])
    for raw in connection.stream("BatchGetDocuments", request.SerializeToString()):
        found = _GOT.FromString(raw).found
        if not found.name:
            raise refusal(f"the sentinel document {sentinel.name} is gone")
        seen = (times.micros(found.create_time), times.micros(found.update_time), found.fields["nonce"].string_value)
        if seen != (sentinel.created, sentinel.updated, sentinel.nonce):
            raise refusal(f"the sentinel document {sentinel.name} is not the one that was written")


def beat(connection: Connection, sentinel: Sentinel, number: int) -> int:
    """Write the heartbeat; its update time by the server's clock, in microseconds since 1970.

    Raises:
        Refused: there is no heartbeat document to update.
        Unreachable: the database does not answer.
    """
    request = _COMMIT(database=connection.database.name)
    write = request.writes.add()
    write.update.CopyFrom(_fields(sentinel.heartbeat, {"beat": number}))
    write.current_document.exists = True
    try:
        raw = _call(connection, "Commit", request.SerializeToString())
    except _Gone as error:
        raise refusal(f"the heartbeat document {sentinel.heartbeat} is gone") from error
    return times.micros(_COMMITTED.FromString(raw).commit_time)


class _Gone(Exception):
    """The precondition did not hold."""


def _call(connection: Connection, method: str, request: bytes) -> bytes:
    call = connection.start(method, request)
    try:
        return bytes(call.result(timeout=CALL_SECONDS))
    except grpc.RpcError as error:
        if error.code() in _GONE:
            raise _Gone from error
        raise connection.failure(method, error) from error
    except grpc.FutureTimeoutError as error:
        call.cancel()
        raise Unreachable(f"{method} on {connection.database.name} has no answer after {CALL_SECONDS:.0f} s") from error
    except grpc.FutureCancelledError as error:
        raise Unreachable(f"{method} on {connection.database.name} was cancelled") from error


def _fields(name: str, values: Mapping[str, str | int]) -> Any:
    document = _DOCUMENT(name=name)
    for field, value in values.items():
        if isinstance(value, int):
            document.fields[field].integer_value = value
        else:
            document.fields[field].string_value = value
    return document
