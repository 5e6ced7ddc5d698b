"""The local schedule: what runs when, what is made up for, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from causeway.backup.backups import Backup, BackupKind
from causeway.backup.schedule import NEVER, Job, jobs, scheduler
from causeway.cli.backup_schedule import _alerting, _command
from causeway.errors import CausewayError, ConfigError

NOW = datetime(2025, 8, 25, 10, 5, tzinfo=UTC)
TAKEN = Backup("b1", BackupKind.FULL, NOW, NOW, priority="high", completed=NOW)


class Raised(Exception):
    """A job's failure."""


def background() -> BackgroundScheduler:
    return BackgroundScheduler(timezone=UTC, executors={"default": DebugExecutor()})


def fail() -> None:
    raise Raised("the disk is full")


def nothing() -> None:
    pass


def run_at_start(wanted: list[Job], **options: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """Which jobs run as soon as it starts, and what is told."""
    ran: list[str] = []
    told: list[tuple[str, str]] = []

    def noted(job: Job) -> Job:
        def run() -> None:
            ran.append(job.name)
            job.run()

        return replace(job, run=run)

    running = scheduler([noted(job) for job in wanted], lambda *what: told.append(what), NOW, background, **options)
    running.start(paused=True)
    try:
        for each in running.get_jobs():
            if each.next_run_time == NOW:
                running._lookup_executor("default").submit_job(each, [datetime.now(UTC)])
    finally:
        running.shutdown()
    return ran, told


def test_failed_and_missed_runs_alert() -> None:
    told: list[tuple[str, str]] = []
    daily = Job("medium", "daily", nothing, hour=4)
    running = scheduler([Job("high", "hourly", fail), daily], lambda *what: told.append(what), NOW, background)
    running.start(paused=True)
    try:
        high, medium = running.get_job("high"), running.get_job("medium")
        assert str(high.trigger) == "cron[minute='0']"
        assert str(medium.trigger) == "cron[hour='4', minute='0']"
        executor = running._lookup_executor("default")
        executor.submit_job(high, [datetime.now(UTC)])
        executor.submit_job(medium, [datetime.now(UTC) - timedelta(hours=2)])
        executor.submit_job(medium, [datetime.now(UTC)])
    finally:
        running.shutdown()
    assert [job for job, _ in told] == ["high", "medium"]
    assert told[0][1] == "failed: the disk is full"
    assert told[1][1].startswith("was missed at")


def test_what_was_missed_while_nothing_ran_is_told_and_made_up_for() -> None:
    """Prevents: the machine was off at the full hour, and nobody hears of it nor has the backup."""
    ran, told = run_at_start(
        [
            Job("late", "hourly", nothing, last=NOW - timedelta(minutes=6)),
            Job("done", "hourly", nothing, last=NOW - timedelta(minutes=4)),
            Job("yesterday", "daily", nothing, last=NOW - timedelta(hours=8)),
            Job("today", "daily", nothing, last=NOW - timedelta(hours=7)),
            Job("first", "daily", nothing, last=NEVER),
            Job("unknown", "daily", nothing),
        ]
    )
    assert sorted(ran) == ["first", "late", "yesterday"]
    assert told == [
        ("late", "was missed at 2025-08-25 10:00 UTC; it runs now"),
        ("yesterday", "was missed at 2025-08-25 03:00 UTC; it runs now"),
    ]


def test_a_failure_at_the_start_is_told_and_the_others_run() -> None:
    """Prevents: with --now, a job that fails ends the scheduler before it has begun."""
    ran, told = run_at_start(
        [Job("high", "hourly", fail, last=NOW), Job("medium", "daily", nothing, last=NOW)], at_once=True
    )
    assert sorted(ran) == ["high", "medium"]
    assert told == [("high", "failed: the disk is full")]


def test_a_rhythm_nobody_would_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="'weekly'"):
        scheduler([Job("low", "weekly", nothing)], lambda *_: None, NOW)


def test_backups_are_verified_and_pruned_as_in_the_cloud() -> None:
    """Prevents: on a laptop the archive grows for ever, and nobody knows whether it can be restored."""
    asked: list[tuple[str, ...]] = []

    def command(*words: str) -> Callable[[], None]:
        asked.append(words)
        return nothing

    rhythms = [("critical", "realtime"), ("high", "hourly"), ("medium", "daily")]
    made = jobs(rhythms, [TAKEN], command)
    assert [(job.name, job.every, job.last) for job in made] == [
        ("high", "hourly", NOW),
        ("medium", "daily", NEVER),
        ("verify", "daily", NEVER),
        ("prune", "daily", None),
    ]
    assert asked[0] == ("snapshot", "--priority", "high", "--incremental")
    assert asked[2:] == [("verify",), ("prune",)]
    assert jobs(rhythms, [replace(TAKEN, verified=NOW)], command)[2].last == NOW
    assert jobs(rhythms, [], command)[2].last is None


def test_a_command_that_fails_says_why_and_people_are_told() -> None:
    """Prevents: a failed backup is a line on the standard error of a process that nobody watches."""
    sent: list[Any] = []
    with pytest.raises(CausewayError, match=r"exit code 2: .*nonsense"):
        _command("nonsense")()
    _alerting(sent.append)("high", "failed: the disk is full")
    assert [(str(each.severity), each.key, each.happened) for each in sent] == [
        ("critical", "backup-high", "backup high failed: the disk is full")
    ]
