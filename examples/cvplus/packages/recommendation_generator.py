"""@cvplus/recommendation-generator."""

from __future__ import annotations

from examples.cvplus.mesh import Answer, Caller, CallFailed, Method
from examples.cvplus.resources import Resources


class RecommendationGenerator:
    """Suggestions from a language model, or without it where the breaker says so."""

    def __init__(self, call: Caller, its: Resources) -> None:
        self._call = call
        self._its = its

    async def generate(self, gaps: list[str]) -> Answer:
        await self._its.work(0.026)
        permit = await self._call("CircuitBreakerCore", "permit", name="ai", gaps=gaps)
        if not permit["allowed"]:
            return {"suggestions": permit["fallback"], "source": "fallback"}
        asked = await self._ask(gaps, permit["attempts"])
        await self._call("CircuitBreakerCore", "record", name="ai", ok=asked is not None)
        if asked is None:
            return {"suggestions": permit["fallback"], "source": "fallback"}
        return {"suggestions": asked, "source": "ai"}

    async def fallback(self, gaps: list[str]) -> Answer:
        await self._its.work(0.008)
        return {"suggestions": sorted(f"learn:{gap}" for gap in gaps)}

    async def _ask(self, gaps: list[str], attempts: int) -> list[str] | None:
        for _ in range(attempts):
            try:
                suggestions: list[str] = (await self._call("AIIntegrations", "suggest", gaps=gaps))["suggestions"]
                return suggestions
            except CallFailed:
                continue
        return None

    def methods(self) -> dict[str, Method]:
        return {"generate": self.generate, "fallback": self.fallback}
