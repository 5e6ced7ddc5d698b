"""The bucket behind the storage seam: Google's own client against a server that answers as the JSON API does."""

from __future__ import annotations

import base64
import email
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
import pytest

from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.storage import AlreadyThere, open_storage
from causeway.errors import ConfigError, IntegrityError, Unreachable
from tests.backup.helpers import Connect, contents, restore, take


class Bucket(ThreadingHTTPServer):
    """Objects in memory; pages of 3, so that listing has to go on; `locked` as a retention policy makes it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.locked = False
        self.first = ""
        self.writing = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """The calls an archive needs: insert with a precondition, get media, list, delete."""

    server: Bucket

    def do_POST(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = email.message_from_bytes(
            b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body
        )
        metadata, media = message.get_payload()  # type: ignore[misc]
        name = json.loads(metadata.get_payload())["name"]  # type: ignore[union-attr, arg-type]
        data = body.split(b"\r\n\r\n", 2)[2].rsplit(b"\r\n--", 1)[0]
        del media
        with self.server.writing:
            if query.get("ifGenerationMatch") == ["0"] and name in self.server.objects:
                return self.answer(412, {"error": {"code": 412, "message": "conditionNotMet"}})
            self.server.objects[name] = data
        return self.answer(200, {"name": name, "bucket": "b", "generation": "1", "crc32c": crc(data)})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if parts.path.endswith("/o"):
            prefix, first = query.get("prefix", [""])[0], query.get("startOffset", [""])[0]
            names = sorted(name for name in self.server.objects if name.startswith(prefix) and name >= first)
            self.server.first = first
            start = int(query.get("pageToken", ["0"])[0])
            page: dict[str, Any] = {"items": [{"name": name} for name in names[start : start + 3]]}
            return self.answer(200, page | ({"nextPageToken": str(start + 3)} if start + 3 < len(names) else {}))
        data = self.server.objects.get(self.object_name())
        if data is None:
            return self.answer(404, {"error": {"code": 404, "message": "No such object"}})
        return self.answer(200, data)

    def do_DELETE(self) -> None:
        if self.server.locked:
            return self.answer(
                403, {"error": {"code": 403, "message": "Object is subject to bucket's retention policy"}}
            )
        if self.server.objects.pop(self.object_name(), None) is None:
            return self.answer(404, {"error": {"code": 404, "message": "No such object"}})
        return self.answer(204, b"")

    def object_name(self) -> str:
        return unquote(urlsplit(self.path).path.partition("/o/")[2])

    def answer(self, status: int, content: dict[str, Any] | bytes) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header(
            "Content-Type", "application/octet-stream" if isinstance(content, bytes) else "application/json"
        )
        if isinstance(content, bytes) and status == 200:
            self.send_header("X-Goog-Hash", f"crc32c={crc(data)}")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def crc(data: bytes) -> str:
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    server = Bucket()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.address)
    monkeypatch.setenv("METADATA_SERVER_DETECTION", "none")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo")
    yield server
    server.shutdown()
    server.server_close()


def test_objects_are_created_once_read_listed_and_deleted(bucket: Bucket) -> None:
    storage = open_storage("gs://b/some/prefix")
    for number in range(8):
        storage.create(f"manifest/{number}", bytes([number, 13, 10, 255]) * number)
    with pytest.raises(AlreadyThere):
        storage.create("manifest/3", b"other")
    assert storage.read("manifest/3") == bytes([3, 13, 10, 255]) * 3
    assert storage.names("manifest/") == [f"manifest/{number}" for number in range(8)]
    assert storage.names("manifest/", "manifest/4") == [f"manifest/{number}" for number in (5, 6, 7)]
    assert bucket.first == "some/prefix/manifest/4"  # the server leaves out what is known, not the client alone
    assert list(storage.read_all(["manifest/7", "manifest/1"])) == [bytes([n, 13, 10, 255]) * n for n in (7, 1)]
    assert all(name.startswith("some/prefix/") for name in bucket.objects)
    storage.delete("manifest/3")
    storage.delete("manifest/3")  # gone already
    with pytest.raises(IntegrityError, match="manifest/3 is missing in gs://b/some/prefix"):
        storage.read("manifest/3")
    with storage.claim("task") as ours:
        assert ours


def test_a_retention_policy_that_holds_an_object_is_told(bucket: Bucket) -> None:
    storage = open_storage("gs://b")
    storage.create("segments/x", b"1")
    bucket.locked = True
    with pytest.raises(Unreachable, match="does not let segments/x go"):
        storage.delete("segments/x")


def test_a_server_that_answers_with_other_bytes_is_noticed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage("gs://b")
    storage.create("segments/x", b"as written")
    monkeypatch.setattr("tests.backup.test_bucket.crc", lambda _: "AAAAAA==")
    with pytest.raises(IntegrityError, match="another checksum"):
        storage.read("segments/x")


def test_urls_that_name_no_storage_are_refused() -> None:
    for url in ("gs://", "s3://b"):
        with pytest.raises(ConfigError):
            open_storage(url)


def test_a_backup_in_a_bucket_comes_back(bucket: Bucket, source: Connection, connect: Connect) -> None:
    archive = Archive.create(open_storage("gs://b/backups"), source.database)
    take(archive, source)
    target = connect()
    assert restore(Archive(open_storage("gs://b/backups")), target).equal
    assert contents(target) == contents(source)
    assert len(bucket.objects) >= 5
