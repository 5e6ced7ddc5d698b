"""One side of the cache: a Firestore collection with this process's own memory in front."""

from __future__ import annotations

from collections.abc import Callable

from causeway.client.dualwrite import Value
from examples.cvplus.database import Database, Write

LEGACY = "cache_entries"
PACKAGE = "cache_entries_package"
#: How long an entry is believed without asking the database, in seconds.
TTL_S = 300.0


class CollectionStore:
    """A collection as a `causeway.client.dualwrite.Store`."""

    def __init__(self, database: Database, collection: str, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._collection = collection
        self._monotonic = monotonic
        self._memory: dict[str, tuple[float, Value | None]] = {}

    async def get(self, key: str) -> Value | None:
        read_at, value = self._memory.get(key, (float("-inf"), None))
        if self._monotonic() - read_at > TTL_S:
            value = await self._database.get(f"{self._collection}/{key}")
            self._memory[key] = (self._monotonic(), value)
        return value

    async def put(self, key: str, value: Value) -> None:
        await self._write(key, value)

    async def delete(self, key: str) -> None:
        await self._write(key, None)

    async def keys(self) -> list[str]:
        """All keys of the collection; what is read along the way refreshes the memory."""
        found = await self._database.documents(self._collection)
        now = self._monotonic()
        self._memory = {key: (now, value) for key, value in found.items()}
        return sorted(found)

    async def _write(self, key: str, value: Value | None) -> None:
        self._memory.pop(key, None)  # should the write fail, nobody knows what is there
        await self._database.commit(Write(f"{self._collection}/{key}", value))
        self._memory[key] = (self._monotonic(), value)
