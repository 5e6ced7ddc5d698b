"""What is left of a dead operation is ended, and what has ended already is not waited for."""

from __future__ import annotations

import subprocess

import psutil
import pytest

from causeway.rollout.orphans import end_session


def _never(seconds: float) -> None:
    raise AssertionError("nothing was alive, yet it waited")


def test_every_process_of_the_session_is_ended_and_no_other() -> None:
    ours = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        end_session(ours.pid)
        assert ours.wait(timeout=5) == -9
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_zombie_is_not_waited_for() -> None:
    """Prevents: where init reaps late, as in many containers, each step of a run takes two seconds longer."""
    ended = subprocess.Popen(["true"], start_new_session=True)
    while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    end_session(ended.pid, sleep=_never)
    ended.wait()


def test_what_cannot_be_killed_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = subprocess.Popen(["sleep", "60"], start_new_session=True)
    monkeypatch.setattr(psutil.Process, "kill", lambda _: None)
    times = iter(range(100))
    try:
        end_session(stuck.pid, clock=lambda: float(next(times)), sleep=lambda _: None)
        assert next(times) < 10
    finally:
        subprocess.run(["kill", "-9", str(stuck.pid)], check=True)
        stuck.wait()
