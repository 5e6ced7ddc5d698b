"""Which services a user gets from the package: what applications are served, or what a config says of a place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from causeway import flags
from causeway.config import Config
from causeway.errors import CausewayError
from causeway.flags import FlagSet
from causeway.model.matrix import Version
from causeway.model.moves import Place
from causeway.model.stage import Stage
from causeway.rollout import control as controls
from causeway.rollout.desired import flag_set
from causeway.rollout.store import Store


def by_config(config: Config, position: str | None = None) -> FlagSet:
    """The flag set of a position, the config's own unless another is named. Raises ConfigError on an unknown one."""
    return flag_set(config, Place(position or config.position, config.hold))


def as_served(config: Config, opened: Callable[[Config], Store]) -> tuple[FlagSet, str]:
    """What applications obey now, and in words where that was read. By config where the stack cannot be asked."""
    try:
        store = opened(config)
        control = controls.read(store, config.stack)
        document = store.read(f"flags/{config.stack}")
    except CausewayError as error:
        return by_config(config), f"by config, since the stack cannot be asked: {error.fact}"
    if control.override:
        found = flags.read(control.override)
        return found, f"as served: {found.position}, by an override ({control.override_why or 'no reason given'})"
    if document is None:
        return by_config(config), "by config: the stack has applied nothing yet"
    found = flags.read(document.values["definition"])
    return found, f"as served: {found.position}"


def packages(served: FlagSet, keys: Iterable[str], services: Iterable[str]) -> dict[str, list[str]]:
    """For each key the services, of these, that it gets from the package."""
    asked = list(services)
    return {key: [name for name in asked if flags.evaluate(served, name, key) is Version.PACKAGE] for key in keys}


def unknowable(served: FlagSet, cohort: str, config: Config) -> Mapping[str, str]:
    """The services of which a key of this cohort says nothing, and why: only part of another's keys are on them."""
    partly = [flag for flag in served.flags if 0 < flag.weight < 100 and flag.stage is not Stage.RETIRED]
    other = {flag.service: f"goes by {flag.cohort}, not by {cohort}" for flag in partly if flag.cohort != cohort}
    return {**other, **{f.service: "is split anew for each request" for f in partly if f.service in config.splits}}
