"""Reading documents: one kindless query for everything under a root, at a pinned time, as raw bytes.

The query names no collection (`from: [{all_descendants: true}]`), so it also finds subcollections of documents that do
not exist, which walking from parent to child misses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from google.cloud.firestore_v1.types import firestore as _firestore
from google.cloud.firestore_v1.types import query as _query

from causeway.backup import times
from causeway.backup.connection import Connection
from causeway.backup.ranges import ALL, Range
from causeway.errors import IntegrityError

RUN_QUERY: Any = _firestore.RunQueryRequest.pb()
_RUN_QUERY_RESPONSE: Any = _firestore.RunQueryResponse.pb()
_BATCH_GET: Any = _firestore.BatchGetDocumentsRequest.pb()
_BATCH_GET_RESPONSE: Any = _firestore.BatchGetDocumentsResponse.pb()
_AGGREGATE: Any = _firestore.RunAggregationQueryRequest.pb()
_AGGREGATE_RESPONSE: Any = _firestore.RunAggregationQueryResponse.pb()
_QUERY = _query.StructuredQuery
OPERATOR = _QUERY.FieldFilter.Operator
AND = _QUERY.CompositeFilter.Operator.AND
DESCENDING = _QUERY.Direction.DESCENDING
_DOCUMENT_FIRST = b"\x0a"  # RunQueryResponse.document: field 1, length-delimited


def _structured(query: Any, root: str, part: Range) -> Any:
    query.from_.add().all_descendants = True
    lower = OPERATOR.GREATER_THAN if part.after else OPERATOR.GREATER_THAN_OR_EQUAL
    for operator, path in ((lower, part.start), (OPERATOR.LESS_THAN, part.end)):
        if path:
            query.where.composite_filter.op = AND
            bound = query.where.composite_filter.filters.add().field_filter
            bound.field.field_path = "__name__"
            bound.op = operator
            bound.value.reference_value = f"{root}/{path}"
    ordering = query.order_by.add()
    ordering.field.field_path = "__name__"
    ordering.direction = _QUERY.Direction.ASCENDING
    return query


def scan(
    connection: Connection, ranges: Sequence[Range], read_time: datetime, *, names_only: bool = False
) -> Iterator[bytes]:
    """Every document of the ranges at `read_time`, as serialised `Document`s in path order.

    With `names_only` they have name and times but no fields.

    Raises:
        Unreachable: the service stops answering; go on with `ranges.resume`.
        IntegrityError: a message that cannot be read, after which the channel is not to be trusted.
    """
    for part in ranges:
        request = RUN_QUERY(parent=connection.database.root, read_time=times.to_proto(read_time))
        query = _structured(request.structured_query, connection.database.root, part)
        if names_only:
            query.select.fields.add().field_path = "__name__"
        for response in connection.stream("RunQuery", request.SerializeToString()):
            document = take_document(response)
            if document is not None:
                yield document


def take_document(response: bytes) -> bytes | None:
    """The serialised `Document` in a serialised `RunQueryResponse`, or None where it only reports progress.

    The document comes first in every response seen; then it is a slice. In any other order it is parsed out.
    """
    if response[:1] == _DOCUMENT_FIRST:
        size, start, shift = 0, 1, 0
        while True:
            byte = response[start]
            size |= (byte & 0x7F) << shift
            start += 1
            if byte < 0x80:
                break
            shift += 7
        if start + size > len(response):
            raise IntegrityError(
                "a response ends in the middle of a document",
                "the connection delivers damaged messages",
                "run the same command again: it resumes",
            )
        return response[start : start + size]
    message = _RUN_QUERY_RESPONSE.FromString(response)
    return bytes(message.document.SerializeToString()) if message.HasField("document") else None


def get(connection: Connection, paths: Sequence[str], read_time: datetime) -> Iterator[bytes]:
    """The documents at these paths at `read_time`, serialised, in no particular order; those absent are left out."""
    names = [f"{connection.database.root}/{path}" for path in paths]
    request = _BATCH_GET(database=connection.database.name, documents=names, read_time=times.to_proto(read_time))
    for response in connection.stream("BatchGetDocuments", request.SerializeToString()):
        message = _BATCH_GET_RESPONSE.FromString(response)
        if message.HasField("found"):
            yield bytes(message.found.SerializeToString())


def server_time(connection: Connection) -> datetime:
    """The database's own present: what a snapshot is pinned to, so that this machine's clock does not matter."""
    request = RUN_QUERY(parent=connection.database.root)
    query = _structured(request.structured_query, connection.database.root, Range())
    query.select.fields.add().field_path = "__name__"
    query.limit.value = 1
    for response in connection.stream("RunQuery", request.SerializeToString()):
        message = _RUN_QUERY_RESPONSE.FromString(response)
        if message.HasField("read_time"):
            return times.from_proto(message.read_time)
    raise IntegrityError(f"{connection.database.name} answers a query without its read time")


def count(connection: Connection, read_time: datetime, ranges: Sequence[Range] = ALL) -> int:
    """How many documents the ranges hold at `read_time`, counted by the service."""
    return sum(_count(connection, read_time, part) for part in ranges)


def _count(connection: Connection, read_time: datetime, part: Range) -> int:
    root = connection.database.root
    request = _AGGREGATE(parent=root, read_time=times.to_proto(read_time))
    aggregation = request.structured_aggregation_query
    _structured(aggregation.structured_query, root, part)
    aggregation.aggregations.add(alias="n").count.SetInParent()
    total = 0
    for response in connection.stream("RunAggregationQuery", request.SerializeToString()):
        total += _AGGREGATE_RESPONSE.FromString(response).result.aggregate_fields["n"].integer_value
    return total
