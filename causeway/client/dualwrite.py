"""Dual writes with a read preference: both sides are written, and the ladder moves only reads.

Legacy stays the truth until deprecation, so going back loses nothing. Both sides of one key are written one after the
other, under a lock of this process; a difference that a crash between the two leaves is found by `parity` and mended
by `backfill`, as is what several processes write to one key at the same instant.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from causeway.client.view import View
from causeway.model.matrix import Version
from causeway.model.stage import Stage

log = logging.getLogger(__name__)

Value = Mapping[str, Any]


class Writes(StrEnum):
    """Which side is written: the mode `writes` of a service's flag."""

    LEGACY = "legacy"
    BOTH = "both"
    PACKAGE = "package"


class Store(Protocol):
    """One side. Writing the same value twice is as writing it once."""

    async def get(self, key: str) -> Value | None: ...

    async def put(self, key: str, value: Value) -> None: ...

    async def delete(self, key: str) -> None: ...

    async def keys(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison of both sides found: how many keys, and which differ."""

    compared: int
    different: tuple[str, ...]


def writes_of(view: View, service: str) -> Writes:
    """Which side a service's writes go to. A retired service has only its package side left."""
    flag = view.flags.by_service.get(service) if view.flags is not None else None
    if flag is not None and flag.stage is Stage.RETIRED:
        return Writes.PACKAGE
    return Writes(view.modes(service).get("writes", Writes.LEGACY))


class DualWrite:
    """Two stores that behave as one. `writes` is asked at every call, so a flag set moves it.

    `version` is the caller's, as decided for its request: what it prefers to read from.
    """

    def __init__(self, legacy: Store, package: Store, writes: Callable[[], Writes]) -> None:
        self._legacy = legacy
        self._package = package
        self._writes = writes
        self._locks = [asyncio.Lock() for _ in range(64)]
        self._missed: set[str] = set()

    @property
    def missed(self) -> frozenset[str]:
        """Keys whose package side lags behind because writing it failed; they are read from legacy meanwhile."""
        return frozenset(self._missed)

    async def get(self, key: str, version: Version) -> Value | None:
        """The value of a key from the preferred side, or from legacy where the package side does not have it."""
        writes = self._writes()
        if writes is Writes.PACKAGE:
            return await self._package.get(key)
        if writes is Writes.BOTH and version is Version.PACKAGE and key not in self._missed:
            found = await self._package.get(key)
            if found is not None:
                return found
        return await self._legacy.get(key)

    async def put(self, key: str, value: Value) -> None:
        """Writes a value. A failing package side does not fail a write that legacy has taken."""
        await self._write(key, lambda store: store.put(key, value))

    async def delete(self, key: str) -> None:
        """Deletes a key on every side that is written."""
        await self._write(key, lambda store: store.delete(key))

    async def backfill(self, source: Version = Version.LEGACY) -> int:
        """Copies what the other side lacks or has otherwise, and deletes there what the source does not have.

        From legacy before reads move; from the package when a retired legacy is brought back. Returns how many keys
        were mended. May run beside live writes: each key is locked while it is copied.
        """
        here, there = (self._legacy, self._package) if source is Version.LEGACY else (self._package, self._legacy)
        keys = {*await here.keys(), *await there.keys()}
        return sum([await self._mend(key, here, there) for key in sorted(keys)])

    async def parity(self) -> Parity:
        """Compares both sides by digest, key by key. A write in flight is no difference: each key is locked."""
        keys = sorted({*await self._legacy.keys(), *await self._package.keys()})
        return Parity(len(keys), tuple([key for key in keys if not await self._equal(key)]))

    async def _write(self, key: str, write: Callable[[Store], Awaitable[None]]) -> None:
        writes = self._writes()
        async with self._locked(key):
            if writes is not Writes.PACKAGE:
                await write(self._legacy)
            if writes is Writes.PACKAGE:
                await write(self._package)
            elif writes is Writes.BOTH:
                try:
                    await write(self._package)
                    self._missed.discard(key)
                except Exception as error:
                    self._missed.add(key)
                    log.warning("the package side of %s lags behind: %s", key, error)

    async def _mend(self, key: str, source: Store, target: Store) -> bool:
        async with self._locked(key):
            value, copy = await source.get(key), await target.get(key)
            mended = digest(value) != digest(copy)
            if mended:
                await (target.delete(key) if value is None else target.put(key, value))
            self._missed.discard(key)
            return mended

    async def _equal(self, key: str) -> bool:
        async with self._locked(key):
            return digest(await self._legacy.get(key)) == digest(await self._package.get(key))

    def _locked(self, key: str) -> asyncio.Lock:
        return self._locks[hash(key) % len(self._locks)]


def digest(value: Value | None) -> str:
    """The sha256 of a value's canonical JSON; None has one of its own."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
