"""The poll source: everything read at one pinned instant, and the difference to what is known.

It reads every document each time, so it is for the emulator (which cannot do incremental Listen) and for small
databases. The instant is the commit time of the heartbeat's write, so it comes from the server and lies in its past.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from causeway.backup.connection import Connection
from causeway.backup.documents import relative_path
from causeway.backup.stream_block import CONTROL, Block, Known, Version, group_of
from causeway.backup.stream_verify import covered, everything


def poll(connection: Connection, known: Known, collections: Iterable[str], at: datetime) -> Block:
    """The block that leads from `known` to the database at `at`.

    Raises:
        Unreachable: the database does not answer, or not to the end; nothing of it may be used.
    """
    selected = tuple(collections)
    seen = {document.name: _version(document, known) for document in everything(connection, at)}
    groups = covered((relative_path(name) for name in seen), selected) | known.groups.keys() | {CONTROL}
    kept = {name: version for name, version in seen.items() if group_of(name) in groups}
    return Block(at, b"", known.difference(kept, groups))


def _version(document: Any, known: Known) -> Version:
    """The document's version; its content only where it is not the known one."""
    stamp = document.update_time
    updated = stamp.seconds * 1_000_000 + stamp.nanos // 1000
    if known.of(group_of(document.name)).get(document.name) == updated:
        return Version(updated, b"")
    return Version(updated, document.SerializeToString())
