"""Writing documents fast: size-bounded `BatchWrite`s, some under way at once, every status read.

A `BatchWrite` is not atomic: each write succeeds or fails by itself, so the statuses are what counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.cloud.firestore_v1.types import firestore as _firestore
from google.cloud.firestore_v1.types import write as _write

from causeway.backup.connection import Connection
from causeway.errors import CausewayError, Unreachable

_REQUEST: Any = _firestore.BatchWriteRequest.pb()
_RESPONSE: Any = _firestore.BatchWriteResponse.pb()
_WRITE: Any = _write.Write.pb()
_MUST_NOT_EXIST = bytes(_WRITE(current_document={"exists": False}).SerializeToString())
_MAX_WRITES = 500
_MAX_BYTES = 3_900_000
"""Below the emulator's 4 MiB for a message, and far below the service's 10."""
UNDER_WAY = 4
_ATTEMPTS = 8
_OK = 0
_TRANSIENT = {
    code.value[0]
    for code in (
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
    )
}
_MOVED_ON = {
    code.value[0]
    for code in (
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.NOT_FOUND,
    )
}
"""The document is no longer what the precondition says."""


def set_document(document: bytes, replaces: int | None, *, guarded: bool) -> bytes:
    """A serialised `Write` that sets a document.

    Guarded, it fails unless the document still has the update time `replaces` (microseconds since 1970), or still
    does not exist where that is None.
    """
    return b"\x0a" + _varint(len(document)) + document + (_guard(replaces) if guarded else b"")


def delete_document(name: str, replaces: int, *, guarded: bool) -> bytes:
    """A serialised `Write` that deletes a document; guarded as for `set_document`."""
    return bytes(_WRITE(delete=name).SerializeToString()) + (_guard(replaces) if guarded else b"")


def _guard(replaces: int | None) -> bytes:
    if replaces is None:
        return _MUST_NOT_EXIST
    write = _WRITE()
    seconds, micros = divmod(replaces, 1_000_000)
    write.current_document.update_time.seconds = seconds
    write.current_document.update_time.nanos = micros * 1000
    return bytes(write.SerializeToString())


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


@dataclass(frozen=True, slots=True)
class Written:
    """How many writes succeeded, and how many found their document changed since the plan was made."""

    done: int
    moved_on: int


@dataclass(slots=True)
class _Batch:
    writes: list[bytes]
    call: Any
    attempt: int = 0


class Writer:
    """Sends serialised `Write`s to one database."""

    def __init__(
        self,
        connection: Connection,
        wait: Callable[[int], None],
        sleep: Callable[[float], None],
        progress: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._wait = wait
        self._sleep = sleep
        self._progress = progress
        self._head = b"\x0a" + _varint(len(connection.database.name)) + connection.database.name.encode()
        self._done = 0
        self._moved_on = 0

    def write(self, writes: Iterable[bytes]) -> Written:
        """Send them all; no document may be written twice. Writes that fail for a passing reason are sent again.

        Raises:
            Unreachable: the service does not answer after several attempts. What was written stays.
            CausewayError: it refuses a write; the first refusal is told.
        """
        self._done = self._moved_on = 0
        under_way: deque[_Batch] = deque()
        try:
            for batch in _batches(writes):
                self._wait(len(batch))
                under_way.append(_Batch(batch, self._send(batch)))
                if len(under_way) >= UNDER_WAY:
                    self._finish(under_way.popleft())
            while under_way:
                self._finish(under_way.popleft())
        finally:
            for left in under_way:
                left.call.cancel()
        return Written(self._done, self._moved_on)

    def _send(self, writes: list[bytes]) -> Any:
        body = b"".join(b"\x12" + _varint(len(write)) + write for write in writes)
        return self._connection.start("BatchWrite", self._head + body)

    def _finish(self, batch: _Batch) -> None:
        """Wait for a batch, then for what of it must be sent again."""
        while True:
            failure, again = self._outcome(batch)
            if not again:
                return
            batch.attempt += 1
            if batch.attempt >= _ATTEMPTS:
                raise failure
            self._sleep(0.1 * 2**batch.attempt)
            batch.writes = again
            batch.call = self._send(again)

    def _outcome(self, batch: _Batch) -> tuple[CausewayError, list[bytes]]:
        """Why, and which of a batch's writes have to be sent again."""
        try:
            response = _RESPONSE.FromString(batch.call.result())
        except grpc.RpcError as error:
            failure = self._connection.failure("BatchWrite", error)
            if not isinstance(failure, Unreachable):
                raise failure from error
            return failure, batch.writes
        again, succeeded = [], 0
        failure = Unreachable(f"BatchWrite on {self._connection.database.name} keeps failing")
        for write, status in zip(batch.writes, response.status, strict=True):
            if status.code in _TRANSIENT:
                failure = Unreachable(f"a write keeps failing: {status.message}", "", "run the same command again")
                again.append(write)
            elif status.code in _MOVED_ON:
                self._moved_on += 1
            elif status.code == _OK:
                succeeded += 1
            else:
                raise CausewayError(
                    f"{self._connection.database.name} refuses a document: {status.message}",
                    f"{self._done} documents were written before it and stay",
                    "mend what it names and run the same command again: it resumes",
                )
        self._done += succeeded
        self._progress(len(batch.writes) - len(again))
        return failure, again


def _batches(writes: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for write in writes:
        length = len(write) + 8
        if batch and (len(batch) >= _MAX_WRITES or size + length > _MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(write)
        size += length
    if batch:
        yield batch
