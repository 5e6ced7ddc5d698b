"""Restoring over what is there: planned first, newer documents kept, resumable, honest about what differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from causeway.backup import times
from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import CONTROL, DOCUMENT, Database
from causeway.backup.history import find
from causeway.backup.ramp import Ramp, rate, unlimited
from causeway.backup.restore import Restore
from causeway.backup.verify import verify
from causeway.errors import ConfigError, Exit, IntegrityError
from tests.backup import shapes
from tests.backup.helpers import Connect, causeway, contents, no_sleep, restore, take

SMALL = Path(__file__).parent.parent / "data" / "report" / "Pulumi.small.yaml"


def test_a_plan_over_a_live_database_says_what_it_would_do(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    target = connect()
    shapes.write(target, shapes.many(target.database, 5))
    take(archive, source)
    with Restore(archive, find(archive)[0], target) as work:
        plan = work.plan()
    assert (plan.creates, plan.updates, plan.deletes, plan.newer) == (len(contents(source)), 0, 5, 0)
    assert len(contents(target)) == 5  # nothing was written


def test_newer_documents_are_listed_and_kept_and_the_statement_says_so(archive: Archive, source: Connection) -> None:
    shapes.write(source, shapes.many(source.database, 10))
    take(archive, source)
    before = contents(source)
    changed, deleted = shapes.many(source.database, 2), "many/0000009"
    for message in changed:
        message.fields["n"].integer_value = -1
    shapes.write(source, [*changed, *shapes.many(source.database, 1, "added")])
    shapes.delete(source, [deleted])
    with Restore(archive, find(archive)[0], source) as work:
        plan = work.plan()
        outcome = work.apply(plan, wait=unlimited, sleep=no_sleep)
    assert (plan.creates, plan.updates, plan.deletes, plan.newer) == (1, 0, 0, 3)
    assert plan.newer_paths == ("added/0000000", "many/0000000", "many/0000001")
    assert (outcome.difference.differing, outcome.difference.extra, outcome.kept, outcome.equal) == (2, 1, 3, False)
    assert outcome.statement.endswith("0 missing, 1 extra, 2 differing; 3 newer than the backup were kept")
    assert restore(archive, source, replace_newer=True).equal
    assert contents(source) == before


def test_a_document_changed_between_plan_and_write_is_not_overwritten(archive: Archive, source: Connection) -> None:
    stale = shapes.many(source.database, 1)
    shapes.write(source, stale)
    stale[0].fields["n"].integer_value = 1
    shapes.write(source, stale)
    take(archive, source)
    with Restore(archive, find(archive)[0], source) as work:
        shapes.delete(source, ["many/0000000"])
        plan = work.plan()
        stale[0].fields["n"].integer_value = 2
        shapes.write(source, stale)  # somebody creates it again, after the plan
        outcome = work.apply(plan, wait=unlimited, sleep=no_sleep)
    assert plan.creates == 1
    assert (outcome.written, outcome.moved_on, outcome.difference.differing) == (0, 1, 1)


def test_a_restore_of_some_collections_leaves_the_others_alone(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    take(archive, source)
    target = connect()
    shapes.write(target, shapes.many(target.database, 3))
    with Restore(archive, find(archive, collections=["ids"])[0], target) as work:
        assert work.apply(work.plan(), wait=unlimited, sleep=no_sleep).equal
    assert {path.split("/")[0] for path in contents(target)} == {"ids", "many"}


def test_each_collection_comes_from_the_latest_point_that_holds_it(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    take(archive, source, "ids")
    take(archive, source, "shapes")
    take(archive, source, "shapes", "nowhere")
    parts = find(archive)
    assert [part.collections for part in parts] == [("ids",), ("nowhere", "shapes")]
    target = connect()
    for part in parts:
        with Restore(archive, part, target) as work:
            assert work.apply(work.plan(), wait=unlimited, sleep=no_sleep).equal
    with pytest.raises(ConfigError, match="holds no level0"):
        find(archive, collections=["level0"])


def test_a_time_is_rounded_down_to_a_backup(archive: Archive, source: Connection) -> None:
    first = take(archive, source)
    second = take(archive, source)
    between = first.instant + (second.instant - first.instant) / 2
    assert find(archive, times.text(between))[0].point == first
    assert find(archive, times.text(second.instant))[0].point == second
    assert find(archive, first.backup.id)[0].point == first
    with pytest.raises(ConfigError, match="as of 2001"):
        find(archive, "2001-01-01T00:00:00Z")
    with pytest.raises(ConfigError, match="is not a time"):
        find(archive, "yesterday")
    with pytest.raises(ConfigError, match="no time zone"):
        find(archive, "2025-01-01T00:00:00")


def test_a_damaged_archive_is_refused_and_the_rest_restored_on_request(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    point = take(archive, source)
    file = archive.storage.path(point.backup.segments[0].path)  # type: ignore[attr-defined]
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)
    target = connect()
    with pytest.raises(IntegrityError, match=point.backup.segments[0].path):
        restore(archive, target)
    assert contents(target) == {}
    outcome = restore(archive, target, salvage=True)
    assert not outcome.equal
    assert [loss.segment for loss in outcome.damaged] == [point.backup.segments[0].path]
    assert set(contents(target).items()) <= set(contents(source).items())


def test_a_damaged_archive_deletes_nothing_and_says_what_is_lost(archive: Archive, source: Connection) -> None:
    """Prevents: `--salvage` over the unharmed database deletes all that the damage hides, and reports three zeros."""
    point = take(archive, source)
    before = contents(source)
    file = archive.storage.path(point.backup.segments[0].path)  # type: ignore[attr-defined]
    file.unlink()
    outcome = restore(archive, source, salvage=True)
    assert contents(source) == before
    assert outcome.difference.documents == outcome.difference.missing == point.backup.segments[0].facts.documents
    assert outcome.plan.deletes == 0 and "so nothing is deleted" in outcome.plan.text


def test_newer_points_of_some_collections_and_the_rest_of_everything_come_back_together(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    take(archive, source)
    old = contents(source)
    shapes.write(source, [next(iter(shapes.many(source.database, 1)))])
    changed = contents(source)
    assert changed != old
    take(archive, source, "many")
    target = connect()
    for part in find(archive):
        with Restore(archive, part, target) as work:
            assert work.apply(work.plan(), wait=unlimited, sleep=no_sleep).equal
    assert contents(target) == changed


def test_a_sample_takes_no_verified_mark_away(archive: Archive, source: Connection, connect: Connect) -> None:
    """Prevents: the nightly look at a sample makes the last verified backup one that prune may remove."""
    point = take(archive, source)
    now = datetime(2025, 8, 25, tzinfo=UTC)
    scratch = connect("causeway-verify")
    verify(archive, point, scratch, now=lambda: now, wait=unlimited, sleep=no_sleep)
    verified = archive.backup(point.backup.id).verified
    assert verified is not None
    verify(archive, point, scratch, sample=30, now=lambda: now, wait=unlimited, sleep=no_sleep)
    verify(archive, point, None, now=lambda: now, wait=unlimited, sleep=no_sleep)
    assert archive.backup(point.backup.id).verified == verified
    archive.storage.path(point.backup.segments[0].path).unlink()  # type: ignore[attr-defined]
    verify(archive, point, scratch, sample=30, now=lambda: now, wait=unlimited, sleep=no_sleep)
    assert archive.backup(point.backup.id).verified is None


def test_verify_restores_on_trial_and_marks_the_backup(archive: Archive, source: Connection, connect: Connect) -> None:
    point = take(archive, source)
    assert archive.backup(point.backup.id).verified is None
    scratch = connect("causeway-verify")
    now = datetime(2025, 8, 25, tzinfo=UTC)
    sampled = verify(archive, point, scratch, sample=30, now=lambda: now, wait=unlimited, sleep=no_sleep)
    assert sampled.passed and not sampled.equal
    assert 0 < sampled.as_dict()["documents"] < len(contents(source))
    assert archive.backup(point.backup.id).verified is None
    whole = verify(archive, point, scratch, now=lambda: now, wait=unlimited, sleep=no_sleep)
    assert whole.equal
    assert archive.backup(point.backup.id).verified is not None
    assert contents(scratch) == {}


def test_the_smallest_sample_has_a_document_of_each_collection(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    """Prevents: a sample of nothing restores nothing, compares nothing, and passes."""
    point = take(archive, source)
    now = datetime(2025, 8, 25, tzinfo=UTC)
    found = verify(
        archive, point, connect("causeway-verify"), sample=1e-9, now=lambda: now, wait=unlimited, sleep=no_sleep
    )
    assert found.passed
    assert found.as_dict()["documents"] == len(point.backup.counts) > 1


def test_verify_never_empties_a_database_that_is_not_ours(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    point = take(archive, source)
    somebodys = connect("production")
    shapes.write(somebodys, shapes.many(somebodys.database, 2))
    for database in (source, somebodys):
        with pytest.raises(ConfigError, match="not empty"):
            verify(archive, point, database, now=lambda: datetime.now(UTC), wait=unlimited, sleep=no_sleep)
    assert len(contents(somebodys)) == 2


def test_the_commands_without_a_stack(tmp_path, source: Connection, connect: Connect) -> None:  # type: ignore[no-untyped-def]
    out, project, target = str(tmp_path / "out"), source.database.project, connect()
    taken = causeway("backup", "snapshot", "--project", project, "--out", out, "--json")
    assert taken.returncode == 0, taken.stderr
    facts = json.loads(taken.stdout)
    assert (facts["documents"], facts["state"], facts["verified"]) == (len(contents(source)), "complete", "never")
    done = causeway("backup", "restore", out, "--project", target.database.project, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [facts[key] for key in ("missing", "extra", "differing")] == [0, 0, 0]
    assert contents(target) == contents(source)
    checked = causeway("backup", "verify", out, "--json")
    assert checked.returncode == 0, checked.stderr
    shown = causeway("backup", "status", out)
    assert "verified" in shown.stdout and "never" not in shown.stdout
    shapes.write(target, shapes.many(target.database, 1))
    again = causeway("backup", "restore", out, "--project", target.database.project, "--yes", "--json")
    assert again.returncode == Exit.INTEGRITY
    assert (json.loads(again.stdout)["extra"], json.loads(again.stdout)["kept_newer"]) == (1, 1)
    tasks = {"CLOUD_RUN_TASK_COUNT": "2", "CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_EXECUTION": "run-1"}
    mixed = causeway("backup", "restore", out, "--project", target.database.project, "--yes", "--json", **tasks)
    assert mixed.returncode == Exit.USAGE and "each would choose the latest" in json.loads(mixed.stdout)["fact"]
    refused = causeway("backup", "restore", out, "--json")
    assert refused.returncode == Exit.USAGE
    assert json.loads(refused.stdout)["fact"] == "the restore has no target"


def test_a_stack_has_its_verifications_among_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Connection
) -> None:
    """Prevents: what the scheduled verification has found is known to nobody but the archive."""
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    project = source.database.project
    (stacks / "Pulumi.t.yaml").write_text(SMALL.read_text().replace("demo-small", project))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(SMALL.parents[3]))
    assert causeway("backup", "snapshot", "--stack", "t").returncode == 0
    done = causeway("backup", "verify", "--stack", "t", "--json")
    assert done.returncode == 0, done.stderr
    backup = json.loads(done.stdout)["backup"]
    with Connection.open(Database(project, "causeway")) as records:
        (path,) = contents(records)
    assert path.startswith(f"migration_checkpoints/t-verified-{backup}-")


@pytest.mark.parametrize("tasks", [4, 200])
def test_tasks_restore_their_parts_and_together_everything(
    archive: Archive, source: Connection, connect: Connect, tasks: int
) -> None:
    shapes.write(source, shapes.many(source.database, 60))
    take(archive, source)
    target = connect()
    shapes.write(target, shapes.many(target.database, 5, "stray"))
    take(archive, source)  # the strays are older than this one
    sizes = []
    for task in range(tasks):
        outcome = restore(archive, target, share=(task, tasks))
        assert outcome.equal
        sizes.append(outcome.difference.documents)
    assert contents(target) == contents(source)
    assert sum(sizes) == len(contents(source))
    assert tasks > 4 or min(sizes) > 15


@pytest.mark.parametrize("incremental", [False, True])
def test_a_task_reads_the_segments_of_its_part_and_no_others(
    archive: Archive, source: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch, incremental: bool
) -> None:
    """Prevents four tasks of a restore from each reading the whole archive."""
    monkeypatch.setattr("causeway.backup.snapshot.SEGMENT_BYTES", 2_000)
    shapes.write(source, shapes.many(source.database, 300))
    full = take(archive, source).backup
    if incremental:
        shapes.write(source, shapes.many(source.database, 5, "later"))
        take(archive, source, incremental=True)
    read: list[str] = []
    whole = Archive.read
    monkeypatch.setattr(Archive, "read", lambda self, segment: read.append(segment.path) or whole(self, segment))
    target = connect()
    for task in range(4):
        read.clear()
        assert restore(archive, target, share=(task, 4)).equal
        of_full = {path for path in read if full.id in path}
        assert 0 < len(of_full) < len(full.segments) / 2, "a quarter and what lies at its ends"
    assert contents(target) == contents(source)


def test_the_rate_follows_the_rule_for_a_cold_database() -> None:
    assert [round(rate(seconds)) for seconds in (0, 299, 300, 600, 3600)] == [500, 500, 750, 1125, 64873]
    clock = 0.0

    def sleep(seconds: float) -> None:
        nonlocal clock
        clock += seconds

    ramp = Ramp(lambda: clock, sleep)
    for _ in range(600):
        ramp.wait(500)
    assert round(clock) == 499  # 150,000 take 300 s at 500/s, as many again 200 s at 750/s; the last starts before


def test_a_running_stream_keeps_its_sentinel(archive: Archive, source: Connection, connect: Connect) -> None:
    """Prevents: a restore over the live source deletes the stream's sentinel as extra, and the stream refuses."""
    take(archive, source)
    target = connect()
    shapes.write(target, [DOCUMENT(name=f"{target.database.root}/{CONTROL}/nonce")])
    with Restore(archive, find(archive)[0], target, replace_newer=True) as work:
        assert work.apply(work.plan(), wait=unlimited, sleep=no_sleep).equal
    assert f"{CONTROL}/nonce" in contents(target)
