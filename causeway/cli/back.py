"""`rollback`, `release`, `reconcile`, `arm` and `disarm`: the way back, and how to be ready for it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import click

from causeway.cli.common import json_option, print_json, selected_stack, stack_option
from causeway.cli.move import commit_option, narrated

REASON = "CAUSEWAY_REASON"


def _said(ctx: click.Context, param: click.Parameter, reason: str) -> str:
    """A reason that says something."""
    if not reason.strip():
        raise click.BadParameter("it says nothing; whoever reads the journal will want to know", ctx, param)
    return reason


class Minutes(click.ParamType[int]):
    """Whole minutes, or a duration as config writes it."""

    name = "MINUTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+)([mh]?)", str(value))
        minutes = int(found[1]) * (60 if found[2] == "h" else 1) if found else 0
        if not 1 <= minutes <= 24 * 60:
            self.fail(f"{value!r} is not a time from 1 to {24 * 60} minutes; write 30, 30m or 2h", param, ctx)
        return minutes


@click.command()
@stack_option
@click.option(
    "--level", type=click.IntRange(1, 4), required=True, help="1 a service, 2 the phase, 3 everything, 4 and data."
)
@click.option("--service", "services", multiple=True, help="Level 1: whose breaker opens; may be given more than once.")
@click.option("--reason", envvar=REASON, required=True, callback=_said, help="Why; kept in the journal.")
@click.option("--graceful", is_flag=True, help="Drain first.")
@click.option("--anyway", is_flag=True, help="Even if legacy does not answer its health check.")
@click.option("--at", metavar="TIME", help="Level 4: the time whose data comes back.")
@commit_option
@json_option
def rollback(
    stack: str | None,
    level: int,
    services: tuple[str, ...],
    reason: str,
    graceful: bool,
    anyway: bool,
    at: str | None,
    commit: bool,
    as_json: bool,
) -> None:
    """Send traffic back at once by the override, then bring config, stack and flags to the same state.

    Takes the stack over from a runner that moves it. If Pulumi cannot be reached the traffic has moved all the same;
    `causeway reconcile` finishes later.
    """
    from causeway.model.guardrails import Pace
    from causeway.rollout.levels import roll_back
    from causeway.rollout.rollback import Request

    pace = Pace.GRACEFUL if graceful else Pace.IMMEDIATE
    with narrated(stack or selected_stack(), commit=commit) as opened:
        if level == 1:
            _of_this_stack(services, opened.config.matrix.services)
        record = roll_back(opened, Request(level, reason, services, pace, anyway), at=at)
    _print(as_json, record)


def _of_this_stack(services: Collection[str], known: Collection[str]) -> None:
    """A slip of the pen is one, whether Firestore answers or not."""
    unknown = [name for name in services if name not in known]
    if unknown or not services:
        wrong = f"there is no service {', '.join(unknown)}" if unknown else "level 1 needs --service"
        raise click.UsageError(f"{wrong}; no breaker was opened. Services: {', '.join(known)}.")


@click.command()
@stack_option
@click.argument("service")
@click.option(
    "--reason", envvar=REASON, required=True, callback=_said, help="Why it may be closed again; kept in the journal."
)
@commit_option
@json_option
def release(stack: str | None, service: str, reason: str, commit: bool, as_json: bool) -> None:
    """Close the breaker of SERVICE again: its ladder is climbed from the first rung, each rung soaked and judged."""
    from causeway.report.narration import Narrator
    from causeway.rollout.opening import open_runner

    with narrated(stack or selected_stack(), commit=commit) as opened, open_runner(opened) as runner:
        runner.on_look = Narrator().look
        place = runner.release(service, reason)
    if as_json:
        print_json({"stack": opened.name, "position": place.position, "hold": place.hold.entries()})


@click.command()
@stack_option
@click.option("--ended", is_flag=True, help="An update on a machine that is gone has ended: you have seen to it.")
@commit_option
@json_option
def reconcile(stack: str | None, ended: bool, commit: bool, as_json: bool) -> None:
    """Bring config, stack and flags to where the last move or the override says, after a rollback or a crash."""
    from causeway.rollout.levels import reconcile as settle

    with narrated(stack or selected_stack(), commit=commit) as opened:
        facts = settle(opened, ended=ended)
    if as_json:
        print_json(facts)
    else:
        click.echo(facts["done"])


@click.command()
@stack_option
@click.option("--reason", envvar=REASON, required=True, callback=_said, help="Why.")
@json_option
def arm(stack: str | None, reason: str, as_json: bool) -> None:
    """Arm the rollback triggers again."""
    from causeway.rollout.triggers import arm as armed

    with narrated(stack or selected_stack()) as opened:
        facts = armed(opened, reason)
    _say(as_json, facts)


@click.command()
@stack_option
@click.option(
    "--reason", envvar=REASON, required=True, callback=_said, help="Why nothing may roll back by itself for a while."
)
@click.option(
    "--for", "minutes", type=Minutes(), required=True, help="Minutes (30, 30m, 2h) until they are armed again."
)
@json_option
def disarm(stack: str | None, reason: str, minutes: int, as_json: bool) -> None:
    """Disarm the rollback triggers for some minutes, with a reason; they arm themselves again."""
    from causeway.rollout.triggers import disarm as disarmed

    with narrated(stack or selected_stack()) as opened:
        facts = disarmed(opened, reason, minutes)
    _say(as_json, facts)


_FACTS = ("level", "traffic_moved_s", "settled_s", "differences", "weights")
#: Of level 4 besides: as of when, how long each part took, what was written and how it reads back.
_RESTORED = ("restored", "timings", "data", "states")


def _print(as_json: bool, record: Any) -> None:
    facts = {name: record.facts.get(name) for name in _FACTS}
    facts |= {name: record.facts[name] for name in _RESTORED if name in record.facts}
    if as_json:
        print_json(
            {"stack": record.stack, "seq": record.seq, "to": str(record.there), "state": str(record.state), **facts}
        )


def _say(as_json: bool, facts: dict[str, Any]) -> None:
    if as_json:
        print_json(facts)
    else:
        click.echo(facts["said"])
