"""@cvplus/cache-manager."""

from __future__ import annotations

from causeway.model.matrix import Version
from examples.cvplus.mesh import Answer, Caller, Method
from examples.cvplus.resources import Resources


class CacheManager:
    """Profiles, from the cache where possible."""

    def __init__(self, call: Caller, its: Resources) -> None:
        self._call = call
        self._its = its

    async def profile(self, user: str) -> Answer:
        await self._its.work(0.016)
        key = (await self._call("CacheKeyManager", "key", user=user, kind="profile"))["key"]
        entry = await self._its.cache.get(key, Version.PACKAGE) or await self._load(key, user)
        return {field: entry[field] for field in ("user", "headline")}

    async def _load(self, key: str, user: str) -> Answer:
        stored = await self._its.database.get(f"user_profiles/{user}") or {}
        entry = {"user": user, "headline": stored.get("headline", "")}
        await self._its.cache.put(key, entry)
        return entry

    def methods(self) -> dict[str, Method]:
        return {"profile": self.profile}
