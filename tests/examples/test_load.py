"""What a run of the load generator says, from records made by hand; and a run against the application in memory."""

from __future__ import annotations

import asyncio
import json
import random

from causeway.model.matrix import Version
from examples.cvplus.load import Answer, Load, Send, Time
from examples.cvplus.report import Flip, Record, flips, per_second, quantile, summarise
from tests.examples.harness import Clock, CVPlus

A, AB, NONE = frozenset({"A"}), frozenset({"A", "B"}), frozenset[str]()


def sending(app: CVPlus) -> Send:
    """Sends to an application in memory."""

    async def send(method: str, path: str) -> Answer:
        answer = await app.client.request(method, path)
        return Answer(answer.status_code, answer.headers)

    return send


def record(at: float, user: str = "ann", package: frozenset[str] | None = NONE, status: int = 200) -> Record:
    return Record(at, user, status, 0.1, package)


def test_a_flip_is_a_user_who_was_on_a_package_and_is_on_legacy_again() -> None:
    records = [record(1, package=AB), record(2, "bob", A), record(3, package=A), record(4, "bob", A), record(5)]
    assert flips(records) == [Flip("ann", "B", 1, 3), Flip("ann", "A", 3, 5)]


def test_growing_weights_flip_nobody() -> None:
    assert flips([record(1), record(2, package=A), record(3, package=AB), record(4, package=AB)]) == []


def test_an_answer_that_tells_nothing_is_no_flip() -> None:
    assert flips([record(1, package=A), record(2, package=None, status=0), record(3, package=A)]) == []


def test_failures_are_told_apart() -> None:
    injected = Record(2, "ann", 502, 0.1, A, "A@package", injected=True)
    legacy = Record(3, "ann", 502, 0.1, NONE, "A@legacy", injected=True)
    silent = Record(4, "ann", 0, 10.0, None, error="ConnectError()")
    found = summarise([record(1), silent, injected, legacy])
    assert (found["failed"], found["failed_by_injected_fault"], found["failed_otherwise"]) == (3, 1, 2)
    assert [failure["at"] for failure in found["failed_otherwise_list"]] == [3, 4]
    assert found["failed_by_service"] == {"A@package": 1, "A@legacy": 1}
    assert (found["first_injected_failure_at"], found["last_injected_failure_at"]) == (2, 2)
    json.dumps(found)


def test_per_second() -> None:
    found = per_second([record(1.1, package=A), record(1.9, package=AB), record(3.0, status=502)])
    assert [(row["at"], row["requests"], row["failed"]) for row in found] == [(1, 2, 0), (3, 1, 1)]
    assert found[0]["on_package"] == {"A": 2, "B": 1}


def test_quantiles() -> None:
    assert quantile([], 95) is None
    assert quantile([3, 1, 2], 50) == 2
    assert quantile(list(range(1, 101)), 95) == 95
    assert summarise([])["requests"] == 0


def test_a_run_has_many_users_with_one_request_each_at_a_time() -> None:
    async def run() -> tuple[list[Record], int]:
        app, clock = CVPlus(), Clock()
        load = Load(sending(app), 20, 10.0, random.Random(1), Time(clock, clock, clock.sleep))
        await load.run(asyncio.Event(), 60)
        return load.records, app.runtime.jobs.running("ImprovementOrchestrator", Version.LEGACY)

    records, jobs = asyncio.run(run())
    assert len({record.user for record in records}) == 20
    assert all(record.ok and record.package == NONE for record in records)
    assert jobs == sum(record.status == 202 for record in records) > 0


def test_a_run_ends_when_told() -> None:
    async def run() -> int:
        app, clock, stop = CVPlus(), Clock(), asyncio.Event()
        stop.set()
        load = Load(sending(app), 20, 10.0, random.Random(1), Time(clock, clock, clock.sleep))
        await load.run(stop, None)
        return len(load.records)

    assert asyncio.run(run()) == 0
