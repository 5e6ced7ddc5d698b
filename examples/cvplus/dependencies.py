"""What the seven services depend on and what does not migrate. There is one version of each, called legacy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from causeway.model.matrix import Version
from examples.cvplus.mesh import Answer, Mesh, Method

#: What the market asks for, with the weight it gives to each.
MARKET = {"python": 9, "typescript": 8, "kubernetes": 7, "firestore": 6, "sql": 6, "react": 5, "pulumi": 4, "go": 4}


async def cache_key(user: str, kind: str) -> Answer:
    """A short, stable key for one kind of a user's entries."""
    return {"key": hashlib.blake2s(f"{kind}:{user}".encode(), digest_size=10).hexdigest()}


async def retry_budget(failures: int) -> Answer:
    """How often a call may be tried again: less, the more have failed lately."""
    return {"attempts": max(1, 3 - failures)}


async def clean(text: str) -> Answer:
    """Text without stray white space, one sentence to a line."""
    return {"lines": [line.strip() for line in " ".join(text.split()).split(".") if line.strip()]}


async def validate(score: int, lines: list[str]) -> Answer:
    """What is wrong with a draft."""
    problems = [] if 0 <= score <= 100 else [f"score {score}"]
    return {"problems": problems + ([] if lines else ["empty"])}


async def transform(skills: list[str], actions: list[str]) -> Answer:
    """The skills of a CV after actions like `learn:go` were taken."""
    learned = {action.partition(":")[2] for action in actions if action.startswith("learn:")}
    return {"skills": sorted({*skills, *learned})}


async def suggest(gaps: list[str]) -> Answer:
    """What a language model would say about gaps: here, from a table."""
    return {"suggestions": [f"learn:{gap}" for gap in sorted(gaps, key=lambda gap: (-MARKET.get(gap, 0), gap))]}


DEPENDENCIES: Mapping[str, Mapping[str, Method]] = {
    "CacheKeyManager": {"key": cache_key},
    "RetryManager": {"budget": retry_budget},
    "ContentProcessor": {"clean": clean},
    "ValidationEngine": {"validate": validate},
    "TransformationApplier": {"transform": transform},
    "AIIntegrations": {"suggest": suggest},
}


def register(mesh: Mesh) -> None:
    """Makes them callable."""
    for name, methods in DEPENDENCIES.items():
        mesh.register(name, Version.LEGACY, methods)
