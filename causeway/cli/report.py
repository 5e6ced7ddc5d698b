"""`report`: the page, the Markdown and the diagrams of a stack; `report preview`: a preview as a comment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from causeway.cli.common import config_of, config_option, json_option, print_json, selected_stack, stack_option
from causeway.errors import ConfigError

if TYPE_CHECKING:
    from causeway.config import Config
    from causeway.rollout.account import Account


@click.group(invoke_without_command=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/report"),
    show_default=True,
    help="The folder to write to.",
)
@stack_option
@config_option
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the Markdown instead of writing files.")
@click.option(
    "--measure",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=10.0,
    show_default=True,
    help="How long to measure the packages beside their baselines; 0: not at all.",
)
@json_option
@click.pass_context
def report(
    context: click.Context,
    out: Path,
    stack: str | None,
    config_file: Path | None,
    as_markdown: bool,
    measure: float,
    as_json: bool,
) -> None:
    """Write the report of a stack: a page (report.html), Markdown (report.md) and diagrams (*.mmd).

    With --config it shows the plan and the certificate, and asks no cloud.
    """
    if context.invoked_subcommand is not None:
        return
    from causeway.model.certificate import certify
    from causeway.report import backup_diagram, mermaid
    from causeway.report.page import page
    from causeway.report.summary import summary

    config = config_of(stack, config_file)
    certificate = certify(config.matrix, config.plan)
    account = None if config_file is not None else _account(config, stack, measure)
    if as_markdown:
        click.echo(summary(config, certificate, account), nl=False)
        return
    files = {
        "report.html": page(config, certificate, account),
        "report.md": summary(config, certificate, account),
        "matrix.mmd": mermaid.diagram(certificate),
        "backup.mmd": backup_diagram.diagram(config),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
    if as_json:
        print_json({"files": [str(out / name) for name in files]})
    else:
        click.echo("\n".join(str(out / name) for name in files))


@report.command()
@click.argument("events", type=click.File(encoding="utf-8"))
@stack_option
def preview(events: TextIO, stack: str | None) -> None:
    """Print the comment of a preview, from the EVENTS that `pulumi preview --event-log EVENTS` has written."""
    from causeway.report.preview import comment

    click.echo(comment(_events(events), stack or selected_stack()), nl=False)


def _account(config: Config, stack: str | None, seconds: float) -> Account:
    from causeway.rollout.account import gather
    from causeway.rollout.opening import open_stack

    return gather(open_stack(stack or config.stack), seconds)


def _events(file: TextIO) -> Iterator[dict[str, Any]]:
    """Engine events, one JSON document a line. Raises ConfigError where a line is none."""
    for number, line in enumerate(file, 1):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise ConfigError(
                f"{file.name}:{number} is no engine event",
                "the comment would say less than the preview did",
                "Write the file by `PULUMI_DEBUG_COMMANDS=1 pulumi preview --event-log FILE`.",
            )
        yield event
