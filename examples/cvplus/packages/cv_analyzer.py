"""@cvplus/cv-analyzer."""

from __future__ import annotations

from typing import Any

from examples.cvplus.dependencies import MARKET
from examples.cvplus.mesh import Answer, Caller, Method
from examples.cvplus.resources import Resources


class CVAnalyzer:
    """Scores a CV against the market."""

    def __init__(self, _call: Caller, its: Resources) -> None:
        self._its = its

    async def analyze(self, cv: dict[str, Any]) -> Answer:
        await self._its.work(0.021)
        wanted, own = set(MARKET), set(cv["skills"])
        score = 40 + 5 * len(wanted & own) + 2 * min(cv["years"], 10)
        return {"score": min(score, 100), "skills": sorted(wanted & own), "gaps": sorted(wanted - own)}

    def methods(self) -> dict[str, Method]:
        return {"analyze": self.analyze}
