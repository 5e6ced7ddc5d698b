"""@cvplus/improvement-orchestrator."""

from __future__ import annotations

from examples.cvplus.mesh import Answer, Caller, Method
from examples.cvplus.resources import Resources

#: How many actions a user is asked to take at a time.
AT_A_TIME = 3


class ImprovementOrchestrator:
    """Turns suggestions into an improved CV."""

    def __init__(self, call: Caller, its: Resources) -> None:
        self._call = call
        self._its = its

    async def improve(self, skills: list[str], suggestions: list[str], transaction: str | None = None) -> Answer:
        await self._its.work(0.017)
        applied = await self._call(
            "ActionOrchestrator", "apply", skills=skills, suggestions=suggestions, transaction=transaction
        )
        return {"skills": applied["skills"], "improved": len(set(applied["skills"]) - set(skills))}

    async def priorities(self, suggestions: list[str]) -> Answer:
        await self._its.work(0.007)
        return {"actions": list(dict.fromkeys(suggestions))[:AT_A_TIME]}

    def methods(self) -> dict[str, Method]:
        return {"improve": self.improve, "priorities": self.priorities}
