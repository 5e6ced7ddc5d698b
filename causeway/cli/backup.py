"""`causeway backup`: the group, and the commands that look after an archive. Others are imported when called."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from causeway.cli.backup_options import (
    archive_url,
    bars,
    cloud_run_task,
    collections_option,
    connect,
    database_option,
    names,
    open_archive,
    project_option,
    source,
    writing_rate,
)
from causeway.cli.common import config_of, json_option, print_json, quietly, stack_option
from causeway.errors import ConfigError, Exit

if TYPE_CHECKING:
    from causeway.backup.verify import Verification

#: command -> (where it is defined, its line in the list of commands)
ELSEWHERE = {
    "restore": ("causeway.cli.backup_restore:restore", "Make a database hold what an archive holds."),
    "stream": ("causeway.cli.backup_stream:stream", "Back up every change as it happens."),
    "schedule": ("causeway.cli.backup_schedule:schedule", "Run the hourly and daily backups of a stack here."),
    "service-state": ("causeway.cli.backup_service_state:service_state", "Save and restore the state of services."),
}
archive_option = click.option("--archive", metavar="DIR", help="Directory or gs://BUCKET/PREFIX; default: the stack's.")


class BackupCommands(click.Group):
    """A group of which some commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = ELSEWHERE[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, command.get_short_help_str(90)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *((name, summary) for name, (_, summary) in ELSEWHERE.items())])


@click.group(cls=BackupCommands)
def backup() -> None:
    """Snapshot, stream, verify and restore Firestore data."""


@backup.command()
@stack_option
@project_option
@database_option
@click.option("--out", metavar="DIR", help="Directory or gs://BUCKET/PREFIX of the archive; default: the stack's.")
@click.option("--priority", metavar="NAME", help="The collections of this priority in the stack's config.")
@collections_option
@click.option("--incremental", is_flag=True, help="Only what has changed since the last snapshot of the same kind.")
@json_option
@quietly
def snapshot(
    stack: str | None,
    project: str | None,
    database: str | None,
    out: str | None,
    priority: str | None,
    collections: str | None,
    incremental: bool,
    as_json: bool,
) -> None:
    """Copy every document at one pinned time into an archive.

    Run again after a crash, it resumes. In a Cloud Run job with several tasks, each copies its part.
    """
    from causeway.backup.archive import Archive
    from causeway.backup.queries import count, server_time
    from causeway.backup.ranges import of_collections
    from causeway.backup.snapshot import Request, Task
    from causeway.backup.snapshot import snapshot as take
    from causeway.backup.status import line
    from causeway.backup.storage import open_storage

    chosen = names(collections) or (priority_collections(stack, priority) if priority else ())
    with connect(source(stack, project, database)) as connection:
        archive = Archive.create(open_storage(archive_url(stack, out, project)), connection.database)
        with bars() as bar:
            taken = take(
                archive,
                connection,
                Request(chosen, priority or "", incremental),
                task=Task(*cloud_run_task()),
                sleep=time.sleep,
                progress=bar("snapshot", lambda: count(connection, server_time(connection), of_collections(chosen))),
            )
    shown = line(taken)
    if as_json:
        print_json({**shown.as_dict(), "archive": archive.storage.url, "counts": dict(taken.counts)})
    else:
        click.echo(f"{shown.id}: {shown.state}, {shown.documents} documents, {shown.deletes} deletes")


def priority_collections(stack: str | None, priority: str) -> tuple[str, ...]:
    """The collections a stack's config gives a priority."""
    priorities = {each.name: each.collections for each in config_of(stack).backup.priorities}
    if priority not in priorities:
        raise ConfigError(
            f"the stack's config has no backup priority {priority!r}",
            "nothing was backed up",
            f"say one of {', '.join(priorities)}",
        )
    return tuple(sorted(priorities[priority]))


@backup.command()
@click.argument("directory", metavar="[DIR]", required=False)
@stack_option
@project_option
@click.option("--at", metavar="TIME|BACKUP", help="What to verify; default: the latest.")
@click.option("--scratch", metavar="DATABASE", default="causeway-verify", help="Where to restore on trial.")
@click.option("--sample", metavar="PERCENT", type=click.FloatRange(0, 100, min_open=True), default=100.0)
@click.option("--no-trial", is_flag=True, help="Only read the archive; it still counts as never verified.")
@json_option
@quietly
def verify(
    directory: str | None,
    stack: str | None,
    project: str | None,
    at: str | None,
    scratch: str,
    sample: float,
    no_trial: bool,
    as_json: bool,
) -> None:
    """Read every byte of a backup, restore it on trial into a scratch database, and compare.

    The scratch database is in --project, by default that of the archive, and is emptied afterwards.
    """
    from contextlib import ExitStack

    from causeway.backup.documents import Database
    from causeway.backup.history import find
    from causeway.backup.verify import verify as run

    archive = open_archive(archive_url(stack, directory, project))
    points = [part.point for part in find(archive, at)]
    total = sum(point.backup.facts.documents for point in points)
    with ExitStack() as opened:
        connection = None
        if not no_trial:
            connection = opened.enter_context(connect(Database(project or archive.database.project, scratch)))
        bar = opened.enter_context(bars())
        reading, writing = bar("reading the archive", lambda: total), bar("restoring on trial", lambda: total)
        results = [
            run(
                archive,
                point,
                connection,
                sample=sample,
                now=lambda: datetime.now(UTC),
                wait=writing_rate(connection) if connection else lambda _: None,
                sleep=time.sleep,
                reading=reading,
                writing=writing,
            )
            for point in points
        ]
    if directory is None or stack is not None:
        _note_verifications(stack, results)
    if as_json:
        print_json(results[0].as_dict() if len(results) == 1 else [result.as_dict() for result in results])
    else:
        click.echo("\n".join(result.statement for result in results))
    if not all(result.passed for result in results):
        click.get_current_context().exit(Exit.INTEGRITY)


def _note_verifications(stack: str | None, results: Sequence[Verification]) -> None:
    """Into the stack's records too. Where they do not answer that is told: the archive has the results."""
    from causeway.errors import CausewayError
    from causeway.rollout.opening import project_of
    from causeway.rollout.store import FirestoreStore
    from causeway.rollout.verified import note_verification

    config = config_of(stack)
    try:
        store = FirestoreStore(project_of(config))
        for result in results:
            note_verification(store, config.stack, result.as_dict(), result.at)
    except CausewayError as error:
        click.echo(f"not in migration_checkpoints: {error.fact}; the archive has the result", err=True)


@backup.command()
@click.argument("directory", metavar="[DIR]", required=False)
@stack_option
@click.option("--metrics", is_flag=True, help="Print Prometheus metrics instead.")
@json_option
@quietly
def status(directory: str | None, stack: str | None, metrics: bool, as_json: bool) -> None:
    """List what an archive holds, and whether it was ever verified."""
    from causeway.backup.status import lines, streaming
    from causeway.backup.status import metrics as as_metrics
    from causeway.backup.stream_status import metrics_text

    archive = open_archive(archive_url(stack, directory, None))
    rows = lines(archive)
    now = datetime.now(UTC)
    live = streaming(archive)
    if metrics:
        click.echo(as_metrics(rows) + (metrics_text(live, now) if live else ""), nl=False)
    elif as_json:
        print_json(
            {
                "archive": archive.storage.url,
                "database": archive.database.name,
                "backups": [row.as_dict() for row in rows],
                "stream": live.as_dict(now) if live else None,
            }
        )
    else:
        click.echo(f"{archive.storage.url}, backups of {archive.database.name}")
        for row in rows:
            click.echo(row.text)
        if live:
            click.echo(f"  stream: {live.line()}")
            if alarm := live.alarm(now):
                click.echo(f"  stream: {click.style(alarm, fg='red')}")


@backup.command()
@click.argument("directory", metavar="[DIR]", required=False)
@stack_option
@click.option("--hourly", type=int, metavar="N", help="So many hours keep their latest backup; default: the stack's.")
@click.option("--daily", type=int, metavar="N")
@click.option("--weekly", type=int, metavar="N")
@click.option("--monthly", type=int, metavar="N")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
@quietly
def prune(
    directory: str | None,
    stack: str | None,
    hourly: int | None,
    daily: int | None,
    weekly: int | None,
    monthly: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove backups that no rule keeps; the last verified one of each kind always stays."""
    from dataclasses import replace
    from datetime import timedelta

    from causeway.backup.retention import Rule, to_keep
    from causeway.backup.retention import prune as remove

    given = {"hourly": hourly, "daily": daily, "weekly": weekly, "monthly": monthly}
    asked = {name: number for name, number in given.items() if number is not None}
    config = config_of(stack) if directory is None else None
    priorities = config.backup.priorities if config else ()
    own_bucket = config is not None and config.backup.archive.startswith(f"gs://{config.bucket}/")
    held_for = timedelta(days=config.cloud.retention_days) if config and own_bucket else timedelta()
    rules = {
        each.name: replace(Rule(each.keep.hourly, each.keep.daily, each.keep.weekly, each.keep.monthly), **asked)
        for each in priorities
    }
    archive = open_archive(archive_url(stack, directory, None))
    backups = archive.backups()
    keep = to_keep(backups, rules, replace(Rule(), **asked), datetime.now(UTC), held_for)
    going = [each.id for each in backups if not each.pruned and each.id not in keep]
    held = 0
    if not dry_run:
        done = remove(archive, keep)
        going, held = done.removed, done.held
    if as_json:
        facts = {"archive": archive.storage.url, "removed": going, "kept": sorted(keep), "held": held}
        print_json({**facts, "dry_run": dry_run})
    else:
        waits = f"; {held} objects wait for the bucket's retention" if held else ""
        click.echo(f"{'would remove' if dry_run else 'removed'} {len(going)}, kept {len(keep)}{waits}")
