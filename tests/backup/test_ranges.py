"""Ranges, references, retention, schedules: what is pure, against the definition."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from google.cloud.firestore_v1.types import firestore as _firestore
from hypothesis import given
from hypothesis import strategies as st

from causeway.backup import ranges, split
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.connection import Connection
from causeway.backup.documents import DOCUMENT, Database, digest
from causeway.backup.queries import scan, server_time, take_document
from causeway.backup.records import Kind, Record
from causeway.backup.retention import ABANDONED, Rule, to_keep
from causeway.backup.rewrite import Move
from causeway.cli.backup_options import cloud_run_task
from causeway.errors import ConfigError
from tests.backup import shapes

IDS = st.one_of(
    st.text("abZ~ é🜁\uffff", min_size=1, max_size=3), st.integers(-(2**63), 2**63 - 1).map(lambda n: f"__id{n}__")
)
PATHS = st.lists(st.tuples(st.sampled_from(["a", "b", "a b", "aa"]), IDS), min_size=1, max_size=3).map(
    lambda parts: "/".join("/".join(part) for part in parts)
)


@given(st.lists(PATHS, unique=True, max_size=30), st.lists(PATHS, unique=True, max_size=5), st.data())
def test_every_path_belongs_to_exactly_one_task(paths: list[str], starts: list[str], data: st.DataObject) -> None:
    ordered = sorted(starts, key=ranges.order)
    whole = data.draw(st.sampled_from([ranges.ALL, ranges.of_collections(["a", "aa"])]))
    shares = [ranges.share(whole, ordered, task) for task in range(len(ordered) + 1)]
    for path in paths:
        owners = [task for task, share in enumerate(shares) if any(path in part for part in share)]
        assert len(owners) == any(path in part for part in whole)


@given(st.lists(PATHS, unique=True, min_size=1, max_size=30), st.data())
def test_a_resumed_range_holds_what_comes_after(paths: list[str], data: st.DataObject) -> None:
    last = data.draw(st.sampled_from(paths))
    whole = ranges.of_collections(["a", "b"])
    left = ranges.resume(whole, last)
    for path in paths:
        wanted = any(path in part for part in whole) and ranges.order(path) > ranges.order(last)
        assert any(path in part for part in left) == wanted


def test_the_order_is_the_one_firestore_gives(source: Connection) -> None:
    found = [
        DOCUMENT.FromString(raw).name.removeprefix(source.database.root + "/")
        for raw in scan(source, ranges.ALL, server_time(source))
    ]
    assert len(found) > 60
    assert found == sorted(found, key=ranges.order)


@given(st.lists(PATHS, max_size=50), st.integers(1, 8))
def test_thinned_starts_are_in_order_and_few(paths: list[str], tasks: int) -> None:
    starts = ranges.thin(paths, tasks)
    assert len(starts) < tasks
    assert all(ranges.order(one) < ranges.order(two) for one, two in pairwise(starts))


def test_the_service_is_asked_where_to_split() -> None:
    """The emulator has no PartitionQuery, so this is the only test of what the real service is asked."""
    database = Database("p")

    class Service:
        emulated = False

        def __init__(self) -> None:
            self.database = database
            self.asked: list[tuple[str, Any]] = []

        def call(self, method: str, request: bytes) -> bytes:
            if method == "ListCollectionIds":
                found = _firestore.ListCollectionIdsRequest.pb().FromString(request)
                first = not found.page_token
                answer = {"collection_ids": ["a" if first else "b"], "next_page_token": "more" if first else ""}
                return bytes(_firestore.ListCollectionIdsResponse.pb()(**answer).SerializeToString())
            found = _firestore.PartitionQueryRequest.pb().FromString(request)
            self.asked.append((method, found))
            group = found.structured_query.from_[0].collection_id
            response = _firestore.PartitionQueryResponse.pb()()
            for number in range(10):
                response.partitions.add().values.add().reference_value = f"{database.root}/{group}/{number}"
            return bytes(response.SerializeToString())

    service = Service()
    starts = split.task_starts(service, (), datetime(2025, 1, 1, tzinfo=UTC), 4)  # type: ignore[arg-type]
    assert starts == ("a/5", "b/0", "b/5")
    assert [found.structured_query.from_[0].collection_id for _, found in service.asked] == ["a", "b"]
    assert all(found.structured_query.from_[0].all_descendants for _, found in service.asked)


def test_a_document_is_found_whatever_the_order_of_a_response() -> None:
    response = _firestore.RunQueryResponse.pb()(document={"name": "projects/p/databases/d/documents/a/b"})
    document = response.document.SerializeToString()
    response.read_time.seconds = 5
    usual = response.SerializeToString()
    assert take_document(usual) == document
    assert take_document(usual[len(document) + 2 :] + usual[: len(document) + 2]) == document
    assert take_document(_firestore.RunQueryResponse.pb()(skipped_results=3).SerializeToString()) is None


def test_references_move_with_their_database_and_others_stay() -> None:
    source, target = Database("from"), Database("to", "named")
    move = Move(source, target)
    for message in shapes.documents(source):
        moved = DOCUMENT.FromString(move(message.SerializeToString()))
        path = source.relative(message.name)
        expected = DOCUMENT(name=f"{target.root}/{path}")
        for key, item in shapes.shapes(target)[path].items():
            expected.fields[key].CopyFrom(item)
        if path == "shapes/reference-as-text":
            expected.fields["v"].string_value = message.fields["v"].string_value  # a text is no reference
        assert moved.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
        raw = message.SerializeToString()
        record = Record(Kind.DOCUMENT, digest(raw) + raw)
        assert move.expected(record, DOCUMENT.FromString(raw)) == digest(expected.SerializeToString())


@pytest.mark.parametrize("change", ["-0.0", "nan", "name", "type"])
def test_a_digest_changes_with_any_bit(change: str) -> None:
    plain, other = shapes.many(Database("p"), 1)[0], shapes.many(Database("p"), 1)[0]
    plain.fields["v"].double_value = float("nan") if change == "nan" else 0.0
    other.fields["v"].double_value = shapes.ODD_NAN if change == "nan" else -0.0 if change == "-0.0" else 0.0
    if change == "name":
        other.name += "x"
    if change == "type":
        other.fields["v"].integer_value = 0
    assert digest(plain.SerializeToString()) != digest(other.SerializeToString())


NOW = datetime(2025, 9, 1, 12, 30, tzinfo=UTC)


def backups(count: int, every: timedelta, **facts: Any) -> list[Backup]:
    """Complete snapshots, oldest first, the last one now."""
    times = [NOW - every * number for number in reversed(range(count))]
    return [
        replace(Backup(f"b{number:04}", BackupKind.FULL, at, at), completed=at, **facts)
        for number, at in enumerate(times)
    ]


def test_sons_fathers_and_grandfathers_stay() -> None:
    kept = to_keep(backups(24 * 60, timedelta(hours=1)), {}, Rule(24, 7, 4, 3), NOW)
    days, weeks, months = 5, 2, 1  # that the hours, then the days, have not kept already: NOW is a Monday, the 1st
    assert len(kept) == 24 + days + weeks + months
    assert "b1439" in kept and "b1415" not in kept


@given(
    st.lists(st.integers(0, 24 * 400), unique=True, min_size=1, max_size=60),
    st.data(),
    st.builds(Rule, *[st.integers(0, 5)] * 4),
)
def test_what_must_never_go_stays(hours: list[int], data: st.DataObject, rule: Rule) -> None:
    present: list[Backup] = []
    for number, age in enumerate(sorted(hours, reverse=True)):
        at = NOW - timedelta(hours=age)
        parent = data.draw(st.sampled_from([None, *[each.id for each in present[-1:]]]))
        verified = data.draw(st.booleans())
        kind = BackupKind.INCREMENTAL if parent else BackupKind.FULL
        made = Backup(f"b{number}", kind, at, at, parent=parent, completed=at, verified=at if verified else None)
        present.append(made)
    kept = to_keep(present, {}, rule, NOW)
    assert present[-1].id in kept
    assert all(each.parent in kept for each in present if each.id in kept and each.parent)
    verified_ones = [each.id for each in present if each.verified]
    assert not verified_ones or verified_ones[-1] in kept


def test_streams_and_what_is_being_written_stay_and_what_was_abandoned_goes() -> None:
    old = NOW - timedelta(days=400)
    stream = Backup("stream", BackupKind.STREAM, old, old)
    fresh = Backup("fresh", BackupKind.FULL, NOW, NOW)
    abandoned = Backup("abandoned", BackupKind.FULL, NOW - 2 * ABANDONED, NOW - 2 * ABANDONED)
    assert to_keep([stream, abandoned, fresh], {}, Rule(), NOW) == {"stream", "fresh"}


def test_ended_streams_are_pruned_like_everything_else_and_apart_from_snapshots() -> None:
    """Prevents: real-time data begins a base of its own each day, and all 365 of a year are kept."""
    streams = [replace(each, id=f"s{each.id}", kind=BackupKind.STREAM) for each in backups(10, timedelta(days=1))]
    kept = to_keep([*streams, *backups(1, timedelta(hours=1))], {}, Rule(0, 3, 0, 0), NOW)
    assert {each for each in kept if each.startswith("s")} == {"sb0009", "sb0008", "sb0007"}
    assert "b0000" in kept


def test_what_the_storage_still_holds_is_not_given_up() -> None:
    """Prevents: backups under a bucket's retention cannot be deleted, and are of no use to anybody either."""
    present = backups(100, timedelta(days=1))
    kept = to_keep(present, {}, Rule(0, 2, 0, 0), NOW, held_for=timedelta(days=30))
    assert kept == {each.id for each in present if NOW - (each.completed or NOW) < timedelta(days=30)}


def test_rules_are_by_priority_and_selections_do_not_replace_each_other() -> None:
    high = backups(10, timedelta(hours=1), priority="high", collections=("a",))
    medium = [replace(each, id=f"m{each.id}", priority="medium") for each in high]
    kept = to_keep([*high, *medium], {"high": Rule(3, 0, 0, 0)}, Rule(1, 0, 0, 0), NOW)
    assert kept == {"b0009", "b0008", "b0007", "mb0009"}


def test_tasks_of_a_cloud_run_job_need_a_common_name() -> None:
    assert cloud_run_task({}) == (0, 1, "")
    names = {"CLOUD_RUN_TASK_COUNT": "4", "CLOUD_RUN_TASK_INDEX": "2"}
    assert cloud_run_task({**names, "CLOUD_RUN_EXECUTION": "run-7"}) == (2, 4, "run-7")
    with pytest.raises(ConfigError, match="CLOUD_RUN_EXECUTION"):
        cloud_run_task(names)


@given(st.lists(PATHS, max_size=30), st.sets(st.sampled_from(["a", "b", "aa", "a b"])))
def test_everything_but_some_collections_is_what_they_leave(paths: list[str], left_out: set[str]) -> None:
    for path in paths:
        inside = sum(path in part for part in ranges.without(left_out))
        assert inside == (path.split("/")[0] not in left_out), "in one range, or in none"
