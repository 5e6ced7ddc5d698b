"""The flag set says what the plan says: a known position, its weights, and no weight beside the ladder."""

from __future__ import annotations

from collections.abc import Iterator

from causeway import flags
from causeway.errors import ConfigError
from causeway.model.hold import Hold
from components.flag_set import COLLECTION, read_fields
from components.records import DATABASE
from components.splits import package_percent
from policies.facts import Expected, Resource, Rule

DOCUMENT = "gcp:firestore/document:Document"


def definition_of(resource: Resource) -> str | None:
    """The flagd definition of a flag set; None where the resource is none, or its fields are not yet known.

    Raises ConfigError where it should be one and cannot be read.
    """
    inputs = resource.inputs
    if resource.kind != DOCUMENT or "fields" not in inputs:
        return None
    # Before the first update the database's name is not yet known.
    if (inputs.get("collection"), inputs.get("database", DATABASE)) != (COLLECTION, DATABASE):
        return None
    try:
        return read_fields(inputs["fields"])[0]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{resource.name} is no flag set: {error!r}", "readers would all fall back to legacy"
        ) from None


def on_ladder(resource: Resource, expected: Expected) -> Iterator[str]:
    """Every weight is 0 or a rung of its service's ladder."""
    definition = definition_of(resource)
    if definition is None:
        return
    for flag in flags.read(definition).flags:
        if flag.service not in expected.plan.matrix.services:
            yield f"{flag.service} has a weight, but is no service of this stack's matrix"
        elif flag.weight not in (rungs := expected.rungs(flag.service)):
            yield f"{flag.service} would get {flag.weight} %; its ladder is {', '.join(map(str, sorted(rungs)))}"


def as_planned(resource: Resource, expected: Expected) -> Iterator[str]:
    """The position is in the plan, and the weights are those the plan gives it under the present hold."""
    definition = definition_of(resource)
    if definition is None:
        return
    found, (_, position) = flags.read(definition), read_fields(resource.inputs["fields"])
    if position != found.position:
        yield f"the document says {position}, its definition says {found.position}: which one is it?"
    if found.position not in expected.plan:
        yield f"there is no position {found.position} in this plan; `causeway plan` lists all"
        return
    planned = expected.plan.at(found.position, Hold.parse(found.hold)).weights
    weights = {flag.service: flag.weight for flag in found.flags}
    for service in sorted({*planned, *weights}):
        if planned.get(service) != weights.get(service):
            yield (
                f"{service} would get {_percent(weights.get(service))} at {found.position}, "
                f"where the plan says {_percent(planned.get(service))}"
            )


def split_as_planned(resource: Resource, expected: Expected) -> Iterator[str]:
    """What divides traffic without a flag gives the package what the plan says where config wants the stack."""
    if (wanted := expected.split(resource)) is None:
        return
    split, weight = wanted
    try:
        found = package_percent(split, resource.inputs)
    except (KeyError, TypeError) as error:
        yield f"{resource.name} is no split of {split.service}: {error!r}"
        return
    if found != weight:
        yield f"{resource.name} would give {split.service} {found:g} %, where the plan says {weight} %"


def _percent(weight: int | None) -> str:
    return "no flag" if weight is None else f"{weight} %"


RULES = (
    Rule("weights-on-ladder", "No service gets a share of traffic that is not a rung of its ladder", on_ladder),
    Rule("weights-as-planned", "The flag set is what the plan says of its position", as_planned),
    Rule("splits-as-planned", "Traffic that no flag splits is split as the plan says", split_as_planned),
)
