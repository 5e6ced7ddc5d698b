"""What strategies ask of the application besides traffic: POST /hooks/{service}/{action}.

Every action is idempotent and answers with what it did. One that cannot be confirmed raises `Unconfirmed`: the runner
is told with status 409 and does not go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from causeway.client.dualwrite import Writes
from causeway.client.view import View
from causeway.model.matrix import Version
from causeway.model.stage import Stage
from examples.cvplus.database import Write
from examples.cvplus.runtime import SERVICES, TOGGLES, Runtime

Done = dict[str, Any]
#: How long an action waits for what must come first, in seconds; below the runner's own patience.
PATIENCE_S = 15.0


class Unconfirmed(Exception):
    """An action could not be done, or what it should have led to is not so."""

    def __init__(self, why: str, found: Done) -> None:
        super().__init__(why)
        self.found = {"why": why, **found}


class Hooks:
    """The actions, by name."""

    def __init__(self, runtime: Runtime) -> None:
        self._app = runtime
        self._actions: Mapping[str, Callable[[str], Awaitable[Done]]] = {
            "toggle": self._toggle,
            "toggle-off": self._toggle_off,
            "dual-write": self._dual_write,
            "single-write": self._writes,
            "backfill": self._backfill,
            "verify-parity": self._verify_parity,
            "snapshot": self._snapshot,
            "restore": self._restore,
            "hand-over": self._hand_over,
            "hand-back": self._hand_back,
            "drain": self._drain,
            "compensate": self._app.jobs.compensate,
            "epoch": self._epoch,
            "settle": self._settle,
            "retire": self._retire,
            "retire-legacy": self._retire,
            "revive": self._revive,
        }

    async def perform(self, service: str, action: str) -> Done:
        """Does it and says what was done. Raises KeyError on an unknown service or action, and Unconfirmed."""
        if service not in SERVICES:
            raise KeyError(f"there is no service {service}")
        if action not in self._actions:
            raise KeyError(f"there is no action {action}; there are {', '.join(sorted(self._actions))}")
        return await self._actions[action](service)

    async def _toggle(self, service: str) -> Done:
        return await self._switch(service, True)

    async def _toggle_off(self, service: str) -> Done:
        return await self._switch(service, False)

    async def _switch(self, service: str, on: bool) -> Done:
        toggles = {**self._app.toggles, service: on}
        await self._app.database.commit(Write(TOGGLES, toggles))
        self._app.toggles[service] = on
        return {"toggle": "on" if on else "off"}

    async def _dual_write(self, service: str) -> Done:
        """The flag's mode switches it on; this confirms that the process has seen it."""
        await self._until(lambda: self._app.writes() is Writes.BOTH)
        found = await self._writes(service)
        if found["writes"] != Writes.BOTH:
            raise Unconfirmed(f"the flag of {service} says writes: {found['writes']}", found)
        return found

    async def _writes(self, _service: str) -> Done:
        return {"writes": self._app.writes().value, "behind": sorted(self._app.cache.missed)}

    async def _backfill(self, service: str) -> Done:
        await self._dual_write(service)
        return {"mended": await self._app.cache.backfill()}

    async def _verify_parity(self, _service: str) -> Done:
        parity = await self._app.cache.parity()
        found = {"compared": parity.compared, "different": len(parity.different), "keys": parity.different[:20]}
        if parity.different:
            raise Unconfirmed(f"{len(parity.different)} of {parity.compared} entries differ", found)
        return found

    async def _snapshot(self, _service: str) -> Done:
        return await self._app.breakers.snapshot()

    async def _restore(self, _service: str) -> Done:
        return await self._app.breakers.restore()

    async def _hand_over(self, _service: str) -> Done:
        return await self._app.breakers.hand_over()

    async def _hand_back(self, _service: str) -> Done:
        return await self._app.breakers.hand_back()

    async def _drain(self, service: str) -> Done:
        await self._app.requests.drained(PATIENCE_S)
        found = await self._app.jobs.drain([service], PATIENCE_S)
        if found["left"]:
            raise Unconfirmed(f"legacy has not finished {found['left']} jobs of {service}", found)
        return found

    async def _epoch(self, service: str) -> Done:
        return {"epoch": self._app.view().epoch(service)}

    async def _settle(self, _service: str) -> Done:
        return await self._app.transactions.settle()

    async def _retire(self, service: str) -> Done:
        """Legacy answers no more, once no request and no job can still be led there."""

        def gone() -> bool:
            return _stage(self._app.view(), service) is Stage.RETIRED

        await self._until(gone)
        if not gone():
            raise Unconfirmed(f"the flag of {service} does not say retired", {"retired": False})
        await self._app.requests.drained(PATIENCE_S)
        drained = await self._app.jobs.drain([service], PATIENCE_S)
        if drained["left"]:
            raise Unconfirmed(f"legacy has not finished {drained['left']} jobs of {service}", drained)
        self._app.mesh.retire(service)
        return {"retired": True, "versions": [Version.PACKAGE.value], **drained}

    async def _revive(self, service: str) -> Done:
        """Legacy answers again, with what was written while it was gone."""
        mended = await self._app.cache.backfill(Version.PACKAGE) if service == "CacheManager" else 0
        self._app.mesh.revive(service)
        return {"retired": False, "mended": mended}

    async def _until(self, true: Callable[[], bool]) -> None:
        for _ in range(40):
            if true():
                return
            await self._app.sleep(0.05)


def _stage(view: View, service: str) -> Stage | None:
    flag = view.flags.by_service.get(service) if view.flags is not None else None
    return flag.stage if flag is not None else None
