"""What the backup commands share: which database, which archive, how progress is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from causeway.cli.common import config_of
from causeway.errors import ConfigError

if TYPE_CHECKING:
    from causeway.backup.archive import Archive
    from causeway.backup.connection import Connection
    from causeway.backup.documents import Database

project_option = click.option("--project", metavar="PROJECT", help="The project; default: the stack's.")
database_option = click.option("--database", metavar="DATABASE", help="The database; default: (default).")
collections_option = click.option(
    "--collections", metavar="A,B", help="Only these top-level collections, with all below them."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def names(listed: str | None) -> tuple[str, ...]:
    """The names in a comma-separated list, none where nothing was given. Raises BadParameter on a list of nothing."""
    found = tuple(sorted({name.strip() for name in (listed or "").split(",") if name.strip()}))
    if listed is not None and not found:
        raise click.BadParameter(f"{listed!r} names no collection; leave it out for all of them")
    return found


def source(stack: str | None, project: str | None, database: str | None) -> Database:
    """The database that is backed up: named outright, or the application's in the stack's config."""
    from causeway.backup.documents import Database

    if project is not None:
        return Database(project, database or "(default)")
    config = config_of(stack)
    if config.project is None:
        raise ConfigError("the stack's config names no gcp:project", "there is no database", "give --project")
    return Database(config.project, database or config.backup.database)


def archive_url(stack: str | None, given: str | None, project: str | None) -> str:
    """Where the archive lies: said outright, `out/backup` beside a project named outright, else as the stack says."""
    if given is not None:
        return given
    return "out/backup" if project is not None else config_of(stack).backup.archive


def open_archive(url: str) -> Archive:
    """An archive that exists."""
    from causeway.backup.archive import Archive
    from causeway.backup.storage import open_storage

    archive = Archive(open_storage(url))
    _ = archive.database
    return archive


def connect(database: Database) -> Connection:
    """A connection to the emulator in the environment, or to the service."""
    from causeway.backup.connection import Connection

    return Connection.open(database)


def writing_rate(connection: Connection) -> Callable[[int], None]:
    """How fast may be written: the service is warmed up, the emulator need not be."""
    import time

    from causeway.backup.ramp import Ramp, unlimited

    return unlimited if connection.emulated else Ramp(time.monotonic, time.sleep).wait


def cloud_run_task(environment: Mapping[str, str] = os.environ) -> tuple[int, int, str]:
    """Which task of a Cloud Run job this is, of how many, and the name all of them share."""
    count = int(environment.get("CLOUD_RUN_TASK_COUNT", "1"))
    if count == 1:
        return 0, 1, ""
    name = environment.get("CLOUD_RUN_EXECUTION", "")
    if not name:
        raise ConfigError(
            f"CLOUD_RUN_TASK_COUNT is {count}, but CLOUD_RUN_EXECUTION is not set",
            "the tasks could not agree on one backup",
            "set it to the same new name for all tasks",
        )
    return int(environment.get("CLOUD_RUN_TASK_INDEX", "0")), count, name


Advance = Callable[[int], None]


@contextmanager
def bars() -> Iterator[Callable[[str, Callable[[], int]], Advance]]:
    """Bars with rate and time left on standard error, each begun with its name and how to learn its total.

    Where standard error is no terminal they are silent, and totals are never asked for.
    """
    if not sys.stderr.isatty():
        yield lambda what, total: lambda documents: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

    def begin(what: str, total: Callable[[], int]) -> Advance:
        row = shown.add_task(what, total=total(), rate="")

        def advance(documents: int) -> None:
            speed = next(task.speed for task in shown.tasks if task.id == row)
            shown.update(row, advance=documents, rate=f"{speed:,.0f}/s" if speed else "")

        return advance

    with shown:
        yield begin
