"""`status`, `log` and `drift`: where a stack stands, how it came there, and whether that is still true."""

from __future__ import annotations

import click

from causeway.cli.common import json_option, print_json, rich_console, selected_stack, stack_option
from causeway.errors import Exit


@click.command()
@stack_option
@json_option
def status(stack: str | None, as_json: bool) -> None:
    """Show where the stack stands, what applications obey, who moves it, and what it waits for."""
    from causeway.report import status_text
    from causeway.rollout.opening import open_stack
    from causeway.rollout.status import gather

    facts = gather(open_stack(stack or selected_stack()))
    if as_json:
        print_json(facts)
    else:
        rich_console().print(status_text.status(facts))


@click.command()
@stack_option
@json_option
@click.option("-n", "--count", default=20, show_default=True, help="How many of the newest moves.")
def log(stack: str | None, as_json: bool, count: int) -> None:
    """Show who moved what, when and why, the newest first."""
    from causeway.report import status_text
    from causeway.rollout.opening import open_stack
    from causeway.rollout.status import log as records

    found = records(open_stack(stack or selected_stack()), count)
    if as_json:
        print_json(found)
    else:
        rich_console().print(status_text.log(found))


@click.command()
@stack_option
@json_option
def drift(stack: str | None, as_json: bool) -> int:
    """Compare plan, stack, cloud and what applications obey. Exit code 7 where they differ."""
    from causeway.rollout.opening import open_stack
    from causeway.rollout.status import drift as compare

    facts = compare(open_stack(stack or selected_stack()))
    if as_json:
        print_json(facts)
    else:
        click.echo("\n".join(facts["drift"]) or "no drift")
    return Exit.DRIFT if facts["drift"] else Exit.OK
