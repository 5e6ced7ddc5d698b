"""What has changed since an earlier backup: names and update times are read, and only what differs is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from google.cloud.firestore_v1.types import write as _write

from causeway.backup import queries, times
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup
from causeway.backup.catalogue import Catalogue
from causeway.backup.connection import Connection
from causeway.backup.contents import load, observe_names
from causeway.backup.documents import DOCUMENT, digest_of, relative_path
from causeway.backup.history import Point, replay
from causeway.backup.ranges import Range
from causeway.backup.records import Kind
from causeway.errors import IntegrityError

Change = tuple[Kind, bytes, str]
"""Kind of record, its payload, the document's path."""
_FETCH = 100
"""Documents asked for at once: should the service give them in the worst order, their sizes are held in memory."""
_DELETE: Any = _write.DocumentDelete.pb()


def changes(
    archive: Archive, parent: Backup, connection: Connection, ranges: Sequence[Range], read_time: datetime, skip: int
) -> Iterator[Change]:
    """What leads from `parent` to the database at `read_time`: documents new or changed, then deletes.

    The order is the same each time, so that a resumed backup skips the changes it has already written.

    Raises:
        IntegrityError: a parent's segment is damaged, or the service's count disagrees with the names it gave.
    """
    with Catalogue() as catalogue:
        load(catalogue, replay(archive, Point(parent, parent.read_time), ranges=ranges))
        observe_names(catalogue, queries.scan(connection, ranges, read_time, names_only=True))
        _hold_against_count(catalogue.live, queries.count(connection, read_time, ranges))
        changed = (path for path in catalogue.changed())
        skipped = sum(1 for _ in islice(changed, skip))
        while batch := list(islice(changed, _FETCH)):
            yield from _fetched(connection, batch, read_time)
        gone = (path for path in catalogue.gone() if any(path in part for part in ranges))
        for path in islice(gone, skip - skipped, None):
            message = _DELETE(document=f"{connection.database.root}/{path}", read_time=times.to_proto(read_time))
            yield Kind.DELETE, message.SerializeToString(), path


def _hold_against_count(named: int, counted: int) -> None:
    """Names that never came would be taken for deletions, so the service counts for itself."""
    if named != counted:
        raise IntegrityError(
            f"the service counts {counted} documents and gave {named} names",
            "what it did not name would be recorded as deleted",
            "run the snapshot again; if it stays so, take a full one: without --incremental",
        )


def _fetched(connection: Connection, paths: Sequence[str], read_time: datetime) -> Iterator[Change]:
    """What these documents are, in their order; one is held only until those before it have come."""
    found: dict[str, bytes] = {}
    done = 0
    for document in queries.get(connection, paths, read_time):
        message = DOCUMENT.FromString(document)
        path = relative_path(message.name)
        found[path] = digest_of(message) + document
        while done < len(paths) and paths[done] in found:
            yield Kind.DOCUMENT, found.pop(paths[done]), paths[done]
            done += 1
    if done != len(paths):
        raise IntegrityError(
            f"{len(paths) - done - len(found)} documents listed at {times.text(read_time)} cannot be read at that time",
            "the database was replaced under the snapshot, or its history is gone",
            "take a full snapshot: `causeway backup snapshot` without --incremental",
        )
