"""The application put together, without HTTP: services, state, faults and metrics of one process."""

from __future__ import annotations

import contextlib
import datetime
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from causeway.client.dualwrite import DualWrite, Writes, writes_of
from causeway.client.view import TARGETING_KEY, Context, View
from causeway.model.matrix import Version
from causeway.model.stage import Stage
from examples.cvplus import cache, dependencies
from examples.cvplus.breakers import Breakers
from examples.cvplus.database import Database
from examples.cvplus.faults import Fault, Faults
from examples.cvplus.jobs import Jobs
from examples.cvplus.legacy import LEGACY
from examples.cvplus.mesh import Caller, Mesh
from examples.cvplus.metrics import Metrics
from examples.cvplus.packages import PACKAGES
from examples.cvplus.resources import Resources
from examples.cvplus.transactions import Transactions

log = logging.getLogger(__name__)

SERVICES = tuple(LEGACY)
TOGGLES = "system_config/toggles"
#: The services whose package opens by a feature toggle besides its weight.
TOGGLED = frozenset({"RecommendationGenerator"})
#: Who calls whom, so that every edge has a series before its first call.
EDGES = {
    "ImprovementOrchestrator": ("ActionOrchestrator",),
    "ActionOrchestrator": ("ImprovementOrchestrator", "TransformationApplier"),
    "CacheManager": ("CacheKeyManager",),
    "RecommendationGenerator": ("CircuitBreakerCore", "AIIntegrations"),
    "CircuitBreakerCore": ("RecommendationGenerator", "RetryManager"),
    "RecommendationOrchestrator": ("CVAnalyzer", "ContentProcessor", "ValidationEngine"),
}
#: Seconds between two rounds of the background work.
ROUND_S = 0.1


class Follows(Protocol):
    """What this needs to know of the flags."""

    @property
    def view(self) -> View: ...

    def packages(self, context: Context) -> frozenset[str]: ...

    def fresh(self) -> bool: ...


class Requests:
    """The requests under way, so that one can wait for those decided before now."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._sleep = sleep
        self._serial = 0
        self._open: set[int] = set()

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Counts a request as long as it lasts."""
        self._serial += 1
        serial = self._serial
        self._open.add(serial)
        try:
            yield
        finally:
            self._open.discard(serial)

    async def drained(self, within: float) -> None:
        """Waits until every request that is under way now has ended. Raises TimeoutError."""
        before = set(self._open)
        for _ in range(int(within / 0.02)):
            if not before & self._open:
                return
            await self._sleep(0.02)
        raise TimeoutError(f"{len(before & self._open)} requests have not ended within {within} s")


class Runtime:
    """Everything one process holds. Clocks, sleeping and chance come from outside."""

    def __init__(
        self,
        database: Database,
        follower: Follows,
        *,
        now: Callable[[], datetime.datetime],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        chance: random.Random,
        pace: float = 1.0,
    ) -> None:
        self.database = database
        self.sleep = sleep
        self._follower = follower
        self.metrics = Metrics()
        self.faults = Faults(chance, sleep)
        self.toggles: dict[str, Any] = {}
        self.mesh = Mesh(self.metrics, self.faults, self._open, monotonic)
        self.requests = Requests(sleep)
        legacy = cache.CollectionStore(database, cache.LEGACY, monotonic)
        package = cache.CollectionStore(database, cache.PACKAGE, monotonic)
        self._sides = (legacy, package)
        self.cache = DualWrite(legacy, package, self.writes)
        self.breakers = Breakers(database, lambda: now().timestamp())
        self.transactions = Transactions(database, lambda: self.view().epoch("ActionOrchestrator"), now)
        self.jobs = Jobs(database, self.mesh, lambda user: self.packages({TARGETING_KEY: user}), monotonic, sleep)
        self.builds: dict[str, int] = dict.fromkeys(SERVICES, 0)

        async def work(seconds: float) -> None:
            await sleep(seconds * pace)

        self._register(Resources(database, self.cache, self.breakers, self.transactions, work))

    def view(self) -> View:
        """What is known of the flags now."""
        return self._follower.view

    def packages(self, context: Context) -> frozenset[str]:
        """The services a context gets from their packages: what the edge decides by."""
        return self._follower.packages(context)

    def fresh(self) -> bool:
        """Whether somebody watches the stack."""
        return self._follower.fresh()

    def writes(self) -> Writes:
        """Which sides of the cache are written now."""
        return writes_of(self.view(), "CacheManager")

    def served(self) -> list[str]:
        """The services that the current request gets from their packages."""
        return [service for service in SERVICES if self.mesh.version(service) is Version.PACKAGE]

    def ship(self, service: str) -> str:
        """A new build of a package, without the faults of the one before. Returns its label."""
        before = self._label(service)
        self.builds[service] += 1
        self.faults.set(service, Version.PACKAGE, Fault())
        self.metrics.shipped(service, Version.PACKAGE, before, self._label(service))
        return self._label(service)

    async def load(self) -> None:
        """Takes up the state that an earlier process has left."""
        self.toggles |= await self.database.get(TOGGLES) or {}
        await self.breakers.load()
        for side in self._sides:
            await side.keys()  # read once at the start, not at each user's first request
        await self.jobs.load()
        flags = self.view().flags
        for flag in flags.flags if flags is not None else ():
            if flag.stage is Stage.RETIRED:
                self.mesh.retire(flag.service)

    async def run(self) -> None:
        """The background work, until cancelled."""
        while True:
            try:
                await self.jobs.step()
                await self.breakers.flush()
            except Exception as error:
                log.warning("background work waits: %s", error)
            await self.sleep(ROUND_S)

    def _register(self, its: Resources) -> None:
        dependencies.register(self.mesh)
        for service in SERVICES:
            legacy, package = LEGACY[service], PACKAGES[service]
            self.mesh.register(service, Version.LEGACY, legacy(Caller(self.mesh, service, Version.LEGACY), its))
            self.mesh.register(
                service, Version.PACKAGE, package(Caller(self.mesh, service, Version.PACKAGE), its).methods()
            )
            self.metrics.shipped(service, Version.LEGACY, None, "monolith")
            self.metrics.shipped(service, Version.PACKAGE, None, self._label(service))
        for consumer, providers in EDGES.items():
            for provider in providers:
                versions = tuple(Version) if provider in SERVICES else (Version.LEGACY,)
                self.metrics.declare_edge(consumer, provider, versions)

    def _open(self, service: str) -> bool:
        return service not in TOGGLED or bool(self.toggles.get(service))

    def _label(self, service: str) -> str:
        return f"1.0.{self.builds[service]}"
