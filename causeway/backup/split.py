"""Where parallel tasks begin: document paths that divide a database into parts of about equal size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.cloud.firestore_v1.types import firestore as _firestore

from causeway.backup import queries, times
from causeway.backup.connection import Connection
from causeway.backup.documents import DOCUMENT, relative_path
from causeway.backup.ranges import Range, of_collections, thin
from causeway.errors import CausewayError

_LIST: Any = _firestore.ListCollectionIdsRequest.pb()
_LIST_RESPONSE: Any = _firestore.ListCollectionIdsResponse.pb()
_PARTITION: Any = _firestore.PartitionQueryRequest.pb()
_PARTITION_RESPONSE: Any = _firestore.PartitionQueryResponse.pb()
_PER_TASK = 50
"""Samples a task; more would balance better than documents of unequal size allow."""


def task_starts(connection: Connection, collections: Sequence[str], read_time: datetime, tasks: int) -> tuple[str, ...]:
    """At most `tasks - 1` paths in order. The service proposes them; the emulator cannot, there names are read."""
    if tasks == 1:
        return ()
    ranges = of_collections(collections)
    if connection.emulated:
        paths = _sampled(connection, ranges, read_time, tasks)
    else:
        groups = collections or _top_collections(connection, read_time)
        paths = [path for group in groups for path in _partitions(connection, group, read_time, tasks)]
    return thin(paths, tasks)


def _sampled(connection: Connection, ranges: Sequence[Range], read_time: datetime, tasks: int) -> list[str]:
    every = max(1, queries.count(connection, read_time, ranges) // (tasks * _PER_TASK))
    documents = queries.scan(connection, ranges, read_time, names_only=True)
    return [relative_path(DOCUMENT.FromString(raw).name) for n, raw in enumerate(documents) if n % every == 0]


def _top_collections(connection: Connection, read_time: datetime) -> list[str]:
    found: list[str] = []
    request = _LIST(parent=connection.database.root, read_time=times.to_proto(read_time))
    while True:
        response = _LIST_RESPONSE.FromString(connection.call("ListCollectionIds", request.SerializeToString()))
        found.extend(response.collection_ids)
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token


def _partitions(connection: Connection, group: str, read_time: datetime, tasks: int) -> list[str]:
    request = _PARTITION(
        parent=connection.database.root, partition_count=tasks * _PER_TASK, read_time=times.to_proto(read_time)
    )
    request.structured_query.from_.add(collection_id=group, all_descendants=True)
    request.structured_query.order_by.add().field.field_path = "__name__"
    found: list[str] = []
    while True:
        response = _PARTITION_RESPONSE.FromString(connection.call("PartitionQuery", request.SerializeToString()))
        for cursor in response.partitions:
            if not cursor.values[0].reference_value.startswith(connection.database.root):
                raise CausewayError(f"PartitionQuery on {group} gives a cursor outside {connection.database.name}")
            found.append(relative_path(cursor.values[0].reference_value))
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token
