"""Several operators at once, with clocks that disagree: one wins each step, the others are told who, nothing breaks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from causeway.model.plan import LAST
from standin.environment import Environment
from tests.e2e.laws import lawful
from tests.e2e.operator_process import Operator
from tests.e2e.small import Small, small

pytestmark = pytest.mark.e2e


@contextmanager
def operators(stack: Small, count: int) -> Iterator[list[Operator]]:
    found: list[Operator] = []
    try:
        found += [Operator(stack, number) for number in range(count)]
        yield found
    finally:
        for each in found:
            each.stop()


@pytest.fixture
def stack(tmp_path: Path, emulator: str) -> Iterator[Small]:
    """A small stack without Pulumi: what applies it is the engine that its operators bring."""
    with small(tmp_path, Environment(tmp_path / "environment", emulator).make()) as made:
        made.measure()
        yield made


def together(chosen: Sequence[Operator], **order: Any) -> list[dict[str, Any]]:
    for each in chosen:
        each.order(**order)
    return [each.answer() for each in chosen]


def race(stack: Small, rounds: int, count: int, seed: int) -> None:
    draw = random.Random(seed)
    config = stack.config()
    at = "infrastructure"
    with operators(stack, count) as everyone:
        assert together(everyone[:1], do="run", to=at) == [{"place": at}]
        for number in range(rounds):
            chosen = draw.sample(everyone, draw.randint(2, count))
            before = len(stack.journal())
            following = config.plan.next(at)
            if following is None or following.name == LAST or draw.random() < 0.2:
                answers, wanted = together(chosen, do="rollback", level=3), "infrastructure"
            else:
                answers, wanted = together(chosen, do="run", to=following.name), following.name
            records = stack.journal()[before:]
            told = [answer for answer in answers if "error" in answer]
            assert all(answer["error"] == "Conflict" for answer in told), (number, answers)
            assert all("operator-" in answer["said"] or "moves this stack" in answer["said"] for answer in told), told
            assert any(answer.get("place") == wanted for answer in answers), (number, answers)
            if wanted != "infrastructure":  # a place that was gone back to is soaked first, by whoever takes the step
                steps = [record for record in records if record["direction"] == "forward"]
                assert len(steps) == 1, (number, wanted, answers, records)
                assert len({record["who"] for record in records}) == 1, (number, records)
            at = wanted
            lawful(stack, at)


def test_one_operator_wins_each_step_whatever_their_clocks_say(stack: Small) -> None:
    race(stack, rounds=8, count=4, seed=1)


@pytest.mark.soak
def test_a_hundred_rounds_of_two_to_eight_operators(stack: Small) -> None:
    race(stack, rounds=100, count=8, seed=2)
