"""`causeway backup stream`: parse, stream until told to stop, print."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from causeway.cli.backup_options import archive_url, database_option, names, project_option, source
from causeway.cli.common import config_of, json_option, print_json, quietly, stack_option

if TYPE_CHECKING:
    from causeway.backup.stream import Stream

_TOLD_SECONDS = 5.0


@click.command()
@stack_option
@project_option
@database_option
@click.option("--out", metavar="DIR", help="Directory or gs://BUCKET/PREFIX of the archive; default: the stack's.")
@click.option("--collections", metavar="A,B", help="Top-level collections; default: the stack's critical ones.")
@click.option("--source", "via", type=click.Choice(["listen", "poll"]), help="Default: listen; poll at an emulator.")
@click.option("--spool", type=click.Path(path_type=Path, file_okay=False), help="Where the open end lies; for buckets.")
@click.option("--poll-every", type=float, default=2.0, show_default=True, metavar="S", help="Seconds between polls.")
@click.option("--verify-every", type=float, default=2.0, show_default=True, metavar="S", help="Seconds between counts.")
@click.option("--digest-every", type=float, default=3600.0, show_default=True, metavar="S", help="… full comparisons.")
@click.option("--metrics-port", type=int, metavar="N", help="Serve Prometheus metrics on 127.0.0.1.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    envvar="CAUSEWAY_LISTEN",
    help="Serve /metrics and /healthz there (CAUSEWAY_LISTEN).",
)
@click.option("--anew", is_flag=True, help="End the present stream and begin another: the database was replaced.")
@json_option
@quietly
def stream(
    stack: str | None,
    project: str | None,
    database: str | None,
    out: str | None,
    collections: str | None,
    via: str | None,
    spool: Path | None,
    poll_every: float,
    verify_every: float,
    digest_every: float,
    metrics_port: int | None,
    listen: str | None,
    anew: bool,
    as_json: bool,
) -> None:
    """Keep every change as it happens, until SIGTERM or Ctrl-C; a second start goes on where the first ended."""
    from datetime import UTC, datetime

    from causeway.backup.archive import Archive
    from causeway.backup.connection import emulator_host
    from causeway.backup.storage import open_storage
    from causeway.backup.stream import Settings, Source, Stream

    kept = source(stack, project, database)
    archive = Archive.create(open_storage(archive_url(stack, out, project)), kept)
    named = names(collections) or (() if project is not None else _critical(stack))
    settings = Settings(
        Source(via or ("poll" if emulator_host() else "listen")),
        named,
        poll=poll_every,
        verify=verify_every,
        digest=digest_every,
    )
    running = Stream(archive, settings, spool=spool)
    address = listen or (f"127.0.0.1:{metrics_port}" if metrics_port is not None else None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(running, over), daemon=True)
    teller.start()
    try:
        with _serving(running, address) if address else nullcontext():
            running.run(anew=anew)
    finally:
        over.set()
        teller.join()
    if as_json:
        print_json(running.status.as_dict(datetime.now(UTC)))


def _critical(stack: str | None) -> tuple[str, ...]:
    """The collections the stack's config wants backed up in real time."""
    wanted = (priority.collections for priority in config_of(stack).backup.priorities if priority.every == "realtime")
    return tuple(sorted(name for collections in wanted for name in collections))


def _tell(running: Stream, over: threading.Event) -> None:
    """A line now and then, for whoever watches; the last one at the end."""
    while not over.wait(_TOLD_SECONDS):
        click.echo(running.status.line(), err=True)
    click.echo(running.status.line(), err=True)


def _serving(running: Stream, address: str) -> AbstractContextManager[str]:
    """Metrics, and whether the stream still runs: one that was refused is for a person, and no restart mends it."""
    from datetime import UTC, datetime

    from prometheus_client import CollectorRegistry, generate_latest

    from causeway.backup.stream_status import Collector
    from causeway.rollout.monitor_server import serving

    registry = CollectorRegistry()
    registry.register(Collector(lambda: running.status, lambda: datetime.now(UTC)))
    return serving(
        address, lambda: generate_latest(registry), lambda: (True, running.status.as_dict(datetime.now(UTC)))
    )
