"""A stack's config as frozen records. Every value has been validated; durations are seconds."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from causeway.model.guardrails import Guardrails
from causeway.model.hold import Hold
from causeway.model.matrix import Kind, Matrix, Pair
from causeway.model.observation import BaselineRules, Metrics, ProbeSpec, Resource, Soak
from causeway.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Freshness:
    """How often the watcher renews the heartbeat, and from which age on a reader trusts nobody to be watching."""

    renew: float = 3.0
    max_age: float = 15.0


@dataclass(frozen=True, slots=True)
class Freeze:
    """A window in which nothing moves forward."""

    start: datetime.datetime
    end: datetime.datetime
    why: str


@dataclass(frozen=True, slots=True)
class AcceptedPair:
    """An unknown pair that an operator accepts by name until it expires. `kind` None: not said."""

    consumer: str
    provider: str
    pair: Pair
    reason: str
    expires: datetime.date
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class AcceptedPosition:
    """A position whose missing verdict an operator accepts until it expires."""

    position: str
    reason: str
    expires: datetime.date


@dataclass(frozen=True, slots=True)
class Hooks:
    """What causeway asks of the application: strategy actions, the health of legacy, where state is kept.

    `url` and `legacy_health` are templates with `$service` and `$action`.
    """

    url: str | None = None
    timeout: float = 30.0
    legacy_health: str | None = None
    state: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UrlMapSplit:
    """Traffic of a service split by weighted backends of a URL map."""

    legacy_backend: str
    package_backend: str
    url_map: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class CloudRunSplit:
    """Traffic of a service split by revisions of a Cloud Run service."""

    service: str
    location: str
    image: str
    legacy_revision: str
    package_revision: str


@dataclass(frozen=True, slots=True)
class Keep:
    """How many backups of each age are kept (grandfather, father, son)."""

    hourly: int = 24
    daily: int = 7
    weekly: int = 4
    monthly: int = 12


@dataclass(frozen=True, slots=True)
class Priority:
    """One data priority: its collections and how often they are backed up (`realtime`, `hourly`, `daily`)."""

    name: str
    every: str
    collections: tuple[str, ...]
    keep: Keep = Keep()


@dataclass(frozen=True, slots=True)
class Backup:
    """What of the application's data is kept, and where."""

    priorities: tuple[Priority, ...]
    archive: str = "out/backup"
    database: str = "(default)"


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where the stack's own resources live, and who meets them.

    `secrets` are variables of the monitor's environment -> secrets of Secret Manager; `operators` may act as
    `restore`, `readers` (the application's own members) may read the flag set.
    """

    region: str = "europe-west1"
    image: str | None = None
    kms_key: str | None = None
    retention_days: int = 90
    alert_emails: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    operators: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """One stack: the plan, where it is wanted, and how it is watched."""

    stack: str
    project: str | None
    position: str
    target: str | None
    hold: Hold
    matrix: Matrix
    seed: str
    guardrails: Guardrails
    freshness: Freshness
    soak: Soak
    soak_timeout: float
    metrics: Metrics | None
    baseline: BaselineRules
    probes: tuple[ProbeSpec, ...]
    resources: tuple[Resource, ...]
    readiness: Mapping[str, tuple[str, ...]]
    hooks: Hooks
    splits: Mapping[str, UrlMapSplit | CloudRunSplit]
    testers: tuple[str, ...]
    freeze: tuple[Freeze, ...]
    accepted_pairs: tuple[AcceptedPair, ...]
    accepted_positions: tuple[AcceptedPosition, ...]
    go_back_anyway: bool
    notify: Mapping[str, tuple[str, ...]]
    backup: Backup
    cloud: Cloud
    plan: Plan

    @property
    def bucket(self) -> str:
        """The bucket that the stack provisions for archives."""
        return bucket_of(self.project, self.stack)


def bucket_of(project: str | None, stack: str) -> str:
    """The name of a stack's own bucket; names of buckets are unique in the world."""
    return f"{project}-causeway-{stack}"
