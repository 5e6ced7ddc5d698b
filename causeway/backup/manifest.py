"""The manifest: a chain of small JSON entries that says what an archive holds and in which order it came to be.

Entry n is the object `manifest/{n:012}.json`; each names the sha256 of the one before, so an entry changed, removed
or put in between is noticed. It is only ever appended to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from causeway.backup import times
from causeway.backup.storage import AlreadyThere, Storage
from causeway.errors import Conflict, IntegrityError

PREFIX = "manifest/"
NO_ENTRY = "0" * 64
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the chain: `kind` says what happened at `at`, `body` the rest."""

    number: int
    previous: str
    kind: str
    at: datetime
    body: Mapping[str, Any]
    sha256: str


def _encode(number: int, previous: str, kind: str, at: datetime, body: Mapping[str, Any]) -> bytes:
    entry = {"number": number, "previous": previous, "kind": kind, "at": times.text(at), "body": dict(body)}
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _decode(name: str, data: bytes) -> Entry:
    try:
        raw = json.loads(data)
        return Entry(
            number=raw["number"],
            previous=raw["previous"],
            kind=raw["kind"],
            at=times.parse(raw["at"]),
            body=raw["body"],
            sha256=hashlib.sha256(data).hexdigest(),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(name, "is not a manifest entry") from error


def _broken(name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"{name} {what}",
        "the archive's history was changed after it was written",
        "compare with another copy of the archive before restoring anything",
    )


class Manifest:
    """The chain in one storage; safe to append to from several processes at once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._entries: list[Entry] = []

    def entries(self) -> Sequence[Entry]:
        """All entries, oldest first, those added since the last call included.

        Raises:
            IntegrityError: an entry is missing, changed or out of place; it is named.
        """
        names = self._storage.names(PREFIX, _name(len(self._entries)))
        for name, data in zip(names, self._storage.read_all(names), strict=True):
            self._take(name, data)
        return self._entries

    @property
    def known(self) -> Sequence[Entry]:
        """Those that were there at the last look and those appended since, without looking again."""
        return self._entries

    def _take(self, name: str, data: bytes) -> None:
        number = len(self._entries) + 1
        if name != _name(number):
            raise _broken(_name(number), "is missing")
        entry = _decode(name, data)
        if entry.number != number or entry.previous != self._head():
            raise _broken(name, "does not follow from the entry before it")
        self._entries.append(entry)

    def _head(self) -> str:
        return self._entries[-1].sha256 if self._entries else NO_ENTRY

    def append(
        self,
        kind: str,
        body: Mapping[str, Any],
        at: datetime,
        allow: Callable[[Sequence[Entry]], None] = lambda _: None,
    ) -> Entry:
        """Add an entry behind all others. `allow` sees them and may raise; it is asked again after every race lost.

        Entries are not listed first: creating the one that follows what is known fails if that was not all there is.

        Raises:
            Conflict: others append all the time.
            IntegrityError: the chain is broken.
        """
        if not self._entries:
            self.entries()
        for _ in range(_ATTEMPTS):
            allow(self._entries)
            number = len(self._entries) + 1
            data = _encode(number, self._head(), kind, at, body)
            try:
                self._storage.create(_name(number), data)
            except AlreadyThere:
                self.entries()
                continue
            self._take(_name(number), data)
            return self._entries[-1]
        raise Conflict(f"{_ATTEMPTS} attempts to append to the manifest of {self._storage.url} lost to other writers")


def _name(number: int) -> str:
    return f"{PREFIX}{number:012}.json"
