"""Times are rounded down to what a stream can give back exactly; chains are whole or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore_v1.types import firestore as _firestore
from google.cloud.firestore_v1.types import write as _write

from causeway.backup import times
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.catalogue import Catalogue
from causeway.backup.contents import load
from causeway.backup.documents import Database, digest
from causeway.backup.history import Loss, chain, find, hold_still, replay
from causeway.backup.openlog import OpenLog, encoded
from causeway.backup.records import Kind
from causeway.backup.retention import prune
from causeway.backup.storage import LocalStorage
from causeway.backup.stream_log import log_path
from causeway.errors import ConfigError, IntegrityError
from tests.backup import shapes

DATABASE = Database("p")
NOON = datetime(2025, 8, 25, 12, tzinfo=UTC)
_MARK: Any = _firestore.TargetChange.pb()
_DELETE: Any = _write.DocumentDelete.pb()


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def document(number: int) -> tuple[Kind, bytes]:
    raw = shapes.many(DATABASE, number + 1)[number].SerializeToString()
    return Kind.DOCUMENT, digest(raw) + raw


def gone(number: int) -> tuple[Kind, bytes]:
    return Kind.DELETE, _DELETE(document=f"{DATABASE.root}/many/{number:07}").SerializeToString()


def watermark(second: int) -> tuple[Kind, bytes]:
    return Kind.WATERMARK, _MARK(read_time=times.to_proto(at(second))).SerializeToString()


@pytest.fixture
def streamed(tmp_path: Path) -> Archive:
    """A stream: documents 0 and 1 at second 0, 2 at second 10 (sealed); 0 gone at 20 and 3 unconfirmed (open)."""
    archive = Archive.create(LocalStorage(tmp_path), DATABASE, now=lambda: NOON)
    archive.begin(Backup("s", BackupKind.STREAM, at(0), at(0), collections=("many",)))
    first = OpenLog.open(log_path(tmp_path / "open", "s", 0))
    first.append(b"".join(encoded([document(0), document(1), watermark(0), document(2), watermark(10)])))
    archive.add_segment("s", first.seal(), number=0, watermark=at(10))
    first.remove()
    second = OpenLog.open(log_path(tmp_path / "open", "s", 1))
    second.append(b"".join(encoded([gone(0), watermark(20), document(3)])))
    second.close()
    return archive


def state(archive: Archive, when: str | None) -> tuple[datetime, int]:
    (part,) = find(archive, when)
    with Catalogue() as catalogue:
        load(catalogue, replay(archive, part.point))
        return part.point.instant, len(catalogue)


@pytest.mark.parametrize(
    ("asked", "given", "documents"), [(0, 0, 2), (9, 0, 2), (10, 10, 3), (19, 10, 3), (20, 20, 2), (9999, 20, 2)]
)
def test_a_time_is_rounded_down_to_a_watermark(streamed: Archive, asked: int, given: int, documents: int) -> None:
    assert state(streamed, times.text(at(asked))) == (at(given), documents)
    assert state(streamed, None) == state(streamed, "s") == (at(20), 2)


def test_before_the_first_watermark_there_is_nothing(streamed: Archive) -> None:
    with pytest.raises(ConfigError, match="holds no backup as of 2025-08-25T11"):
        find(streamed, times.text(at(-1)))


def snapshots(archive: Archive, *parents: str | None) -> list[Backup]:
    """Complete empty snapshots b0, b1, …, each a second after the one before."""
    for number, parent in enumerate(parents):
        kind = BackupKind.INCREMENTAL if parent else BackupKind.FULL
        archive.begin(Backup(f"b{number}", kind, at(number), at(number), parent=parent))
        archive.end_task(f"b{number}", 0)
        archive.complete(f"b{number}")
    return archive.backups()


def test_an_increment_without_its_parent_is_refused_by_name(tmp_path: Path) -> None:
    archive = Archive.create(LocalStorage(tmp_path), DATABASE, now=lambda: NOON)
    backups = snapshots(archive, None, "b0", "b1")
    assert [each.id for each in chain(archive, backups[2])] == ["b0", "b1", "b2"]
    prune(archive, frozenset({"b1", "b2"}))
    with pytest.raises(IntegrityError, match="backup b0 was pruned; b2 cannot be restored without it"):
        chain(archive, backups[2])


def test_an_unfinished_snapshot_is_no_point(tmp_path: Path) -> None:
    archive = Archive.create(LocalStorage(tmp_path), DATABASE, now=lambda: NOON)
    snapshots(archive, None)
    archive.begin(Backup("unfinished", BackupKind.FULL, at(60), at(60)))
    assert find(archive)[0].point.backup.id == "b0"
    with pytest.raises(ConfigError, match="unfinished was never finished"):
        find(archive, "unfinished")


def test_a_backup_of_everything_does_not_hide_newer_ones_of_a_part(tmp_path: Path) -> None:
    """Prevents: one snapshot without a priority, and from then on level 4 rewinds the whole application to it."""
    archive = Archive.create(LocalStorage(tmp_path), DATABASE, now=lambda: NOON)
    for number, collections in enumerate([(), ("users",), ("users", "orders")]):
        archive.begin(Backup(f"b{number}", BackupKind.FULL, at(number), at(number), collections=collections))
        archive.end_task(f"b{number}", 0)
        archive.complete(f"b{number}")
    found = [(part.point.backup.id, part.collections, part.without) for part in find(archive)]
    assert found == [("b0", (), ("orders", "users")), ("b2", ("orders", "users"), ())]
    only = find(archive, times.text(at(0)))
    assert [(part.point.backup.id, part.without) for part in only] == [("b0", ())]


@pytest.mark.parametrize("asked", [None, "s", times.text(at(21))])
def test_tasks_are_refused_a_point_that_may_still_move(streamed: Archive, asked: str | None) -> None:
    """Prevents: tasks of one restore find different watermarks, write a mixture, and each reports success."""
    with pytest.raises(ConfigError, match="3 tasks restore, and"):
        hold_still(streamed, asked, 3)
    hold_still(streamed, times.text(at(20)), 3)
    snapshots(streamed, None)
    hold_still(streamed, "b0", 3)


def test_a_damaged_stream_is_salvaged_up_to_its_damage(streamed: Archive, tmp_path: Path) -> None:
    """Prevents: one bad byte near the end of a stream, and nothing of it can be restored at all."""
    log = log_path(tmp_path / "open", "s", 1)
    data = bytearray(log.read_bytes())
    data[20] ^= 1
    log.write_bytes(data)
    with pytest.raises(IntegrityError, match="--salvage"):
        find(streamed, times.text(at(10)))
    (part,) = find(streamed, salvage=True)
    losses: list[Loss] = []
    with Catalogue() as catalogue:
        load(catalogue, replay(streamed, part.point, salvage=losses))
        assert (part.point.instant, len(catalogue)) == (at(10), 3)
    assert losses == [Loss(str(log), 0)]
    Path(streamed.storage.root / streamed.backups()[0].segments[0].path).unlink()  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="no backup"):
        find(streamed, salvage=True)
