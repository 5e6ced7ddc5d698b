"""CVPlus in one piece without network: its database in memory, its clock and its sleep in the test's hand."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import Mapping
from typing import Any

import httpx

from causeway.client.view import Context, View
from causeway.flags import Flag, FlagSet
from causeway.model.matrix import Version
from causeway.model.stage import Stage
from examples.cvplus.database import Memory
from examples.cvplus.front import application
from examples.cvplus.runtime import SERVICES, Runtime

LEGACY, PACKAGE = Version.LEGACY, Version.PACKAGE
NOON = datetime.datetime(2025, 9, 1, 12, tzinfo=datetime.UTC)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Flags:
    """A follower that is told what to know; everything is fresh."""

    def __init__(self) -> None:
        self.view = View()
        self.set({})

    def set(
        self,
        weights: Mapping[str, int],
        modes: Mapping[str, Mapping[str, str]] | None = None,
        stage: Stage = Stage.IN_PROGRESS,
        epoch: int = 0,
    ) -> None:
        flags = tuple(Flag(name, weights.get(name, 0), stage, modes=(modes or {}).get(name, {})) for name in SERVICES)
        self.view = View(
            flags=FlagSet("local", "p", "seed", flags),
            trouble=None,
            heard_at=float("inf"),
            epochs={"ActionOrchestrator": epoch},
        )

    def packages(self, context: Context) -> frozenset[str]:
        return self.view.packages(context, 0)

    def fresh(self) -> bool:
        return True


class CVPlus:
    """One process of the application, and a client at its front."""

    def __init__(self, database: Memory | None = None, chance: random.Random | None = None) -> None:
        self.clock, self.flags, self.database = Clock(), Flags(), database or Memory()
        self.runtime = Runtime(
            self.database,
            self.flags,
            now=lambda: NOON + datetime.timedelta(seconds=self.clock.now),
            monotonic=self.clock,
            sleep=self.clock.sleep,
            chance=chance or random.Random(1),
        )
        transport = httpx.ASGITransport(application(self.runtime, "local"))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://cvplus")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(path, json=body)

    async def hook(self, service: str, action: str) -> httpx.Response:
        return await self.client.post(f"/hooks/{service}/{action}", json={"position": "p"})

    def value(self, series: str, **labels: str) -> float:
        """A series' value, which must exist."""
        found = self.runtime.metrics.registry.get_sample_value(series, labels)
        assert found is not None, f"{series}{labels} does not exist"
        return found

    def requests(self, service: str, version: Version, outcome: str) -> float:
        return self.value("cvplus_requests_total", service=service, version=version, outcome=outcome)
