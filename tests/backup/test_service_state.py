"""A service's state is kept whole or not at all, whatever its size, and comes back exactly."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from causeway.backup import queries
from causeway.backup.connection import Connection
from causeway.backup.service_state import (
    COLLECTION,
    KINDS,
    list_service_states,
    load_service_state,
    restore_service_state,
    save_service_state,
)
from causeway.errors import ConfigError, IntegrityError
from tests.backup import shapes
from tests.backup.helpers import Connect, causeway, contents, no_sleep

COLLECTIONS = {kind: f"breaker_{kind}" for kind in KINDS}


def fill(application: Connection, count: int, size: int = 10) -> None:
    for kind in KINDS:
        messages = shapes.many(application.database, count, COLLECTIONS[kind])
        for message in messages:
            message.fields["state"].string_value = "x" * size
        shapes.write(application, messages)


def save(application: Connection, records: Connection, version: str = "package"):  # type: ignore[no-untyped-def]
    return save_service_state(application, records, "local", "CacheManager", version, COLLECTIONS, sleep=no_sleep)


def test_state_is_kept_keyed_by_id_and_comes_back(connect: Connect) -> None:
    application, records = connect(), connect("causeway")
    fill(application, 3)
    before = contents(application)
    kept = save(application, records)
    assert kept.as_dict()["counts"] == dict.fromkeys(KINDS, 3)
    assert list(kept.entries("circuit_breakers")) == ["0000000", "0000001", "0000002"]
    shapes.delete(application, ["breaker_cache_entries/0000001"])
    shapes.write(application, shapes.many(application.database, 5, "breaker_orchestration_jobs"))
    shapes.write(application, shapes.many(application.database, 2, "unrelated"))
    difference = restore_service_state(application, kept, sleep=no_sleep)
    assert (difference.documents, difference.equal) == (12, True)
    after = contents(application)
    assert {path: item for path, item in after.items() if not path.startswith("unrelated/")} == before
    assert len(after) == 14


def test_state_larger_than_a_document_is_chunked_under_one_head(connect: Connect) -> None:
    application, records = connect(), connect("causeway")
    fill(application, 40, size=20_000)  # 3.2 MB
    kept = save(application, records)
    assert len(kept.body) > 3_000_000
    paths = sorted(contents(records))
    assert paths[0] == f"{COLLECTION}/{kept.id}"
    assert len(paths) == 1 + 4
    shapes.delete(application, list(contents(application)))
    loaded = load_service_state(records, "local", "CacheManager", kept.timestamp)
    assert loaded == kept
    assert restore_service_state(application, loaded, sleep=no_sleep).equal
    assert len(contents(application)) == 160


def test_chunks_without_a_head_are_no_record_and_a_lost_chunk_is_told(connect: Connect) -> None:
    application, records = connect(), connect("causeway")
    fill(application, 40, size=20_000)
    kept = save(application, records)
    head = f"{COLLECTION}/{kept.id}"
    shapes.delete(records, [f"{head}/chunks/000001"])
    with pytest.raises(IntegrityError, match="chunks/000001 is missing"):
        load_service_state(records, "local", "CacheManager", kept.timestamp)
    shapes.delete(records, [head])
    with pytest.raises(ConfigError, match="no state of CacheManager"):
        load_service_state(records, "local", "CacheManager", kept.timestamp)


def test_every_shape_of_document_can_be_state(source: Connection, connect: Connect) -> None:
    records = connect("causeway")
    collections = {"cache_entries": "shapes", "orchestration_jobs": "ids"}
    before = contents(source)
    kept = save_service_state(source, records, "local", "S", "legacy", collections, sleep=no_sleep)
    shapes.delete(source, [path for path in before if path.startswith(("shapes/", "ids/"))])
    assert restore_service_state(source, kept, sleep=no_sleep).equal
    assert contents(source) == before


def test_the_latest_record_not_after_a_time_is_the_one(connect: Connect) -> None:
    application, records = connect(), connect("causeway")
    fill(application, 1)
    first = save(application, records, "legacy")
    second = save(application, records, "package")
    assert load_service_state(records, "local", "CacheManager", second.timestamp) == second
    assert load_service_state(records, "local", "CacheManager", second.timestamp - timedelta(microseconds=1)) == first
    with pytest.raises(ConfigError, match="or before"):
        load_service_state(records, "local", "CacheManager", first.timestamp - timedelta(microseconds=1))
    assert [row["version"] for row in list_service_states(records, "local", "CacheManager")] == ["legacy", "package"]
    assert list_service_states(records, "local", "Other") == []


def test_two_stacks_in_one_project_keep_their_states_apart(connect: Connect) -> None:
    """Prevents: level 4 of staging gives production's state back, because both call a service the same."""
    application, records = connect(), connect("causeway")
    fill(application, 1)
    ours = save(application, records, "legacy")
    theirs = save_service_state(application, records, "other", "CacheManager", "package", COLLECTIONS, sleep=no_sleep)
    assert load_service_state(records, "local", "CacheManager", theirs.timestamp) == ours
    assert load_service_state(records, "other", "CacheManager", theirs.timestamp) == theirs
    assert [row["id"] for row in list_service_states(records, "other")] == [theirs.id]


def test_a_kind_there_is_not_is_refused_before_anything_is_read(connect: Connect) -> None:
    with pytest.raises(ConfigError, match="no kind breakers"):
        save_service_state(connect(), connect(), "local", "S", "legacy", {"breakers": "b"}, sleep=no_sleep)


def test_the_commands(connect: Connect) -> None:
    application = connect()
    project = application.database.project
    fill(application, 2)
    before = contents(application)
    options = [f"--collection={kind}={collection}" for kind, collection in COLLECTIONS.items()]
    saved = causeway(
        "backup",
        "service-state",
        "save",
        "CacheManager",
        "--project",
        project,
        "--version",
        "legacy",
        *options,
        "--json",
    )
    assert saved.returncode == 0, saved.stderr
    shapes.delete(application, list(before))
    listed = causeway("backup", "service-state", "list", "--project", project, "--json")
    assert [row["service"] for row in json.loads(listed.stdout)] == ["CacheManager"]
    at = json.loads(saved.stdout)["timestamp"]
    back = causeway(
        "backup", "service-state", "restore", "CacheManager", "--at", at, "--project", project, "--yes", "--json"
    )
    assert back.returncode == 0, back.stderr
    assert contents(application) == before
    assert queries.count(application, queries.server_time(application)) == 8
