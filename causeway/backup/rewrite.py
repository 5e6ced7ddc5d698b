"""Moving a document to another database: its name, and every reference into the database it came from."""

from __future__ import annotations

from typing import Any

from causeway.backup.documents import DOCUMENT, Database, digest_of, relative_path
from causeway.backup.records import Record

_NESTED = ("array_value", "map_value")


class Move:
    """From one database to another; the same database twice changes nothing but clears the times."""

    def __init__(self, source: Database, target: Database) -> None:
        self._same = source == target
        self._from = f"{source.root}/"
        self._to = f"{target.root}/"
        self._needle = self._from.encode()

    def __call__(self, document: bytes) -> bytes:
        """The serialised `Document` to write: references into other databases stay as they are."""
        message = DOCUMENT.FromString(document)
        message.ClearField("create_time")
        message.ClearField("update_time")
        if not self._same:
            self._rewrite(document, message)
            message.name = self._to + relative_path(message.name)
        return bytes(message.SerializeToString())

    def expected(self, record: Record, message: Any) -> bytes:
        """The digest the document will have in the target. Changes `message`, the record's parsed document."""
        if self._same or not self._refers(record.message):
            return record.digest
        self._rewrite(record.message, message)
        return digest_of(message)

    def _refers(self, document: bytes) -> bool:
        """Whether the source's root occurs a second time, behind the document's own name."""
        return document.count(self._needle) > 1

    def _rewrite(self, document: bytes, message: Any) -> None:
        if self._refers(document):
            for value in message.fields.values():
                self._value(value)

    def _value(self, value: Any) -> None:
        kind = value.WhichOneof("value_type")
        if kind == "reference_value":
            if value.reference_value.startswith(self._from):
                value.reference_value = self._to + value.reference_value[len(self._from) :]
        elif kind in _NESTED and self._needle in value.SerializeToString():  # most have none: not looked through
            items = value.array_value.values if kind == "array_value" else value.map_value.fields.values()
            for item in items:
                self._value(item)
