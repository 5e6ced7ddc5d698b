"""What a crash leaves and how the next one goes on, state by state; each test names what it prevents."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from causeway.model.moves import Direction, Place
from causeway.rollout import journal as journals
from causeway.rollout import levels
from causeway.rollout.engine import Pulumi, UpdateFailed
from causeway.rollout.journal import State
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World

START, NEXT = Place("infrastructure"), Place("low/Reader/50")


def newest(here: World) -> journals.Record:
    found = journals.last(here.store, "test")
    assert found is not None
    return found


@pytest.mark.parametrize("state", [State.APPLIED, State.ACTED, State.OBSERVED, State.JUDGED])
def test_whatever_the_record_says_a_dead_runners_lock_is_removed(here: World, state: State) -> None:
    """Prevents: a runner dies while it looks for drift at a phase's end, and its lock stops every later update."""
    with runner_of(here) as runner:
        runner.walk("infrastructure")
        record = runner.journal.open(Direction.STAY, None, START)
        runner.journal.advance(record, State.APPLIED)
        if state is not State.APPLIED:
            runner.journal.advance(newest(here), state, verdict={"decision": "HOLD"}, actions=[])
    with runner_of(here, "bob@desk:2") as runner:
        assert runner.walk("low/Reader/50").position == "low/Reader/50"
    assert here.engine.recovered == 1


def test_reconcile_always_removes_a_dead_updates_lock(here: World) -> None:
    """Prevents: an update by hand is killed before its first operation; its lock stays, and reconcile says nothing."""
    with runner_of(here) as runner:
        runner.walk("infrastructure")
        levels.finish(runner.stack, runner.journal)
    assert here.engine.recovered == 1


def test_reconcile_says_of_a_step_that_was_applied_that_it_was(here: World) -> None:
    """Prevents: after reconcile the journal still calls a step intended that everybody is on."""
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
        runner.journal.open(Direction.FORWARD, START, NEXT)
        levels.finish(runner.stack, runner.journal)
    assert newest(here).state is State.APPLIED
    assert newest(here).facts["export"] == here.engine.export().digest


def test_a_place_reached_by_hand_is_compared_on_the_way_back(here: World) -> None:
    """Prevents: nothing is kept of a `pulumi up` by hand, so going back to it compares with nothing."""
    here.engine.up(None)
    with runner_of(here) as runner:
        here_now = runner.resume()
        assert here_now is not None
        runner.soak_here(here_now)
    assert newest(here).facts["export"] == here.engine.export().digest


def test_a_record_of_a_place_that_was_left_by_hand_is_not_judged(here: World) -> None:
    """Prevents: a place where nobody is any more is soaked, and found good."""
    with runner_of(here) as runner:
        runner.walk("infrastructure")
        record = runner.journal.open(Direction.FORWARD, START, NEXT)
        runner.journal.advance(record, State.APPLIED)
    with runner_of(here) as runner:
        assert runner.resume() == START
    assert newest(here).state is State.SUPERSEDED


def test_a_killed_pulumi_leaves_no_provider_that_writes_later(tmp_path: Path) -> None:
    """Prevents: the update is reported as failed, the next move begins, and then the orphan's write lands."""
    (tmp_path / "bin").mkdir()
    command, orphan = tmp_path / "bin" / "pulumi", tmp_path / "orphan"
    command.write_text(f"#!/bin/sh\n[ $1 = up ] || exit 0\nsleep 60 >/dev/null 2>&1 & echo $! > {orphan}; kill -9 $$\n")
    command.chmod(0o755)
    engine = Pulumi("test", tmp_path, tmp_path / "work", environment={"PATH": f"{command.parent}:{os.environ['PATH']}"})
    with pytest.raises(UpdateFailed, match="pulumi up was killed by SIGKILL"):
        engine.up(None)
    left = int(orphan.read_text())
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE
