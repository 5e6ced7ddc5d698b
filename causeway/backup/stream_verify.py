"""Independent proof that the archive's state at a watermark is the database's: by count, and by digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.cloud.firestore_v1.types import firestore as _firestore

from causeway.backup import times
from causeway.backup.connection import Connection
from causeway.backup.documents import digest_of
from causeway.backup.records import Record
from causeway.backup.stream_block import group_of
from causeway.backup.stream_log import name_and_time

_COUNT: Any = _firestore.RunAggregationQueryRequest.pb()
_COUNTED: Any = _firestore.RunAggregationQueryResponse.pb()
_QUERY: Any = _firestore.RunQueryRequest.pb()
_RESULT: Any = _firestore.RunQueryResponse.pb()


def everything(connection: Connection, read_time: datetime | None = None, *, names_only: bool = False) -> Iterator[Any]:
    """Every document of the database as a parsed `Document`, read at one instant (default: now)."""
    request = _QUERY(parent=connection.database.root)
    request.structured_query.from_.add().all_descendants = True
    if names_only:
        request.structured_query.select.fields.add().field_path = "__name__"
    if read_time is not None:
        request.read_time.CopyFrom(times.to_proto(read_time))
    for raw in connection.stream("RunQuery", request.SerializeToString()):
        response = _RESULT.FromString(raw)
        if response.HasField("document"):
            yield response.document


def count_at(connection: Connection, group: str, read_time: datetime) -> int:
    """How many documents collections of this id hold at an instant, by the server's own count."""
    request = _COUNT(parent=connection.database.root, read_time=times.to_proto(read_time))
    query = request.structured_aggregation_query
    source = query.structured_query.from_.add()
    source.collection_id, source.all_descendants = group, True
    aggregation = query.aggregations.add(alias="n")
    aggregation.count.SetInParent()
    total = 0
    for raw in connection.stream("RunAggregationQuery", request.SerializeToString()):
        total += _COUNTED.FromString(raw).result.aggregate_fields["n"].integer_value
    return total


def miscounts(connection: Connection, counts: Mapping[str, int], read_time: datetime) -> dict[str, tuple[int, int]]:
    """The collection ids whose count disagrees at an instant: (in the archive, in the database). Empty: they agree."""
    found = {group: (count, count_at(connection, group, read_time)) for group, count in counts.items()}
    return {group: pair for group, pair in found.items() if pair[0] != pair[1]}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Archive and database at one instant, compared by digest of every document."""

    equal: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    differing: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Nothing missing, extra or different."""
        return not (self.missing or self.extra or self.differing)


def compare(kept: Iterable[Record], found: Iterable[Any], groups: Iterable[str]) -> Comparison:
    """Hold the archive's documents against the database's (parsed, and changed by this), in these collection ids."""
    wanted = frozenset(groups)
    rest = {name_and_time(record.message)[0]: record.digest for record in kept}
    equal, missing, differing = 0, [], []
    for document in found:
        name = document.name
        if group_of(name) not in wanted:
            continue
        expected = rest.pop(name, None)
        if expected is None:
            missing.append(name)
        elif expected != digest_of(document):
            differing.append(name)
        else:
            equal += 1
    return Comparison(equal, tuple(missing), tuple(rest), tuple(differing))


def covered(paths: Iterable[str], collections: Iterable[str]) -> frozenset[str]:
    """The collection ids to keep for a selection of top-level collections: these, and every id below them.

    `paths` are all documents' paths relative to the database; an empty selection means every collection.
    """
    tops = frozenset(collections)
    found = set(tops)
    for path in paths:
        parts = path.split("/")
        if not tops or parts[0] in tops:
            found.update(parts[0:-1:2])
    return frozenset(found)
