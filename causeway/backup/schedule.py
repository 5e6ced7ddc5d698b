"""Running backups and their care by the hour and by the day where no cloud scheduler does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from causeway.backup.backups import Backup
from causeway.errors import ConfigError

_RHYTHMS = ("hourly", "daily")
_GRACE_S = 600
"""A run that starts later than this after its time counts as missed."""
_VERIFY_AT, _PRUNE_AT = 4, 9
"""After the daily backups; and late enough after the trial restore that what was verified last is known."""
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """What recurs, `hourly` or `daily` at `hour`: a name for people, and what to do.

    `last` is when it was last done, `NEVER`, or None where nobody can tell; then nothing is made up for.
    """

    name: str
    every: str
    run: Callable[[], None]
    hour: int = 3
    last: datetime | None = None

    def due(self, now: datetime) -> datetime:
        """The latest time not after `now` at which it should have run."""
        full = now.replace(minute=0, second=0, microsecond=0)
        if self.every == "hourly":
            return full
        today = full.replace(hour=self.hour)
        return today if today <= now else today - timedelta(days=1)

    def late(self, now: datetime) -> bool:
        """Whether its latest run is known not to have been done."""
        return self.last is not None and self.last < self.due(now)


def jobs(
    rhythms: Iterable[tuple[str, str]], backups: Sequence[Backup], command: Callable[..., Callable[[], None]]
) -> list[Job]:
    """A job for each priority and rhythm but `realtime`, then verification and pruning, by what an archive holds.

    `command` makes what runs `causeway backup WORDS…`: the commands are those that the cloud's schedule starts.
    """

    def taken(name: str) -> datetime:
        of_it = (each.read_time for each in backups if each.priority == name and each.completed)
        return max(of_it, default=NEVER)

    snapshots = [
        Job(name, every, command("snapshot", "--priority", name, "--incremental"), last=taken(name))
        for name, every in rhythms
        if every != "realtime"
    ]
    verified = max((each.verified for each in backups if each.verified), default=NEVER)
    return [
        *snapshots,
        # What was never taken cannot be verified; the next day's run will.
        Job("verify", "daily", command("verify"), _VERIFY_AT, verified if any(b.completed for b in backups) else None),
        Job("prune", "daily", command("prune"), _PRUNE_AT),
    ]


Alert = Callable[[str, str], None]
"""Told the name of a job and what went wrong with it."""


def scheduler(
    jobs: Sequence[Job], alert: Alert, now: datetime, make: Callable[[], Any] | None = None, *, at_once: bool = False
) -> Any:
    """An APScheduler that runs these jobs, one at a time each, and alerts on every failed or missed run.

    What was missed until `now` is told and made up for as soon as it starts; with `at_once`, what is not late runs
    then as well, if there can be something for it to do.
    Start it with `start()`; by default it blocks, another kind comes from `make`.

    Raises:
        ConfigError: a job recurs neither by the hour nor by the day.
    """
    from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
    from apscheduler.schedulers.blocking import BlockingScheduler

    chosen = make() if make else BlockingScheduler(timezone=UTC)
    for job in jobs:
        if job.every not in _RHYTHMS:
            raise ConfigError(
                f"backup {job.name} is to run {job.every!r}", "nothing would run it", f"say {' or '.join(_RHYTHMS)}"
            )
        late = job.late(now)
        if late and job.last != NEVER:
            alert(job.name, f"was missed at {job.due(now):%Y-%m-%d %H:%M} UTC; it runs now")
        chosen.add_job(
            job.run,
            "cron",
            id=job.name,
            name=job.name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=_GRACE_S,
            minute=0,
            **({"hour": job.hour} if job.every == "daily" else {}),
            **({"next_run_time": now} if late or (at_once and job.last is not None) else {}),
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
