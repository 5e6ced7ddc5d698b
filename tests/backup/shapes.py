"""Documents of every shape Firestore allows: what a backup must give back bit for bit.

Written as protobuf messages, since a client library refuses or changes some of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from google.cloud.firestore_v1.types import document as _document
from google.cloud.firestore_v1.types import firestore as _firestore

from causeway.backup.connection import Connection
from causeway.backup.documents import Database

DOCUMENT: Any = _document.Document.pb()
VALUE: Any = _document.Value.pb()
_BATCH: Any = _firestore.BatchWriteRequest.pb()
_RESPONSE: Any = _firestore.BatchWriteResponse.pb()

SMALLEST_SUBNORMAL = 5e-324
BIGGEST_DOUBLE = 1.7976931348623157e308
FIRST_SECOND = -62_135_596_800  # 0001-01-01T00:00:00Z
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
ODD_NAN = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]


def value(**kind: Any) -> Any:
    return VALUE(**kind)


def stamp(seconds: int, nanos: int = 0) -> Any:
    out = VALUE()
    out.timestamp_value.seconds = seconds
    out.timestamp_value.nanos = nanos
    return out


def array(*items: Any) -> Any:
    out = VALUE()
    out.array_value.SetInParent()
    out.array_value.values.extend(items)
    return out


def mapping(**fields: Any) -> Any:
    return mapped(fields)


def mapped(fields: dict[str, Any]) -> Any:
    out = VALUE()
    out.map_value.SetInParent()
    for key, item in fields.items():
        out.map_value.fields[key].CopyFrom(item)
    return out


def text(content: str) -> Any:
    return VALUE(string_value=content)


def number(content: int) -> Any:
    return VALUE(integer_value=content)


def real(content: float) -> Any:
    return VALUE(double_value=content)


def vector(*items: float) -> Any:
    return mapping(__type__=text("__vector__"), value=array(*map(real, items)))


def point(latitude: float, longitude: float) -> Any:
    out = VALUE()
    out.geo_point_value.latitude = latitude
    out.geo_point_value.longitude = longitude
    return out


def nested(depth: int) -> Any:
    inner = text("bottom")
    for _ in range(depth):
        inner = mapping(down=inner)
    return inner


def shapes(database: Database) -> dict[str, dict[str, Any]]:
    """Fields of each document by its path."""
    here, elsewhere = database.root, "projects/elsewhere/databases/other/documents"
    simple: dict[str, dict[str, Any]] = {
        "empty": {},
        "null": {"v": value(null_value=0)},
        "true": {"v": value(boolean_value=True)},
        "false": {"v": value(boolean_value=False)},
        "zero": {"v": number(0)},
        "int64-max": {"v": number(2**63 - 1)},
        "int64-min": {"v": number(-(2**63))},
        "above-2-53": {"v": number(2**53 + 1)},
        "double-zero": {"v": real(0.0)},
        "minus-zero": {"v": real(-0.0)},
        "nan": {"v": real(float("nan"))},
        "infinity": {"v": real(float("inf"))},
        "minus-infinity": {"v": real(float("-inf"))},
        "subnormal": {"v": real(SMALLEST_SUBNORMAL)},
        "biggest-double": {"v": real(BIGGEST_DOUBLE)},
        "whole-double": {"v": real(3.0)},
        "double-2-53": {"v": real(2.0**53)},
        "first-timestamp": {"v": stamp(FIRST_SECOND)},
        "last-timestamp": {"v": stamp(LAST_SECOND, 999_999_000)},
        "before-1970": {"v": stamp(-1, 999_999_000)},
        "microseconds": {"v": stamp(1_700_000_000, 123_456_000)},
        "empty-string": {"v": text("")},
        "unicode": {"v": text("ä ß 漢 🜁 \u200d \u0000 \uffff")},
        "not-normalised": {"v": text("e\u0301 vs \u00e9")},
        "long-string": {"v": text("x" * 100_000)},
        "empty-bytes": {"v": value(bytes_value=b"")},
        "bytes": {"v": value(bytes_value=bytes(range(256)))},
        "reference": {"v": value(reference_value=f"{here}/shapes/empty")},
        "reference-absent": {"v": value(reference_value=f"{here}/no/such/thing/here")},
        "reference-elsewhere": {"v": value(reference_value=f"{elsewhere}/a/b")},
        "reference-as-text": {"v": text(f"{here}/shapes/empty")},
        "references-nested": {
            "v": mapping(
                list=array(value(reference_value=f"{here}/a/b"), mapping(r=value(reference_value=f"{here}/c/d")))
            )
        },
        "point": {"v": point(-90.0, 180.0)},
        "point-zero": {"v": point(-0.0, 0.0)},
        "empty-array": {"v": array()},
        "mixed-array": {"v": array(value(null_value=0), number(1), real(1.0), text("1"), value(bytes_value=b"1"))},
        "array-of-maps": {"v": array(mapping(b=number(2), a=number(1)), mapped({}))},
        "empty-map": {"v": mapped({})},
        "unsorted-map": {"v": mapping(z=number(1), a=number(2), m=mapping(q=number(3), b=number(4)))},
        "deep-map": {"v": nested(19)},
        "vector": {"v": vector(1.5, -0.0, 3.25)},
        "vector-2048": {"v": vector(*(index / 7 for index in range(2048)))},
        "field-names": {name: number(1) for name in ("a.b", "a`b", "a\\b", "ä", "🜁", " ", "0", "*~/[]", "\uffff")},
        "many-fields": {f"field{index:04}": number(index) for index in range(500)},
        "one-mebibyte": {"v": value(bytes_value=b"\x07" * (1_048_576 - 300))},
    }
    found = {f"shapes/{name}": fields for name, fields in simple.items()}
    for name in (
        "~",
        "a b",
        "ü",
        "🜁",
        "\uffff",
        "*",
        "[x]",
        "`",
        "a.b",
        ".a",
        "..a",
        "%2F",
        "\\",
        "'\"",
        "\t\n",
        "__a",
        "x" * 1500,
    ):
        found[f"ids/{name}"] = {"v": text(name)}
    found["ids/__id7__"] = {"v": text("a number as an id")}
    found["nowhere/no-parent/child/found"] = {"v": text("a parent without a document")}
    found["/".join(f"level{depth}" for depth in range(200))] = {"v": text("100 levels deep")}
    found["a collection/with space"] = {"v": number(1)}
    return found


def documents(database: Database) -> Iterator[Any]:
    """The same as messages."""
    for path, fields in shapes(database).items():
        message = DOCUMENT(name=f"{database.root}/{path}")
        for key, item in fields.items():
            message.fields[key].CopyFrom(item)
        yield message


def write(connection: Connection, messages: list[Any]) -> None:
    """Write documents one request each of at most 500 and 3 MB; every one has to succeed."""
    request, size = _BATCH(database=connection.database.name), 0
    for message in [*messages, None]:
        if message is None or size + message.ByteSize() > 3_000_000 or len(request.writes) == 500:
            response = _RESPONSE.FromString(connection.call("BatchWrite", request.SerializeToString()))
            failed = [status.message for status in response.status if status.code]
            assert not failed, failed
            request, size = _BATCH(database=connection.database.name), 0
        if message is not None:
            request.writes.add().update.CopyFrom(message)
            size += message.ByteSize()


def delete(connection: Connection, paths: list[str]) -> None:
    """Delete documents."""
    request = _BATCH(database=connection.database.name)
    for path in paths:
        request.writes.add().delete = f"{connection.database.root}/{path}"
    connection.call("BatchWrite", request.SerializeToString())


def many(database: Database, count: int, collection: str = "many") -> list[Any]:
    """So many small documents."""
    out = []
    for index in range(count):
        message = DOCUMENT(name=f"{database.root}/{collection}/{index:07}")
        message.fields["n"].integer_value = index
        message.fields["text"].string_value = f"document {index} " * 8
        out.append(message)
    return out


def canonical(message: Any, root: str) -> bytes:
    """A document's content for comparing, independent of the code under test: sorted by hand, rooted at `root`."""
    return repr(_plain_fields(message.fields, root)).encode()


def _plain_fields(fields: Any, root: str) -> Any:
    return sorted((key, _plain(item, root)) for key, item in fields.items())


def _plain(item: Any, root: str) -> Any:
    kind = item.WhichOneof("value_type")
    plain: dict[str, Callable[[], Any]] = {
        "double_value": lambda: struct.pack("<d", item.double_value),
        "timestamp_value": lambda: (item.timestamp_value.seconds, item.timestamp_value.nanos),
        "geo_point_value": lambda: struct.pack("<dd", item.geo_point_value.latitude, item.geo_point_value.longitude),
        "array_value": lambda: [_plain(each, root) for each in item.array_value.values],
        "map_value": lambda: _plain_fields(item.map_value.fields, root),
        "reference_value": lambda: item.reference_value.replace(root, "HERE", 1),
    }
    return kind, plain.get(kind, lambda: getattr(item, kind))()
