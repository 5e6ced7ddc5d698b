"""Documents as bytes: names, digests, and taking a `Document` out of a response without parsing its fields.

Field numbers are those of `google/firestore/v1/{document,firestore}.proto`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from google.cloud.firestore_v1.types import document as _document

from causeway.backup import times
from causeway.errors import ConfigError

DOCUMENT: Any = _document.Document.pb()
"""The protobuf class itself; the wrapper around it costs ten times as much."""


CONTROL = "causeway_stream"
"""The collection of a stream's sentinel and heartbeat, in the database that is backed up; nobody's data."""


@dataclass(frozen=True, slots=True, order=True)
class Database:
    """A Firestore database: `projects/{project}/databases/{database}`."""

    project: str
    database: str = "(default)"

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"projects/{self.project}/databases/{self.database}"

    @property
    def root(self) -> str:
        """The resource name under which its documents are."""
        return f"{self.name}/documents"

    @staticmethod
    def parse(name: str) -> Database:
        """The database of a resource name.

        Raises:
            ConfigError: not a resource name.
        """
        parts = name.split("/")
        if len(parts) < 4 or parts[0] != "projects" or parts[2] != "databases" or not (parts[1] and parts[3]):
            raise ConfigError(
                f"{name!r} is not a database", "nothing was read", "write it as projects/PROJECT/databases/DATABASE"
            )
        return Database(parts[1], parts[3])

    def relative(self, name: str) -> str:
        """A document's path below this database's root."""
        return name.removeprefix(self.root + "/")


def relative_path(name: str) -> str:
    """The path of a document's resource name below its database's root (`users/ada/cvs/1`)."""
    return name.split("/", 5)[5]


def digest(document: bytes) -> bytes:
    """The sha256 of what a serialised `Document` says, wherever it lies: 32 bytes.

    It is taken over the `Document` with its name made relative to the database's root and its two times cleared,
    serialised with fields in the order of their numbers and map entries in the order of their keys' bytes. So it is
    the same in another database, and changes with any bit of any value.
    """
    return digest_of(DOCUMENT.FromString(document))


def digest_of(message: Any) -> bytes:
    """`digest` of a parsed `Document`, which this changes: its name becomes relative and its times are cleared."""
    message.name = relative_path(message.name)
    message.ClearField("create_time")
    message.ClearField("update_time")
    return hashlib.sha256(message.SerializeToString(deterministic=True)).digest()


def updated_micros(message: Any) -> int:
    """A parsed `Document`'s update time in microseconds since 1970."""
    return times.micros(message.update_time)


def collection_group(path: str) -> str:
    """The id of the collection that holds the document at a relative path."""
    return path.rsplit("/", 2)[-2]
