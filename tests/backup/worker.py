"""One snapshot, restore or prune in a process of its own that may be killed at any moment.

`python -m tests.backup.worker snapshot|increment|restore|prune ARCHIVE PROJECT DIE_AFTER`: with DIE_AFTER (seconds)
above 0 it kills itself with SIGKILL so long after it has begun to work. Segments are small: many places to die.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from causeway.backup import snapshot as snapshots
from causeway.backup import writing
from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from causeway.backup.history import find
from causeway.backup.ramp import unlimited
from causeway.backup.restore import Restore
from causeway.backup.retention import Rule, prune, to_keep
from causeway.backup.storage import LocalStorage


def main(what: str, folder: str, project: str, die_after: str) -> None:
    if hasattr(snapshots, "SEGMENT_BYTES"):
        snapshots.SEGMENT_BYTES = 1 << 14
    writing._MAX_WRITES = 20
    storage = LocalStorage(Path(folder))
    database = Database(project)
    connection = Connection.open(database)
    if float(die_after) > 0:
        threading.Timer(float(die_after), os.kill, (os.getpid(), signal.SIGKILL)).start()
    count, index = int(os.environ.get("TASKS", "1")), int(os.environ.get("TASK", "0"))
    if what in ("snapshot", "increment"):
        archive = Archive.create(storage, database)
        task = snapshots.Task(index, count, "parallel" if count > 1 else "")
        taken = snapshots.snapshot(
            archive, connection, snapshots.Request(incremental=what == "increment"), task=task, sleep=time.sleep
        )
        print(taken.id, taken.completed is not None)
    elif what == "restore":
        archive = Archive(storage)
        with Restore(archive, find(archive)[0], connection, share=(index, count)) as work:
            outcome = work.apply(work.plan(), wait=unlimited, sleep=time.sleep)
        print(outcome.statement)
        os._exit(0 if outcome.equal else 11)
    elif what == "prune":
        archive = Archive(storage)
        prune(archive, to_keep(archive.backups(), {}, Rule(2, 1, 1, 1), datetime(2025, 9, 1, tzinfo=UTC)))
    sys.stdout.flush()
    os._exit(0)  # not waiting for the timer


if __name__ == "__main__":
    main(*sys.argv[1:])
