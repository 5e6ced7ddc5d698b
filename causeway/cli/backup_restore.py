"""`causeway backup restore`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
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
    writing_rate,
    yes_option,
)
from causeway.cli.common import json_option, print_json, quietly, stack_option
from causeway.errors import ConfigError, Exit

if TYPE_CHECKING:
    from causeway.backup.documents import Database
    from causeway.backup.restore import Restore


@click.command()
@click.argument("directory", metavar="[DIR]", required=False)
@stack_option
@click.option(
    "--at", metavar="TIME|BACKUP", help="A time is rounded down to what the archive holds; default: the latest."
)
@click.option("--to", metavar="PROJECT[/DATABASE]", help="The target; /DATABASE stays in the archive's project.")
@project_option
@database_option
@collections_option
@click.option("--replace-newer", is_flag=True, help="Also replace or delete documents changed after the backup.")
@click.option("--salvage", is_flag=True, help="From a damaged archive, restore what can be proved intact.")
@click.option("--dry-run", is_flag=True, help="Show the plan; write nothing.")
@yes_option
@json_option
@quietly
def restore(
    directory: str | None,
    stack: str | None,
    at: str | None,
    to: str | None,
    project: str | None,
    database: str | None,
    collections: str | None,
    replace_newer: bool,
    salvage: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a database hold exactly what an archive holds, and prove it by reading everything back.

    The plan is shown first. Run again after a crash, it resumes. The exit code is 0 only if nothing is missing, extra
    or differing. In a Cloud Run job with several tasks, each restores its part.
    """
    from causeway.backup.history import find, hold_still
    from causeway.backup.restore import Restore, summary

    archive = open_archive(archive_url(stack, directory, None))
    task, tasks, _ = cloud_run_task()
    if tasks > 1:
        hold_still(archive, at, tasks)
    parts = find(archive, at, names(collections), salvage=salvage)
    with connect(_target(archive.database, to, project, database)) as connection, ExitStack() as opened:
        works = [
            opened.enter_context(
                Restore(archive, part, connection, replace_newer=replace_newer, salvage=salvage, share=(task, tasks))
            )
            for part in parts
        ]
        with bars() as bar:
            plans = [work.plan(bar("comparing", _documents(work))) for work in works]
        text = "\n".join(plan.text for plan in plans)
        if dry_run:
            print_json([plan.as_dict() for plan in plans]) if as_json else click.echo(text)
            return
        click.echo(text, err=True)
        if not yes:
            click.confirm("Go on?", abort=True, err=True)
        with bars() as bar:
            outcomes = [
                work.apply(
                    plan,
                    wait=writing_rate(connection),
                    sleep=time.sleep,
                    progress=bar("writing", partial(int, plan.writes)),
                    reading=bar("reading back", _documents(work)),
                )
                for work, plan in zip(works, plans, strict=True)
            ]
    if as_json:
        print_json(summary(outcomes))
    else:
        click.echo("\n".join(outcome.statement for outcome in outcomes))
    if not all(outcome.equal for outcome in outcomes):
        click.get_current_context().exit(Exit.INTEGRITY)


def _documents(work: Restore) -> Callable[[], int]:
    return lambda: work.point.backup.facts.documents


def _target(source: Database, to: str | None, project: str | None, database: str | None) -> Database:
    from causeway.backup.documents import Database

    if to is not None and (project or database):
        raise ConfigError("--to and --project or --database are both given", "they may disagree", "give one of them")
    if to is not None:
        if to.startswith("projects/"):
            return Database.parse(to)
        project, _, database = to.partition("/")
    if not (project or database):
        raise ConfigError(
            "the restore has no target", "nothing was written", "give --to PROJECT, PROJECT/DATABASE or /DATABASE"
        )
    return Database(project or source.project, database or "(default)")
