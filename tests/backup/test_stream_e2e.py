"""The continuous backup against real processes: the emulator (poll), and the documented Listen in front of it."""

from __future__ import annotations

import random
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from causeway.backup.storage import LocalStorage, Storage
from causeway.backup.stream import Settings, Source, Stream
from causeway.backup.stream_block import CONTROL
from causeway.backup.stream_guard import Refused
from causeway.backup.stream_state import watermarks
from standin.processes import Processes, free_port, listening
from standin.tools import emulator_command
from tests.backup.protocol_server import control
from tests.backup.stream_load import COLLECTIONS, WriteLog, commit, database, restored, running, seed, until, writing
from tests.backup.stream_model import Far

pytestmark = pytest.mark.e2e

DOCUMENTS = 300
QUICK = Settings(Source.LISTEN, COLLECTIONS, beat=0.2, silence=2.0, poll=0.3, verify=0.3, retry=0.1)
SERVER = Path(__file__).with_name("protocol_server.py")


class Place:
    """One database, reached directly or through the protocol server, and its archive."""

    def __init__(self, source: Source, kept: Database, address: str, folder: Path, emulator: str) -> None:
        self.settings = replace(QUICK, source=source)
        self.database = kept
        self.address = address
        self.emulator = emulator
        self.folder = folder
        self.log = WriteLog()

    @property
    def archive(self) -> Archive:
        """An archive of its own for each use, since an `Archive` belongs to one thread."""
        return Archive.create(LocalStorage(self.folder), self.database)

    def connect(self) -> Connection:
        return Connection.open(self.database, self.address)

    def stream(self, **other: float) -> Stream:
        return Stream(self.archive, replace(self.settings, **other), connect=self.connect)  # type: ignore[arg-type]

    def seeded(self, count: int = DOCUMENTS) -> Place:
        with self.connect() as connection:
            seed(connection, self.log, count)
        return self

    def write(self, *changes: tuple[str, int | None]) -> datetime:
        with self.connect() as connection:
            at = commit(connection, list(changes))
        self.log.entries.append((at, list(changes)))
        return at

    def faults(self, **faults: object) -> None:
        control(self.address, **faults)

    def clear(self) -> None:
        url = f"http://{self.emulator}/emulator/v1/{self.database.name}/documents"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=20).close()
        if self.settings.source is Source.LISTEN:
            self.faults(reload=True)

    def holds_what_was_written(self) -> bool:
        """Whether the archive, at its last watermark, is what the independent log says."""
        watermark, documents = restored(self.archive, watermarks(self.archive)[-1])
        return documents == self.log.at(watermark)


def protocol_server(processes: Processes, emulator: str) -> str:
    port = free_port()
    command = [sys.executable, "-W", "ignore", str(SERVER), "--emulator", emulator, "--port", str(port)]
    processes.start("protocol-server", command, ready=listening(port))
    return f"127.0.0.1:{port}"


Places = Callable[[Source], Place]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(logs=tmp_path / "logs") as running_processes:
        yield running_processes


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, emulator: str, processes: Processes) -> Places:
    def make(source: Source) -> Place:
        address = protocol_server(processes, emulator) if source is Source.LISTEN else emulator
        return Place(source, database(request.node.name), address, tmp_path / "archive", emulator)

    return make


BOTH = pytest.mark.parametrize("source", list(Source))


@BOTH
def test_twenty_random_instants_are_exact(place: Places, source: Source) -> None:
    """B3: each rounded down to a watermark and compared with an independent write log."""
    here = place(source).seeded()
    stream = here.stream()
    with running(stream) as raised:
        until(lambda: stream.status.durable)
        with writing(here.connect, here.log, DOCUMENTS):
            until(lambda: stream.status.blocks > (15 if source is Source.POLL else 60), 60)
    assert not raised
    marks = watermarks(here.archive)
    rng = random.Random(7)
    span = (marks[-1] - marks[0]) / timedelta(microseconds=1)
    asked = [marks[0] + timedelta(microseconds=rng.randrange(int(span))) for _ in range(20)]
    for instant in asked:
        watermark, documents = restored(here.archive, instant)
        assert watermark == max(mark for mark in marks if mark <= instant)
        assert documents == here.log.at(watermark)
    assert stream.status.verified is not None and stream.status.relistens == 0


@BOTH
def test_a_second_start_goes_on_where_the_first_ended(place: Places, source: Source) -> None:
    here = place(source).seeded()
    first = here.stream()
    with running(first):
        until(lambda: first.status.durable)
    at = here.write(("user_cvs/000000", None), ("user_cvs/late", 5))
    second = here.stream()
    with running(second) as raised:
        until(lambda: second.status.durable and second.status.durable >= at)
    assert not raised and second.status.changes == 2, "only what was new was written"
    assert here.holds_what_was_written()


@BOTH
def test_a_cleared_database_is_refused(place: Places, source: Source) -> None:
    here = place(source).seeded()
    stream = here.stream()
    with running(stream) as raised:
        until(lambda: stream.status.verified)
        here.clear()
        until(lambda: raised)
    assert isinstance(raised[0], Refused) and "gone" in str(raised[0])
    assert stream.status.state == "refused" and "--anew" in stream.status.refusals[0]
    assert here.holds_what_was_written() and stream.status.documents == DOCUMENTS, "0 deletions mirrored"
    again = here.stream()
    with running(again) as raised:
        until(lambda: raised)
    assert isinstance(raised[0], Refused), "a restart does not forget"


@BOTH
def test_a_database_killed_and_restarted_is_refused(
    request: pytest.FixtureRequest, tmp_path: Path, processes: Processes, source: Source
) -> None:
    """Empty, and then with other documents in it: an accident, not 300 deletions."""
    port = free_port()
    own = processes.start("own-emulator", emulator_command(port), ready=listening(port))
    emulator = f"127.0.0.1:{port}"
    address = protocol_server(processes, emulator) if source is Source.LISTEN else emulator
    here = Place(source, database(request.node.name), address, tmp_path / "archive", emulator).seeded()
    stream = here.stream()
    with running(stream) as raised:
        until(lambda: stream.status.verified)
        processes.stop(own.name)
        until(lambda: stream.status.state == "unreachable")
        processes.start("new-emulator", emulator_command(port), ready=listening(port))
        until(lambda: raised, 40)
    assert isinstance(raised[0], Refused)
    assert here.holds_what_was_written() and stream.status.documents == DOCUMENTS
    with here.connect() as connection:
        seed(connection, WriteLog(), 50)
    again = here.stream()
    with running(again) as raised:
        until(lambda: raised)
    assert isinstance(raised[0], Refused) and here.holds_what_was_written()


@BOTH
def test_a_database_imported_over_is_refused(place: Places, source: Source) -> None:
    """An import writes the sentinel again: same content, another time."""
    here = place(source).seeded()
    stream = here.stream()
    with running(stream) as raised:
        until(lambda: stream.status.verified)
        (sentinel,) = (here.folder / "sentinels").iterdir()
        nonce = sentinel.read_text().split('"nonce": "')[1].split('"')[0]
        with here.connect() as connection:
            commit(connection, [(f"{CONTROL}/{nonce}", 1), ("user_cvs/000000", None)])
        until(lambda: raised)
    assert isinstance(raised[0], Refused) and "written again" in str(raised[0])
    assert here.holds_what_was_written()


@BOTH
def test_a_stream_into_a_bucket_outlives_its_machine(place: Places, source: Source, tmp_path: Path) -> None:
    """Prevents: a container is replaced, and the stream has lost what it called verified, or asks for --anew."""
    here = place(source).seeded()
    bucket = cast(Storage, Far(here.folder))
    for machine in ("first", "second"):
        archive = Archive.create(bucket, here.database)
        stream = Stream(archive, here.settings, spool=tmp_path / machine, connect=here.connect)
        with running(stream) as raised:
            until(lambda stream=stream: stream.status.verified)
            at = here.write((f"{COLLECTIONS[0]}/000001", 77), (f"{COLLECTIONS[1]}/{machine}", 1))
            until(lambda stream=stream, at=at: stream.status.verified >= at)
        assert not raised
        shutil.rmtree(tmp_path / machine)
        assert watermarks(here.archive)[-1] >= at and here.holds_what_was_written()
    assert len(here.archive.backups()) == 1, "the second machine went on with the first one's stream"


@BOTH
def test_a_mass_delete_that_is_meant_is_kept(place: Places, source: Source) -> None:
    here = place(source).seeded()
    stream = here.stream()
    with running(stream) as raised:
        until(lambda: stream.status.verified)
        doomed = [f"{COLLECTIONS[i % 2]}/{i:06}" for i in range(DOCUMENTS - 10)]  # one more is in a subcollection
        at = here.write(*((path, None) for path in doomed))
        until(lambda: stream.status.verified and stream.status.verified >= at)
    assert not raised and stream.status.documents == 10
    assert here.holds_what_was_written()
    assert len(restored(here.archive, at - timedelta(microseconds=1))[1]) == DOCUMENTS, "and can be taken back"


@BOTH
def test_after_a_refusal_a_new_stream_is_begun_on_request(place: Places, source: Source) -> None:
    here = place(source).seeded()
    first = here.stream()
    with running(first) as raised:
        until(lambda: first.status.verified)
        before = watermarks(here.archive)[-1]
        here.clear()
        until(lambda: raised)
    here.log = WriteLog()
    here.write(("user_cvs/new", 1))
    second = here.stream()
    with running(second, anew=True) as raised:
        until(lambda: second.status.verified)
    assert not raised and here.holds_what_was_written()
    assert len(restored(here.archive, before)[1]) == DOCUMENTS, "the stream before it stays readable"


@BOTH
def test_a_long_stream_is_continued_by_another_with_a_base_of_its_own(place: Places, source: Source) -> None:
    """So that a restore never has to read more than a day; the sentinel stays, and no time is lost."""
    here = place(source).seeded(20)
    stream = here.stream(rebase=1.0)
    with running(stream) as raised, writing(here.connect, here.log, 20):
        until(lambda: raised or len(here.archive.backups()) >= 3, 40)
        assert not raised, str(raised)
        until(lambda: raised or watermarks(here.archive))
    assert not raised
    completed = [backup for backup in here.archive.backups() if backup.completed]
    for backup in completed:
        assert backup.exact_until is not None
        watermark, documents = restored(here.archive, backup.exact_until)
        assert watermark == backup.exact_until and documents == here.log.at(watermark)
    assert here.holds_what_was_written()


def test_a_frozen_stream_is_noticed_by_its_heartbeat(place: Places) -> None:
    here = place(Source.LISTEN).seeded()
    stream = here.stream()
    with running(stream) as raised:
        until(lambda: stream.status.verified)
        here.faults(freeze=True)
        here.write(("user_cvs/000001", None))
        until(lambda: stream.status.silences)
        assert not here.holds_what_was_written() or watermarks(here.archive)[-1] < here.log.entries[-1][0]
        here.faults(freeze=False)
        until(lambda: (stream.status.verified or here.log.entries[0][0]) > here.log.entries[-1][0])
    assert not raised and here.holds_what_was_written()


def test_swallowed_deletions_are_found_by_the_count_and_mended(place: Places) -> None:
    here = place(Source.LISTEN).seeded()
    stream = here.stream()
    with running(stream) as raised:
        until(lambda: stream.status.verified)
        here.faults(drop_deletes=True)
        at = here.write(("user_cvs/000000", None), ("recommendations/000001", None))
        until(lambda: stream.status.relistens)
        until(lambda: stream.status.verified and stream.status.verified > at)
    assert not raised and stream.status.documents == DOCUMENTS - 2
    assert here.holds_what_was_written()


@pytest.mark.parametrize("way", ["delete", "remove", "ids"])
def test_each_way_to_tell_a_deletion(place: Places, way: str) -> None:
    here = place(Source.LISTEN).seeded(20)
    here.faults(deletes_as=way)
    stream = here.stream()
    with running(stream):
        until(lambda: stream.status.verified)
        at = here.write(("user_cvs/000000", None))
        until(lambda: stream.status.verified and stream.status.verified >= at)
    assert stream.status.relistens == 0 and here.holds_what_was_written()


def test_whatever_the_server_does_the_marks_stay_exact(place: Places) -> None:
    """RESET, filters, damaged messages, cuts, ended targets and expired tokens, under load."""
    here = place(Source.LISTEN).seeded()
    stream = here.stream()
    with running(stream) as raised, writing(here.connect, here.log, DOCUMENTS):
        until(lambda: stream.status.verified)
        for fault in ("reset", "filter", "cut", "garbage", "end_targets"):
            blocks = stream.status.blocks
            here.faults(**{fault: True})
            until(lambda blocks=blocks: stream.status.blocks > blocks + 5)
        here.faults(expired=True)
        here.faults(cut=True)
        blocks = stream.status.blocks
        until(lambda: stream.status.blocks > blocks + 5)
    assert not raised and stream.status.relistens >= 2
    marks = watermarks(here.archive)
    for instant in random.Random(3).sample(marks, 20):
        watermark, documents = restored(here.archive, instant)
        assert documents == here.log.at(watermark)


def test_a_subcollection_that_appears_later_is_found_by_the_count(place: Places) -> None:
    """No Listen tells of it; the watermarks that lack it are taken back, so that no restore can lack it."""
    here = place(Source.LISTEN).seeded(20)
    stream = here.stream()
    with running(stream) as raised:
        until(lambda: stream.status.verified)
        lacking = here.write(("user_cvs/000000/letters/1", 1))
        until(lambda: (stream.status.durable or lacking) > lacking)
        until(lambda: stream.status.documents == 21)
        at = here.write(("user_cvs/000000/letters/2", 2))
        until(lambda: stream.status.verified and stream.status.verified >= at)
    assert not raised
    for mark in watermarks(here.archive):
        assert restored(here.archive, mark)[1] == here.log.at(mark)


def test_contents_that_differ_are_found_by_digest_and_mended(place: Places) -> None:
    """A count cannot see them: here an update is swallowed. What was marked meanwhile is taken back."""
    here = place(Source.LISTEN).seeded(20)
    stream = here.stream(digest=1.0)
    with running(stream) as raised:
        until(lambda: stream.status.verified)
        here.faults(drop_updates=True)
        at = here.write(("user_cvs/000000", 77))
        until(lambda: stream.status.durable and stream.status.durable > at)
        here.faults(drop_updates=False)
        until(lambda: stream.status.relistens)
        until(lambda: stream.status.digested and stream.status.digested >= at)
    assert not raised
    for mark in watermarks(here.archive):
        assert restored(here.archive, mark)[1] == here.log.at(mark)
