"""Continuous backup measured: lag, throughput, what it costs the application, and `on_snapshot` beside it.

    python -m benchmarks.stream [--seconds N]

Every process is real and its own: the emulator, the server that follows the documented Listen in front of it
(`tests/backup/protocol_server.py`), the application that writes, and the stream. Lag is from a change's commit time by
the server's clock to the wall clock when it is synced to disk, on one machine. The exit code is the number of figures
that were missed. All share this machine's processors with whatever else runs on it, so the load is printed.
"""

from __future__ import annotations

import argparse
import bisect
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import DOCUMENT, Database
from causeway.backup.storage import LocalStorage
from causeway.backup.stream import Settings, Source, Stream
from causeway.backup.stream_block import Block
from causeway.backup.stream_log import StreamLog
from causeway.backup.stream_state import state_at, watermarks
from standin.processes import Processes, free_port, listening
from standin.tools import emulator_command
from tests.backup.stream_load import COLLECTIONS, Change, WriteLog, commit, seed

DOCUMENTS = 10_000
BATCH = 50
WRITERS = 4
PATIENCE = 15.0
"""Seconds the peer is given to catch up after the last write."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SERVER = Path(__file__).parents[1] / "tests" / "backup" / "protocol_server.py"


class Written(NamedTuple):
    """One commit of the application: its commit time (microseconds), its latency in seconds, its changes."""

    at: int
    seconds: float
    changes: list[Change]


@dataclass(frozen=True)
class Place:
    """The database under test and how it is reached."""

    address: str
    database: Database

    def connect(self) -> Connection:
        return Connection.open(self.database, self.address)


# -- children: each a process of its own ---------------------------------------------------------------------------


def child_write(place: Place, out: Path, rate: float, seconds: float) -> None:
    """Commits of BATCH changes by WRITERS at a rate in all (0: as fast as it goes), each with its commit time."""
    written: list[Written] = []

    def write(number: int) -> None:
        rng = random.Random(number)
        with place.connect() as connection:
            began, sent = time.monotonic(), 0
            while (now := time.monotonic()) - began < seconds:
                due = began + (sent * WRITERS + number) * BATCH / rate if rate else now
                time.sleep(max(0.0, due - now))
                numbers = rng.sample(range(number, DOCUMENTS, WRITERS), BATCH)
                changes: list[Change] = [(f"{COLLECTIONS[n % 2]}/{n:06}", rng.randrange(1 << 40)) for n in numbers]
                start = time.monotonic()
                at = commit(connection, changes)
                written.append(Written((at - EPOCH) // timedelta(microseconds=1), time.monotonic() - start, changes))
                sent += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.write_text(json.dumps(sorted(written)))


def child_stream(place: Place, out: Path, source: str, archive: Path) -> None:
    """The stream as it is, each durable watermark noted with the wall clock, until SIGTERM."""
    durable: list[tuple[int, float]] = []
    keep = StreamLog.commit

    def timed(log: StreamLog, block: Block) -> int:
        changes = keep(log, block)
        durable.append(((block.read_time - EPOCH) // timedelta(microseconds=1), time.time()))
        return changes

    StreamLog.commit = timed  # type: ignore[method-assign]
    kept = Archive.create(LocalStorage(archive), place.database)
    stream = Stream(kept, Settings(Source(source), COLLECTIONS), connect=place.connect)
    signal.signal(signal.SIGTERM, lambda *_: stream.stop())
    threading.Thread(target=_announce, args=(stream,), daemon=True).start()
    stream.run()
    out.write_text(json.dumps({"durable": durable, "cpu": time.process_time(), "relistens": stream.status.relistens}))


def _announce(stream: Stream) -> None:
    while stream.status.verified is None:
        time.sleep(0.05)
    print("ready", flush=True)


def child_peer(place: Place, out: Path) -> None:
    """`on_snapshot` of the official library on both collections; when each snapshot was handed over."""
    from google.cloud import firestore

    os.environ["FIRESTORE_EMULATOR_HOST"] = place.address
    client = firestore.Client(project=place.database.project, database=place.database.database)
    seen: dict[str, list[tuple[int, float]]] = {name: [] for name in COLLECTIONS}
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())

    def taker(name: str) -> Any:
        def take(_: Any, changes: Any, read_time: Any) -> None:
            seen[name].append((int(read_time.timestamp_pb().ToMicroseconds()), time.time()))

        return take

    watches = [client.collection(name).on_snapshot(taker(name)) for name in COLLECTIONS]
    while not all(seen.values()) and not over.wait(0.05):
        pass
    print("ready", flush=True)
    over.wait()
    for watch in watches:
        watch.unsubscribe()
    out.write_text(json.dumps({"durable": seen}))


# -- the parent ----------------------------------------------------------------------------------------------------


class Bench:
    """Starts children, and collects the figures."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self.missed = 0
        self.listen_p99 = math.inf

    def write(self, place: Place, rate: float) -> list[Written]:
        """The application's log of a run at a rate."""
        out = self.folder / "written.json"
        command = _child("write", place, out, str(rate), str(self.seconds))
        subprocess.run(command, check=True, timeout=self.seconds * 6 + 60)
        return [Written(*row) for row in json.loads(out.read_text())]

    @contextmanager
    def beside(self, kind: str, place: Place, *arguments: str, settle: float = 3.0) -> Iterator[dict[str, Any]]:
        """A child that runs while the body does; its figures are in the dictionary afterwards."""
        out = self.folder / f"{kind}.json"
        figures: dict[str, Any] = {}
        process = subprocess.Popen(_child(kind, place, out, *arguments), stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", f"{kind} did not start"
            yield figures
            time.sleep(settle)
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
        figures |= json.loads(out.read_text())

    def row(self, name: str, value: str, aim: str = "", reached: bool | None = None) -> None:
        """Print one figure beside what it has to reach."""
        verdict = "" if reached is None else "reached" if reached else "MISSED"
        self.missed += reached is False
        print(f"{name:<58} {value:>24}   {aim:<22} {verdict}", flush=True)


def _child(kind: str, place: Place, out: Path, *arguments: str) -> list[str]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.stream", "--child", kind]
    return [*command, place.address, place.database.project, str(out), *arguments]


def lags(written: list[Written], durable: list[tuple[int, float]], until: float = math.inf) -> list[float]:
    """Seconds from commit to durable of every change; of one not seen by the wall clock `until`, at least those."""
    marks = sorted(durable)
    times = [mark for mark, _ in marks]
    found = []
    for row in written:
        place = bisect.bisect_left(times, row.at)
        seen = marks[place][1] if place < len(marks) else until
        found += [seen - row.at / 1e6] * len(row.changes)
    return sorted(found)


def quantile(ordered: list[float], share: float) -> float:
    """The nearest-rank quantile of sorted values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def rate(written: list[Written]) -> float:
    """Changes a second from the first commit to the last."""
    return sum(len(row.changes) for row in written[1:]) / ((written[-1].at - written[0].at) / 1e6)


def exact(archive: Path, database: Database, log: WriteLog, count: int = 20) -> int:
    """How many of so many random instants are restored exactly, by the independent write log."""
    kept = Archive.create(LocalStorage(archive), database)
    marks = watermarks(kept)
    rng = random.Random(11)
    good = 0
    for _ in range(count):
        asked = marks[0] + (marks[-1] - marks[0]) * rng.random()
        state = state_at(kept, asked)
        found = (DOCUMENT.FromString(record.message) for record in state.documents)
        values = {d.name.removeprefix(f"{database.root}/"): d.fields["value"].integer_value for d in found}
        good += values == log.at(state.watermark)
    return good


def logged(log: WriteLog, written: list[Written]) -> None:
    """Take the application's own log into the independent one."""
    log.entries += [(EPOCH + timedelta(microseconds=row.at), row.changes) for row in written]


def measure_listen(bench: Bench, place: Place, log: WriteLog) -> None:
    """Lag at 1,000 changes/s, what it costs the application, and the sustained rate."""
    archive = bench.folder / "listen"
    alone, alone_full = bench.write(place, 1000), bench.write(place, 0)
    logged(log, alone), logged(log, alone_full)
    with bench.beside("stream", place, "listen", str(archive)) as figures:
        paced = bench.write(place, 1000)
        fast = bench.write(place, 2100)
        full = bench.write(place, 0)
        for run in (paced, fast, full):
            logged(log, run)
    lag, lag_fast, lag_full = (lags(run, figures["durable"]) for run in (paced, fast, full))
    p99 = quantile(lag, 0.99)
    bench.row(
        f"listen: commit → durable at {rate(paced):,.0f} changes/s, p50 / p99",
        f"{quantile(lag, 0.5) * 1000:.0f} / {p99 * 1000:.0f} ms",
        "p99 ≤ 750 ms at 1,000/s",
        p99 <= 0.75 and rate(paced) >= 970,
    )
    bench.row(
        "listen: sustained changes/s, p99, lag at the end",
        f"{rate(fast):,.0f}, {quantile(lag_fast, 0.99):.2f} s, {_last(fast, figures):.2f} s",
        "≥ 2,000/s, not growing",
        rate(fast) >= 2000 and _last(fast, figures) <= 1.0,
    )
    kept = rate(paced) / rate(alone)
    bench.row("listen: application's rate beside it, offered 1,000/s", f"{kept:.1%}", "≥ 95 %", kept >= 0.95)
    latency = [sorted(row.seconds for row in run) for run in (alone, paced)]
    bench.row(
        "  its commit latency p50, alone → beside the stream",
        f"{quantile(latency[0], 0.5) * 1000:.1f} → {quantile(latency[1], 0.5) * 1000:.1f} ms",
    )
    bench.row(
        "  its rate when all processors are busy, alone → beside",
        f"{rate(alone_full):,.0f} → {rate(full):,.0f}/s",
        f"(lag p99 {quantile(lag_full, 0.99):.2f} s)",
    )
    changes = sum(len(row.changes) for run in (paced, fast, full) for row in run)
    bench.row("  processor of the stream", f"{figures['cpu'] / (changes / 1000) * 1000:.0f} ms per 1,000 changes")
    good = exact(archive, place.database, log)
    bench.row("listen: random instants restored exactly", f"{good} of 20", "20 of 20", good == 20)
    bench.listen_p99 = p99


def _last(written: list[Written], figures: dict[str, Any]) -> float:
    """The lag of the last tenth's median change: grows with the run if the stream cannot keep up."""
    return quantile(lags(written[-max(1, len(written) // 10) :], figures["durable"]), 0.5)


def measure_peer(bench: Bench, place: Place) -> None:
    """The official library's `on_snapshot` on the same server, database and load."""
    with bench.beside("peer", place, settle=PATIENCE) as figures:
        paced = bench.write(place, 1000)
    stopped = time.time()
    lag: list[float] = []
    seen = 0
    for name, marks in figures["durable"].items():
        mine = [row._replace(changes=[c for c in row.changes if c[0].startswith(name)]) for row in paced]
        lag += lags(mine, marks, stopped)
        seen += sum(value < math.inf for value in lags(mine, marks))
    lag.sort()
    last = max(marks[-1][1] for marks in figures["durable"].values())
    speed = seen / max(0.001, last - paced[0].at / 1e6)
    p50, p99 = quantile(lag, 0.5), quantile(lag, 0.99)
    least = "" if seen == len(lag) else "≥ "
    bench.row(
        f"peer on_snapshot: lag at {rate(paced):,.0f} changes/s, p50 / p99",
        f"{least}{p50:.1f} / {least}{p99:.1f} s",
        f"{seen / len(lag):.0%} seen, {speed:,.0f}/s",
    )
    bench.row("  its p99 to ours", f"{least}{p99 / bench.listen_p99:.0f} ×")


def measure_poll(bench: Bench, place: Place, log: WriteLog) -> None:
    """Poll on the emulator itself: exact, and what it costs the application."""
    archive = bench.folder / "poll"
    alone = bench.write(place, 1000)
    logged(log, alone)
    with bench.beside("stream", place, "poll", str(archive), settle=5.0) as figures:
        paced = bench.write(place, 1000)
        logged(log, paced)
    lag = lags(paced, figures["durable"])
    bench.row(
        "poll: commit → durable, p50 / p99", f"{quantile(lag, 0.5):.2f} / {quantile(lag, 0.99):.2f} s", "every 2 s"
    )
    kept = rate(paced) / rate(alone)
    bench.row("poll: application's rate beside it, offered 1,000/s", f"{kept:.1%}", "≥ 95 %", kept >= 0.95)
    good = exact(archive, place.database, log)
    bench.row("poll: random instants restored exactly", f"{good} of 20", "20 of 20", good == 20)


def main(seconds: float = 12.0) -> int:
    """Run everything; the number of figures that were missed."""
    print(f"{DOCUMENTS:,} documents, {seconds:.0f} s a run, load of this machine {os.getloadavg()[0]:.1f} at the start")
    with (
        tempfile.TemporaryDirectory(prefix="causeway-bench-") as name,
        Processes(logs=Path(name) / "logs") as processes,
    ):
        folder = Path(name)
        bench = Bench(folder, seconds)
        port, front = free_port(), free_port()
        processes.start("emulator", emulator_command(port), ready=listening(port))
        emulator = f"127.0.0.1:{port}"
        command = [sys.executable, "-W", "ignore", str(SERVER), "--emulator", emulator, "--port", str(front)]
        processes.start("protocol-server", command, ready=listening(front))
        for step, address in ((measure_listen, f"127.0.0.1:{front}"), (measure_poll, emulator)):
            place = Place(address, Database(f"bench-{step.__name__.replace('_', '-')}"))
            log = WriteLog()
            with place.connect() as connection:
                seed(connection, log, DOCUMENTS)
            step(bench, place, log)
            if step is measure_listen:
                measure_peer(bench, place)
    print(f"load at the end {os.getloadavg()[0]:.1f}; {bench.missed} missed")
    return bench.missed


def _run_child(kind: str, address: str, project: str, out: str, *arguments: str) -> None:
    place = Place(address, Database(project))
    if kind == "write":
        child_write(place, Path(out), float(arguments[0]), float(arguments[1]))
    elif kind == "stream":
        child_stream(place, Path(out), arguments[0], Path(arguments[1]))
    else:
        child_peer(place, Path(out))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        _run_child(*given.child)
    else:
        sys.exit(main(given.seconds))
