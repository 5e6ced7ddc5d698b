"""Reading collections for the data integrity checks: a port, and its implementation on Firestore.

Documents are compared by digest and never decoded: decoding loses types, and fails on references into other projects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from causeway.backup.connection import Connection


class Documents(Protocol):
    """Collections by path (`user_cvs`, or `users/42/cvs` for a subcollection). May raise CausewayError."""

    def pinned(self) -> Documents:
        """The same as they are at this moment, however long the reading takes."""
        ...

    def digests(self, collection: str, ignore: Collection[str] = ()) -> Mapping[str, str]:
        """The digest of each document's fields, except the top-level ones to ignore, by document id."""
        ...

    def references(self, collection: str, field: str) -> Mapping[str, str | None]:
        """The id that each document names in a top-level field (a reference or a string); None where it names none."""
        ...

    def ids(self, collection: str) -> frozenset[str]: ...


class FirestoreDocuments:
    """`Documents` of a database, now or as of `at`. Raises Unreachable where it does not answer."""

    def __init__(self, connection: Connection, page: int = 1000, at: datetime | None = None) -> None:
        self._connection = connection
        self._page = page
        self._at = at

    def pinned(self) -> FirestoreDocuments:
        from causeway.backup.queries import server_time

        return FirestoreDocuments(self._connection, self._page, server_time(self._connection))

    def digests(self, collection: str, ignore: Collection[str] = ()) -> Mapping[str, str]:
        return {_id(each): digest(each, ignore) for each in self._list(collection)}

    def references(self, collection: str, field: str) -> Mapping[str, str | None]:
        return {_id(each): _named(each, field) for each in self._list(collection, (field,))}

    def ids(self, collection: str) -> frozenset[str]:
        return frozenset(_id(each) for each in self._list(collection, ("__name__",)))

    def _list(self, collection: str, fields: tuple[str, ...] = ()) -> Iterator[Any]:
        """The documents of a collection as protobuf messages, page by page."""
        from google.cloud.firestore_v1.types import ListDocumentsRequest, ListDocumentsResponse

        from causeway.backup import times

        parent, _, name = collection.rpartition("/")
        root = self._connection.database.root
        request = ListDocumentsRequest.pb()(
            parent=f"{root}/{parent}" if parent else root, collection_id=name, page_size=self._page
        )
        if self._at is not None:
            request.read_time.CopyFrom(times.to_proto(self._at))
        if fields:  # a mask that is there but empty asks for no field at all
            request.mask.field_paths.extend(_path(each) for each in fields)
        while True:
            answer = self._connection.call("ListDocuments", request.SerializeToString())
            page = ListDocumentsResponse.pb().FromString(answer)
            yield from page.documents
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def digest(document: Any, ignore: Collection[str] = ()) -> str:
    """SHA-256 over the names and the deterministically serialised values of the fields, in order of name."""
    fields = document.fields
    found = hashlib.sha256()
    for name in sorted(fields):
        if name not in ignore:
            for part in (name.encode(), fields[name].SerializeToString(deterministic=True)):
                found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def _named(document: Any, field: str) -> str | None:
    if field not in document.fields:
        return None
    value = document.fields[field]
    kind = value.WhichOneof("value_type")
    if kind == "reference_value":
        return str(value.reference_value.rpartition("/")[2])
    return str(value.string_value) if kind == "string_value" else None


def _id(document: Any) -> str:
    return str(document.name.rpartition("/")[2])


def _path(field: str) -> str:
    """A field path with its name quoted, unless it is one of Firestore's own."""
    if field.startswith("__"):
        return field
    return "`" + field.replace("\\", "\\\\").replace("`", "\\`") + "`"
