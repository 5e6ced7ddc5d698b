"""A catalogue of documents on disk: what should be there, what is there, and where they differ.

SQLite in a temporary file, so that memory stays bounded whatever the number of documents.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

from causeway.backup.documents import collection_group

_BATCH = 2000
_SCHEMA = """
CREATE TABLE kept (path TEXT PRIMARY KEY, updated INTEGER, digest BLOB, place INTEGER) WITHOUT ROWID;
CREATE TABLE live (path TEXT PRIMARY KEY, updated INTEGER, digest BLOB) WITHOUT ROWID;
"""

Kept = tuple[str, int, bytes | None, int]
"""Path, update time in microseconds since 1970, digest (None: deleted), place in the replay."""
Live = tuple[str, int, bytes]
"""Path, update time in microseconds since 1970, digest (empty where only the name was read)."""


_MISSING_OR_DIFFERING = (
    "kept LEFT JOIN live USING (path) "
    "WHERE live.path IS NULL OR (live.digest != kept.digest AND (? OR live.updated <= ?))"
)
_EXTRA = "live WHERE path NOT IN (SELECT path FROM kept) AND (? OR updated <= ?)"
_NEWER = "live LEFT JOIN kept USING (path) WHERE live.updated > ? AND live.digest IS NOT kept.digest"


@dataclass(frozen=True, slots=True)
class Counts:
    """What would be done to make the database hold what the archive holds, and what is newer than the archive."""

    creates: int
    updates: int
    deletes: int
    newer: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How many documents the database should have, and how many are missing, extra or differing."""

    documents: int
    missing: int
    extra: int
    differing: int

    @property
    def equal(self) -> bool:
        """Whether it holds exactly what it should."""
        return not (self.missing or self.extra or self.differing)


class Catalogue:
    """Two tables: `kept`, what an archive holds at a point, and `live`, what a database holds."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="causeway-catalogue-")
        self._db = sqlite3.connect(Path(self._folder.name) / "catalogue.db", isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32768;" + _SCHEMA)

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove it from the disk."""
        self._db.close()
        self._folder.cleanup()

    def keep(self, rows: Iterable[Kept]) -> None:
        """Take what the archive holds; a later row of a path replaces the earlier, one without digest deletes it."""
        self._fill("INSERT OR REPLACE INTO kept VALUES (?,?,?,?)", rows)
        self._db.execute("DELETE FROM kept WHERE digest IS NULL")

    def only(self, inside: Callable[[str], bool]) -> None:
        """Forget what the archive holds at other paths."""
        self._db.create_function("inside", 1, lambda path: int(inside(path)), deterministic=True)
        self._db.execute("DELETE FROM kept WHERE NOT inside(path)")

    def some_paths(self, number: int) -> list[str]:
        """About so many paths the archive holds, evenly spread; the same for the same archive."""
        every = max(1, len(self) // number)
        numbered = "SELECT path, row_number() OVER (ORDER BY path) AS nth FROM kept"
        return list(self._paths(f"SELECT path FROM ({numbered}) WHERE nth % ? = 0", every))

    def sample(self, percent: float) -> None:
        """Keep only about so many of a hundred documents, chosen by their digests; of each collection at least one."""
        self._db.create_function("out", 1, lambda digest: digest[:4] >= _threshold(percent), deterministic=True)
        self._db.create_function("collection", 1, collection_group, deterministic=True)
        firsts = "SELECT path FROM (SELECT path, min(digest) FROM kept GROUP BY collection(path))"
        self._db.execute(f"DELETE FROM kept WHERE out(digest) AND path NOT IN ({firsts})")

    def observe(self, rows: Iterable[Live]) -> None:
        """Take what the database holds now, in place of what was observed before."""
        self._db.execute("DELETE FROM live")
        self._fill("INSERT OR REPLACE INTO live VALUES (?,?,?)", rows)

    def _fill(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        source = iter(rows)
        while batch := list(islice(source, _BATCH)):
            self._db.execute("BEGIN")
            self._db.executemany(statement, batch)
            self._db.execute("COMMIT")

    def __len__(self) -> int:
        """How many documents the archive holds at its point."""
        return self._number("SELECT count(*) FROM kept")

    @property
    def live(self) -> int:
        """How many documents the database was observed to hold."""
        return self._number("SELECT count(*) FROM live")

    def gone(self) -> Iterator[str]:
        """Paths the archive holds and the database does not, in the order of their bytes."""
        return self._paths("SELECT path FROM kept WHERE path NOT IN (SELECT path FROM live) ORDER BY path")

    def changed(self) -> Iterator[str]:
        """Paths the database holds in a version the archive does not, in the order of their bytes."""
        return self._paths(
            "SELECT live.path FROM live LEFT JOIN kept USING (path) "
            "WHERE kept.updated IS NOT live.updated ORDER BY live.path"
        )

    def writes(self, instant: int, *, newer: bool) -> Iterator[tuple[int, int | None]]:
        """Places of the documents to write, in order, each with the update time of the version it replaces, if any.

        Documents changed in the database after `instant` (microseconds since 1970) are among them only with `newer`.
        """
        query = f"SELECT place, live.updated FROM {_MISSING_OR_DIFFERING} ORDER BY place"
        return self._db.execute(query, (newer, instant))

    def deletes(self, instant: int, *, newer: bool) -> Iterator[tuple[str, int]]:
        """Paths and update times of documents the archive does not hold; `newer` as for `writes`."""
        return self._db.execute(f"SELECT path, updated FROM {_EXTRA} ORDER BY path", (newer, instant))

    def newer(self, instant: int) -> Iterator[str]:
        """Paths of documents that differ from the archive's, or are not in it, and were changed after `instant`."""
        return self._paths(f"SELECT live.path FROM {_NEWER} ORDER BY live.path", instant)

    def counts(self, instant: int, *, newer: bool) -> Counts:
        """How many documents `writes`, `deletes` and `newer` would name."""
        creates = self._number("SELECT count(*) FROM kept WHERE path NOT IN (SELECT path FROM live)")
        return Counts(
            creates=creates,
            updates=self._number(f"SELECT count(*) FROM {_MISSING_OR_DIFFERING}", newer, instant) - creates,
            deletes=self._number(f"SELECT count(*) FROM {_EXTRA}", newer, instant),
            newer=self._number(f"SELECT count(*) FROM {_NEWER}", instant),
        )

    def difference(self, lost: int = 0) -> Difference:
        """What the database lacks, has beside, or has otherwise; `lost` documents the archive itself lacks by now."""
        return Difference(
            documents=len(self) + lost,
            missing=self._number("SELECT count(*) FROM kept WHERE path NOT IN (SELECT path FROM live)") + lost,
            extra=self._number("SELECT count(*) FROM live WHERE path NOT IN (SELECT path FROM kept)"),
            differing=self._number("SELECT count(*) FROM kept JOIN live USING (path) WHERE kept.digest != live.digest"),
        )

    def _number(self, query: str, *values: object) -> int:
        return int(self._db.execute(query, values).fetchone()[0])

    def _paths(self, query: str, *values: object) -> Iterator[str]:
        return (row[0] for row in self._db.execute(query, values))


def _threshold(percent: float) -> bytes:
    return min(int(percent / 100 * (1 << 32)), (1 << 32) - 1).to_bytes(4, "big")
