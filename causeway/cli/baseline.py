"""`causeway baseline`: measure the legacy path before anything moves."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from causeway.cli.common import config_of, config_option, json_option, print_json, quietly, rich_console, stack_option
from causeway.errors import ConfigError, Exit

if TYPE_CHECKING:
    from google.cloud.firestore import Client

    from causeway.config import Config
    from causeway.health.baselines import Recorder
    from causeway.health.windows import Names
    from causeway.model.observation import Metrics


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType):  # type: ignore[type-arg]
    """`90s`, `20m`, `24h` or `7d`, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", str(value))
        if found is None or not float(found[1]):
            self.fail(f"{value} is no duration; write 90s, 20m, 24h or 7d", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.group()
def baseline() -> None:
    """Measure the legacy path before anything moves, and show what was measured."""


@baseline.command()
@click.option("--service", "services", multiple=True, metavar="NAME", help="Only this service; may be repeated.")
@click.option(
    "--for", "duration", type=Duration(), help="Measure from now on, so long. Default: causeway:baseline.window."
)
@click.option("--past", type=Duration(), help="Measure from what Prometheus has kept, so far back.")
@stack_option
@config_option
@json_option
@quietly
def record(
    services: tuple[str, ...],
    duration: float | None,
    past: float | None,
    stack: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Measure legacy into performance_baselines: response times, errors, demand by hour, availability.

    A service with too little data is refused, with how much more is needed; those with enough are kept.
    """
    from causeway.health.baseline_store import as_document, save_baseline
    from causeway.health.baselines import Recorder
    from causeway.health.windows import Names
    from causeway.report.health import baselines

    config = config_of(stack, config_file)
    metrics, q = _metrics(config), _quantile(config)
    names = Names(metrics.names)
    wanted = _services(config, services)
    client = _client(config)
    recorder = Recorder(names, wanted)
    if past is not None:
        _look_back(recorder, metrics, names, past)
    else:
        _watch(recorder, config, metrics, names, duration or config.baseline.window)
    found, refused = recorder.baselines(config.baseline, q)
    for each in found.values():
        save_baseline(client, config.stack, each)
    if as_json:
        kept = {name: as_document(each) for name, each in found.items()}
        print_json({"baselines": kept, "refused": refused and refused.as_dict()})
        click.get_current_context().exit(refused.code if refused else Exit.OK)
    if found:
        click.echo(baselines(found, q, datetime.now(UTC), config.baseline.max_age), nl=False)
    if refused is not None:
        raise refused


@baseline.command()
@stack_option
@config_option
@json_option
@quietly
def show(stack: str | None, config_file: Path | None, as_json: bool) -> None:
    """Show the latest baseline of each service, with its confidence bounds and whether it still counts."""
    from causeway.health.baseline_store import as_document, read_baselines
    from causeway.report.health import baselines

    config = config_of(stack, config_file)
    found, damaged = read_baselines(_client(config), config.stack)
    now = datetime.now(UTC)
    if as_json:
        most = config.baseline.max_age
        print_json({name: {**as_document(each), "stale": each.stale(now, most)} for name, each in found.items()})
    elif found:
        click.echo(baselines(found, _quantile(config), now, config.baseline.max_age), nl=False)
    else:
        click.echo(f"Stack {config.stack} has no baseline yet: `causeway baseline record`.")
    for each in damaged:
        raise each


def _watch(recorder: Recorder, config: Config, metrics: Metrics, names: Names, duration: float) -> None:
    import time

    import httpx
    from rich.progress import Progress

    from causeway.health.probing import Probing
    from causeway.health.recording import Time, legacy_probes
    from causeway.health.recording import record as measure
    from causeway.health.sources import open_source

    def now() -> datetime:
        return datetime.now(UTC)

    with (
        open_source(metrics, names, now) as source,
        Probing(legacy_probes(config.probes), httpx.Client()) as probing,
        Progress(console=rich_console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("Measuring legacy", total=duration)
        measure(
            recorder,
            source,
            probing,
            duration=duration,
            every=metrics.every,
            time=Time(now, time.monotonic, time.sleep),
            tell=lambda passed: progress.update(task, completed=passed),
        )


def _look_back(recorder: Recorder, metrics: Metrics, names: Names, past: float) -> None:
    from causeway.health.promql import PromqlSource
    from causeway.health.recording import replay, step
    from causeway.health.sources import open_source

    now = datetime.now(UTC)
    with open_source(metrics, names, lambda: now) as source:
        if not isinstance(source, PromqlSource):
            raise ConfigError(
                "--past needs the source promql, and causeway:metrics says scrape",
                "a page of metrics does not know the past",
                "Measure from now on with --for.",
            )
        replay(recorder, source.history(now - timedelta(seconds=past), now, step(timedelta(seconds=past))))


def _metrics(config: Config) -> Metrics:
    if config.metrics is None:
        raise ConfigError(
            f"stack {config.stack} has no causeway:metrics",
            "there is nothing to measure",
            "Name the source and the application's counters there.",
        )
    return config.metrics


def _quantile(config: Config) -> float:
    rail = config.guardrails.response_time
    return (rail.quantile if rail is not None else None) or 0.95


def _services(config: Config, wanted: tuple[str, ...]) -> list[str]:
    unknown = [name for name in wanted if name not in config.matrix.services]
    if unknown:
        known = ", ".join(config.matrix.services)
        raise ConfigError(
            f"{unknown[0]} is no service of stack {config.stack}", "nothing was measured", f"It has {known}."
        )
    return list(wanted or config.matrix.services)


def _client(config: Config) -> Client:
    from causeway.rollout.opening import project_of
    from causeway.rollout.store import FirestoreStore

    return FirestoreStore(project_of(config)).client
