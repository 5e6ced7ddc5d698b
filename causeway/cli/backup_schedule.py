"""`causeway backup schedule`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from causeway.cli.backup_options import connect, source
from causeway.cli.common import config_of, quietly, stack_option

if TYPE_CHECKING:
    from causeway.config.records import Priority


@click.command()
@stack_option
@click.option("--now", is_flag=True, help="Run every job once at the start as well.")
@quietly
def schedule(stack: str | None, now: bool) -> None:
    """Run the hourly and daily backups of a stack here, until stopped; in the cloud, Cloud Scheduler does.

    A missed, skipped or failed run is told on standard error.
    """
    from causeway.backup.schedule import Job, scheduler

    priorities = [each for each in config_of(stack).backup.priorities if each.every != "realtime"]
    jobs = [Job(each.name, each.every, _backup(stack, each)) for each in priorities]
    running = scheduler(jobs, _alert)
    for job in jobs:
        click.echo(f"{job.name}: {job.every}", err=True)
        if now:
            job.run()
    running.start()


def _backup(stack: str | None, priority: Priority) -> Callable[[], None]:
    """What a job does: an increment where there is something to build on, else a full snapshot."""

    def run() -> None:
        from causeway.backup.archive import Archive
        from causeway.backup.snapshot import Request, snapshot
        from causeway.backup.status import line
        from causeway.backup.storage import open_storage

        with connect(source(stack, None, None)) as connection:
            archive = Archive.create(open_storage(config_of(stack).backup.archive), connection.database)
            request = Request(tuple(sorted(priority.collections)), priority.name, incremental=True)
            click.echo(line(snapshot(archive, connection, request, sleep=time.sleep)).text, err=True)

    return run


def _alert(job: str, what: str) -> None:
    click.echo(f"{click.style('causeway:', fg='red', bold=True)} backup {job} {what}", err=True)
