"""The archive keeps what was put in, survives a crash anywhere, and names what was changed behind its back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore_v1.types import document as types
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.backup import backups
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind, SegmentRef
from causeway.backup.documents import Database, digest
from causeway.backup.openlog import OpenLog, encoded
from causeway.backup.records import Kind, Record, encode, scan
from causeway.backup.segments import SegmentWriter, salvage_segment
from causeway.backup.storage import LocalStorage
from causeway.errors import ConfigError, Conflict, IntegrityError

NOW = datetime(2025, 8, 25, 12, tzinfo=UTC)
DATABASE = Database("demo-cvplus")
KINDS = st.sampled_from(list(Kind))


def document(number: int, size: int = 40) -> bytes:
    message = types.Document.pb()(name=f"{DATABASE.root}/users/{number:06}")
    message.fields["text"].string_value = random.Random(number).randbytes(size).hex()
    return bytes(message.SerializeToString())


def payload(number: int, size: int = 40) -> bytes:
    raw = document(number, size)
    return digest(raw) + raw


def begun(archive: Archive, backup_id: str = "b1") -> Backup:
    return archive.begin(Backup(backup_id, BackupKind.FULL, NOW, NOW))


def sealed_with(numbers: range, size: int = 40):
    writer = SegmentWriter()
    for number in numbers:
        writer.add(Kind.DOCUMENT, payload(number, size))
    return writer.seal()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(LocalStorage(tmp_path / "archive"), DATABASE, now=lambda: NOW)


@given(st.lists(st.tuples(KINDS, st.binary(min_size=32, max_size=200)), max_size=20))
def test_records_come_back_as_they_went_in(records: list[tuple[Kind, bytes]]) -> None:
    found = scan(b"".join(encoded(records)))
    assert found.records == tuple(Record(kind, data) for kind, data in records)
    assert (found.torn, found.damaged) == (0, False)


@settings(max_examples=200)
@given(st.integers(1, 10), st.data())
def test_a_torn_tail_costs_only_the_record_it_tears(count: int, data: st.DataObject) -> None:
    records = [encode(Kind.DOCUMENT, payload(number)) for number in range(count)]
    whole = b"".join(records)
    cut = data.draw(st.integers(0, len(whole)))
    found = scan(whole[:cut])
    assert len(found.records) == sum(len(b"".join(records[: n + 1])) <= cut for n in range(count))
    assert not found.damaged


@settings(max_examples=200)
@given(st.data())
def test_a_flipped_bit_before_valid_records_is_damage_and_never_a_torn_tail(data: st.DataObject) -> None:
    records = [encode(Kind.DOCUMENT, payload(number)) for number in range(4)]
    whole = bytearray(b"".join(records))
    bit = data.draw(st.integers(0, 8 * (len(whole) - len(records[-1])) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    assert scan(bytes(whole)).damaged


def test_an_archive_gives_back_its_segments(archive: Archive) -> None:
    begun(archive)
    segment = archive.add_segment("b1", sealed_with(range(100)), number=0, last="users/000099", counts={"users": 100})
    archive.end_task("b1", 0)
    backup = archive.complete("b1")
    assert [record.payload for record in archive.read(segment)] == [payload(number) for number in range(100)]
    assert (backup.facts.documents, dict(backup.counts)) == (100, {"users": 100})
    again = Archive(archive.storage)
    assert again.backups() == archive.backups()
    assert again.database == DATABASE


def test_the_digest_of_a_backup_depends_on_its_documents_alone(archive: Archive) -> None:
    whole = sealed_with(range(10)).facts
    parts = sealed_with(range(5, 10)).facts + sealed_with(range(5)).facts
    assert whole.digest == parts.digest != sealed_with(range(9)).facts.digest


def test_an_archive_of_another_database_is_refused(archive: Archive) -> None:
    with pytest.raises(ConfigError, match="archive of projects/demo-cvplus"):
        Archive.create(archive.storage, Database("other"), now=lambda: NOW)


def test_two_writers_of_one_task_do_not_mix(archive: Archive) -> None:
    begun(archive)
    other = Archive(archive.storage, now=lambda: NOW)
    archive.add_segment("b1", sealed_with(range(10)), number=0)
    with pytest.raises(Conflict, match="another process"):
        other.add_segment("b1", sealed_with(range(20)), number=0)
    assert archive.backup("b1").facts.documents == 10


def test_two_backups_at_once_share_the_manifest(archive: Archive) -> None:
    other = Archive(archive.storage, now=lambda: NOW)
    begun(archive, "b1")
    begun(other, "b2")
    for number in range(5):
        archive.add_segment("b1", sealed_with(range(number)), number=number)
        other.add_segment("b2", sealed_with(range(number)), number=number)
    assert [len(backup.segments) for backup in Archive(archive.storage).backups()] == [5, 5]


def test_an_entry_costs_the_same_however_long_the_manifest_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each append listed the whole manifest and counted its segments again: four times the work for twice the data."""
    listed: list[str] = []
    looked_at: list[str] = []

    class Counting(LocalStorage):
        def names(self, prefix: str, after: str = "") -> list[str]:
            found = super().names(prefix, after)
            listed.extend(found)
            return found

    def segment(body: Mapping[str, Any]) -> SegmentRef:
        looked_at.append(body["path"])
        return told(body)

    told = backups._segment
    monkeypatch.setattr(backups, "_segment", segment)
    archive = Archive.create(Counting(tmp_path / "archive"), DATABASE, now=lambda: NOW)
    begun(archive)
    for number in range(200):
        archive.add_segment("b1", sealed_with(range(1)), number=number)
    assert len(archive.backup("b1").segments) == 200
    assert len(looked_at) == 200
    assert len(listed) < 5
    again = Archive(archive.storage)
    assert again.backups() == archive.backups()
    assert len(listed) < 5 + 202


@pytest.mark.parametrize("harm", ["truncate", "flip", "remove"])
def test_a_harmed_segment_is_named_and_refused(archive: Archive, harm: str) -> None:
    begun(archive)
    segment = archive.add_segment("b1", sealed_with(range(50)), number=0)
    file = LocalStorage(Path(archive.storage.url)).path(segment.path)
    data = file.read_bytes()
    if harm == "truncate":
        file.write_bytes(data[:-7])
    elif harm == "flip":
        file.write_bytes(data[:99] + bytes([data[99] ^ 4]) + data[100:])
    else:
        file.unlink()
    with pytest.raises(IntegrityError, match=segment.path):
        list(archive.read(segment))


def test_what_is_intact_in_a_flipped_segment_can_be_salvaged() -> None:
    sealed = sealed_with(range(3000), size=600)  # several frames
    data = bytearray(sealed.data)
    data[len(data) // 2] ^= 1
    rescued = [record.payload for record in salvage_segment(bytes(data))]
    whole = [payload(number, 600) for number in range(3000)]
    assert 0.4 * len(whole) < len(rescued) < len(whole)
    assert set(rescued) < set(whole)


@pytest.mark.parametrize("harm", ["edit", "remove", "swap"])
def test_a_manifest_changed_after_the_fact_is_named(archive: Archive, harm: str) -> None:
    for name in ("b1", "b2", "b3"):
        begun(archive, name)
    folder = Path(archive.storage.url) / "manifest"
    second, third = folder / f"{2:012}.json", folder / f"{3:012}.json"
    if harm == "edit":
        second.write_bytes(second.read_bytes().replace(b"b1", b"bX"))
    elif harm == "remove":
        second.unlink()
    else:
        one, two = second.read_bytes(), third.read_bytes()
        second.write_bytes(two)
        third.write_bytes(one)
    with pytest.raises(IntegrityError, match="manifest/"):
        Archive(archive.storage).backups()


def block(number: int) -> list[tuple[Kind, bytes]]:
    return [(Kind.DOCUMENT, payload(number)), (Kind.WATERMARK, b"")]


def test_an_open_log_comes_back_to_its_last_watermark(tmp_path: Path) -> None:
    path = tmp_path / "open" / "0.log"
    log = OpenLog.open(path)
    log.append(b"".join(encoded(block(1) + block(2))))
    log.append(b"".join(encoded([(Kind.DOCUMENT, payload(3))])))
    log.sync()
    log.close()
    again = OpenLog.open(path)
    assert [(record.kind, record.payload) for record in again.recovered] == block(1) + block(2)
    again.append(b"".join(encoded(block(4))))
    again.close()
    assert len(OpenLog.open(path).recovered) == 6


def test_a_log_torn_at_any_byte_recovers_to_a_watermark(tmp_path: Path) -> None:
    whole = b"".join(encoded(block(1) + block(2)))
    first = len(b"".join(encoded(block(1))))
    for cut in range(0, len(whole) + 1, 3):
        path = tmp_path / f"{cut}.log"
        path.write_bytes(whole[:cut])
        log = OpenLog.open(path)
        assert len(log.recovered) == 2 * ((cut >= first) + (cut >= len(whole)))
        log.close()


def test_a_log_with_a_flipped_bit_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    data = bytearray(b"".join(encoded(block(1) + block(2))))
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="damaged at byte 0"):
        OpenLog.open(path)
    assert path.read_bytes() == bytes(data)


def test_two_streams_cannot_write_one_log(tmp_path: Path) -> None:
    log = OpenLog.open(tmp_path / "0.log")
    with pytest.raises(Conflict, match="another process"):
        OpenLog.open(log.path)
    log.close()


def test_a_sealed_log_holds_the_same_records(tmp_path: Path, archive: Archive) -> None:
    begun(archive)
    log = OpenLog.open(tmp_path / "0.log")
    log.append(b"".join(encoded(block(1) + block(2))))
    segment = archive.add_segment("b1", log.seal(), number=0, watermark=NOW)
    log.remove()
    assert [(record.kind, record.payload) for record in archive.read(segment)] == block(1) + block(2)
    assert not log.path.exists()
