"""What rules look at: resources as plain data, and what this stack's config lets them expect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causeway.model.moves import Move, Place, Standing
from causeway.model.plan import Plan
from components.splits import Split

Judge = Callable[[Standing | None, Place], Move]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that the stack wants: type token, name, and inputs. What is not yet known is left out.

    Stack rules run after the steps, when a resource shows its outputs instead: its inputs, and what the cloud added.
    """

    kind: str
    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """What follows from a stack's config.

    `databases` are those the stack may own, its records first. `backed_up` are the databases that must have backup
    schedules. `retention_days` is how long nothing in the backup bucket may be deleted. `place` is where config wants
    the stack; `splits` are the resources that divide traffic there without a flag, by name, with the package's percent.
    `present` reads the flagd definition that the stack has applied last, None where there is none; `judge` raises
    MoveRefused on an illegal move.
    """

    plan: Plan
    guardrails: tuple[str, ...]
    databases: tuple[str, ...]
    backed_up: tuple[str, ...]
    retention_days: int
    place: Place
    splits: Mapping[str, tuple[Split, int]]
    present: Callable[[], str | None]
    judge: Judge

    def rungs(self, service: str) -> frozenset[int]:
        """The weights a service may have."""
        return frozenset({0, *self.plan.matrix.services[service].ladder})

    def split(self, resource: Resource) -> tuple[Split, int] | None:
        """How a resource must divide its traffic; None where it divides none."""
        return self.splits.get(resource.name) if resource.kind.startswith("gcp:") else None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about one resource at a time: a sentence for each thing that is wrong with it."""

    name: str
    description: str
    check: Callable[[Resource, Expected], Iterator[str]]


@dataclass(frozen=True, slots=True)
class StackRule:
    """A rule about all resources together: a sentence for each thing that is wrong or missing."""

    name: str
    description: str
    check: Callable[[Sequence[Resource], Expected], Iterator[str]]


def of_kind(resources: Iterable[Resource], kind: str) -> list[Resource]:
    """The resources of a type."""
    return [resource for resource in resources if resource.kind == kind]
