"""`monitor`: the process that watches, reports, and rolls back when nobody else does."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import click

from causeway.cli.common import json_option, print_json, selected_stack, stack_option
from causeway.cli.move import commit_option, narrated

if TYPE_CHECKING:
    from causeway.rollout.stack import Stack

_REPORTS = Path("out/health")


@click.command()
@stack_option
@click.option("--once", is_flag=True, help="Look for a few seconds, do what is due, report, and end.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    envvar="CAUSEWAY_LISTEN",
    default="127.0.0.1:9477",
    show_default=True,
    help="Where /metrics and /healthz are served (CAUSEWAY_LISTEN).",
)
@commit_option
@json_option
def monitor(stack: str | None, once: bool, listen: str, commit: bool, as_json: bool) -> None:
    """Watch the application at every scrape, report every five minutes, and roll back when no runner is alive.

    Ends at Ctrl-C or SIGTERM with exit code 0. `--once` is for a scheduler: it ends by itself, within a minute.
    """
    from causeway.report.health import markdown
    from causeway.rollout.monitor_process import open_monitor, watch

    if as_json and not once:
        raise click.UsageError("--json goes with --once; a running monitor answers on /healthz.")
    name = stack or selected_stack()

    def opened() -> Stack:
        with narrated(name, commit=commit) as found:
            return found

    if once:
        with open_monitor(opened(), markdown, _REPORTS) as found:
            facts = found.once()
        if as_json:
            print_json(facts)
        return
    try:
        watch(opened, markdown, _REPORTS, listen)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        gc.freeze()  # else the interpreter takes longer to clear Google's libraries away than all of this took to stop
