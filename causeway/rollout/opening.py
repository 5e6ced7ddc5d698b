"""Opening a stack: config and surroundings put together, as every command that moves or watches needs them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from causeway.backup.service_state import save_service_state
from causeway.config import Config, from_file, stack_file
from causeway.errors import CausewayError, ConfigError
from causeway.health.baseline_store import load_baselines
from causeway.health.baselines import Baseline
from causeway.health.checker import Checker
from causeway.health.documents import Documents, FirestoreDocuments
from causeway.health.probing import Probing
from causeway.health.sources import open_source
from causeway.health.windows import Names
from causeway.model.moves import Place
from causeway.model.observation import CompareProbe, HttpProbe
from causeway.rollout import control as controls
from causeway.rollout.actions import HttpApplication
from causeway.rollout.control import Lease
from causeway.rollout.engine import Pulumi
from causeway.rollout.heartbeat import Heartbeat
from causeway.rollout.journal import Journal
from causeway.rollout.notify import Channels
from causeway.rollout.runner import Runner
from causeway.rollout.stack import Clock, Event, Stack, whoami
from causeway.rollout.store import DATABASE, FirestoreStore


def open_stack(
    name: str,
    *,
    folder: Path | None = None,
    tell: Callable[[Event], None] = lambda event: None,
    commit: bool = False,
    clock: Clock | None = None,
) -> Stack:
    """A stack of the project in a folder. Raises ConfigError where there is none, Unreachable without Firestore."""
    folder, clock = folder or Path.cwd(), clock or Clock()
    if not (folder / "Pulumi.yaml").is_file():
        raise ConfigError(f"{folder} holds no Pulumi.yaml", "no stack lives here", "Run this in the project's folder.")
    path = stack_file(name, folder / "stacks")
    config = from_file(path, today=clock.now().date(), anywhere=True)
    work = folder / ".local" / "work" / name
    policies = folder / "policies"
    store = store_of(config)
    return Stack(
        config=config,
        file=path,
        store=store,
        engine=Pulumi(name, folder, work, policies=policies if policies.is_dir() else None, clock=clock.monotonic),
        application=HttpApplication(config.hooks, clock.sleep),
        notifier=Channels(name, config.notify, folder / "out" / "undelivered.jsonl", clock.now, clock.sleep),
        clock=clock,
        baselines=lambda: _response_times(config, store, clock.now()),
        keep_state=lambda service, place: _keep_state(config, service, place, clock.sleep),
        tell=tell,
        commit=commit,
        work=work,
    )


def store_of(config: Config) -> FirestoreStore:
    """The stack's records. Raises ConfigError where no project is named, Unreachable without credentials."""
    return FirestoreStore(project_of(config))


def project_of(config: Config) -> str:
    """The project whose database `causeway` holds the stack's records. Raises ConfigError where none is named."""
    if config.project is None:
        raise ConfigError(
            f"stack {config.stack} names no project",
            "its records could be anywhere",
            "pulumi config set gcp:project ID",
        )
    return config.project


@contextmanager
def open_checker(stack: Stack) -> Iterator[Checker]:
    """What looks at the application, as config describes it. Raises ConfigError where nothing is measured."""
    config = stack.config
    if config.metrics is None:
        raise ConfigError(
            f"stack {config.stack} measures nothing",
            "without evidence nothing may move",
            "Describe the application's metrics under causeway:metrics.",
        )
    names = Names(config.metrics.names)
    with (
        httpx.Client() as client,
        open_source(config.metrics, names, stack.clock.now) as source,
        Probing(config.probes, client, _documents(config)) as probing,
    ):
        yield Checker(
            source,
            names,
            config.matrix,
            probing,
            allowed_errors=config.guardrails.allowed_errors,
            now=stack.clock.now,
            baselines=_expected(stack),
        )


def _expected(stack: Stack) -> Mapping[str, Baseline]:
    """Baselines to take the demand from. Looking goes on without: harm of most kinds shows all the same."""
    try:
        return load_baselines(stack.store.client, stack.name) if isinstance(stack.store, FirestoreStore) else {}
    except CausewayError as error:
        stack.say("baselines", f"looking without baselines: {error.fact}")
        return {}


@contextmanager
def lease(stack: Stack, *, force: bool = False, yields: bool = False) -> Iterator[tuple[Journal, Heartbeat]]:
    """The lease of a stack with its heartbeat, given back at the end. Raises Conflict while somebody else holds it."""
    held: Lease = controls.acquire(stack.store, stack.name, whoami(), force=force, yields=yields)
    with Heartbeat(held, stack.config.freshness.renew, stack.engine.abort) as heartbeat:
        try:
            yield Journal(held, stack.clock.now, stack.config.matrix.acknowledged), heartbeat
        finally:
            with suppress(CausewayError):  # lost already, or out of reach: it ends by itself, and what failed is told
                held.release()


@contextmanager
def open_runner(stack: Stack) -> Iterator[Runner]:
    """A runner under the stack's lease.

    Raises ConfigError where config wants a place that is none: ways back begin anywhere, walking needs to know where.
    """
    from_file(stack.file, today=stack.clock.now().date())
    with lease(stack) as (journal, heartbeat), open_checker(stack) as checker:
        yield Runner(stack, journal, heartbeat, checker)


def _response_times(config: Config, store: FirestoreStore, now: datetime.datetime) -> Mapping[str, float]:
    """Legacy's response time in seconds, at the guardrail's quantile, of the services whose baseline still counts."""
    rail = config.guardrails.response_time
    if rail is None or rail.quantile is None:
        return {}
    found = load_baselines(store.client, config.stack)
    fresh = {name: each for name, each in found.items() if not each.stale(now, config.baseline.max_age)}
    return {name: each.response_time(rail.quantile).value for name, each in fresh.items()}


def _keep_state(config: Config, service: str, place: Place, sleep: Callable[[float], None]) -> bool:
    """Save a service's state in `service_state_backups` and read it back; false where config names none."""
    collections = config.hooks.state.get(service)
    if not collections:
        return False
    project = project_of(config)
    with (
        Connection.open(Database(project, config.backup.database)) as application,
        Connection.open(Database(project, DATABASE)) as records,
    ):
        save_service_state(application, records, config.stack, service, str(place), collections, sleep=sleep)
    return True


def _documents(config: Config) -> Documents | None:
    """The application's database for data integrity probes; opened only where there are any."""
    if all(isinstance(probe, HttpProbe | CompareProbe) for probe in config.probes):
        return None
    return FirestoreDocuments(Connection.open(Database(project_of(config), config.backup.database)))
