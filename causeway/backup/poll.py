"""The poll source: everything read at one pinned instant, and the difference to what is known.

It reads every document each time, so it is for the emulator (which cannot do incremental Listen) and for small
databases. The instant is the commit time of the heartbeat's write, so it comes from the server and lies in its past.
"""

from __future__ import annotations

from datetime import datetime

from causeway.backup.connection import Connection
from causeway.backup.stream_block import Block, Known, Selection, Version, group_of
from causeway.backup.stream_log import name_and_time
from causeway.backup.stream_verify import read


def poll(connection: Connection, known: Known, selection: Selection, at: datetime) -> Block:
    """The block that leads from `known` to the database at `at`.

    Raises:
        Unreachable: the database does not answer, or not to the end; nothing of it may be used.
    """
    seen: dict[str, Version | None] = {}
    for document in read(connection, selection, at):
        name, updated = name_and_time(document)
        unchanged = known.of(group_of(name)).get(name) == updated
        seen[name] = Version(updated, b"" if unchanged else document)  # what is the same is not kept in memory
    return Block(at, b"", known.difference(seen, list(known.groups)))
