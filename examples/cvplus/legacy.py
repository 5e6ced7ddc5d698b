"""The monolith: all seven services in one file, as they have grown. What each package must answer alike."""

from __future__ import annotations

from typing import Any

from causeway.model.matrix import Version
from examples.cvplus.dependencies import MARKET
from examples.cvplus.mesh import Answer, Caller, CallFailed, Method
from examples.cvplus.resources import Resources


def analyzer(_call: Caller, its: Resources) -> dict[str, Method]:
    async def analyze(cv: dict[str, Any]) -> Answer:
        await its.work(0.024)
        score = 40
        found, missing = [], []
        for skill in MARKET:
            if skill in cv["skills"]:
                found.append(skill)
                score += 5
            else:
                missing.append(skill)
        years = cv["years"]
        if years > 10:
            years = 10
        score += 2 * years
        if score > 100:
            score = 100
        found.sort()
        missing.sort()
        return {"score": score, "skills": found, "gaps": missing}

    return {"analyze": analyze}


def improvement(call: Caller, its: Resources) -> dict[str, Method]:
    async def improve(skills: list[str], suggestions: list[str], transaction: str | None = None) -> Answer:
        await its.work(0.018)
        applied = await call(
            "ActionOrchestrator", "apply", skills=skills, suggestions=suggestions, transaction=transaction
        )
        improved = 0
        for skill in applied["skills"]:
            if skill not in skills:
                improved = improved + 1
        return {"skills": applied["skills"], "improved": improved}

    async def priorities(suggestions: list[str]) -> Answer:
        await its.work(0.008)
        actions: list[str] = []
        for suggestion in suggestions:
            if len(actions) < 3 and suggestion not in actions:
                actions.append(suggestion)
        return {"actions": actions}

    return {"improve": improve, "priorities": priorities}


def cache(call: Caller, its: Resources) -> dict[str, Method]:
    async def profile(user: str) -> Answer:
        await its.work(0.015)
        key = (await call("CacheKeyManager", "key", user=user, kind="profile"))["key"]
        entry = await its.cache.get(key, Version.LEGACY)
        if entry is None:
            stored = await its.database.get("user_profiles/" + user)
            entry = {"user": user, "headline": (stored or {}).get("headline", "")}
            await its.cache.put(key, entry)
        return {"user": entry["user"], "headline": entry["headline"]}

    return {"profile": profile}


def generator(call: Caller, its: Resources) -> dict[str, Method]:
    async def generate(gaps: list[str]) -> Answer:
        await its.work(0.025)
        permit = await call("CircuitBreakerCore", "permit", name="ai", gaps=gaps)
        suggestions, source = permit["fallback"], "fallback"
        if permit["allowed"]:
            tries = 0
            while tries < permit["attempts"]:
                tries += 1
                try:
                    suggestions = (await call("AIIntegrations", "suggest", gaps=gaps))["suggestions"]
                    source = "ai"
                    break
                except CallFailed:
                    pass
            await call("CircuitBreakerCore", "record", name="ai", ok=source == "ai")
        return {"suggestions": suggestions, "source": source}

    async def fallback(gaps: list[str]) -> Answer:
        await its.work(0.008)
        result = []
        for gap in gaps:
            result.append("learn:" + gap)  # noqa: PERF401 - as it was found
        result.sort()
        return {"suggestions": result}

    return {"generate": generate, "fallback": fallback}


def breaker(call: Caller, its: Resources) -> dict[str, Method]:
    async def permit(name: str, gaps: list[str]) -> Answer:
        await its.work(0.012)
        fallback = await call("RecommendationGenerator", "fallback", gaps=gaps)
        budget = await call("RetryManager", "budget", failures=its.breakers.failures(name))
        allowed = its.breakers.allows(name)
        return {"allowed": allowed, "attempts": budget["attempts"], "fallback": fallback["suggestions"]}

    async def record(name: str, ok: bool) -> Answer:
        return {"state": its.breakers.record(name, ok)}

    return {"permit": permit, "record": record}


def recommendation(call: Caller, its: Resources) -> dict[str, Method]:
    async def draft(cv: dict[str, Any]) -> Answer:
        await its.work(0.02)
        analysis = await call("CVAnalyzer", "analyze", cv=cv)
        content = await call("ContentProcessor", "clean", text=cv["summary"])
        checked = await call("ValidationEngine", "validate", score=analysis["score"], lines=content["lines"])
        result = {}
        result["score"] = analysis["score"]
        result["skills"] = analysis["skills"]
        result["gaps"] = analysis["gaps"]
        result["lines"] = content["lines"]
        result["problems"] = checked["problems"]
        return result

    return {"draft": draft}


def action(call: Caller, its: Resources) -> dict[str, Method]:
    async def apply(skills: list[str], suggestions: list[str], transaction: str | None = None) -> Answer:
        await its.work(0.02)
        chosen = await call("ImprovementOrchestrator", "priorities", suggestions=suggestions)
        result = await call("TransformationApplier", "transform", skills=skills, actions=chosen["actions"])
        outcome = None
        if transaction is not None:
            outcome = (await its.transactions.run(transaction, {"skills": result["skills"]})).value
        return {"skills": result["skills"], "outcome": outcome}

    return {"apply": apply}


LEGACY = {
    "CVAnalyzer": analyzer,
    "ImprovementOrchestrator": improvement,
    "CacheManager": cache,
    "RecommendationGenerator": generator,
    "CircuitBreakerCore": breaker,
    "RecommendationOrchestrator": recommendation,
    "ActionOrchestrator": action,
}
