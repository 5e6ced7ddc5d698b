"""`causeway simulate`: what the gates would do on made-up traffic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from causeway.cli.common import config_of, config_option, json_option, print_json, stack_option
from causeway.errors import ConfigError

if TYPE_CHECKING:
    from causeway.model.budget import Budget
    from causeway.model.guardrails import Guardrail
    from causeway.model.observation import Soak


@click.command()
@click.option("--service", help="The service it is about; with a stack it must be one of its matrix.")
@click.option("--error-rate", type=float, required=True, metavar="P", help="Share of requests that fail.")
@click.option("--then", type=float, metavar="P2", help="The share from --change-at on.")
@click.option("--change-at", type=int, metavar="WINDOW", help="The first window with the rate --then, from 1.")
@click.option("--requests", type=float, default=50.0, show_default=True, help="Mean requests a window (Poisson).")
@click.option("--windows", type=int, default=360, show_default=True, help="Windows of each run.")
@click.option("--runs", type=click.IntRange(min=1), default=1000, show_default=True, help="Runs.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random numbers.")
@stack_option
@config_option
@json_option
def simulate(
    service: str | None,
    error_rate: float,
    then: float | None,
    change_at: int | None,
    requests: float,
    windows: int,
    runs: int,
    seed: int,
    stack: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Show what the gates would do before anyone relies on them.

    Without --stack or --config: 2 % warning, 5 % rollback, a soak of 10 windows and 500 requests.
    """
    import numpy as np

    from causeway.model.simulation import Scenario, follow, play

    guardrail, rules, budget = _gates(service, stack, config_file)
    try:
        scenario = Scenario(error_rate, requests, windows, then, change_at)
        bad, total = scenario.draw(runs, np.random.default_rng(seed))
    except ValueError as error:
        raise ConfigError(str(error), "there is nothing to simulate", "See `causeway simulate --help`.") from error
    facts = play(bad, total, guardrail, rules).facts(scenario.fault_at(guardrail.roll_back))
    if as_json:
        print_json(facts)
        return
    from causeway.report.gates import simulation_picture

    trace = follow(bad[:, 0], total[:, 0], guardrail, rules)
    click.echo(simulation_picture(service, scenario, guardrail, trace, facts, runs, budget))


def _gates(service: str | None, stack: str | None, config_file: Path | None) -> tuple[Guardrail, Soak, Budget | None]:
    """The error rate guardrail, the soak and the false-alarm budget of the stack; the defaults without one.

    A file with guardrails alone has no services, and so no budget.
    """
    from causeway.model.budget import Budget
    from causeway.model.guardrails import Guardrails
    from causeway.model.observation import Soak

    if stack is None and config_file is None:
        guardrails, rules, budget = Guardrails(), Soak(interval=30, checks=10, requests=500), None
    else:
        config = config_of(stack, config_file, needs=("causeway:guardrails",))
        guardrails, rules, services = config.guardrails, config.soak, config.matrix.services
        budget = Budget.of(config.plan, guardrails, rules, config.soak_timeout) if services else None
        if service is not None and services and service not in services:
            known = ", ".join(services)
            raise ConfigError(
                f"there is no service {service} in {config.stack}",
                "there is nothing to simulate",
                f"Services: {known}.",
            )
    if guardrails.error_rate is None:
        raise ConfigError("the stack has no error_rate guardrail", "there is nothing to simulate")
    return guardrails.error_rate, rules, budget
