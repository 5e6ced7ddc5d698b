"""@cvplus/circuit-breaker-core."""

from __future__ import annotations

from examples.cvplus.mesh import Answer, Caller, Method
from examples.cvplus.resources import Resources


class CircuitBreakerCore:
    """Says whether a call may go through, and hands out what to use if it must not or fails."""

    def __init__(self, call: Caller, its: Resources) -> None:
        self._call = call
        self._its = its

    async def permit(self, name: str, gaps: list[str]) -> Answer:
        breakers = self._its.breakers
        await self._its.work(0.011)
        fallback = await self._call("RecommendationGenerator", "fallback", gaps=gaps)
        budget = await self._call("RetryManager", "budget", failures=breakers.failures(name))
        return {
            "allowed": breakers.allows(name),
            "attempts": budget["attempts"],
            "fallback": fallback["suggestions"],
        }

    async def record(self, name: str, ok: bool) -> Answer:
        return {"state": self._its.breakers.record(name, ok)}

    def methods(self) -> dict[str, Method]:
        return {"permit": self.permit, "record": self.record}
