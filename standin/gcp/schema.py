"""What a resource or function takes and gives, as the installed SDK declares it; kept on disk, since asking is slow.

A type is plain JSON: `"string"`, `"integer"`, `"number"`, `"boolean"`, `"any"`, `{"list": T}`, `{"map": T}` or
`{"object": {name: {"type": T, "required": bool}}}`. Names are those of the wire (`documentId`).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Type = str | Mapping[str, Any]


class UnknownToken(LookupError):
    """The installed `pulumi_gcp` has no such resource or function."""


@dataclass(frozen=True)
class Schema:
    """One resource type or function: its inputs (`{name: {"type": T, "required": bool}}`) and outputs (`{name: T}`)."""

    token: str
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Type]


@dataclass
class Schemas:
    """Schemas by token: from memory, else from `cache` (a directory keyed by SDK version), else from the SDK."""

    cache: Path
    _known: dict[str, Schema] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, token: str) -> Schema:
        """Raises `UnknownToken`."""
        with self._lock:
            if token not in self._known:
                self._known[token] = self._load(token)
            return self._known[token]

    def _load(self, token: str) -> Schema:
        path = self.cache / (token.replace(":", "+").replace("/", "+") + ".json")
        try:
            stored = json.loads(path.read_text())
            return Schema(token, stored["inputs"], stored["outputs"])
        except (FileNotFoundError, ValueError, KeyError):
            # Imported only now: this pulls in the SDK, which costs more than everything else here.
            from standin.gcp.introspect import introspect

            schema = introspect(token)
            _write(path, {"inputs": schema.inputs, "outputs": schema.outputs})
            return schema


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(value, separators=(",", ":")))
    draft.replace(path)
