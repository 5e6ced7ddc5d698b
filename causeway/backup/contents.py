"""Filling a catalogue: from an archive's records, and from a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from google.cloud.firestore_v1.types import write as _write

from causeway.backup.catalogue import Catalogue, Kept, Live
from causeway.backup.documents import CONTROL, DOCUMENT, digest_of, relative_path, updated_micros
from causeway.backup.records import Kind, Record

_DELETE: Any = _write.DocumentDelete.pb()

Progress = Callable[[int], None]
"""Told how many more documents are done."""
_EVERY = 250
#: Neither restored nor taken for extra: a restore that removed a running stream's sentinel would stop the stream.
_OWN = f"{CONTROL}/"


def quiet(_: int) -> None:
    """Progress nobody looks at."""


def counted(documents: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    """The same documents, with progress told now and then."""
    done = 0
    for document in documents:
        yield document
        done += 1
        if done % _EVERY == 0:
            progress(_EVERY)
    progress(done % _EVERY)


def load(
    catalogue: Catalogue, records: Iterable[Record], expected: Callable[[Record, Any], bytes] = lambda r, _: r.digest
) -> None:
    """Take the state that these changes lead to.

    `expected` gives a document's digest from its record and parsed message, where it is not the archived one.
    """
    kept = (_kept(place, record, expected) for place, record in enumerate(records))
    catalogue.keep(each for each in kept if not each[0].startswith(_OWN))


def _kept(place: int, record: Record, expected: Callable[[Record, Any], bytes]) -> Kept:
    if record.kind is Kind.DELETE:
        return relative_path(_DELETE.FromString(record.payload).document), 0, None, place
    message = DOCUMENT.FromString(record.message)
    return relative_path(message.name), updated_micros(message), expected(record, message), place


def observe(catalogue: Catalogue, documents: Iterable[bytes]) -> None:
    """Take what a database holds, documents as read."""
    catalogue.observe(each for each in map(_live, documents) if not each[0].startswith(_OWN))


def _live(document: bytes) -> Live:
    message = DOCUMENT.FromString(document)
    path, updated = relative_path(message.name), updated_micros(message)
    return path, updated, digest_of(message)


def observe_names(catalogue: Catalogue, documents: Iterable[bytes]) -> None:
    """Take what a database holds, names and update times only."""
    catalogue.observe(each for each in map(_named, documents) if not each[0].startswith(_OWN))


def _named(document: bytes) -> Live:
    message = DOCUMENT.FromString(document)
    return relative_path(message.name), updated_micros(message), b""
