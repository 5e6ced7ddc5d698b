"""The largest flag set that a plan can ask for: a rollout must not find out half way that its weights fit nowhere."""

from __future__ import annotations

from dataclasses import replace

from causeway.config import Config
from causeway.flags import FlagSet
from causeway.model.hold import Hold
from causeway.model.moves import Place
from causeway.model.stage import Stage
from causeway.rollout.desired import flag_set


def largest(config: Config) -> FlagSet:
    """A flag set at least as large as that of every position, whichever breakers are open.

    In front of the end every service has all the switches of its strategy; the rest is the longest of its kind. An
    emergency opens breakers of which nobody thought before, so all of them are written down.
    """
    positions = config.plan.positions
    before_the_end = flag_set(config, Place(positions[-2].name))
    breakers = Hold(dict.fromkeys(config.matrix.services, 99))  # `NAME@99`: being closed again
    return replace(
        before_the_end,
        position=max((position.name for position in positions), key=lambda name: len(name.encode())),
        hold=tuple(breakers.entries()),
        flags=tuple(replace(flag, weight=50, stage=max(Stage, key=len)) for flag in before_the_end.flags),
    )
