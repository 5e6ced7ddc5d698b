"""`drill`: rehearse the emergency levels."""

from __future__ import annotations

import click

from causeway.cli.common import json_option, print_json, selected_stack, stack_option


@click.command()
@stack_option
@click.option(
    "--level", "levels", type=click.IntRange(1, 4), multiple=True, help="Only this one; may be given more than once."
)
@click.option("--here", is_flag=True, help="On the stack as it runs here, against the emulator, under its own load.")
@json_option
def drill(stack: str | None, levels: tuple[int, ...], here: bool, as_json: bool) -> int:
    """Rehearse each level under load and report how long it took: traffic moved, stack settled, requests lost.

    Without --here everything is set up for it beside the project and removed again: the emulator, a copy of the stack
    from its first position on, the application and its load as `stacks/stage.STACK.yaml` describes them.
    """
    if not here:
        return _on_a_stage(stack or "local", levels, as_json)
    import functools

    from causeway.cli.move import narrated
    from causeway.report.drill_text import render
    from causeway.rollout.drill import LEVELS, rehearse
    from causeway.rollout.opening import open_stack

    name = stack or selected_stack()
    with narrated(name) as opened:
        found = list(rehearse(functools.partial(open_stack, name, tell=opened.tell), levels or LEVELS))
    if as_json:
        print_json({"stack": name, "levels": [each.as_dict() for each in found]})
    else:
        click.echo(render(found))
    return 0


def _on_a_stage(stack: str, levels: tuple[int, ...], as_json: bool) -> int:
    """The same as a process of its own, in a project that the stand-in sets up."""
    import importlib.util
    import subprocess
    import sys

    from causeway.errors import Unreachable

    if importlib.util.find_spec("standin") is None:
        raise Unreachable(
            "the local stand-in is not installed here",
            "there is nothing to rehearse on",
            "Drill in a checkout of causeway, or with --here on a stack that runs on the emulator.",
        )
    command = [sys.executable, "-m", "standin.drill", "--stack", stack]
    command += [part for level in levels for part in ("--level", str(level))]
    return subprocess.run([*command, *(["--json"] if as_json else [])], check=False).returncode
