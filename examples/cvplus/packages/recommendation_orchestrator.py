"""@cvplus/recommendation-orchestrator."""

from __future__ import annotations

from typing import Any

from examples.cvplus.mesh import Answer, Caller, Method
from examples.cvplus.resources import Resources


class RecommendationOrchestrator:
    """Drafts what a CV's owner is told: analysis, content, validation, in this order."""

    def __init__(self, call: Caller, its: Resources) -> None:
        self._call = call
        self._its = its

    async def draft(self, cv: dict[str, Any]) -> Answer:
        await self._its.work(0.019)
        analysis = await self._call("CVAnalyzer", "analyze", cv=cv)
        lines = (await self._call("ContentProcessor", "clean", text=cv["summary"]))["lines"]
        checked = await self._call("ValidationEngine", "validate", score=analysis["score"], lines=lines)
        return {**analysis, "lines": lines, "problems": checked["problems"]}

    def methods(self) -> dict[str, Method]:
        return {"draft": self.draft}
