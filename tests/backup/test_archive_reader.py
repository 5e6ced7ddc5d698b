"""A stand-alone reader, written from docs/reference/archive.md alone: it imports nothing of causeway.

If it cannot read what causeway writes, the specification is wrong or the format has changed.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import zstandard
from google.cloud.firestore_v1.types import Document
from google.cloud.firestore_v1.types.firestore import TargetChange
from google.cloud.firestore_v1.types.write import DocumentDelete
from google.protobuf.struct_pb2 import Struct


def manifest(root: Path) -> list[dict[str, Any]]:
    previous, entries = "0" * 64, []
    for number, file in enumerate(sorted((root / "manifest").glob("[0-9]*.json")), start=1):
        line = file.read_bytes()
        entry = json.loads(line)
        assert file.name == f"{number:012}.json"
        assert (entry["number"], entry["previous"]) == (number, previous)
        previous = hashlib.sha256(line).hexdigest()
        entries.append(entry)
    assert entries[0]["kind"] == "archive" and entries[0]["body"]["format"] <= 1
    return entries


def records(segment: bytes) -> Iterator[tuple[int, bytes]]:
    with zstandard.ZstdDecompressor().stream_reader(segment, read_across_frames=True) as reader:
        raw = reader.read()
    at = 0
    while at < len(raw):
        length, checksum, kind = struct.unpack_from("<IIB", raw, at)
        payload = raw[at + 9 : at + 9 + length]
        assert zlib.crc32(struct.pack("<BI", kind, length) + payload) == checksum
        yield kind, payload
        at += 9 + length


def state(root: Path, backup: str) -> dict[str, tuple[bytes, bytes]]:
    """Digest and serialised document by path."""
    entries = manifest(root)
    bodies = [entry["body"] for entry in entries if entry["body"].get("backup") == backup]
    begin = bodies[0]
    assert any(entry["kind"] == "complete" and entry["body"]["backup"] == backup for entry in entries)
    found = state(root, begin["parent"]) if begin["parent"] else {}
    for entry in entries:
        if entry["kind"] != "segment" or entry["body"]["backup"] != backup:
            continue
        data = (root / entry["body"]["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["body"]["sha256"]
        for kind, payload in records(data):
            if kind == 1:
                path = Document.pb(Document.deserialize(payload[32:])).name.split("/documents/", 1)[1]
                found[path] = payload[:32], payload[32:]
            elif kind == 2:
                del found[DocumentDelete.deserialize(payload).document.split("/documents/", 1)[1]]
    return found


def stream_state(root: Path, backup: str) -> tuple[int, set[str]]:
    """The latest watermark (seconds since 1970) that nothing takes back, and the documents' paths at it."""
    found: list[tuple[int, bytes]] = []
    for entry in manifest(root):
        if entry["kind"] == "segment" and entry["body"]["backup"] == backup:
            found += records((root / entry["body"]["path"]).read_bytes())
    taken_back = []
    for index, (kind, payload) in enumerate(found):
        note = Struct.FromString(payload) if kind == 5 else Struct()
        if "withdrawn after" in note.fields:
            after = note.fields["withdrawn after"].string_value
            taken_back.append((index, datetime.fromisoformat(after).timestamp() if after else 0.0))
    pending: dict[str, bool] = {}
    held: dict[str, bool] = {}
    latest: tuple[int, set[str]] = (0, set())
    for index, (kind, payload) in enumerate(found):
        if kind == 1:
            pending[Document.pb(Document.deserialize(payload[32:])).name.split("/documents/", 1)[1]] = True
        elif kind == 2:
            pending[DocumentDelete.deserialize(payload).document.split("/documents/", 1)[1]] = False
        elif kind == 3:
            held, pending = {**held, **pending}, {}
            at = TargetChange.pb(TargetChange.deserialize(payload)).read_time.ToMicroseconds() / 1e6
            if not any(index < place and at > after for place, after in taken_back):
                latest = int(at), {path for path, there in held.items() if there}
    return latest


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and content of each field of a serialised message."""

    def read() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    at = 0
    while at < len(data):
        tag = read()
        start = at
        if tag & 7 == 0:
            read()
            yield tag >> 3, 0, data[start:at]
            continue
        size = {1: lambda: 8, 5: lambda: 4, 2: read}[tag & 7]()
        yield tag >> 3, tag & 7, data[at : at + size]
        at += size


def written(number: int, wire: int, content: bytes) -> bytes:
    return varint(number << 3 | wire) + (varint(len(content)) if wire == 2 else b"") + content


def sorted_map(entries: list[bytes]) -> list[bytes]:
    """Entries of a map field, their values canonical, by the bytes of their keys."""
    pairs = []
    for entry in entries:
        parts = {number: content for number, _, content in fields(entry)}
        pairs.append((parts[1], written(1, 2, parts[1]) + written(2, 2, canonical_value(parts[2]))))
    return [entry for _, entry in sorted(pairs)]


def canonical_value(value: bytes) -> bytes:
    (number, wire, content), *_ = fields(value)
    if number == 6:  # map_value
        content = b"".join(written(1, 2, entry) for entry in sorted_map([entry for _, _, entry in fields(content)]))
    elif number == 9:  # array_value
        content = b"".join(written(1, 2, canonical_value(item)) for _, _, item in fields(content))
    return written(number, wire, content)


def digest(document: bytes) -> bytes:
    parts = list(fields(document))
    path = next(content for number, _, content in parts if number == 1).decode().split("/documents/", 1)[1]
    entries = sorted_map([content for number, _, content in parts if number == 2])
    whole = written(1, 2, path.encode()) + b"".join(written(2, 2, entry) for entry in entries)
    return hashlib.sha256(whole).digest()


def test_the_reader_reads_what_causeway_writes(archive: Any, source: Any) -> None:
    from tests.backup import shapes
    from tests.backup.helpers import contents, take

    shapes.write(source, shapes.many(source.database, 50))
    full = take(archive, source)
    shapes.delete(source, ["many/0000007"])
    shapes.write(source, shapes.many(source.database, 3, "later"))
    increment = take(archive, source, incremental=True)
    root = Path(archive.storage.url)
    assert len(state(root, full.backup.id)) == len(contents(source)) + 1 - 3
    found, live = state(root, increment.backup.id), contents(source)
    assert found.keys() == live.keys()
    for path, (stored, document) in found.items():
        assert digest(document) == stored, path
        message = Document.pb(Document.deserialize(document))
        assert shapes.canonical(message, source.database.root) == live[path]


def test_the_reader_leaves_out_watermarks_that_were_taken_back(tmp_path: Path) -> None:
    """Prevents: a reader written from the format page offers a state that was shown to be wrong."""
    from causeway.backup.archive import Archive
    from causeway.backup.storage import LocalStorage
    from causeway.backup.stream_block import Block
    from causeway.backup.stream_log import StreamLog
    from causeway.backup.stream_state import watermarks
    from tests.backup.stream_model import DATABASE, Model, instant, name_of

    archive, model = Archive.create(LocalStorage(tmp_path), DATABASE), Model()
    log = StreamLog.open(archive, tmp_path / "open")
    for number in range(3):
        since = model.clock
        model.put(name_of(number), number)
        model.clock += 1_000_000
        changed = {name: version for at, name, version in model.history if at > since}
        log.commit(Block(instant(model.clock), b"", changed))
        if number == 0:
            first = instant(model.clock)
        if number == 1:
            log.withdraw(first)
    assert log.backup is not None
    backup = log.backup.id
    log.withdraw(first)
    log.finish()
    assert watermarks(archive) == [first]
    expected = {name_of(0).split("/documents/", 1)[1]}
    assert stream_state(tmp_path, backup) == (int(first.timestamp()), expected)
