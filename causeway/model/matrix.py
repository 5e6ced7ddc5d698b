"""The compatibility matrix: services, what they exchange, and why each mixture of versions is believed to work.

Frozen records, no behaviour beyond looking things up. Definitions: `docs/reference/model.md`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType


class Version(StrEnum):
    """The two versions of a service."""

    LEGACY = "legacy"
    PACKAGE = "package"


class Kind(StrEnum):
    """What a consumer takes from a provider: an answer now, or data that stays."""

    CALL = "call"
    STATE = "state"


class Routing(StrEnum):
    """Where the version is decided: once at the edge and carried along, or anywhere else."""

    REQUEST = "request"
    INDEPENDENT = "independent"


class Scope(StrEnum):
    """Whose data a state interaction is about: everybody's, or one cohort key's."""

    SHARED = "shared"
    COHORT = "cohort"


class Traffic(StrEnum):
    """What splits the traffic of a service."""

    FLAG = "flag"
    URL_MAP = "url_map"
    CLOUD_RUN = "cloud_run"


class Status(StrEnum):
    """What a piece of evidence says. Absent evidence is unknown and has no record."""

    VERIFIED = "verified"
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """The versions that meet: the consumer's and the provider's."""

    consumer: Version
    provider: Version

    def __str__(self) -> str:
        return f"{self.consumer}->{self.provider}"

    def __hash__(self) -> int:
        # A large matrix looks pairs up a million times, and an enum's own hash is Python code.
        return 2 * (self.consumer is Version.PACKAGE) + (self.provider is Version.PACKAGE)

    @classmethod
    def parse(cls, text: str) -> Pair:
        """`package->legacy` as a pair. Raises ValueError on anything else."""
        consumer, _, provider = text.partition("->")
        return cls(Version(consumer), Version(provider))


P_L = Pair(Version.PACKAGE, Version.LEGACY)
L_P = Pair(Version.LEGACY, Version.PACKAGE)
P_P = Pair(Version.PACKAGE, Version.PACKAGE)
#: Every pair that needs evidence; legacy -> legacy is what runs today.
MIXED = (P_L, L_P, P_P)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a pair of versions is believed to work, or not to.

    `source` is for people ("contract tests, 2025-08-20"). `stale` says why the evidence no longer counts
    (expired, or about other code than what would run); stale evidence is unknown for forward moves.
    `accepted` marks an unknown that an operator has accepted by name, with reason and expiry.
    """

    status: Status
    source: str
    date: datetime.date | None = None
    expires: datetime.date | None = None
    about: Mapping[str, str] = field(default_factory=dict)  # service -> tree hash or package version
    stale: str | None = None
    accepted: bool = False

    @property
    def holds(self) -> bool:
        """Verified, and still about the code that would run."""
        return self.status is Status.VERIFIED and self.stale is None


@dataclass(frozen=True, slots=True)
class Interaction:
    """A directed pair consumer -> provider and the evidence for each mixture of their versions."""

    consumer: str
    provider: str
    kind: Kind = Kind.CALL
    routing: Routing = Routing.REQUEST
    scope: Scope = Scope.SHARED
    evidence: Mapping[Pair, Evidence] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.consumer} -> {self.provider} ({self.kind})"

    def verified(self, pair: Pair) -> bool:
        """Whether the pair is known to work."""
        found = self.evidence.get(pair)
        return found is not None and found.holds

    def incompatible(self, pair: Pair) -> bool:
        """Whether the pair is known to break."""
        found = self.evidence.get(pair)
        return found is not None and found.status is Status.INCOMPATIBLE


@dataclass(frozen=True, slots=True)
class Service:
    """One row of the matrix. `strategy` names a recipe of `causeway.model.strategies`."""

    name: str
    strategy: str = "direct"
    ladder: tuple[int, ...] = (10, 25, 50, 75, 100)
    cohort: str = "user"
    traffic: Traffic = Traffic.FLAG
    lines: int | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """An ordered group of services with one risk. `risk` and `week` are shown to people and decide nothing."""

    name: str
    services: tuple[str, ...]
    risk: str | None = None
    week: int | None = None


@dataclass(frozen=True)
class Matrix:
    """Services in phases, dependencies that do not migrate, and the interactions between all of them.

    `services` is in the order of the config file, which decides among groups that are otherwise free.
    `acknowledged` are the services whose point of no return an operator accepts.
    `side_by_side` allows independent groups of a phase to move in one step.
    """

    services: Mapping[str, Service]
    phases: tuple[Phase, ...]
    dependencies: tuple[str, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    acknowledged: frozenset[str] = frozenset()
    side_by_side: bool = False

    @cached_property
    def phase_of(self) -> Mapping[str, str]:
        """The phase in which each service moves."""
        return MappingProxyType({name: phase.name for phase in self.phases for name in phase.services})
