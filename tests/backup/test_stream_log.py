"""What a stream has confirmed survives a crash at any byte, and every watermark gives back exactly its state."""

from __future__ import annotations

import os
import random
import tempfile
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.backup.archive import Archive
from causeway.backup.documents import DOCUMENT
from causeway.backup.openlog import OpenLog, encoded
from causeway.backup.storage import LocalStorage, Storage
from causeway.backup.stream_block import Block, InMemory, Version
from causeway.backup.stream_log import StreamLog, change, log_path
from causeway.backup.stream_state import state_at, watermarks
from causeway.errors import ConfigError, Conflict, IntegrityError, Unreachable
from tests.backup.stream_model import BEGAN, DATABASE, Far, Model, instant, name_of

NOW = datetime(2025, 8, 25, 12, tzinfo=UTC)


def begun(folder: Path) -> Archive:
    return Archive.create(LocalStorage(folder / "archive"), DATABASE, now=lambda: NOW)


def opened(archive: Archive, folder: Path, segment_bytes: int = 2_000) -> StreamLog:
    return StreamLog.open(archive, folder / "archive" / "open", segment_bytes=segment_bytes)


def block(model: Model, since: int) -> Block:
    changed = {name: version for at, name, version in model.history if at > since and "causeway_stream" not in name}
    return Block(instant(model.clock), str(model.clock).encode(), changed)


def committed(log: StreamLog, model: Model, count: int) -> None:
    """So many documents, each in a block of its own."""
    for number in range(count):
        since = model.clock
        model.put(name_of(number), number)
        log.commit(block(model, since))


def kept_at(archive: Archive, asked: datetime) -> dict[str, bytes]:
    documents = (record.message for record in state_at(archive, asked).documents)
    return {DOCUMENT.FromString(message).name: message for message in documents}


def one_log(folder: Path) -> Path:
    (log,) = (folder / "archive" / "open").glob("*.log")
    return log


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_a_crash_at_any_byte_leaves_a_state_the_database_was_in(seed: int, rounds: int) -> None:
    """SIGKILL and power loss: what lies behind the last sync may be there, in part or not at all."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        archive, model = begun(folder), Model()
        log = opened(archive, folder)
        confirmed: list[datetime] = []
        done = 0
        for _ in range(rounds):
            for _ in range(rng.randrange(12)):
                name = name_of(rng.randrange(20))
                (model.put(name, rng.randrange(100)) if rng.random() < 0.7 else model.delete(name))
            log.commit(block(model, done))
            done = model.clock
            confirmed.append(instant(done))
            if rng.random() < 0.3:
                log.verify(confirmed[-1])
            if rng.random() < 0.3:
                lost = Model(model.clock, list(model.history))
                lost.put(name_of(3), 1)
                lost.put(name_of(4), 1)
                log.close()
                assert log.backup is not None
                number = len(archive.backup(log.backup.id).segments)
                with log_path(folder / "archive" / "open", log.backup.id, number).open("ab") as file:
                    file.write(_torn(block(lost, done), rng))
                log = opened(archive, folder)
                assert log.position.durable is not None
                assert log.position.durable.read_time == confirmed[-1]
        assert log.position.durable is not None and log.position.durable.token == str(done).encode()
        assert watermarks(archive) == confirmed
        for mark in rng.sample(confirmed, min(4, len(confirmed))):
            assert kept_at(archive, mark) == model.data_at(mark)
        log.close()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_a_machine_that_is_lost_with_its_disk_takes_nothing_along_that_counted_as_kept(seed: int, rounds: int) -> None:
    """Prevents: a stream into a bucket calls changes verified that lie on its container's disk alone."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        archive = Archive.create(cast(Storage, Far(folder / "bucket")), DATABASE, now=lambda: NOW)
        model, done, machine = Model(), 0, 0
        log = StreamLog.open(archive, folder / "0")
        for _ in range(rounds):
            for _ in range(rng.randrange(4)):
                name = name_of(rng.randrange(20))
                (model.put(name, rng.randrange(100)) if rng.random() < 0.7 else model.delete(name))
            log.commit(block(model, done))
            done = model.clock
            if rng.random() < 0.5:
                log.verify(instant(done))
                assert log.kept == instant(done), "what is verified is kept"
            if rng.random() < 0.3:
                kept = log.kept
                log.close()
                machine += 1
                log = StreamLog.open(archive, folder / str(machine))
                found = log.position.durable
                if kept is None:
                    assert found is None
                    done, model.clock = 0, model.clock + 1
                    continue
                assert found is not None and found.token == str(_micros(found.read_time)).encode()
                assert model.data_at(found.read_time) == model.data_at(kept) == kept_in(archive, kept, folder / "none")
                done = _micros(found.read_time)
        log.close()


def kept_in(archive: Archive, asked: datetime, spool: Path) -> dict[str, bytes]:
    documents = (record.message for record in state_at(archive, asked, spool).documents)
    return {DOCUMENT.FromString(message).name: message for message in documents}


def _micros(at: datetime) -> int:
    return round((at - instant(0)).total_seconds() * 1_000_000)


def _torn(lost: Block, rng: random.Random) -> bytes:
    data = b"".join(encoded([change(name, version, lost.read_time) for name, version in lost.changes.items()]))
    return data[: rng.randrange(len(data) + 1)]


def test_a_time_is_rounded_down_and_the_actual_one_shown(tmp_path: Path) -> None:
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path)
    model.put(name_of(0), 1)
    log.commit(block(model, 0))
    first = model.clock
    model.put(name_of(0), 2)
    model.clock += 1_000_000
    log.commit(block(model, first))
    log.verify(instant(first))
    state = state_at(archive, instant(first) + timedelta(milliseconds=500))
    assert (state.watermark, state.verified, state.count) == (instant(first), instant(first), 1)
    with pytest.raises(ConfigError, match="reaches back"):
        state_at(archive, instant(BEGAN - 1))
    log.close()


def test_segments_are_sealed_and_found_again(tmp_path: Path) -> None:
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path, segment_bytes=500)
    done = 0
    for number in range(30):
        model.put(name_of(number), number)
        log.commit(block(model, done))
        done = model.clock
    log.close()
    backup = archive.backups()[0]
    assert len(backup.segments) > 3 and backup.exact_until is not None
    again = opened(archive, tmp_path)
    assert again.position.known.tally == {"recommendations": 15, "user_cvs": 15}
    assert kept_at(archive, instant(done)) == model.data_at(instant(done))
    again.close()


def test_a_log_listed_as_a_segment_but_not_yet_removed_counts_once(tmp_path: Path) -> None:
    """Died between listing the segment and removing the log: nothing twice, nothing lost."""
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path, segment_bytes=10**9)
    model.put(name_of(0), 1)
    log.commit(block(model, 0))
    assert log.backup is not None and log._log is not None
    archive.add_segment(log.backup.id, log._log.seal(), number=0, watermark=instant(model.clock))
    log.close()
    again = opened(archive, tmp_path)
    assert again.position.durable is not None and len(watermarks(archive)) == 1
    again.close()


def test_a_base_that_never_became_durable_is_begun_anew(tmp_path: Path) -> None:
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path)
    model.put(name_of(0), 1)
    log._begin(instant(model.clock))
    log.close()
    again = opened(archive, tmp_path)
    assert again.position.durable is None
    model.put(name_of(1), 1)
    again.commit(block(model, 0))
    assert kept_at(archive, instant(model.clock)) == model.data_at(instant(model.clock))
    again.close()


def test_a_disk_that_takes_half_a_block_does_not_damage_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: going on behind the half would look like damage in the middle, and the archive would be refused."""
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path)
    model.put(name_of(0), 1)
    log.commit(block(model, 0))
    done = model.clock
    model.put(name_of(1), 1)
    append = OpenLog.append

    def half(self: OpenLog, data: bytes) -> None:
        append(self, data[: len(data) // 2])
        raise Unreachable("no space left on device")

    with monkeypatch.context() as full:
        full.setattr(OpenLog, "append", half)
        with pytest.raises(Unreachable):
            log.commit(block(model, done))
    assert log.position.durable is not None and log.position.durable.read_time == instant(done)
    log.commit(block(model, done))
    assert kept_at(archive, instant(model.clock)) == model.data_at(instant(model.clock))
    log.close()


def test_two_writers_are_told_apart(tmp_path: Path) -> None:
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path)
    model.put(name_of(0), 1)
    log.commit(block(model, 0))
    with pytest.raises(Conflict):
        opened(archive, tmp_path)
    log.close()


def test_a_log_that_has_changed_on_the_disk_is_not_sealed(tmp_path: Path) -> None:
    """Prevents: the segment ends at the flipped bit, claims the whole watermark, and the log is deleted behind it."""
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path, segment_bytes=10**9)
    committed(log, model, 20)
    assert log._log is not None
    path = log._log.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="is damaged at byte"):
        log.finish()
    assert path.exists() and not archive.backups()[0].segments and archive.backups()[0].completed is None
    log.close()


def test_a_log_cut_at_the_end_of_a_block_is_not_sealed(tmp_path: Path) -> None:
    """Prevents: a log that lost whole blocks looks whole, and its segment claims the watermark of what is gone."""
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path, segment_bytes=10**9)
    model.put(name_of(0), 0)
    log.commit(block(model, 0))
    first, size = model.clock, one_log(tmp_path).stat().st_size
    model.put(name_of(1), 1)
    log.commit(block(model, first))
    os.truncate(one_log(tmp_path), size)
    with pytest.raises(IntegrityError, match=f"damaged at byte {size}"):
        log.finish()
    assert one_log(tmp_path).exists() and not archive.backups()[0].segments
    log.close()


def test_the_manifest_names_no_instant_that_was_taken_back(tmp_path: Path) -> None:
    """Prevents: `exact_until` goes on promising a state that was shown to be wrong."""
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path, segment_bytes=100)  # each block is sealed
    marks = []
    for number in range(3):
        since = model.clock
        model.put(name_of(number), number)
        log.commit(block(model, since))
        marks.append(instant(model.clock))
    assert archive.backups()[0].exact_until == marks[-1]
    log.withdraw(marks[0])
    assert archive.backups()[0].exact_until == marks[0] == watermarks(archive)[-1]
    log.close()
    again = opened(archive, tmp_path, segment_bytes=100)
    again.withdraw(None)
    assert archive.backups()[0].exact_until is None and not watermarks(archive)
    since = model.clock
    model.put(name_of(9), 9)
    again.commit(block(model, since))
    assert archive.backups()[0].exact_until == instant(model.clock)
    again.close()


def test_a_block_is_never_whole_in_memory(tmp_path: Path) -> None:
    """Prevents: encoding and sealing the base of a stream take several times its size."""
    archive = begun(tmp_path)
    log = opened(archive, tmp_path)
    text = "a" * 100_000
    changes: dict[str, Version | None] = {}
    for number in range(300):
        document = DOCUMENT(name=name_of(number))
        document.fields["text"].string_value = text
        changes[document.name] = InMemory(1, document.SerializeToString())
    tracemalloc.start()
    log.commit(Block(instant(BEGAN), b"", changes))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    log.close()
    assert archive.backups()[0].facts.raw_bytes > 30_000_000  # written and sealed
    assert peak < 8_000_000


def test_a_flipped_bit_in_the_middle_is_refused_not_cut(tmp_path: Path) -> None:
    """A torn tail is cut; damage in front of valid records is not, since cutting would drop what was confirmed."""
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path, segment_bytes=10**9)
    committed(log, model, 5)
    log.close()
    path = one_log(tmp_path)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="damaged at byte"):
        opened(archive, tmp_path)
    with pytest.raises(IntegrityError, match="damaged at byte"):
        state_at(archive, instant(model.clock))


def test_torn_tails_at_every_length_are_recovered(tmp_path: Path) -> None:
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path, segment_bytes=10**9)
    model.put(name_of(0), 1)
    log.commit(block(model, 0))
    first, size = model.clock, one_log(tmp_path).stat().st_size
    model.put(name_of(1), 1)
    model.delete(name_of(0))
    log.commit(block(model, first))
    log.close()
    path = one_log(tmp_path)
    whole = path.read_bytes()
    for length in range(size, len(whole)):
        path.write_bytes(whole[:length])
        again = opened(archive, tmp_path, segment_bytes=10**9)
        assert again.position.durable is not None and again.position.durable.read_time == instant(first)
        assert again.position.known.tally == {"user_cvs": 1}
        again.close()
        assert path.stat().st_size == size


def test_a_stream_that_is_ended_gives_way_to_another_and_stays_readable(tmp_path: Path) -> None:
    archive, model = begun(tmp_path), Model()
    log = opened(archive, tmp_path)
    model.put(name_of(0), 1)
    log.commit(block(model, 0))
    first = model.clock
    log.finish()
    model.put(name_of(1), 1)
    log.commit(
        Block(instant(model.clock), b"", {name_of(1): InMemory(model.clock, model.at(model.clock)[name_of(1)].body)})
    )
    log.close()
    assert [backup.completed is not None for backup in archive.backups()] == [True, False]
    assert kept_at(archive, instant(first)) == model.data_at(instant(first))
    assert set(kept_at(archive, instant(model.clock))) == {name_of(1)}
