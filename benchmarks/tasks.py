"""Snapshot and restore by one process and by four, beside the raw reads and writes of as many, in one run.

`python -m benchmarks.tasks [DOCUMENTS]` (default 20,000). All processes are up before the clock starts. How much four
are faster than one is the emulator's and the machine's business; *linear to that bound* means that four reach as great
a share of what four can read and write raw as one does of what one can. A restore's tasks each read the segments
of their own part, which the manifest tells.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("METADATA_SERVER_DETECTION", "none")

from benchmarks.backup import raw_write, seed, serialised_batches
from causeway.backup import queries, ranges
from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from causeway.backup.history import find
from causeway.backup.ramp import unlimited
from causeway.backup.restore import Restore
from causeway.backup.snapshot import Request, Task, snapshot
from causeway.backup.storage import LocalStorage
from standin.processes import Processes, free_port, listening
from standin.tools import emulator_command

TASKS = 4
SHARE = 0.8
"""Of one process's share of its bound, four are to reach so much of theirs: two cores serve six processes then."""
SOURCE = Database("bench-tasks")


def work(what: str, folder: str, target: str, index: int, count: int) -> None:
    """One process's part: get ready, say so, wait for the word, do it."""
    storage = LocalStorage(Path(folder))
    with Connection.open(SOURCE) as source, Connection.open(Database(target)) as to:
        mine = ranges.ALL
        if count > 1 and what in ("raw-read", "raw-write"):
            starts = next(each for each in Archive(storage).backups() if each.tasks == count).task_starts
            mine = ranges.share(ranges.ALL, starts, index)
        batches = serialised_batches(source, to.database, mine) if what == "raw-write" else []
        print("ready", flush=True)
        sys.stdin.readline()
        if what == "raw-read":
            for _ in queries.scan(source, mine, queries.server_time(source)):
                pass
        elif what == "raw-write":
            raw_write(to, batches)
        elif what == "snapshot":
            task = Task(index, count, "parallel" if count > 1 else "")
            snapshot(Archive.create(storage, SOURCE), source, Request(), task=task, sleep=time.sleep)
        else:
            archive = Archive(storage)
            with Restore(archive, find(archive)[0], to, share=(index, count)) as restore:
                outcome = restore.apply(restore.plan(), wait=unlimited, sleep=time.sleep)
            if not outcome.equal:
                sys.exit(outcome.statement)
        print("done", flush=True)


def timed(what: str, folder: Path, target: str, count: int) -> float:
    """Seconds from the word until the last of so many processes is done."""
    words = [sys.executable, "-W", "ignore", "-m", "benchmarks.tasks", what, str(folder), target]
    running = [
        subprocess.Popen([*words, str(index), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for index in range(count)
    ]
    try:
        _all_say("ready", running)
        begin = time.perf_counter()
        for each in running:
            assert each.stdin
            each.stdin.write("go\n")
            each.stdin.flush()
        _all_say("done", running)
        return time.perf_counter() - begin
    finally:
        for each in running:
            each.communicate()


def _all_say(word: str, running: list[subprocess.Popen[str]]) -> None:
    for each in running:
        assert each.stdout
        if (line := each.stdout.readline().strip()) != word:
            raise RuntimeError(f"{each.args} ended instead of saying {word}: {line}")


def measure(count: int, folder: Path) -> dict[str, dict[int, float]]:
    """Documents a second, by what was done and how many processes did it."""
    with Connection.open(SOURCE) as source:
        seed(source, count)
    rates: dict[str, dict[int, float]] = {}
    for tasks in (1, TASKS):
        for what in ("snapshot", "raw-read", "restore", "raw-write"):
            seconds = timed(what, folder / str(tasks), f"bench-{what}-{tasks}", tasks)
            rates.setdefault(what, {})[tasks] = count / seconds
    return rates


def report(rates: dict[str, dict[int, float]]) -> bool:
    """Print the rates, and whether four reach their share."""
    good = True
    for what, bound in (("snapshot", "raw-read"), ("restore", "raw-write")):
        for name in (bound, what):
            one, several = rates[name][1], rates[name][TASKS]
            print(f"  {name:10} {one:8,.0f} docs/s by 1, {several:8,.0f} by {TASKS}: {several / one:.2f} times")
        one, several = (rates[what][tasks] / rates[bound][tasks] for tasks in (1, TASKS))
        reached = several >= SHARE * one
        good &= reached
        print(f"  {what} of the bound: {one:.2f} by 1, {several:.2f} by {TASKS}  {'reached' if reached else 'MISSED'}")
    return good


def main(count: int = 20_000) -> int:
    """0 if every figure is reached."""
    with tempfile.TemporaryDirectory(prefix="causeway-tasks-") as name, Processes(logs=Path(name)) as processes:
        port = free_port()
        processes.start("emulator", emulator_command(port, heap_mib=2048), ready=listening(port))
        os.environ["FIRESTORE_EMULATOR_HOST"] = f"127.0.0.1:{port}"
        print(f"{count} documents, {os.cpu_count()} processors for the emulator and all processes")
        return 0 if report(measure(count, Path(name))) else 1


if __name__ == "__main__":
    if len(sys.argv) > 2:
        work(*sys.argv[1:4], *map(int, sys.argv[4:6]))
    else:
        sys.exit(main(*map(int, sys.argv[1:])))
