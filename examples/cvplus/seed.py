"""The data CVPlus starts with: every collection of the backup priorities, every kind of value Firestore knows."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from typing import Any

from examples.cvplus import cache
from examples.cvplus.database import COMMIT, Database, Write
from examples.cvplus.dependencies import MARKET, cache_key

MARK = "system_config/seed"
#: Every so many users one has no cache entry yet when the migration begins; the others are what a backfill copies.
NOT_CACHED = 8
BORN = datetime.datetime(2025, 8, 1, 9, 30, tzinfo=datetime.UTC)


def user(number: int) -> str:
    """The key of a user."""
    return f"user-{number:04}"


def cv_of(name: str) -> dict[str, Any]:
    """A user's CV: whatever the name, always the same."""
    dice = random.Random(name)
    skills = sorted(dice.sample(sorted(MARKET), dice.randint(2, 5)))
    years = dice.randint(0, 20)
    return {"skills": skills, "years": years, "summary": f"{years} years in the trade.  Knows {', '.join(skills)}."}


async def seed(database: Database, users: int, references: Any = None) -> int:
    """Writes the data unless it is there. Returns how many documents were written.

    `references` makes a Firestore reference of a path, and a geographic point of two numbers (see `_oddities`).
    """
    if await database.get(MARK) is not None:
        return 0
    writes = [write async for write in _documents(users)] + list(_oddities(references))
    for batch in _batched(writes, COMMIT):
        await database.commit(*batch)
    await database.commit(Write(MARK, {"users": users, "documents": len(writes)}))
    return len(writes) + 1


async def _documents(users: int) -> Any:
    for number in range(users):
        name, cv = user(number), cv_of(user(number))
        yield Write(f"user_cvs/{name}", {**cv, "updated_at": BORN + datetime.timedelta(minutes=number)})
        yield Write(f"user_profiles/{name}", {"headline": f"{cv['years']} years, {len(cv['skills'])} skills"})
        yield Write(f"user_subscriptions/{name}", {"plan": ("free", "pro")[number % 2], "seats": 1 + number % 3})
        if number % 4 == 0:
            yield Write(f"user_cvs/{name}/versions/1", {**cv, "years": max(0, cv["years"] - 1)})
            yield Write(f"user_preferences/{name}", {"language": "de" if number % 8 else "fr", "digest": None})
            yield Write(f"recommendations/{name}", {"user": name, "score": 50, "gaps": []})
        if number % NOT_CACHED:
            key = (await cache_key(name, "profile"))["key"]
            headline = f"{cv['years']} years, {len(cv['skills'])} skills"
            yield Write(f"{cache.LEGACY}/{key}", {"user": name, "headline": headline})
    for number in range(50):
        yield Write(f"analytics_events/seed-{number}", {"event": "signed_up", "user": user(number), "weight": 0.5})
    yield Write("processing_jobs/seed-1", {"state": "done", "user": user(0)})
    yield Write("user_cvs/ghost/versions/1", {"note": "its parent has no document"})


def _oddities(references: Any) -> Iterator[Write]:
    yield Write(
        "system_config/limits", {"uploads": 2**53 + 1, "ratio": float("nan"), "far": float("inf"), "off": False}
    )
    yield Write("template_data/plain", {"body": b"\x00\xff%PDF", "parts": [{"a": [1]}, {}]})
    if references is not None:
        reference, point = references
        yield Write("template_data/linked", {"of": reference("template_data/plain"), "office": point(47.37, 8.54)})


def _batched(writes: list[Write], size: int) -> Iterator[list[Write]]:
    for start in range(0, len(writes), size):
        yield writes[start : start + size]
