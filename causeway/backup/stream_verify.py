"""Independent proof that the archive's state at a watermark is the database's: by count, and by digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from causeway.backup import queries
from causeway.backup.connection import Connection
from causeway.backup.documents import CONTROL, DOCUMENT, digest_of
from causeway.backup.ranges import of_collections
from causeway.backup.records import Record
from causeway.backup.stream_block import Selection, group_of
from causeway.backup.stream_log import name_and_time

Miscounts = Mapping[str, tuple[int, int]]
"""What was counted wrong: (in the archive, in the database) by collection; `""` is everything."""


def miscounts(connection: Connection, counts: Mapping[str, int], at: datetime) -> Miscounts:
    """Where the server's own counts at an instant disagree with these; empty where all agree."""
    found = {top: (number, _count(connection, top, at)) for top, number in counts.items()}
    return {top: pair for top, pair in found.items() if pair[0] != pair[1]}


def _count(connection: Connection, top: str, at: datetime) -> int:
    if top:
        return queries.count(connection, at, of_collections([top]))
    return queries.count(connection, at) - queries.count(connection, at, of_collections([CONTROL]))


def in_words(wrong: Miscounts) -> str:
    """Counts that disagree, for people."""
    return ", ".join(
        f"{top or 'everything'} {kept} here, {found} there" for top, (kept, found) in sorted(wrong.items())
    )


def read(connection: Connection, selection: Selection, at: datetime, *, names_only: bool = False) -> Iterator[bytes]:
    """Every document of a selection at an instant, serialised; the stream's own among them."""
    names = (*selection.collections, CONTROL) if selection.collections else ()
    yield from queries.scan(connection, of_collections(names), at, names_only=names_only)


def groups_in(connection: Connection, selection: Selection, at: datetime) -> frozenset[str]:
    """The ids of the collections that a selection's documents lie in at an instant, and of the selected ones."""
    documents = read(connection, selection, at, names_only=True)
    found = {group_of(name_and_time(document)[0]) for document in documents}
    return frozenset(found | set(selection.collections)) - {CONTROL}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Archive and database at one instant, compared by digest of every document."""

    equal: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    differing: tuple[str, ...]

    @property
    def wrong(self) -> int:
        """How many documents are missing, extra or different."""
        return len(self.missing) + len(self.extra) + len(self.differing)


def compare(kept: Iterable[Record], found: Iterable[bytes], selection: Selection) -> Comparison:
    """Hold the archive's documents against the database's, serialised."""
    rest = {name_and_time(record.message)[0]: record.digest for record in kept}
    equal, missing, differing = 0, [], []
    for document in found:
        message = DOCUMENT.FromString(document)
        name = message.name
        if name not in selection:
            continue
        expected = rest.pop(name, None)
        if expected is None:
            missing.append(name)
        elif expected != digest_of(message):
            differing.append(name)
        else:
            equal += 1
    return Comparison(equal, tuple(missing), tuple(rest), tuple(differing))
