"""The local cloud: one JSON file per resource, so that a person can read it, edit it, and have `refresh` see the edit.

A file is replaced in one rename, so calls and provider processes may run side by side without a lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

_LONGEST = 180
"""Characters of an id that go into a file's name; a name may have 255."""


@dataclass(frozen=True)
class Thing:
    """A resource as the cloud has it: what was asked for (`inputs`) and what the cloud added (`computed`)."""

    token: str
    id: str
    inputs: Mapping[str, Any]
    computed: Mapping[str, Any]

    @property
    def outputs(self) -> dict[str, Any]:
        return {**self.computed, **self.inputs}


@dataclass(frozen=True)
class Cloud:
    """The things under `root`."""

    root: Path

    def find(self, token: str, identifier: str) -> Thing | None:
        try:
            return Thing(**json.loads(self.path(token, identifier).read_text()))
        except FileNotFoundError:
            return None

    def create(self, thing: Thing) -> bool:
        """Writes a new thing; false, and nothing written, if there is one with this id already."""
        path = self.path(thing.token, thing.id)
        draft = self._draft(path, thing)
        try:
            os.link(draft, path)  # unlike a rename, this fails when the name is taken
            return True
        except FileExistsError:
            return False
        finally:
            draft.unlink()

    def write(self, thing: Thing) -> None:
        path = self.path(thing.token, thing.id)
        self._draft(path, thing).replace(path)

    def remove(self, token: str, identifier: str) -> None:
        self.path(token, identifier).unlink(missing_ok=True)

    def path(self, token: str, identifier: str) -> Path:
        """Where a thing is kept: `<root>/firestore.Database/projects%2Fdemo%2Fdatabases%2Fcauseway.json`."""
        module = token.split(":")[1].split("/")[0]
        name = quote(identifier, safe="@ ")
        if len(name) > _LONGEST:
            name = f"{name[:_LONGEST]}-{hashlib.sha256(identifier.encode()).hexdigest()[:16]}"
        return self.root / f"{module}.{token.rsplit(':', 1)[-1]}" / f"{name}.json"

    def _draft(self, path: Path, thing: Thing) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        draft.write_text(json.dumps(asdict(thing), indent=2, sort_keys=True))
        return draft
