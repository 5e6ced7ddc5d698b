"""Memory does not grow with the database: snapshot, restore and stream of 500,000 documents stay below 300 MiB.

The documents come from a database made up on the spot, since an emulator that holds them all would need gigabytes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore_v1.types import document as _document
from google.cloud.firestore_v1.types import firestore as _firestore

from causeway.backup.documents import Database

_AGGREGATION: Any = _firestore.RunAggregationQueryResponse.pb()
_BATCH: Any = _firestore.BatchWriteRequest.pb()
_BATCH_RESPONSE: Any = _firestore.BatchWriteResponse.pb()
_DOCUMENT: Any = _document.Document.pb()
_LISTENED: Any = _firestore.ListenResponse.pb()
_QUERY: Any = _firestore.RunQueryRequest.pb()
_QUERY_RESPONSE: Any = _firestore.RunQueryResponse.pb()


class MadeUp:
    """A connection to a database that holds so many documents, or none until all of them have been written to it."""

    emulated = True

    def __init__(self, project: str, count: int, written: int) -> None:
        self.database = Database(project)
        self.count = count
        self.written = written

    def stream(self, method: str, request: bytes) -> Iterator[bytes]:
        if method == "RunAggregationQuery":
            answer = _AGGREGATION()
            answer.result.aggregate_fields["n"].integer_value = self.written
            yield answer.SerializeToString()
            return
        if _QUERY.FromString(request).structured_query.HasField("limit"):
            yield _QUERY_RESPONSE(read_time={"seconds": 1_700_000_000}).SerializeToString()
            return
        for number in range(self.written):
            yield _QUERY_RESPONSE(document=self.document(number)).SerializeToString()

    def document(self, number: int) -> Any:
        message = _DOCUMENT(name=f"{self.database.root}/many/{number:08}")
        message.fields["text"].string_value = f"document {number} " * 20
        message.update_time.seconds = 1_600_000_000
        return message

    def start(self, method: str, request: bytes) -> Any:
        assert method == "BatchWrite"
        writes = len(_BATCH.FromString(request).writes)
        self.written += writes
        return Answered(_BATCH_RESPONSE(status=[{} for _ in range(writes)]).SerializeToString())


class Listened(MadeUp):
    """The same database behind a Listen that tells of all of it once, and the stream's sentinel with it."""

    _metadata: tuple[()] = ()

    def __init__(self, count: int, sentinel: str) -> None:
        super().__init__("source", count, count)
        self._sentinel = sentinel
        self._channel = self

    def stream_stream(self, method: str) -> Any:
        return lambda requests, metadata: Messages(self._messages())

    def _messages(self) -> Iterator[bytes]:
        for document in chain([_DOCUMENT(name=self._sentinel)], map(self.document, range(self.count))):
            yield _LISTENED(document_change={"document": document, "target_ids": [1]}).SerializeToString()
        yield _LISTENED(target_change={"target_change_type": "CURRENT"}).SerializeToString()
        yield _LISTENED(target_change={"read_time": {"seconds": 1_700_000_000}}).SerializeToString()


class Messages:
    """What a streaming call gives back."""

    def __init__(self, messages: Iterator[bytes]) -> None:
        self._messages = messages

    def __iter__(self) -> Iterator[bytes]:
        return self._messages

    def cancel(self) -> None:
        pass


class Answered:
    """A call that has ended."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def result(self) -> bytes:
        return self._answer

    def cancel(self) -> None:
        pass


def work(folder: str, count: int) -> int:
    """Snapshot and restore so many documents; the most memory this process has used, in MiB."""
    import resource
    import time

    from causeway.backup.archive import Archive
    from causeway.backup.history import find
    from causeway.backup.ramp import unlimited
    from causeway.backup.restore import Restore
    from causeway.backup.snapshot import Request, snapshot
    from causeway.backup.storage import LocalStorage

    source, target = MadeUp("source", count, count), MadeUp("target", count, 0)
    archive = Archive.create(LocalStorage(Path(folder)), source.database)
    snapshot(archive, source, Request(), sleep=time.sleep)  # type: ignore[arg-type]
    with Restore(archive, find(archive)[0], target) as restore:  # type: ignore[arg-type]
        outcome = restore.apply(restore.plan(), wait=unlimited, sleep=time.sleep)
    assert outcome.statement == f"{count} documents, 0 missing, 0 extra, 0 differing"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def work_of_stream(folder: str, count: int) -> int:
    """Take so many documents as the base of a stream, and find its position again; the most memory used, in MiB."""
    import resource
    import time

    from causeway.backup.archive import Archive
    from causeway.backup.documents import CONTROL
    from causeway.backup.listen_source import Listener
    from causeway.backup.storage import LocalStorage
    from causeway.backup.stream_aside import Aside
    from causeway.backup.stream_block import Selection
    from causeway.backup.stream_guard import Sentinel
    from causeway.backup.stream_keeper import Keeper
    from causeway.backup.stream_log import StreamLog
    from causeway.backup.stream_state import state_at
    from causeway.backup.stream_status import StreamStatus

    name = f"{Database('source').root}/{CONTROL}/nonce"
    source = Listened(count, name)
    archive = Archive.create(LocalStorage(Path(folder)), source.database)
    log = StreamLog.open(archive, Path(folder) / "open", ("many",))
    keeper = Keeper(log, Selection(("many",)), Sentinel(name, "nonce", 0, 0), StreamStatus("listen"), time.monotonic)
    with Aside(Path(folder)) as aside:
        for block in Listener(source, ["many"], keeper.known, b"", aside, time.monotonic, anew=True).blocks():  # type: ignore[arg-type]
            keeper.take(block, lambda counts, at: {})
    log.close()
    del keeper, log, block
    again = StreamLog.open(archive, Path(folder) / "open", ("many",))
    assert again.position.known.tally["many"] == count
    again.close()
    del again
    assert sum(1 for _ in state_at(archive, datetime.now(UTC)).documents) == count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@pytest.mark.parametrize("what", ["work", "work_of_stream"])
@pytest.mark.parametrize(
    "count", [pytest.param(20_000, id="sample"), pytest.param(500_000, id="soak", marks=pytest.mark.soak)]
)
def test_memory_stays_below_300_mib(tmp_path: Path, count: int, what: str) -> None:
    program = f"from tests.backup.test_memory import {what}; print({what}({str(tmp_path / 'archive')!r}, {count}))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300
