"""From a place in the plan to the flag set that the stack applies, and back from an applied one to where it stands."""

from __future__ import annotations

from causeway import flags
from causeway.config import Config
from causeway.flags import Flag, FlagSet
from causeway.model.hold import Hold
from causeway.model.moves import Place, Standing


def flag_set(config: Config, place: Place) -> FlagSet:
    """The flag set of a place: pure, so going back to it writes the same document again."""
    state = config.plan.at(place.position, place.hold)
    guardrails = str(config.guardrails)
    return FlagSet(
        stack=config.stack,
        position=place.position,
        seed=config.seed,
        flags=tuple(
            Flag(
                service=name,
                weight=weight,
                stage=state.stages[name],
                cohort=config.matrix.services[name].cohort,
                modes=state.modes[name],
                rollback=guardrails,
            )
            for name, weight in state.weights.items()
        ),
        testers=config.testers,
        hold=tuple(place.hold.entries()),
        acknowledged=tuple(sorted(config.matrix.acknowledged)),
        renew_s=config.freshness.renew,
        max_age_s=config.freshness.max_age,
    )


def standing(definition: str) -> Standing:
    """Where a stack stands, by the flag set it has applied. Raises ConfigError on anything that is none."""
    found = flags.read(definition)
    return Standing(
        place=Place(found.position, Hold.parse(found.hold)),
        weights={flag.service: flag.weight for flag in found.flags},
        seed=found.seed,
        cohorts={flag.service: flag.cohort for flag in found.flags},
        stages={flag.service: flag.stage for flag in found.flags},
        modes={flag.service: flag.modes for flag in found.flags},
        acknowledged=frozenset(found.acknowledged),
    )
