"""Traffic that no flag splits follows the flag set: what each split shall be, and that none runs ahead of it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator

import pulumi

from causeway.config import Config
from causeway.config import records as r
from causeway.errors import CausewayError, MoveRefused
from causeway.model.moves import Place, Standing
from causeway.rollout.desired import standing
from causeway.rollout.engine import Export
from causeway.rollout.gate import Gate
from causeway.rollout.store import FirestoreStore
from components.splits import CloudRunSplit, Split, UrlMapSplit, component_name, package_percent, resource_name

REASON = "CAUSEWAY_REASON"


def splits(config: Config) -> dict[str, Split]:
    """The split of each service that has one."""
    return {service: _split(service, split) for service, split in config.splits.items()}


def _split(service: str, split: r.UrlMapSplit | r.CloudRunSplit) -> Split:
    match split:
        case r.UrlMapSplit():
            return UrlMapSplit(service, split.url_map or service.lower(), split.legacy_backend, split.package_backend)
        case r.CloudRunSplit():
            return CloudRunSplit(
                service, split.service, split.location, split.image, split.legacy_revision, split.package_revision
            )


def wanted(config: Config, place: Place) -> dict[str, tuple[Split, int]]:
    """At a place: the name of each split's resource, how it divides, and the package's percentage."""
    weights = config.plan.at(place.position, place.hold).weights
    return {
        resource_name(component_name(service), service): (split, weights[service])
        for service, split in splits(config).items()
    }


def elsewhere(config: Config, place: Place, export: Export) -> Iterator[str]:
    """The splits that the stack has recorded elsewhere than its place says, a line each."""
    recorded = {urn.rsplit("::", 1)[-1]: inputs for urn, inputs in export.inputs.items() if "$gcp:" in urn}
    for name, (split, weight) in wanted(config, place).items():
        if name not in recorded:
            yield f"{name} is not in the stack, which stands at {place}"
            continue
        try:
            found = package_percent(split, recorded[name])
        except (KeyError, TypeError):
            yield f"{name} cannot be read as a split"
            continue
        if found != weight:
            yield f"{name} gives {split.service} {found:g} %, the plan says {weight} % at {place}"


def follows(
    config: Config, project: str, service: str, place: Place, *, dry: Callable[[], bool] = pulumi.runtime.is_dry_run
) -> Callable[[pulumi.ResourceHookArgs], None]:
    """The hook before a split is created or changed, also where an update targets nothing else.

    In a preview the flag set still stands where it stood, and the move from there is judged. In an update it has been
    written before, under its own hook: the split goes where it stands, and nowhere else.
    """
    gate = Gate(config, lambda: FirestoreStore(project), lambda: datetime.datetime.now(datetime.UTC))
    weight = config.plan.at(place.position, place.hold).weights[service]

    def split_follows(args: pulumi.ResourceHookArgs) -> None:
        if not args.old_inputs and not weight:
            return  # a new split without users; the database of the flag set may not be there yet
        try:
            document = FirestoreStore(project).read(f"flags/{config.stack}")
            here = standing(document.values["definition"]) if document else None
            if dry():
                gate.judge(here, place, os.environ.get(REASON))
            else:
                _not_beside(here, place, service, weight)
        except CausewayError as error:
            raise RuntimeError(str(error)) from None

    return split_follows


def _not_beside(here: Standing | None, place: Place, service: str, weight: int) -> None:
    if here is None or here.place != place or here.weights.get(service) != weight:
        raise MoveRefused(
            f"the split of {service} would go to {weight} % at {place}, and the flag set stands at "
            f"{here.place if here else 'nothing yet'}",
            "users would be on a version that nobody judges or watches",
            "`pulumi up` without --target: the flag set goes first, and its hook judges the move.",
        )
