"""The levels under load, as applications and people see them, and with one thing after another gone in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from causeway.errors import Exit
from tests.e2e.laws import lawful
from tests.e2e.small import CAUSEWAY, STACK, Small, eventually, on_its_own, words

pytestmark = pytest.mark.e2e

#: What was asked for: seconds until traffic is on legacy, by level. `make bench` holds it against much less.
BUDGET_S = {1: 30.0, 4: 300.0}


def test_a_drill_of_a_breaker_and_of_a_disaster_loses_nothing(tmp_path: Path) -> None:
    """The demo application under load: trigger, traffic moved in the application, stack settled, data restored."""
    levels = [part for level in BUDGET_S for part in ("--level", str(level))]
    done = subprocess.run([CAUSEWAY, "drill", "--json", *levels], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["levels"]
    assert [each["level"] for each in found] == list(BUDGET_S)
    for each in found:
        assert 0 <= each["traffic_moved_s"] <= BUDGET_S[each["level"]], each
        assert each["traffic_moved_s"] < each["settled_s"], each
        assert each["requests_lost"] == 0, each
    assert not list(tmp_path.iterdir()), "a drill leaves nothing behind"


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Small, psutil.Process]]:
    """A stack with an emulator of its own, half of Reader's users on the package; each test ends there again."""
    with on_its_own(tmp_path_factory.mktemp("levels")) as (stack, emulator):
        walked(stack)
        yield stack, emulator


def walked(stack: Small) -> None:
    done = stack.causeway("run", "--to", "low/Reader/50")
    assert done.returncode == 0, done.stderr


def test_metrics_are_gone(moving: tuple[Small, psutil.Process]) -> None:
    """Nothing goes forward without evidence; the way back needs none."""
    stack, _ = moving
    stack.application.silent = True
    try:
        ahead = stack.causeway("run", "--to", "low/Reader/100")
        assert ahead.returncode == Exit.HELD, ahead.stderr
        assert "nothing moves forward on this" in words(ahead)
        back = stack.causeway("rollback", "--level", "2", "--reason", "we are blind")
        assert back.returncode == 0, back.stderr
        assert "resource inputs are equal to those kept" in words(back)
    finally:
        stack.application.silent = False
    lawful(stack, "infrastructure")
    walked(stack)


def test_pulumi_is_gone(moving: tuple[Small, psutil.Process]) -> None:
    """The traffic moves all the same; the message says what a person must do, and doing it settles the rest."""
    stack, _ = moving
    back = stack.causeway("rollback", "--level", "3", "--reason", "fire", PATH=str(Path(sys.prefix) / "bin"))
    assert back.returncode == Exit.FAILED, "9 is for a rollback that moved nothing"
    assert "traffic is on legacy for Reader" in words(back)
    assert "pulumi is not on the PATH" in words(back)
    assert eventually(lambda: stack.application.weights()["Reader"] == 0, 5)
    status = json.loads(stack.causeway("status", "--json").stdout)
    assert (status["applied"], status["served"]) == ("low/Reader/50", "infrastructure")
    ahead = stack.causeway("drift")
    assert ahead.returncode == Exit.DRIFT
    assert "an override stands: level 3: fire" in words(ahead)
    settled = stack.causeway("reconcile")
    assert settled.returncode == 0, settled.stderr
    lawful(stack, "infrastructure")
    assert stack.causeway("drift").returncode == 0
    walked(stack)


def test_firestore_is_gone(moving: tuple[Small, psutil.Process]) -> None:
    """Nobody is watching, so services in progress fall back by themselves; the command says so within seconds."""
    stack, emulator = moving
    emulator.suspend()
    try:
        began = time.monotonic()
        back = stack.causeway("rollback", "--level", "1", "--service", "Reader", "--reason", "fire")
        assert back.returncode == Exit.UNREACHABLE, back.stderr
        assert "Firestore does not answer" in words(back)
        assert time.monotonic() - began < 60
        assert eventually(lambda: stack.application.weights()["Reader"] == 0, 15), "stale means legacy"
    finally:
        emulator.resume()
    assert stack.read(f"flags/{STACK}")["position"] == "low/Reader/50"  # type: ignore[index]
    again = stack.causeway("rollback", "--level", "1", "--service", "Reader", "--reason", "fire")
    assert again.returncode == 0, again.stderr
    lawful(stack)
    assert stack.config().hold.entries() == ["Reader", "Writer"] or stack.config().hold.entries() == ["Reader"]
    assert stack.causeway("release", "Reader", "--reason", "it was not Reader").returncode == 0
