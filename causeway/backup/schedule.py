"""Running backups by the hour and by the day where no cloud scheduler does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from causeway.errors import ConfigError

_TRIGGERS = {"hourly": {"minute": 0}, "daily": {"hour": 3, "minute": 0}}
_GRACE_S = 600
"""A run that starts later than this after its time counts as missed."""


@dataclass(frozen=True, slots=True)
class Job:
    """One recurring backup: a name for people, `hourly` or `daily`, and what to do."""

    name: str
    every: str
    run: Callable[[], None]


Alert = Callable[[str, str], None]
"""Told the name of a job and what went wrong with it."""


def scheduler(jobs: Sequence[Job], alert: Alert, make: Callable[[], Any] | None = None) -> Any:
    """An APScheduler that runs these jobs, one at a time each, and alerts on every failed or missed run.

    Start it with `start()`; by default it blocks, another kind comes from `make`.

    Raises:
        ConfigError: a job recurs neither by the hour nor by the day.
    """
    from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
    from apscheduler.schedulers.blocking import BlockingScheduler

    chosen = make() if make else BlockingScheduler(timezone=UTC)
    for job in jobs:
        if job.every not in _TRIGGERS:
            raise ConfigError(
                f"backup {job.name} is to run {job.every!r}", "nothing would run it", f"say {' or '.join(_TRIGGERS)}"
            )
        chosen.add_job(
            job.run,
            "cron",
            id=job.name,
            name=job.name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=_GRACE_S,
            **_TRIGGERS[job.every],
        )

    def tell(event: Any) -> None:
        if event.code == EVENT_JOB_ERROR:
            alert(event.job_id, f"failed: {event.exception}")
        elif event.code == EVENT_JOB_MISSED:
            alert(event.job_id, f"was missed at {event.scheduled_run_time:%Y-%m-%d %H:%M} UTC")
        else:
            alert(event.job_id, "was skipped: the run before it has not ended")

    chosen.add_listener(tell, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
    return chosen
