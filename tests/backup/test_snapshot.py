"""A backup gives back exactly what was there."""

from __future__ import annotations

from causeway.backup.archive import Archive
from causeway.backup.backups import BackupKind
from causeway.backup.connection import Connection
from causeway.backup.storage import LocalStorage
from tests.backup import shapes
from tests.backup.helpers import Connect, contents, restore, take


def test_every_shape_comes_back_bit_for_bit(archive: Archive, source: Connection, connect: Connect) -> None:
    point = take(archive, source)
    target = connect()
    outcome = restore(archive, target, point)
    assert outcome.statement == f"{len(shapes.shapes(source.database))} documents, 0 missing, 0 extra, 0 differing"
    assert len(shapes.shapes(source.database)) > 60
    assert contents(target) == contents(source)


def test_what_the_archive_holds_is_what_the_tests_wrote(archive: Archive, source: Connection) -> None:
    """Reading back through the same query could hide what the query never returns."""
    take(archive, source)
    written = {
        message.name.removeprefix(source.database.root + "/"): shapes.canonical(message, source.database.root)
        for message in shapes.documents(source.database)
    }
    assert contents(source) == written


def test_named_databases_and_references_into_them(archive: Archive, source: Connection, connect: Connect) -> None:
    take(archive, source)
    named = connect("named-database")
    assert restore(archive, named).equal
    found = shapes.shapes(named.database)
    expected = {
        path: shapes._plain_fields(fields, named.database.root)
        for path, fields in found.items()
        if path in ("shapes/reference", "shapes/references-nested", "shapes/reference-elsewhere")
    }
    actual = contents(named)
    assert {path: actual[path] for path in expected} == {path: repr(item).encode() for path, item in expected.items()}
    back = Archive.create(LocalStorage(archive.storage.root / "second"), named.database)  # type: ignore[attr-defined]
    take(back, named)
    third = connect()
    assert restore(back, third).equal
    assert contents(third)["shapes/reference"] == contents(source)["shapes/reference"]


def test_a_document_under_a_missing_parent_does_not_create_it(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    take(archive, source)
    target = connect()
    restore(archive, target)
    assert "nowhere/no-parent/child/found" in contents(target)
    assert "nowhere/no-parent" not in contents(target)


def test_a_selection_holds_its_collections_with_all_below_and_nothing_else(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    shapes.write(source, shapes.many(source.database, 3, "ids2") + shapes.many(source.database, 3, "id"))
    take(archive, source, "ids", "nowhere", "level0")
    target = connect()
    shapes.write(target, shapes.many(target.database, 2, "bystanders"))
    assert restore(archive, target).equal
    wanted = {
        path: item for path, item in contents(source).items() if path.split("/")[0] in ("ids", "nowhere", "level0")
    }
    assert {path: item for path, item in contents(target).items() if not path.startswith("bystanders/")} == wanted
    assert len(contents(target)) == len(wanted) + 2


def test_an_empty_database_is_a_backup_too(tmp_path, connect: Connect) -> None:  # type: ignore[no-untyped-def]
    source = connect()
    archive = Archive.create(LocalStorage(tmp_path / "empty"), source.database)
    assert take(archive, source).backup.facts.documents == 0
    assert restore(archive, connect()).statement == "0 documents, 0 missing, 0 extra, 0 differing"


def test_increments_hold_changes_and_deletes(archive: Archive, source: Connection, connect: Connect) -> None:
    shapes.write(source, shapes.many(source.database, 700))
    full = take(archive, source)
    before = contents(source)
    changed = shapes.many(source.database, 650)[300:]
    for message in changed:
        message.fields["n"].integer_value += 1
    shapes.write(source, changed)
    shapes.delete(source, [f"many/{index:07}" for index in range(10)])
    shapes.write(source, shapes.many(source.database, 5, "new"))
    increment = take(archive, source, incremental=True)
    assert increment.backup.kind is BackupKind.INCREMENTAL
    assert (increment.backup.facts.documents, increment.backup.facts.deletes) == (355, 10)
    empty = take(archive, source, incremental=True)
    assert (empty.backup.facts.documents, empty.backup.facts.deletes) == (0, 0)
    first, second = connect(), connect()
    assert restore(archive, first, full).equal
    assert contents(first) == before
    assert restore(archive, second, empty).equal
    assert contents(second) == contents(source)


def test_a_document_deleted_and_created_again_between_increments(
    archive: Archive, source: Connection, connect: Connect
) -> None:
    take(archive, source)
    shapes.delete(source, ["shapes/nan"])
    take(archive, source, incremental=True)
    shapes.write(source, [each for each in shapes.documents(source.database) if each.name.endswith("/shapes/nan")])
    take(archive, source, incremental=True)
    target = connect()
    assert restore(archive, target).equal
    assert contents(target) == contents(source)
