"""What becomes part of the archive and what is refused, stepped by hand: no process, no clock."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from causeway.backup.archive import Archive
from causeway.backup.documents import digest
from causeway.backup.listen import Relisten
from causeway.backup.records import Kind, Record
from causeway.backup.status import lines
from causeway.backup.storage import LocalStorage
from causeway.backup.stream_block import Block, Known, Selection
from causeway.backup.stream_guard import Refused, Sentinel, judge
from causeway.backup.stream_keeper import Keeper
from causeway.backup.stream_log import StreamLog
from causeway.backup.stream_state import state_at, watermarks
from causeway.backup.stream_status import LOCK, StreamStatus, metrics_text, read_status
from causeway.backup.stream_verify import compare
from causeway.cli.backup import backup
from causeway.errors import ConfigError
from tests.backup.stream_model import BEGAN, DATABASE, SENTINEL, Model, body, instant, name_of

NOW = datetime(2025, 8, 25, 12, tzinfo=UTC)
HEARTBEAT = f"{SENTINEL}-heartbeat"


class Stepped:
    """A keeper on a model database, and what the database would answer if asked for counts."""

    def __init__(self, folder: Path, selection: Selection = Selection()) -> None:  # noqa: B008 - frozen
        self.archive = Archive.create(LocalStorage(folder), DATABASE, now=lambda: NOW)
        self.model = Model()
        self.sentinel = Sentinel(SENTINEL, "n", BEGAN + 1, BEGAN + 1)
        self.status = StreamStatus("listen")
        self.time = 100.0
        log = StreamLog.open(self.archive, folder / "open", selection.collections)
        self.keeper = Keeper(log, selection, self.sentinel, self.status, lambda: self.time)
        self.done = 0
        self.selection = selection
        self.lie = 0

    def recount(self, counts: Mapping[str, int], at: datetime) -> dict[str, tuple[int, int]]:
        tally = Known()
        tally.apply(dict(self.model.at(self.model.clock)))
        found = self.selection.counts(tally.tally)
        return {
            top: (number, found[top] + self.lie) for top, number in counts.items() if number != found[top] + self.lie
        }

    def take(self) -> None:
        """The next block, as a faultless source would give it."""
        changed = {name: version for at, name, version in self.model.history if at > self.done}
        self.keeper.take(Block(instant(self.model.clock), b"t", changed), self.recount)
        self.done = self.model.clock

    def check(self) -> None:
        standing = self.keeper.standing()
        assert standing is not None
        self.keeper.verified(standing, self.recount(standing.counts, standing.read_time))


@pytest.fixture
def stepped(tmp_path: Path) -> Iterator[Stepped]:
    here = Stepped(tmp_path)
    for number in range(100):
        here.model.put(name_of(number), number)
    here.take()
    yield here
    here.keeper.log.close()


def test_the_streams_own_documents_never_enter_the_archive(stepped: Stepped) -> None:
    names = {record.message for record in state_at(stepped.archive, instant(stepped.done)).documents}
    assert len(names) == 100 == stepped.status.documents


@pytest.mark.parametrize("name", [SENTINEL, HEARTBEAT])
def test_a_block_in_which_the_sentinel_or_heartbeat_goes_is_refused_whole(stepped: Stepped, name: str) -> None:
    before = watermarks(stepped.archive)
    stepped.model.delete(name_of(1))
    stepped.model.delete(name)
    with pytest.raises(Refused, match="is gone at"):
        stepped.take()
    assert watermarks(stepped.archive) == before
    assert stepped.status.documents == 100


def test_a_sentinel_that_is_written_again_is_refused(stepped: Stepped) -> None:
    stepped.model.put(SENTINEL, 0)
    with pytest.raises(Refused, match="written again"):
        stepped.take()


def test_a_first_block_without_the_sentinel_is_refused() -> None:
    with pytest.raises(Refused, match="is gone"):
        judge(Block(instant(BEGAN), b"", {}), Known(), Sentinel(SENTINEL, "n", 1, 1))


def test_a_mass_deletion_is_kept_if_the_count_bears_it_out_and_not_otherwise(stepped: Stepped) -> None:
    for number in range(60):
        stepped.model.delete(name_of(number))
    stepped.lie = 60
    with pytest.raises(Relisten, match="60 deletions came"):
        stepped.take()
    assert stepped.status.documents == 100
    stepped.lie = 0
    stepped.take()
    assert stepped.status.documents == 40


def test_of_two_writes_between_watermarks_only_the_last_is_kept(stepped: Stepped) -> None:
    stepped.model.put(name_of(0), 7)
    between = instant(stepped.model.clock)
    stepped.model.put(name_of(0), 8)
    stepped.take()
    state = state_at(stepped.archive, between)
    assert state.watermark < between
    assert body(name_of(0), 0, BEGAN + 3) in {record.message for record in state.documents}
    kept = {record.message for record in state_at(stepped.archive, instant(stepped.done)).documents}
    assert body(name_of(0), 8, stepped.done) in kept


def test_a_few_deletions_need_no_second_look(stepped: Stepped) -> None:
    stepped.lie = 7
    stepped.model.delete(name_of(1))
    stepped.take()
    assert stepped.status.documents == 99


def test_only_an_agreeing_count_moves_the_verified_watermark(stepped: Stepped) -> None:
    stepped.check()
    first = stepped.status.verified
    assert first == instant(stepped.done)
    stepped.model.put(name_of(200), 1)
    stepped.take()
    stepped.lie = 1
    with pytest.raises(Relisten, match="counts disagree"):
        stepped.check()
    assert stepped.status.verified == first
    assert watermarks(stepped.archive) == [first], "what cannot be shown to be exact cannot be restored to"
    stepped.model.put(name_of(201), 1)
    stepped.take()
    assert watermarks(stepped.archive) == [first], "what the doubtful session still delivers is not kept"
    stepped.keeper.reopen()
    stepped.model.put(name_of(202), 1)
    stepped.take()
    with pytest.raises(Refused, match="still do after listening again"):
        stepped.check()


def test_one_disagreement_that_mends_is_forgiven(stepped: Stepped) -> None:
    stepped.lie = 1
    for _ in range(3):
        with pytest.raises(Relisten):
            stepped.check()
        stepped.keeper.reopen()
        stepped.model.put(name_of(1), 5)
        stepped.take()
        stepped.lie = 0
        stepped.check()
        stepped.lie = 1


def test_a_digest_that_differs_takes_back_what_counts_had_verified(stepped: Stepped) -> None:
    stepped.check()
    standing = stepped.keeper.standing()
    assert standing is not None
    with pytest.raises(Relisten, match="2 documents differ by digest"):
        stepped.keeper.digested(standing, 2)
    assert stepped.status.verified is None and watermarks(stepped.archive) == []
    assert set(stepped.keeper.known.difference({}, ["user_cvs", "recommendations"])) == set(map(name_of, range(100)))


def test_a_restart_remembers_what_was_taken_back(stepped: Stepped, tmp_path: Path) -> None:
    stepped.check()
    standing = stepped.keeper.standing()
    assert standing is not None
    with pytest.raises(Relisten):
        stepped.keeper.digested(standing, 1)
    stepped.keeper.log.close()
    again = StreamLog.open(stepped.archive, tmp_path / "open")
    assert again.position.verified is None and again.position.durable is not None
    again.close()


def test_the_echo_is_measured_and_feeds_the_watchdog(stepped: Stepped) -> None:
    stepped.model.put(HEARTBEAT, 1)
    stepped.keeper.sent(stepped.model.clock, 100.5)
    stepped.time = 100.9
    stepped.take()
    assert stepped.status.echo_seconds == pytest.approx(0.4) and stepped.keeper.last_echo == 100.9


def test_a_block_from_before_the_watermark_is_no_block(stepped: Stepped) -> None:
    with pytest.raises(Relisten, match="came behind"):
        stepped.keeper.take(Block(instant(BEGAN + 1), b"", {}), stepped.recount)


def test_only_the_selection_is_kept(tmp_path: Path) -> None:
    here = Stepped(tmp_path, Selection(("user_cvs",)))
    for number in range(10):
        here.model.put(name_of(number), number)
    here.take()
    here.check()
    assert here.status.documents == 5
    assert state_at(here.archive, instant(here.done)).count == 5
    here.keeper.log.close()


def test_a_comparison_names_what_is_missing_extra_and_differing() -> None:
    def record(number: int, value: int) -> Record:
        raw = body(name_of(number), value, 1)
        return Record(Kind.DOCUMENT, digest(raw) + raw)

    found = [body(name_of(number), value, 2) for number, value in ((0, 0), (1, 9), (3, 3))]
    comparison = compare([record(0, 0), record(1, 1), record(2, 2)], found, Selection())
    assert comparison.equal == 1 and comparison.wrong == 3
    assert (comparison.missing, comparison.extra, comparison.differing) == (
        (name_of(3),),
        (name_of(2),),
        (name_of(1),),
    )


def test_a_stream_that_was_killed_does_not_go_on_running_in_its_status(tmp_path: Path) -> None:
    """Prevents: after kill -9 the status says running for ever."""
    StreamStatus("listen", "running", verified=NOW).save(tmp_path)
    with (tmp_path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        living = read_status(tmp_path)
        assert living is not None and living.state == "running"
    dead = read_status(tmp_path)
    assert dead is not None and dead.state == "died" and "start it again" in dead.alarm(NOW)


def test_the_archives_status_shows_the_stream_up_to_its_open_end(tmp_path: Path) -> None:
    """Prevents: a running stream has 0 documents until it is sealed, and `status --metrics` nothing of it."""
    here = Stepped(tmp_path)
    for number in range(10):
        here.model.put(name_of(number), number)
    here.take()
    here.status.save(tmp_path / "open")
    (row,) = lines(here.archive)
    assert (row.documents, row.instant) == (10, instant(here.done))
    shown = CliRunner().invoke(backup, ["status", str(tmp_path), "--metrics"])
    assert shown.exit_code == 0
    assert 'causeway_backup_documents{priority="critical"} 10.0' in shown.output
    assert "causeway_backup_stream_documents 10.0" in shown.output
    here.keeper.log.close()


def test_status_and_metrics_show_both_watermarks_and_every_refusal(tmp_path: Path) -> None:
    status = StreamStatus("listen", "refused", durable=NOW, verified=NOW, refusals=["the sentinel is gone"])
    status.save(tmp_path)
    assert read_status(tmp_path) == status
    text = metrics_text(status, NOW.replace(second=3))
    for line in (
        "causeway_backup_stream_up 0.0",
        "causeway_backup_stream_rpo_seconds 3.0",
        f"causeway_backup_stream_verified_timestamp_seconds {NOW.timestamp()!r}".replace(
            "1756123200.0", "1.7561232e+09"
        ),
        "causeway_backup_stream_refusals_total 1.0",
        "causeway_backup_stream_alarm 1.0",
    ):
        assert line in text
    assert status.alarm(NOW) == "the sentinel is gone"


def test_an_old_verified_watermark_is_an_alarm() -> None:
    status = StreamStatus("listen", "running", verified=NOW)
    assert status.alarm(NOW.replace(second=4)) == ""
    assert "6.0 s old" in status.alarm(NOW.replace(second=6))
    assert StreamStatus("poll").alarm(NOW) == "nothing verified yet"


def test_a_listener_without_names_is_told_why(tmp_path: Path) -> None:
    from causeway.backup.stream import Settings, Source, Stream

    archive = Archive.create(LocalStorage(tmp_path), DATABASE, now=lambda: NOW)
    with pytest.raises(ConfigError, match="needs the names of collections"):
        Stream(archive, Settings(Source.LISTEN))
