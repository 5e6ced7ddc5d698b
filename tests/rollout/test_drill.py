"""Drills over a world of fakes: what is measured, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from causeway.errors import Conflict, Held, MoveRefused
from causeway.model.matrix import Matrix, Phase, Service
from causeway.model.plan import INFRASTRUCTURE, build
from causeway.rollout import drill
from causeway.rollout.runner import Runner
from causeway.rollout.stack import Stack
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World


@pytest.fixture
def staged(here: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world in place of what `opening` opens."""

    @contextmanager
    def open_runner(_: Stack) -> Iterator[Runner]:
        with suppress(Conflict), runner_of(here, "drill@desk:1") as runner:  # the drill takes its own lease over
            yield runner

    @contextmanager
    def lease(stack: Stack, **_: Any) -> Iterator[Any]:
        with runner_of(here, "drill@desk:1") as runner:
            yield runner.journal, None

    @contextmanager
    def counting(_: Stack) -> Iterator[Any]:
        yield here.observer

    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr(drill, "open_runner", open_runner)
    monkeypatch.setattr(drill.levels, "lease", lease)
    monkeypatch.setattr(drill, "_counting", counting)
    monkeypatch.setattr(drill, "_EVERY_S", 0.001)
    monkeypatch.setattr(drill, "_AROUND_S", 0.123)
    real = here.stack.clock.sleep

    def sleep(seconds: float) -> None:
        looks = here.observer.looks
        real(seconds)
        while seconds == 0.123 and here.observer.looks < looks + 2:
            threading.Event().wait(0.001)  # the watcher's turn

    object.__setattr__(here.stack, "clock", replace(here.stack.clock, sleep=sleep))
    return here


def rehearsed(here: World, *levels: int) -> list[drill.Rehearsal]:
    return list(drill.rehearse(lambda: replace(here.stack, config=here.config), levels))


def test_each_level_starts_where_somebody_is_on_a_package_and_ends_where_it_leads(staged: World) -> None:
    found = rehearsed(staged, 1, 2, 3)
    assert [(each.level, each.start, each.end) for each in found] == [
        (1, "low/Reader/50", "low/Reader/50 (hold Reader,Saga)"),
        (2, "high/Writer/50", "low/Reader/100"),
        (3, "low/Reader/100", "infrastructure"),
    ]


def test_level_2_of_a_plan_of_one_phase_goes_back_to_where_that_began() -> None:
    """Prevents a drill that looks in vain for a second phase."""
    plan = build(Matrix({"Reader": Service("Reader", ladder=(50, 100))}, (Phase("low", ("Reader",)),)))
    assert drill._start(plan, INFRASTRUCTURE, 2) == drill._start(plan, INFRASTRUCTURE, 1) == "low/Reader/50"


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_a_drill_begins_here_or_ahead_from_anywhere(here: World, level: int) -> None:
    """Prevents a drill that asks the runner to walk back from the last phase, which it refuses."""
    plan = here.config.plan
    for position in plan:
        start = plan[drill._start(plan, position.name, level)]
        assert start.index >= position.index and any(plan.at(start.name).weights.values())


def test_a_breaker_that_opened_others_is_closed_once(staged: World) -> None:
    """Prevents: the drill closes Reader, which closes Saga as well, and then fails to close Saga."""
    assert [each.start for each in rehearsed(staged, 1, 1)] == ["low/Reader/50", "low/Reader/50"]


def test_a_stack_without_traffic_is_not_measured(staged: World) -> None:
    with runner_of(staged) as runner:
        runner.walk("low/Reader/50")
    staged.observer.requests = 0
    with pytest.raises(Held, match="nobody asks for Reader"):
        rehearsed(staged, 1)
    assert staged.served("Reader") == 50


def test_a_real_stack_is_refused(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: somebody trains on production."""
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    with pytest.raises(MoveRefused, match="would move the traffic of a real stack"):
        rehearsed(here, 3)
