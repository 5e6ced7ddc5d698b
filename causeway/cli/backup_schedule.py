"""`causeway backup schedule`."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from causeway.cli.backup_options import source
from causeway.cli.common import config_of, quietly, stack_option
from causeway.errors import CausewayError


@click.command()
@stack_option
@click.option("--now", "at_once", is_flag=True, help="Back up and verify once at the start as well.")
@quietly
def schedule(stack: str | None, at_once: bool) -> None:
    """Run the hourly and daily backups of a stack here, until stopped; in the cloud, Cloud Scheduler does.

    Verifies and prunes each day. A missed, skipped or failed run is told by the stack's notifications and on standard
    error; what was missed while this did not run is made up for at the start.
    """
    from causeway.backup.archive import Archive
    from causeway.backup.schedule import jobs, scheduler
    from causeway.backup.storage import open_storage
    from causeway.rollout.notify import Channels

    config = config_of(stack)

    def now() -> datetime:
        return datetime.now(UTC)

    archive = Archive.create(open_storage(config.backup.archive), source(stack, None, None))
    rhythms = [(each.name, each.every) for each in config.backup.priorities]
    wanted = jobs(rhythms, archive.backups(), lambda *words: _command(*words, "--stack", config.stack))
    channels = Channels(config.stack, config.notify, Path("out/undelivered.jsonl"), now, time.sleep)
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # it would print a traceback beside each alert
    for job in wanted:
        click.echo(f"{job.name}: {job.every}", err=True)
    scheduler(wanted, _alerting(channels.send), now(), at_once=at_once).start()


def _command(*words: str) -> Callable[[], None]:
    """Runs `causeway backup WORDS…` in a process of its own. Raises CausewayError with what it said if it fails."""

    def run() -> None:
        command = [sys.executable, "-W", "ignore::FutureWarning", "-m", "causeway", "backup", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        click.echo(done.stdout or done.stderr, err=True, nl=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
            raise CausewayError(f"exit code {done.returncode}: {said[-1]}")

    return run


def _alerting(send: Callable[..., None]) -> Callable[[str, str], None]:
    """Tells people through their channels, and whoever reads standard error."""
    from causeway.rollout.notify import Alert, Severity

    def alert(job: str, what: str) -> None:
        click.echo(f"{click.style('causeway:', fg='red', bold=True)} backup {job} {what}", err=True)
        happened = f"backup {job} {what}"
        todo = "`causeway backup status` shows what there is; run the command by hand if its next run cannot wait"
        send(Alert(Severity.CRITICAL, f"backup-{job}", happened, "the schedule goes on", todo))

    return alert
