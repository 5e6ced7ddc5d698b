"""The poll source: everything read at one pinned instant, and the difference to what is known.

It reads every document each time, so it is for the emulator (which cannot do incremental Listen) and for small
databases. The instant is the commit time of the heartbeat's write, so it comes from the server and lies in its past.
"""

from __future__ import annotations

from datetime import datetime

from causeway.backup.connection import Connection
from causeway.backup.stream_aside import Aside
from causeway.backup.stream_block import Block, InMemory, Known, Selection, Version, group_of
from causeway.backup.stream_log import name_and_time
from causeway.backup.stream_verify import read


def poll(connection: Connection, known: Known, selection: Selection, at: datetime, aside: Aside) -> Block:
    """The block that leads from `known` to the database at `at`; new and changed bodies wait in `aside`.

    Raises:
        Unreachable: the database does not answer, or not to the end; nothing of it may be used.
    """
    changes: dict[str, Version | None] = {}
    there: set[str] = set()
    for document in read(connection, selection, at):
        name, updated = name_and_time(document)
        there.add(name)
        if known.of(group_of(name)).get(name) != updated:
            changes[name] = aside.put(InMemory(updated, document))
    gone = (name for names in known.groups.values() for name in names if name not in there)
    changes.update(dict.fromkeys(gone))
    return Block(at, b"", changes)
