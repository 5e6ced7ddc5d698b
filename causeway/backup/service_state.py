"""The state of a service, kept as one record: breakers, cache entries, jobs and active recommendations, each by id.

A record is a head document `service_state_backups/{id}`. State that is too large for it, or cannot be nested in it,
lies in chunks below the head. They are written first and the head last and once, so a record is there whole or not at
all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.cloud.firestore_v1.types import document as _document

from causeway.backup import queries, times
from causeway.backup.catalogue import Difference
from causeway.backup.connection import Connection
from causeway.backup.documents import DOCUMENT, digest, digest_of, relative_path
from causeway.backup.ranges import of_collections
from causeway.backup.writing import Writer, delete_document, set_document
from causeway.errors import ConfigError, Conflict, IntegrityError

COLLECTION = "service_state_backups"
KINDS = ("circuit_breakers", "cache_entries", "orchestration_jobs", "active_recommendations")
"""What a service's state consists of."""
KEPT_FOR = timedelta(days=30)
_INLINE_BYTES = 100_000
"""Larger state is chunked: every field of the head is indexed, and a document has at most 40,000 index entries."""
_INLINE_DEPTH = 16
"""Firestore nests maps 20 deep; the head takes four of them."""
_CHUNK_BYTES = 900_000
_VALUE: Any = _document.Value.pb()

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class ServiceStateBackup:
    """The state of `service` of `stack` at `timestamp`, when `version` ran; `id` names the record.

    `collections` say where each kind was gathered. `body` is a serialised `Document` whose fields are the kinds; each
    is a map from document id to the map of that document's fields.
    """

    id: str
    stack: str
    service: str
    timestamp: datetime
    version: str
    collections: Mapping[str, str]
    body: bytes

    def entries(self, kind: str) -> dict[str, Any]:
        """The entries of a kind: each a `MapValue` with the fields of one document, by its id."""
        fields = DOCUMENT.FromString(self.body).fields
        return {key: item.map_value for key, item in sorted(fields[kind].map_value.fields.items())}

    def as_dict(self) -> dict[str, Any]:
        """What it holds, for `--json` and the journal; no contents."""
        return {
            "id": self.id,
            "stack": self.stack,
            "service": self.service,
            "timestamp": times.text(self.timestamp),
            "version": self.version,
            "counts": {kind: len(self.entries(kind)) for kind in self.collections},
            "bytes": len(self.body),
            "sha256": hashlib.sha256(self.body).hexdigest(),
        }


def save_service_state(
    application: Connection,
    records: Connection,
    stack: str,
    service: str,
    version: str,
    collections: Mapping[str, str],
    *,
    sleep: Sleep,
) -> ServiceStateBackup:
    """Gather a service's state from the application's collections at one pinned time, keep it, and read it back.

    `collections` are top-level collections by kind (`KINDS`). `stack` is whose record it is: several keep theirs in one
    database.

    Raises:
        ConfigError: a kind there is no such thing as.
        Conflict: the same service was saved at the same moment.
        IntegrityError: what was kept does not read back equal.
    """
    if unknown := sorted(set(collections) - set(KINDS)):
        raise ConfigError(
            f"service state has no kind {', '.join(unknown)}", "it would not be restored", f"say {', '.join(KINDS)}"
        )
    at = queries.server_time(application)
    body = _gather(application, collections, at)
    record_id = f"{stack}-{service}-{at:%Y%m%dT%H%M%S%f}Z".replace("/", "_")
    kept = ServiceStateBackup(record_id, stack, service, at, version, dict(collections), body)
    head, chunks = _documents(kept, records.database.root)
    writer = Writer(records, _at_once, sleep, _unseen)
    writer.write(set_document(chunk, None, guarded=True) for chunk in chunks)
    if writer.write([set_document(head, None, guarded=True)]).moved_on:
        raise Conflict(f"the state of {service} at {times.text(at)} is kept already by another process")
    if load_service_state(records, stack, service, at).body != body:
        raise IntegrityError(f"the state of {service} kept as {kept.id} does not read back equal")
    return kept


def load_service_state(records: Connection, stack: str, service: str, at: datetime) -> ServiceStateBackup:
    """The latest record of a stack's service not after `at`.

    Raises:
        ConfigError: there is none.
        IntegrityError: a chunk is missing, or the state does not have its sha256.
    """
    head = _latest_head(records, stack, service, at)
    if head is None:
        raise ConfigError(
            f"no state of {service} was kept at {times.text(at)} or before",
            "there is nothing to restore",
            f"see `causeway backup service-state list {service}`",
        )
    record_id = relative_path(head.name).split("/")[1]
    chunks = head.fields["chunks"].integer_value
    if chunks:
        body = _chunks(records, record_id, chunks)
    else:
        body = _serialised({key: item.map_value for key, item in head.fields["state"].map_value.fields.items()})
    if hashlib.sha256(body).hexdigest() != head.fields["sha256"].string_value:
        raise IntegrityError(
            f"the state {record_id} does not have its sha256", "it is not what was kept", "restore an earlier one"
        )
    return _record(head, body)


def list_service_states(records: Connection, stack: str, service: str | None = None) -> list[dict[str, Any]]:
    """What records of a stack there are, oldest first."""
    found = [
        {
            "id": relative_path(head.name).split("/")[1],
            "service": head.fields["service"].string_value,
            "timestamp": times.text(times.from_proto(head.fields["taken_at"].timestamp_value)),
            "version": head.fields["version"].string_value,
            "bytes": head.fields["bytes"].integer_value,
        }
        for head in _heads(records)
        if head.fields["stack"].string_value == stack
        and (service is None or head.fields["service"].string_value == service)
    ]
    return sorted(found, key=lambda row: (row["timestamp"], row["id"]))


def restore_service_state(application: Connection, kept: ServiceStateBackup, *, sleep: Sleep) -> Difference:
    """Make the collections a record was gathered from hold exactly what it holds; read back and compare by digest.

    Raises:
        Unreachable: the database stops answering; the same call resumes.
    """
    root = application.database.root
    wanted: dict[str, bytes] = {}
    for kind, collection in kept.collections.items():
        for key, fields in kept.entries(kind).items():
            message = DOCUMENT(name=f"{root}/{collection}/{key}", fields=fields.fields)
            wanted[f"{collection}/{key}"] = bytes(message.SerializeToString())
    digests = {path: digest(document) for path, document in wanted.items()}
    live = _digests(application, kept.collections)
    writer = Writer(application, _at_once, sleep, _unseen)
    writer.write(set_document(wanted[path], None, guarded=False) for path in wanted if live.get(path) != digests[path])
    writer.write(delete_document(f"{root}/{path}", 0, guarded=False) for path in live if path not in wanted)
    found = _digests(application, kept.collections)
    return Difference(
        documents=len(wanted),
        missing=len(wanted.keys() - found.keys()),
        extra=len(found.keys() - wanted.keys()),
        differing=sum(1 for path in found.keys() & wanted.keys() if found[path] != digests[path]),
    )


def _gather(application: Connection, collections: Mapping[str, str], at: datetime) -> bytes:
    state = {}
    for kind, collection in collections.items():
        entries = _document.MapValue.pb()()
        for raw in queries.scan(application, of_collections([collection]), at):
            message = DOCUMENT.FromString(raw)
            key = relative_path(message.name).removeprefix(f"{collection}/")
            entries.fields[key].map_value.SetInParent()
            for name, item in message.fields.items():
                entries.fields[key].map_value.fields[name].CopyFrom(item)
        state[kind] = entries
    return _serialised(state)


def _serialised(state: Mapping[str, Any]) -> bytes:
    body = DOCUMENT()
    for kind, entries in state.items():
        body.fields[kind].map_value.CopyFrom(entries)
    return bytes(body.SerializeToString(deterministic=True))


def _documents(kept: ServiceStateBackup, root: str) -> tuple[bytes, list[bytes]]:
    """The head, and the chunks it needs, as serialised documents."""
    name = f"{root}/{COLLECTION}/{kept.id}"
    expires = times.to_proto(kept.timestamp + KEPT_FOR)
    head = DOCUMENT(name=name)
    head.fields["stack"].string_value = kept.stack
    head.fields["service"].string_value = kept.service
    head.fields["version"].string_value = kept.version
    head.fields["taken_at"].timestamp_value.CopyFrom(times.to_proto(kept.timestamp))
    head.fields["expires_at"].timestamp_value.CopyFrom(expires)
    head.fields["bytes"].integer_value = len(kept.body)
    head.fields["sha256"].string_value = hashlib.sha256(kept.body).hexdigest()
    for kind, collection in kept.collections.items():
        head.fields["collections"].map_value.fields[kind].string_value = collection
    chunks: list[bytes] = []
    if _fits_inline(kept.body):
        for kind, item in DOCUMENT.FromString(kept.body).fields.items():
            head.fields["state"].map_value.fields[kind].CopyFrom(item)
    else:
        for number, start in enumerate(range(0, len(kept.body), _CHUNK_BYTES)):
            chunk = DOCUMENT(name=f"{name}/chunks/{number:06}")
            chunk.fields["data"].bytes_value = kept.body[start : start + _CHUNK_BYTES]
            chunk.fields["expires_at"].timestamp_value.CopyFrom(expires)
            chunks.append(bytes(chunk.SerializeToString()))
    head.fields["chunks"].integer_value = len(chunks)
    return bytes(head.SerializeToString()), chunks


def _fits_inline(body: bytes) -> bool:
    if len(body) > _INLINE_BYTES:
        return False
    entries = [
        (key, item) for kind in DOCUMENT.FromString(body).fields.values() for key, item in kind.map_value.fields.items()
    ]
    reserved = any(key.startswith("__") and key.endswith("__") for key, _ in entries)
    return not reserved and all(_depth(item) <= _INLINE_DEPTH for _, item in entries)


def _depth(item: Any) -> int:
    kind = item.WhichOneof("value_type")
    if kind == "map_value":
        return 1 + max(map(_depth, item.map_value.fields.values()), default=0)
    if kind == "array_value":
        return 1 + max(map(_depth, item.array_value.values), default=0)
    return 0


def _heads(records: Connection) -> Iterator[Any]:
    at = queries.server_time(records)
    for raw in queries.scan(records, of_collections([COLLECTION]), at):
        message = DOCUMENT.FromString(raw)
        if relative_path(message.name).count("/") == 1:
            yield message


def _latest_head(records: Connection, stack: str, service: str, at: datetime) -> Any:
    for response in records.stream("RunQuery", latest(records.database.root, stack, service, at).SerializeToString()):
        document = queries.take_document(response)
        if document is not None:
            return DOCUMENT.FromString(document)
    return None


def latest(root: str, stack: str, service: str, at: datetime) -> Any:
    """The `RunQueryRequest` for the newest head not after `at`. The stack provisions the composite index it needs."""
    request = queries.RUN_QUERY(parent=root)
    query = request.structured_query
    query.from_.add(collection_id=COLLECTION)
    query.where.composite_filter.op = queries.AND
    for path, text in (("stack", stack), ("service", service)):
        equal = query.where.composite_filter.filters.add().field_filter
        equal.field.field_path, equal.op, equal.value.string_value = path, queries.OPERATOR.EQUAL, text
    by_time = query.where.composite_filter.filters.add().field_filter
    by_time.field.field_path, by_time.op = "taken_at", queries.OPERATOR.LESS_THAN_OR_EQUAL
    by_time.value.timestamp_value.CopyFrom(times.to_proto(at))
    newest = query.order_by.add()
    newest.field.field_path, newest.direction = "taken_at", queries.DESCENDING
    query.limit.value = 1
    return request


def _chunks(records: Connection, record_id: str, count: int) -> bytes:
    paths = [f"{COLLECTION}/{record_id}/chunks/{number:06}" for number in range(count)]
    found = {}
    for raw in queries.get(records, paths, queries.server_time(records)):
        message = DOCUMENT.FromString(raw)
        found[relative_path(message.name)] = message.fields["data"].bytes_value
    if absent := [path for path in paths if path not in found]:
        raise IntegrityError(f"{', '.join(absent)} is missing", "this state is not whole", "restore an earlier one")
    return b"".join(found[path] for path in paths)


def _record(head: Any, body: bytes) -> ServiceStateBackup:
    fields = head.fields
    return ServiceStateBackup(
        id=relative_path(head.name).split("/")[1],
        stack=fields["stack"].string_value,
        service=fields["service"].string_value,
        timestamp=times.from_proto(fields["taken_at"].timestamp_value),
        version=fields["version"].string_value,
        collections={kind: item.string_value for kind, item in fields["collections"].map_value.fields.items()},
        body=body,
    )


def _digests(application: Connection, collections: Mapping[str, str]) -> dict[str, bytes]:
    at = queries.server_time(application)
    found = {}
    for raw in queries.scan(application, of_collections(collections.values()), at) if collections else ():
        message = DOCUMENT.FromString(raw)
        path = relative_path(message.name)
        found[path] = digest_of(message)
    return found


def _at_once(_: int) -> None:
    """A service's state is small; it needs no warming up."""


def _unseen(_: int) -> None:
    """Nobody watches this."""
