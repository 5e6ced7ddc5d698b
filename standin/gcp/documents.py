"""Firestore documents, passed through to the Firestore emulator over its REST interface.

`gcp:firestore/document:Document` takes its `fields` as JSON of typed values, which is what REST speaks too.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

TOKEN = "gcp:firestore/document:Document"

_KINDS = (
    "null",
    "boolean",
    "integer",
    "double",
    "timestamp",
    "string",
    "bytes",
    "reference",
    "geoPoint",
    "array",
    "map",
)

_VALUES = frozenset(f"{kind}Value" for kind in _KINDS)


class Refused(Exception):
    """The emulator answered a write with an error; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error {status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Documents:
    """The documents of the emulator at `address` (host:port)."""

    address: str

    def create(self, name: str, fields: str) -> dict[str, Any]:
        """Raises `Refused` 409 when there is one, as Firestore does."""
        return self._write(name, fields, "currentDocument.exists=false")

    def update(self, name: str, fields: str) -> dict[str, Any]:
        """Replaces the document, whatever it holds."""
        return self._write(name, fields, "")

    def read(self, name: str) -> dict[str, Any] | None:
        status, document = self._call("GET", name)
        if status == 404:
            return None
        return _answer(status, document)

    def delete(self, name: str) -> None:
        _answer(*self._call("DELETE", name))

    def _write(self, name: str, fields: str, precondition: str) -> dict[str, Any]:
        return _answer(*self._call("PATCH", name, precondition, {"fields": json.loads(fields)}))

    def _call(self, method: str, name: str, query: str = "", body: object = None) -> tuple[int, dict[str, Any]]:
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            # "owner" passes the emulator's security rules, as an administrator passes those of the real service.
            headers = {"Authorization": "Bearer owner", "Content-Type": "application/json"}
            path = f"/v1/{quote(name, safe='/()')}" + (f"?{query}" if query else "")
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"{}")
        except OSError as error:
            raise Refused(503, f"the Firestore emulator at {self.address} does not answer ({error})") from error
        finally:
            connection.close()


def name_of(inputs: Mapping[str, Any], project: str) -> str:
    """`projects/P/databases/D/documents/COLLECTION/ID`, which is also the resource's id."""
    database = inputs.get("database") or "(default)"
    owner = inputs.get("project") or project
    return f"projects/{owner}/databases/{database}/documents/{inputs['collection']}/{inputs['documentId']}"


def inputs_of(name: str, fields: str) -> dict[str, Any]:
    """The inputs that would make the document `name`; raises `ValueError` for any other name."""
    matched = re.fullmatch(r"projects/([^/]+)/databases/([^/]+)/documents/(.+)/([^/]+)", name)
    if not matched:
        raise ValueError(f"'{name}' is not a document's name: projects/P/databases/D/documents/COLLECTION/ID")
    project, database, collection, document = matched.groups()
    return {
        "project": project,
        "database": database,
        "collection": collection,
        "documentId": document,
        "fields": fields,
    }


def problem(fields: str) -> str | None:
    """Why `fields` is not JSON of typed values, or None."""
    try:
        parsed = json.loads(fields)
    except ValueError as error:
        return f"not JSON ({error})"
    if not isinstance(parsed, dict):
        return "not an object of typed values"
    for name, value in parsed.items():
        if not isinstance(value, dict) or len(value) != 1 or not _VALUES.issuperset(value):
            return f'\'{name}\' is not a typed value such as {{"stringValue": "…"}}'
    return None


def same(one: str, other: str) -> bool:
    """Whether two `fields` say the same, whatever their spelling (key order, 1 and "1", empty maps, time fractions)."""
    try:
        return bool(_canonical_map(json.loads(one)) == _canonical_map(json.loads(other)))
    except (ValueError, TypeError, AttributeError):
        return one == other


def _canonical_map(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _canonical(value) for name, value in fields.items()}


def _canonical(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "mapValue":
            return kind, _canonical_map(content.get("fields", {}))
        case "arrayValue":
            return kind, [_canonical(item) for item in content.get("values", [])]
        case "integerValue":
            return kind, int(content)
        case "doubleValue":
            return kind, str(float(content))
        case "timestampValue":
            return kind, datetime.fromisoformat(content).astimezone(UTC)
        case "bytesValue":
            return kind, base64.b64decode(content)
        case "geoPointValue":
            return kind, (float(content.get("latitude", 0)), float(content.get("longitude", 0)))
        case _:
            return kind, content


def _answer(status: int, document: dict[str, Any]) -> dict[str, Any]:
    if status >= 400:
        error = document.get("error", {}) if isinstance(document, dict) else {}
        raise Refused(status, str(error.get("message", "no reason given")))
    return document
