"""`check` and `plan`: what follows from a config alone. `cohort` asks the stack itself, where there is one to ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from causeway.cli.common import config_of, config_option, json_option, print_json, rich_console, stack_option
from causeway.errors import Exit

if TYPE_CHECKING:
    from causeway.config import Config
    from causeway.rollout.store import Store


@click.command()
@stack_option
@config_option
@json_option
@click.option("--mermaid", is_flag=True, help="Print the diagram of matrix, groups and evidence.")
@click.option("--markdown", is_flag=True, help="Print the table for a pull request.")
def check(stack: str | None, config_file: Path | None, as_json: bool, mermaid: bool, markdown: bool) -> int:
    """Judge the matrix: which versions will meet on this plan, and is each mixture known to work?

    Exit code 0: safe. 3: some mixture has no evidence. 4: some mixture is known to break. Where no order exists: 4 if
    what is known to break stands in its way, else 3.
    """
    from causeway import flags
    from causeway.config import PLAN
    from causeway.model.budget import Budget
    from causeway.model.certificate import Safety, certify
    from causeway.report import certificate_text, matrix_table
    from causeway.report import mermaid as diagrams
    from causeway.rollout.largest import largest

    config = config_of(stack, config_file, needs=PLAN)
    flags.build(largest(config))  # refuses what no document could hold
    found = certify(config.matrix, config.plan)
    if as_json:
        print_json(found.as_dict())
    elif mermaid:
        click.echo(diagrams.diagram(found))
    elif markdown:
        click.echo(matrix_table.table(found))
    else:
        rich_console().print(certificate_text.render(found))
        budget = Budget.of(config.plan, config.guardrails, config.soak, config.soak_timeout)
        rich_console().print(str(budget), markup=False)
    return {Safety.SAFE: Exit.OK, Safety.UNKNOWN: Exit.UNKNOWN, Safety.UNSAFE: Exit.UNSAFE}[found.status]


@click.command()
@stack_option
@config_option
@json_option
@click.option("--changes", is_flag=True, help="With --json: only the weights that change at each position.")
def plan(stack: str | None, config_file: Path | None, as_json: bool, changes: bool) -> None:
    """List the positions of the plan, with weights and actions, and where the config stands."""
    from causeway.config import PLAN
    from causeway.report import plan_text

    config = config_of(stack, config_file, needs=PLAN, anywhere=True)  # whoever looks for a position has a wrong one
    if as_json:
        held = {"hold": dict(plan_text.held(config))} if config.hold else {}
        print_json({"positions": plan_text.rows(config, changes_only=changes), **held})
    else:
        rich_console().print(plan_text.render(config))


def _store(config: Config) -> Store:
    from causeway.rollout.opening import store_of

    return store_of(config)


@click.command()
@stack_option
@config_option
@click.option("--position", metavar="NAME", help="Another position than the config's.")
@click.option(
    "--keys",
    "keys",
    type=click.File(encoding="utf-8-sig"),
    required=True,
    help="A file with a key a line; - for standard input.",
)
@click.option("--cohort", "cohort_key", default="user", show_default=True, help="What the keys are keys of.")
@json_option
def cohort(
    stack: str | None, config_file: Path | None, position: str | None, keys: TextIO, cohort_key: str, as_json: bool
) -> None:
    """Say which services each user gets from the package: what a support desk wants to know.

    Of a stack that can be asked it is what applications are served, an override included; else it follows from config.
    """
    from causeway.config import PLAN
    from causeway.rollout import cohorts

    asked = config_file is None and position is None
    config = config_of(stack, config_file, needs=(*PLAN, "causeway:seed"), anywhere=asked)
    served, source = cohorts.as_served(config, _store) if asked else (cohorts.by_config(config, position), "")
    unknown = cohorts.unknowable(served, cohort_key, config)
    try:
        users = [line.rstrip("\r\n") for line in keys]
    except UnicodeDecodeError:
        raise click.UsageError(f"{keys.name} is not text in UTF-8, so its keys are not known.") from None
    services = [name for name in config.matrix.services if name not in unknown]
    found = cohorts.packages(served, filter(None, users), services)
    for said in [source, *(f"{name} {why}; it is left out" for name, why in unknown.items())]:
        if said:
            click.echo(f"causeway: {said}", err=True)
    if as_json:
        print_json(found)
        return
    for user, names in found.items():
        click.echo(f"{user}\t{', '.join(names) or '(all legacy)'}")
