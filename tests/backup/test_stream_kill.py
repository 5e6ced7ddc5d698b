"""SIGKILL, SIGTERM and SIGSTOP against the command itself, under load."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from causeway.backup.storage import LocalStorage
from causeway.backup.stream_state import watermarks
from causeway.backup.stream_status import read_status
from standin.processes import Processes, free_port, listening
from tests.backup.stream_load import COLLECTIONS, WriteLog, commit, database, restored, seed, until, writing

pytestmark = pytest.mark.e2e

DOCUMENTS = 300
SERVER = Path(__file__).with_name("protocol_server.py")


class Command:
    """`causeway backup stream` as a user starts it."""

    def __init__(self, source: str, kept: Database, address: str, folder: Path, *more: str) -> None:
        self.folder = folder
        program = "from causeway.cli import main; main()"
        options = ["--project", kept.project, "--out", str(folder), "--source", source]
        options += ["--collections", ",".join(COLLECTIONS), "--verify-every", "0.3", "--poll-every", "0.3", *more]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program, "backup", "stream", *options],
            env=os.environ | {"FIRESTORE_EMULATOR_HOST": address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def running(self) -> bool:
        status = read_status(self.folder / "open")
        return status is not None and status.state == "running"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize(
    ("source", "kills"),
    [
        ("listen", 3),
        ("poll", 2),
        pytest.param("listen", 100, marks=pytest.mark.soak),
        pytest.param("poll", 100, marks=pytest.mark.soak),
    ],
)
def test_killed_under_load_it_goes_on_and_every_mark_is_exact(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: str, source: str, kills: int
) -> None:
    kept = database(request.node.name)
    rng = random.Random(kills)
    log = WriteLog()
    folder = tmp_path / "archive"
    with Processes(logs=tmp_path / "logs") as processes:
        address = emulator
        if source == "listen":
            port = free_port()
            command = [sys.executable, "-W", "ignore", str(SERVER), "--emulator", emulator, "--port", str(port)]
            processes.start("protocol-server", command, ready=listening(port))
            address = f"127.0.0.1:{port}"

        def connect() -> Connection:
            return Connection.open(kept, address)

        with connect() as connection:
            seed(connection, log, DOCUMENTS)
        with writing(connect, log, DOCUMENTS):
            for _ in range(kills):
                (folder / "open" / "status.json").unlink(missing_ok=True)
                running = Command(source, kept, address, folder)
                until(running.running, 60)
                time.sleep(rng.random())  # nosec: the instant of the kill is the input
                running.kill()
        last = Command(source, kept, address, folder, "--json")
        with connect() as connection:
            at = commit(connection, [("user_cvs/000001", 1)])
        log.entries.append((at, [("user_cvs/000001", 1)]))

        def verified() -> bool:
            status = read_status(folder / "open")
            return status is not None and status.verified is not None and status.verified >= at

        until(verified, 60)
        last.process.send_signal(signal.SIGTERM)
        out, _ = last.process.communicate(timeout=30)
    assert last.process.returncode == 0
    facts = json.loads(out)
    assert facts["state"] == "stopped" and facts["refusals"] == [] and facts["relistens"] == 0
    archive = Archive.create(LocalStorage(folder), kept)
    marks = watermarks(archive)
    assert len(archive.backups()) == 1, "one stream, resumed every time"
    for mark in [*rng.sample(marks, min(20, len(marks))), marks[-1]]:
        watermark, documents = restored(archive, mark + timedelta(microseconds=1))
        assert watermark == mark and documents == log.at(mark)


def test_a_second_process_is_told_of_the_first(request: pytest.FixtureRequest, tmp_path: Path, emulator: str) -> None:
    kept = database(request.node.name)
    first = Command("poll", kept, emulator, tmp_path)
    try:
        until(first.running, 60)
        second = Command("poll", kept, emulator, tmp_path, "--json")
        out, errors = second.process.communicate(timeout=60)
        assert second.process.returncode == 10
        assert "another process streams into" in errors and "Traceback" not in errors
        assert json.loads(out)["fact"].startswith("another process streams into")
    finally:
        first.process.send_signal(signal.SIGINT)
        first.process.communicate(timeout=30)
    assert first.process.returncode == 0


def test_stopped_and_continued_it_goes_on(request: pytest.FixtureRequest, tmp_path: Path, emulator: str) -> None:
    """SIGSTOP for longer than the watchdog's patience; whatever the channel delivers after it, the state is exact."""
    kept = database(request.node.name)
    log = WriteLog()
    with Connection.open(kept, emulator) as connection:
        seed(connection, log, 50)
        stream = Command("poll", kept, emulator, tmp_path)
        until(stream.running, 60)
        stream.process.send_signal(signal.SIGSTOP)
        changed = commit(connection, [("user_cvs/000000", None)])
        log.entries.append((changed, [("user_cvs/000000", None)]))
        time.sleep(3)
        stream.process.send_signal(signal.SIGCONT)

        def caught_up() -> bool:
            status = read_status(tmp_path / "open")
            return status is not None and status.verified is not None and status.verified >= changed

        until(caught_up, 60)
        stream.process.send_signal(signal.SIGTERM)
        stream.process.communicate(timeout=30)
    archive = Archive.create(LocalStorage(tmp_path), kept)
    watermark, documents = restored(archive, watermarks(archive)[-1])
    assert documents == log.at(watermark)
