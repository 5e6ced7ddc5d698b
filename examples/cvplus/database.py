"""The application's own Firestore database: documents by path, and commits shared by whoever writes at the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Fields = Mapping[str, Any]

#: Firestore takes 500 writes a commit.
COMMIT = 400
TIMEOUT_S = 5.0
#: Seconds between two looks at whether frozen writes are open again.
THAW_S = 0.1


@dataclass(frozen=True, slots=True)
class Write:
    """A document as it shall be; None deletes it."""

    path: str
    fields: Fields | None


class Database(Protocol):
    """Documents by path. `commit` is atomic."""

    async def get(self, path: str) -> dict[str, Any] | None: ...

    async def documents(self, collection: str) -> dict[str, dict[str, Any]]: ...

    async def commit(self, *writes: Write) -> None: ...


class Memory:
    """A database that forgets, for tests."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}

    async def get(self, path: str) -> dict[str, Any] | None:
        found = self.held.get(path)
        return None if found is None else dict(found)

    async def documents(self, collection: str) -> dict[str, dict[str, Any]]:
        return {
            path.rpartition("/")[2]: dict(fields)
            for path, fields in self.held.items()
            if path.rpartition("/")[0] == collection
        }

    async def commit(self, *writes: Write) -> None:
        for write in writes:
            if write.fields is None:
                self.held.pop(write.path, None)
            else:
                self.held[write.path] = dict(write.fields)


class Firestore:
    """The real one. Commits of concurrent callers are joined into one while the one before is under way.

    A caller waits until its own writes are durable; under load that costs one round trip for many. While writes are
    `frozen`, because data is being restored, they wait as well.
    """

    def __init__(self, client: Any, frozen: Callable[[], bool] = lambda: False) -> None:
        self._client = client
        self._frozen = frozen
        self._waiting: list[tuple[tuple[Write, ...], asyncio.Future[None]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def get(self, path: str) -> dict[str, Any] | None:
        snapshot = await self._client.document(path).get(retry=None, timeout=TIMEOUT_S)
        found: dict[str, Any] | None = snapshot.to_dict()
        return found

    async def documents(self, collection: str) -> dict[str, dict[str, Any]]:
        return {
            snapshot.id: snapshot.to_dict()
            async for snapshot in self._client.collection(collection).stream(timeout=TIMEOUT_S)
        }

    async def commit(self, *writes: Write) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((writes, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await done

    async def _work(self) -> None:
        while self._waiting:
            while self._frozen():
                await asyncio.sleep(THAW_S)
            batch = self._client.batch()
            joined = self._next()
            # One document may not be written twice in a commit: the last word counts.
            for write in {write.path: write for writes, _ in joined for write in writes}.values():
                reference = self._client.document(write.path)
                batch.delete(reference) if write.fields is None else batch.set(reference, dict(write.fields))
            try:
                await batch.commit(timeout=TIMEOUT_S)
            except Exception as error:
                for _, done in joined:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in joined:
                    if not done.done():
                        done.set_result(None)

    def _next(self) -> list[tuple[tuple[Write, ...], asyncio.Future[None]]]:
        joined: list[tuple[tuple[Write, ...], asyncio.Future[None]]] = []
        count = 0
        while self._waiting and (not joined or count + len(self._waiting[0][0]) <= COMMIT):
            joined.append(self._waiting.pop(0))
            count += len(joined[-1][0])
        return joined
