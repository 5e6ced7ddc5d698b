"""Circuit breaker states: a document each, as legacy keeps them, until they are handed over to one shared document.

The shared document carries its schema's version. Within the process both versions use the same records; `flush`
writes them to wherever they belong at the time. All of it lies in one collection, so a backup finds it either way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from causeway.client.dualwrite import digest
from examples.cvplus.database import Database, Write

LEGACY = "circuit_breakers"
SHARED = "circuit_breakers/_shared"
SNAPSHOT = "circuit_breakers/_snapshot"
#: The schema of the shared document. A reader refuses one it does not know.
SCHEMA = 3


@dataclass(slots=True)
class Breaker:
    """One breaker: opens after `THRESHOLD` failures in a row, and lets one call through after `COOL_DOWN_S`."""

    failures: int = 0
    opened_at: float | None = None


THRESHOLD = 5
COOL_DOWN_S = 2.0


class Breakers:
    """All breakers of the application. `now` is in seconds since the epoch, since it outlives the process."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._breakers: dict[str, Breaker] = {}
        self._shared = False
        self._flushed = ""

    def failures(self, name: str) -> int:
        """Failures in a row."""
        return self._breaker(name).failures

    def allows(self, name: str) -> bool:
        """Whether a call may go through."""
        opened_at = self._breaker(name).opened_at
        return opened_at is None or self._now() - opened_at >= COOL_DOWN_S

    def record(self, name: str, ok: bool) -> str:
        """Counts a call's end and says how the breaker stands."""
        breaker = self._breaker(name)
        breaker.failures = 0 if ok else breaker.failures + 1
        breaker.opened_at = self._now() if breaker.failures >= THRESHOLD else None
        return "open" if breaker.opened_at else "closed"

    def state(self) -> dict[str, dict[str, Any]]:
        """All breakers as plain data."""
        return {name: asdict(breaker) for name, breaker in sorted(self._breakers.items())}

    async def load(self) -> None:
        """Takes up what was kept, from the shared document if there is one."""
        shared = await self._database.get(SHARED)
        self._shared = shared is not None
        if shared is not None and shared["schema"] != SCHEMA:
            raise ValueError(f"{SHARED} has schema {shared['schema']}, this reads {SCHEMA}")
        if shared is not None:
            kept = shared["breakers"]
        else:
            found = await self._database.documents(LEGACY)
            kept = {name: fields for name, fields in found.items() if not name.startswith("_")}
        self._breakers = {name: Breaker(**fields) for name, fields in kept.items()}

    async def flush(self) -> None:
        """Writes what has changed since the last flush."""
        state = self.state()
        mark = digest({"shared": self._shared, "state": state})
        if mark == self._flushed:
            return
        if self._shared:
            await self._database.commit(Write(SHARED, {"schema": SCHEMA, "breakers": state}))
        elif state:
            await self._database.commit(*(Write(f"{LEGACY}/{name}", fields) for name, fields in state.items()))
        self._flushed = mark

    async def snapshot(self) -> dict[str, Any]:
        """Keeps the present state beside. Returns its digest."""
        state = self.state()
        await self._database.commit(Write(SNAPSHOT, {"breakers": state, "digest": digest(state)}))
        return {"breakers": len(state), "digest": digest(state)}

    async def restore(self) -> dict[str, Any]:
        """Goes back to the snapshot if the present state differs from it."""
        kept = await self._database.get(SNAPSHOT)
        if kept is None or digest(self.state()) == kept["digest"]:
            return {"restored": False}
        self._breakers = {name: Breaker(**fields) for name, fields in kept["breakers"].items()}
        await self.flush()
        return {"restored": True, "digest": kept["digest"]}

    async def hand_over(self) -> dict[str, Any]:
        """The shared document owns the state from here on."""
        moved, self._shared = not self._shared, True
        await self.flush()
        return {"moved": moved, "document": SHARED, "schema": SCHEMA, "digest": digest(self.state())}

    async def hand_back(self) -> dict[str, Any]:
        """Legacy's collection owns the state again; the shared document goes away."""
        moved, self._shared = self._shared, False
        await self.flush()
        await self._database.commit(Write(SHARED, None))
        return {"moved": moved, "collection": LEGACY, "digest": digest(self.state())}

    def _breaker(self, name: str) -> Breaker:
        return self._breakers.setdefault(name, Breaker())
