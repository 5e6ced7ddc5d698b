"""Whatever dies, wherever: it resumes, nothing is lost, and the archive is never corrupt."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import grpc
import pytest

from causeway.backup import queries
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.catalogue import Catalogue
from causeway.backup.connection import Connection
from causeway.backup.contents import load
from causeway.backup.documents import Database, digest
from causeway.backup.history import Point, find, replay
from causeway.backup.ranges import Range
from causeway.backup.records import Kind
from causeway.backup.retention import Rule, prune, to_keep
from causeway.backup.segments import SegmentWriter
from causeway.backup.snapshot import Request, Task, snapshot
from causeway.backup.storage import LocalStorage
from causeway.backup.verify import check_integrity
from causeway.errors import IntegrityError, Unreachable
from tests.backup import shapes
from tests.backup.helpers import Connect, contents, no_sleep, restore, take

ROUNDS = [pytest.param(3, id="sample"), pytest.param(100, id="soak", marks=pytest.mark.soak)]
NOW = datetime(2025, 9, 1, tzinfo=UTC)


def start(what: str, archive: Path, project: str, die_after: float = 0, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.backup.worker", what, str(archive), project, str(die_after)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def run_until_done(
    what: str, archive: Path, project: str, rng: random.Random, within: float = 0.5, kills: int = 2, **environment: str
) -> int:
    """Kill the worker so many times at random points `within` seconds, then let it end; how often it was killed."""
    for killed in range(kills + 1):
        worker = start(what, archive, project, rng.uniform(0.001, within) if killed < kills else 0, **environment)
        _, errors = worker.communicate(timeout=120)
        if worker.returncode == 0:
            return killed
        assert worker.returncode == -signal.SIGKILL, errors
    raise AssertionError("unreachable: the last attempt is not killed")


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_killed_snapshot_resumes(tmp_path: Path, connect: Connect, rounds: int) -> None:
    source = connect()
    shapes.write(source, shapes.many(source.database, 1500))
    rng = random.Random(rounds)
    killed = 0
    for number in range(rounds):
        folder = tmp_path / str(number)
        killed += run_until_done("snapshot", folder, source.database.project, rng)
        archive = Archive(LocalStorage(folder))
        point = find(archive)[0].point
        assert check_integrity(archive, point).whole
        assert point.backup.facts.documents == 1500
        assert set(contents(source)) == _paths(archive, point)
        shutil.rmtree(folder)
    assert killed > 0


def _paths(archive: Archive, point: Point) -> set[str]:
    from causeway.backup.documents import DOCUMENT, relative_path

    names = [relative_path(DOCUMENT.FromString(record.message).name) for record in replay(archive, point)]
    assert len(names) == len(set(names)), "a document is in the snapshot twice"
    return set(names)


def backed_up(folder: Path, connect: Connect) -> Connection:
    """A database of 600 documents, and a snapshot of it."""
    source = connect()
    shapes.write(source, shapes.many(source.database, 600))
    take(Archive.create(LocalStorage(folder), source.database), source)
    return source


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_killed_restore_resumes(tmp_path: Path, connect: Connect, rounds: int) -> None:
    source, target = backed_up(tmp_path / "archive", connect), connect()
    expected = contents(source)
    rng = random.Random(rounds)
    killed = 0
    for _ in range(rounds):
        killed += run_until_done("restore", tmp_path / "archive", target.database.project, rng)
        assert contents(target) == expected
        shapes.delete(target, list(expected)[: rng.randrange(400)])
        shapes.delete(target, list(expected)[400:])
    assert killed > 0


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_killed_increment_resumes(tmp_path: Path, connect: Connect, rounds: int) -> None:
    """Prevents: an increment that dies halfway loses a change, or takes what it has not read for deleted."""
    folder = tmp_path / "archive"
    source = backed_up(folder, connect)
    archive, project = Archive(LocalStorage(folder)), source.database.project
    rng = random.Random(rounds)
    killed = 0
    for number in range(rounds):
        names = sorted(contents(source))
        shapes.write(source, shapes.many(source.database, 150, f"new{number}"))
        shapes.delete(source, rng.sample(names, 150))
        killed += run_until_done("increment", folder, project, rng, within=0.1)
        point = find(Archive(LocalStorage(folder)))[0].point
        assert check_integrity(archive, point).whole
        assert _state(archive, point) == set(contents(source))
    assert killed > 0
    target = connect()
    assert restore(Archive(LocalStorage(folder)), target).equal
    assert contents(target) == contents(source)


def _state(archive: Archive, point: Point) -> set[str]:
    """The paths that a chain of increments leaves."""
    with Catalogue() as catalogue:
        load(catalogue, replay(archive, point))
        return set(catalogue.gone())


@pytest.mark.parametrize("rounds", ROUNDS)
def test_killed_tasks_of_a_restore_resume(tmp_path: Path, connect: Connect, rounds: int) -> None:
    """Prevents: a part of a restore that dies and is done again leaves something out, or undoes another's part."""
    source, target = backed_up(tmp_path / "archive", connect), connect()
    expected = contents(source)
    rng = random.Random(rounds)
    killed = 0
    for _ in range(rounds):
        with ThreadPoolExecutor(2) as pool:
            folder, project, seeds = tmp_path / "archive", target.database.project, (rng.random(), rng.random())
            parts = [
                pool.submit(
                    run_until_done, "restore", folder, project, random.Random(seed), kills=1, TASKS="2", TASK=str(task)
                )
                for task, seed in enumerate(seeds)
            ]
            killed += sum(part.result() for part in parts)
        assert contents(target) == expected
        shapes.delete(target, list(expected)[: rng.randrange(400)])
    assert killed > 0


def stocked(folder: Path, backups: int) -> Archive:
    """An archive of many small backups, every other day one, the third verified."""
    database = Database("stocked")
    clock = NOW - timedelta(days=2 * backups)
    archive = Archive.create(LocalStorage(folder), database, now=lambda: clock)
    for number in range(backups):
        clock += timedelta(days=2)
        backup = archive.begin(Backup(f"b{number:02}", BackupKind.FULL, clock, clock))
        for segment in range(3):
            writer = SegmentWriter()
            for message in shapes.many(database, 5, f"c{number}-{segment}"):
                raw = message.SerializeToString()
                writer.add(Kind.DOCUMENT, digest(raw) + raw)
            archive.add_segment(backup.id, writer.seal(), number=segment)
        archive.end_task(backup.id, 0)
        archive.complete(backup.id)
        if number == 2:
            archive.note_verified(backup.id, {"equal": True})
    return archive


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_killed_prune_is_finished_by_the_next(tmp_path: Path, rounds: int, emulator: str) -> None:
    del emulator  # the worker opens a connection it does not use
    stocked(tmp_path / "stock", 12)
    rng = random.Random(rounds)
    for number in range(rounds):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "stock", folder)
        worker = start("prune", folder, "stocked", rng.uniform(0.0001, 0.02))
        worker.communicate(timeout=60)
        archive = Archive(LocalStorage(folder))
        kept = to_keep(archive.backups(), {}, Rule(2, 1, 1, 1), NOW)
        prune(archive, kept)
        left = [backup for backup in archive.backups() if not backup.pruned]
        assert {backup.id for backup in left} == {"b02", "b10", "b11"}
        assert all(check_integrity(archive, Point(backup, backup.read_time)).whole for backup in left)
        assert len(archive.storage.names("segments/")) == 9
        shutil.rmtree(folder)


def test_a_full_disk_is_told_and_costs_nothing_written(tmp_path: Path, connect: Connect) -> None:
    source = connect()
    shapes.write(source, [each for each in shapes.documents(source.database) if "mebibyte" in each.name])
    archive = Archive.create(LocalStorage(tmp_path / "archive"), source.database)
    complete = take(archive, source)
    noise = shapes.many(source.database, 300)
    for message in noise:
        message.fields["noise"].bytes_value = random.Random(message.name).randbytes(2000)
    shapes.write(source, noise)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(Unreachable, match="cannot write"):
            take(archive, source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert find(archive)[0].point == complete
    assert check_integrity(archive, complete).whole
    assert not list(Path(archive.storage.url).rglob(".0*"))  # no draft is left behind
    again = take(archive, source)
    assert restore(archive, connect(), again).equal


def test_four_processes_write_one_backup(tmp_path: Path, connect: Connect) -> None:
    source = connect()
    shapes.write(source, shapes.many(source.database, 2000) + list(shapes.documents(source.database)))
    workers = [
        start("snapshot", tmp_path / "archive", source.database.project, TASKS="4", TASK=str(index))
        for index in range(4)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    archive = Archive(LocalStorage(tmp_path / "archive"))
    (backup,) = archive.backups()
    assert backup.completed is not None
    assert backup.tasks == 4
    sizes = [sum(segment.facts.documents for segment in backup.task_segments(task)) for task in range(4)]
    assert sum(sizes) == len(contents(source))
    assert min(sizes) > len(contents(source)) / 8
    target = connect()
    assert restore(archive, target).equal
    assert contents(target) == contents(source)


def test_a_killed_task_of_four_is_done_again_and_the_backup_then_complete(tmp_path: Path, connect: Connect) -> None:
    source = connect()
    shapes.write(source, shapes.many(source.database, 2000))
    folder, project = tmp_path / "archive", source.database.project
    for index in (0, 2, 3):
        start("snapshot", folder, project, TASKS="4", TASK=str(index)).communicate(timeout=60)
    start("snapshot", folder, project, 0.05, TASKS="4", TASK="1").communicate(timeout=60)
    archive = Archive(LocalStorage(folder))
    assert archive.backups()[0].completed is None
    start("snapshot", folder, project, TASKS="4", TASK="1").communicate(timeout=60)
    assert archive.backups()[0].completed is not None
    assert _paths(archive, find(archive)[0].point) == set(contents(source))


def test_two_backups_at_once_are_both_whole(tmp_path: Path, connect: Connect) -> None:
    source = connect()
    shapes.write(source, shapes.many(source.database, 1500))
    workers = [start("snapshot", tmp_path / "archive", source.database.project) for _ in range(2)]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    archive = Archive(LocalStorage(tmp_path / "archive"))
    for backup in archive.backups():
        assert _paths(archive, Point(backup, backup.read_time)) == set(contents(source))
    assert len(archive.backups()) == 2


def test_a_database_emptied_under_a_resumed_snapshot_is_noticed(
    archive: Archive, source: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "count", lambda *_: 3)
    with pytest.raises(IntegrityError, match="counts 3 documents"):
        take(archive, source)
    assert [backup.completed for backup in archive.backups()] == [None]


def test_a_call_that_breaks_off_is_taken_up_behind_its_last_document(
    archive: Archive, source: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: one UNAVAILABLE in an hour ends a snapshot. A service that is gone is still told at once."""
    scan, asked = queries.scan, []

    def breaking(connection: Connection, left: Sequence[Range], read_time: datetime) -> Iterator[bytes]:
        asked.append(left)
        yield from islice(scan(connection, left, read_time), 3 if len(asked) < 3 else None)
        if len(asked) < 3:
            raise Unreachable("UNAVAILABLE")

    expected = set(contents(source))
    monkeypatch.setattr(queries, "scan", breaking)
    point = take(archive, source)
    assert len(asked) == 3 and point.backup.facts.documents == len(expected)
    assert _paths(archive, point) == expected
    monkeypatch.setattr(queries, "scan", _gone)
    with pytest.raises(Unreachable):
        take(archive, source)


def _gone(*_: object) -> Iterator[bytes]:
    raise Unreachable("UNAVAILABLE")


class _TooOld(grpc.RpcError):  # type: ignore[misc]
    """What the service answers to a read time more than an hour ago."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.FAILED_PRECONDITION

    def details(self) -> str:
        return "The requested snapshot version is too old."


def test_a_snapshot_longer_than_an_hour_is_told_what_to_do(source: Connection) -> None:
    """Prevents: the service's own words alone, which name no way out."""
    error = source.failure("RunQuery", _TooOld())
    assert not isinstance(error, Unreachable)  # the same read time does not become younger
    assert "one hour" in error.consequence and "several tasks" in error.remedy


def test_a_snapshot_that_was_refused_is_not_resumed(
    archive: Archive, source: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: the same command takes up the refused snapshot again and is refused, for fifty minutes."""
    with monkeypatch.context() as wrong:
        wrong.setattr(queries, "count", lambda *_: 3)
        with pytest.raises(IntegrityError):
            take(archive, source)
    take(archive, source)
    assert [backup.completed is not None for backup in archive.backups()] == [False, True]


def test_a_task_tried_again_does_not_complete_what_was_given_up(
    archive: Archive, source: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: the platform tries the refused task again, and it reports a complete backup nobody can restore."""
    task = Task(0, 1, "run-1")
    with monkeypatch.context() as wrong:
        wrong.setattr(queries, "count", lambda *_: 3)
        with pytest.raises(IntegrityError, match="counts 3"):
            snapshot(archive, source, Request(), task=task, sleep=no_sleep)
    with pytest.raises(IntegrityError, match="was given up"):
        snapshot(archive, source, Request(), task=task, sleep=no_sleep)


def test_names_that_never_came_are_not_taken_for_deletions(
    archive: Archive, source: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a listing that ends early becomes a complete increment that deletes the rest."""
    take(archive, source)
    scan = queries.scan
    monkeypatch.setattr(queries, "scan", lambda *given, **named: islice(scan(*given, **named), 3))
    with pytest.raises(IntegrityError, match="gave 3 names"):
        take(archive, source, incremental=True)
    assert [backup.completed is not None for backup in archive.backups()] == [True, False]
