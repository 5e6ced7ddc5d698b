"""`run` and `soak`: forward, on evidence. `preflight`: whether everything is ready for it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from causeway.cli.common import json_option, print_json, selected_stack, stack_option
from causeway.errors import Exit

if TYPE_CHECKING:
    from causeway.rollout.stack import Stack

commit_option = click.option("--commit", is_flag=True, help="Record every move as a git commit of the stack file.")


@contextmanager
def narrated(name: str, *, commit: bool = False) -> Iterator[Stack]:
    """A stack whose events are told on standard error; SIGTERM is taken like Ctrl-C."""
    from causeway.report.narration import Narrator
    from causeway.rollout.opening import open_stack

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    narrator = Narrator()
    yield open_stack(name, tell=narrator.event, commit=commit)


@click.command()
@stack_option
@click.option(
    "--to", "target", metavar="POSITION|PHASE", help="Where to stop; default: causeway:target, else one step."
)
@click.option("--reason", default="", help="Why; kept in the journal.")
@commit_option
@json_option
def run(stack: str | None, target: str | None, reason: str, commit: bool, as_json: bool) -> None:
    """Walk the plan towards a target: one previewed, applied, soaked and judged stack update at a time.

    Exit code 0: the target is reached. 5: the next step is not legal. 6: held, not enough evidence. 8: rolled back.
    """
    from causeway.report.narration import Narrator
    from causeway.rollout.opening import open_runner

    with narrated(stack or selected_stack(), commit=commit) as opened:
        if target is not None:
            opened.config.plan.last_of(target)  # a slip of the pen is one, whether Firestore answers or not
        with open_runner(opened) as runner:
            runner.on_look = Narrator().look
            place = runner.walk(target or opened.config.target or _one_step(opened), reason)
            _done(as_json, {"stack": opened.name, "position": place.position, "hold": place.hold.entries()})


@click.command()
@stack_option
@json_option
def soak(stack: str | None, as_json: bool) -> None:
    """Perform the present position's actions, watch it, and judge it: what a `pulumi up` by hand still needs.

    Exit code 0: it may advance. 6: held. 8: rolled back.
    """
    from causeway.report.narration import Narrator
    from causeway.rollout.journal import last
    from causeway.rollout.opening import open_runner

    with narrated(stack or selected_stack()) as opened, open_runner(opened) as runner:
        runner.on_look = Narrator().look
        here = runner.resume()
        if here is None:
            from causeway.errors import MoveRefused

            raise MoveRefused("this stack has applied nothing yet", "there is nothing to watch", "`pulumi up` first.")
        runner.soak_here(here)
        record = last(opened.store, opened.name)
        _done(
            as_json,
            {"stack": opened.name, "position": here.position, "verdict": record and record.facts.get("verdict")},
        )


@click.command()
@stack_option
@json_option
def preflight(stack: str | None, as_json: bool) -> int:
    """Check that everything is ready for the next step: system health, packages, backups, flags.

    Exit code 0: go. 6: no-go.
    """
    from causeway.report.preflight_text import render
    from causeway.rollout.preflight import examine, go

    with narrated(stack or selected_stack()) as opened:
        findings = examine(opened)
    if as_json:
        print_json({"go": go(findings), "findings": [each.as_dict() for each in findings]})
    else:
        click.echo(render(findings))
    return Exit.OK if go(findings) else Exit.HELD


def _one_step(stack: Stack) -> str:
    """Where one step leads from where the stack stands."""
    served = stack.served()
    if served is None:
        return stack.config.plan.positions[0].name
    following = stack.config.plan.next(served.place.position)
    return following.name if following else served.place.position


def _done(as_json: bool, facts: dict[str, Any]) -> None:
    if as_json:
        print_json(facts)
