"""Snapshot and restore against the bounds of the wire and against what public tools do, in one run on the emulator.

`python benchmarks/backup.py [DOCUMENTS]` (default 20,000). It starts an emulator of its own. Absolute figures depend on
the machine and on who else uses it; the ratios, all measured in the same run, are what counts:

- *raw read*: one kindless query, responses counted and thrown away; *raw write*: pre-serialised `BatchWrite`s of 500,
  as many under way as a restore has, statuses not looked at. Nothing can be faster over this API from one process.
  A restore that reads back what it has written takes at least both, one after the other; that is shown as well.
- *tools*: two that npm has, at the versions in `benchmarks/peers.py`, on 1,000 documents of their own. They lose types
  and documents, and verify nothing; how many documents arrived is printed.
- *own peer*: no public tool, but written here: what one of Python would do with the official client, documents through
  `to_dict()` into JSON lines, restored with `BulkWriter`. *Walking* lists the subcollections of every document, as a
  tool must that wants them through this client; *flat* is told every collection beforehand and lists none, which no
  tool can rely on, and is shown for comparison.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("METADATA_SERVER_DETECTION", "none")

from google.cloud.firestore_v1.types import firestore as _firestore

from benchmarks import peers
from causeway.backup import queries
from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import DOCUMENT, Database
from causeway.backup.history import find
from causeway.backup.ramp import unlimited
from causeway.backup.ranges import ALL, Range
from causeway.backup.restore import Restore
from causeway.backup.snapshot import Request, snapshot
from causeway.backup.storage import LocalStorage
from causeway.backup.writing import UNDER_WAY
from standin.processes import Processes, free_port, listening
from standin.tools import emulator_command
from tests.backup import shapes

ROUNDS = 3
WALK_S = 5.0
SLICE = 2_000
"""Documents the peer restores: at its pace the rest would only cost time."""
_BATCH: Any = _firestore.BatchWriteRequest.pb()
#: figure -> what is to be reached
TARGETS = {
    "snapshot of the raw read bound": 0.60,
    "snapshot of the best tool": 6.0,
    "snapshot of the own peer, walking": 6.0,
    "verified restore of the raw write bound": 0.45,
    "verified restore of the best tool": 1.0,
    "verified restore of the own peer": 1.0,
}
MEMORY_MIB = 300


def seed(connection: Connection, count: int) -> int:
    """So many documents in all: every shape once, the rest of about 460 bytes with a dozen fields of mixed types."""
    special = list(shapes.documents(connection.database))
    shapes.write(connection, special)
    shapes.write(connection, [ordinary(connection.database, number) for number in range(count - len(special))])
    return count


def ordinary(database: Database, number: int) -> Any:
    """A document such as applications have; one in ten lies in a subcollection."""
    parent = f"users/{number % 997:04}/" if number % 10 == 0 else ""
    message = DOCUMENT(name=f"{database.root}/{parent}many{number % 4}/{number:07}")
    fields = {
        "name": shapes.text(f"document {number} " * 4),
        "count": shapes.number(number),
        "share": shapes.real(number / 7),
        "done": shapes.value(boolean_value=number % 2 == 0),
        "at": shapes.stamp(1_700_000_000 + number, 123_000),
        "where": shapes.point(number % 90, number % 180),
        "tags": shapes.array(*(shapes.text(f"tag{tag}") for tag in range(5))),
        "nested": shapes.mapping(b=shapes.number(1), a=shapes.mapping(c=shapes.text("deep"), d=shapes.real(-0.0))),
        "bytes": shapes.value(bytes_value=number.to_bytes(8, "big") * 4),
        "ref": shapes.value(reference_value=f"{database.root}/users/{number % 997:04}"),
        "vector": shapes.vector(0.5, 1.5, -2.5, 3.5),
        "none": shapes.value(null_value=0),
    }
    for key, item in fields.items():
        message.fields[key].CopyFrom(item)
    return message


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def raw_read(connection: Connection) -> None:
    """Count the responses of one query."""
    at = queries.server_time(connection)
    for _ in queries.scan(connection, ALL, at):
        pass


def serialised_batches(connection: Connection, target: Database, part: Sequence[Range] = ALL) -> list[bytes]:
    """Requests that write the same documents to another database, made outside of what is timed."""
    batches, request, size = [], _BATCH(database=target.name), 0
    for raw in queries.scan(connection, part, queries.server_time(connection)):
        document = DOCUMENT.FromString(raw)
        document.name = f"{target.root}/{connection.database.relative(document.name)}"
        document.ClearField("create_time")
        document.ClearField("update_time")
        if len(request.writes) == 500 or size + len(raw) > 3_500_000:
            batches.append(request.SerializeToString())
            request, size = _BATCH(database=target.name), 0
        request.writes.add().update.CopyFrom(document)
        size += len(raw)
    return [*batches, request.SerializeToString()]


def raw_write(target: Connection, batches: list[bytes]) -> None:
    """Send them, as many under way as a restore has."""
    under_way: deque[Any] = deque()
    for batch in batches:
        if len(under_way) == UNDER_WAY:
            under_way.popleft().result()
        under_way.append(target.start("BatchWrite", batch))
    for call in under_way:
        call.result()


def peer_snapshot(database: Database, file: Path, *, walk: bool) -> tuple[int, float]:
    """As a tool would with this client; how many documents it found, and how many a second.

    With `walk`, subcollections are listed document by document, as those must that want them, for a few seconds only;
    without, everything comes from one collection group query for each collection known beforehand.
    """
    from google.cloud import firestore

    client = firestore.Client(project=database.project)
    begin, found = time.perf_counter(), 0
    with file.open("w") as out:
        for group in ("shapes", "ids", "many0", "many1", "many2", "many3"):
            with contextlib.suppress(ValueError):  # a reference into another project ends the group there
                for each in client.collection_group(group).stream():
                    row = {"path": each.reference.path, "data": each.to_dict()}
                    out.write(json.dumps(row, default=repr) + "\n")
                    found += 1
                    if walk:
                        list(each.reference.collections())
                        if time.perf_counter() - begin > WALK_S:
                            return found, found / WALK_S
    return found, found / (time.perf_counter() - begin)


def peer_restore(database: Database, file: Path) -> None:
    """As a tool would with this client."""
    from google.cloud import firestore

    client = firestore.Client(project=database.project)
    bulk = client.bulk_writer()
    for line in file.read_text().splitlines()[:SLICE]:
        row = json.loads(line)
        try:
            bulk.set(client.document(row["path"]), row["data"])
        except ValueError:
            continue  # paths and values it cannot say again
    bulk.close()


def measure(host: str, count: int) -> dict[str, Any]:
    """Everything once per round; the medians."""
    folder = Path(tempfile.mkdtemp(prefix="causeway-benchmark-"))
    source = Connection.open(Database("bench-source"), host)
    seed(source, count)
    times: dict[str, list[float]] = {}
    facts: dict[str, Any] = {}

    def note(name: str, seconds: float) -> None:
        times.setdefault(name, []).append(seconds)

    for number in range(ROUNDS):
        note("raw read", timed(lambda: raw_read(source)))
        archive = Archive.create(LocalStorage(folder / str(number)), source.database)
        note("snapshot", timed(lambda archive=archive: snapshot(archive, source, Request(), sleep=time.sleep)))
        raw_target = Connection.open(Database(f"bench-raw-{number}"), host)
        batches = serialised_batches(source, raw_target.database)
        note("raw write", timed(lambda raw_target=raw_target, batches=batches: raw_write(raw_target, batches)))
        del batches
        target = Connection.open(Database(f"bench-target-{number}"), host)

        def restore(archive: Archive = archive, target: Connection = target) -> None:
            with Restore(archive, find(archive)[0], target) as work:
                facts["outcome"] = work.apply(work.plan(), wait=unlimited, sleep=time.sleep)

        note("restore, verified", timed(restore))
        facts["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        facts["found"], flat = peer_snapshot(source.database, folder / "flat.jsonl", walk=False)
        note("own peer, flat", count / flat)
    facts["equal"] = fidelity(source, target)
    rate = {name: count / statistics.median(each) for name, each in times.items()}
    rate["own peer, walking"] = peer_snapshot(source.database, folder / "walk.jsonl", walk=True)[1]
    rate["own peer restore"] = min(SLICE, facts["found"]) / timed(
        lambda: peer_restore(Database("bench-peer"), folder / "flat.jsonl")
    )
    facts["tools"] = peers.run(host, folder, ordinary)
    shutil.rmtree(folder)
    return {**facts, "rate": rate}


def fidelity(source: Connection, target: Connection) -> tuple[int, int]:
    """How many of the shapes came back bit for bit, compared without the code that compares digests."""
    found = {connection: {} for connection in (source, target)}  # type: dict[Connection, dict[str, bytes]]
    for connection, contents in found.items():
        for raw in queries.get(connection, list(shapes.shapes(source.database)), queries.server_time(connection)):
            message = DOCUMENT.FromString(raw)
            path = connection.database.relative(message.name)
            contents[path] = shapes.canonical(message, connection.database.root)
    equal = sum(found[target].get(path) == item for path, item in found[source].items())
    return equal, len(found[source])


def report(count: int, facts: dict[str, Any]) -> bool:
    """Print figures and whether they reach the targets."""
    rate = facts["rate"]
    both = 1 / (1 / rate["raw write"] + 1 / rate["raw read"])
    reached = {
        "snapshot of the raw read bound": rate["snapshot"] / rate["raw read"],
        "snapshot of the own peer, flat": rate["snapshot"] / rate["own peer, flat"],
        "snapshot of the own peer, walking": rate["snapshot"] / rate["own peer, walking"],
        "verified restore of the raw write bound": rate["restore, verified"] / rate["raw write"],
        "raw write and raw read, of raw write": both / rate["raw write"],
        "verified restore of both": rate["restore, verified"] / both,
        "verified restore of the own peer": rate["restore, verified"] / rate["own peer restore"],
    }
    tools = facts["tools"]
    if not isinstance(tools, str):
        reached["snapshot of the best tool"] = rate["snapshot"] / max(each.exported for each in tools.values())
        reached["verified restore of the best tool"] = rate["restore, verified"] / max(
            each.imported for each in tools.values()
        )
    print(f"{count} documents; docs/s, median of {ROUNDS} rounds")
    for name, each in rate.items():
        print(f"  {name:20} {each:10,.0f}")
    if isinstance(tools, str):
        print(f"  no public tool is compared: {tools}")
    else:
        for name, each in tools.items():
            print(f"  {name}: export {each.exported:,.0f}, import {each.imported:,.0f}, {_arrived(each)}")
    good = True
    for name, ratio in reached.items():
        target = TARGETS.get(name)
        good &= target is None or ratio >= target
        verdict = f"to reach {target:.2f}  {_word(ratio >= target)}" if target else "for comparison"
        print(f"  {name:42} {ratio:6.2f}  {verdict}")
    equal, shapes_there = facts["equal"]
    print(f"  fidelity {equal} of {shapes_there} shapes  {_word(equal == shapes_there)}")
    print(f"  the own peer found {facts['found']} of {count} documents")
    print(f"  {facts['outcome'].statement}  {_word(facts['outcome'].equal)}")
    print(f"  memory {facts['memory']:.0f} MiB, to stay below {MEMORY_MIB}  {_word(facts['memory'] < MEMORY_MIB)}")
    return good and equal == shapes_there and facts["outcome"].equal and facts["memory"] < MEMORY_MIB


def _arrived(found: peers.Found) -> str:
    return f"{found.arrived} of {peers.DOCUMENTS} documents arrived"


def _word(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def main(count: int = 20_000) -> int:
    """0 if every figure is reached."""
    with tempfile.TemporaryDirectory() as logs, Processes(logs=Path(logs)) as processes:
        port = free_port()
        processes.start("emulator", emulator_command(port, heap_mib=2048), ready=listening(port))
        os.environ["FIRESTORE_EMULATOR_HOST"] = f"127.0.0.1:{port}"
        return 0 if report(count, measure(f"127.0.0.1:{port}", count)) else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
