"""@cvplus/action-orchestrator."""

from __future__ import annotations

from examples.cvplus.mesh import Answer, Caller, Method
from examples.cvplus.resources import Resources


class ActionOrchestrator:
    """Applies the most important suggestions, as one transaction where something is to be kept."""

    def __init__(self, call: Caller, its: Resources) -> None:
        self._call = call
        self._its = its

    async def apply(self, skills: list[str], suggestions: list[str], transaction: str | None = None) -> Answer:
        await self._its.work(0.021)
        actions = (await self._call("ImprovementOrchestrator", "priorities", suggestions=suggestions))["actions"]
        result = await self._call("TransformationApplier", "transform", skills=skills, actions=actions)
        outcome = await self._its.transactions.run(transaction, result) if transaction else None
        return {"skills": result["skills"], "outcome": outcome.value if outcome else None}

    def methods(self) -> dict[str, Method]:
        return {"apply": self.apply}
