"""Integration: the calls between versions that a rollout makes live, and whether they fail.

An edge is failed where its errors are not chance: where a service at the allowed error rate would show as many with a
probability below 1 %. Three failures in a row then happen by chance once in a million. Calls are gathered over looks
until there are enough for that: a single failed call never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from causeway.model.guardrails import percent
from causeway.model.matrix import MIXED, Interaction, Kind, Pair, Version
from causeway.model.window import Category, Check, Missing, Tally

#: How improbable the errors must be at the allowed rate.
CHANCE = 0.01


def possible(interactions: Iterable[Interaction], dependencies: Iterable[str]) -> list[tuple[Interaction, Pair]]:
    """Every pair of versions with a package in it that a call can have; dependencies are always legacy."""
    fixed = set(dependencies)
    return [
        (interaction, pair)
        for interaction in interactions
        if interaction.kind is Kind.CALL
        for pair in MIXED
        if not (interaction.provider in fixed and pair.provider is Version.PACKAGE)
        and not (interaction.consumer in fixed and pair.consumer is Version.PACKAGE)
    ]


def judge(
    interaction: Interaction, pair: Pair, tally: Tally | Missing, allowed: float, weights: Mapping[str, int]
) -> Check:
    """What the calls of one edge say."""
    name = f"{interaction.consumer}@{pair.consumer} -> {interaction.provider}@{pair.provider}"
    service = responsible(interaction, pair, weights)
    if isinstance(tally, Missing):
        return Check(Category.INTEGRATION, name, None, service, tally.reason)
    detail = f"{tally.bad} of {tally.total} calls failed, {percent(allowed)} are allowed"
    return Check(Category.INTEGRATION, name, chance(tally, allowed) >= CHANCE, service, detail)


def enough(total: int, allowed: float) -> bool:
    """Whether so many calls, all failed, would be no chance."""
    return total > 0 and allowed**total < CHANCE


def chance(tally: Tally, allowed: float) -> float:
    """The probability of at least so many bad events at the allowed rate (binomial)."""
    from scipy.special import bdtrc

    return 1.0 if not tally.bad else float(bdtrc(tally.bad - 1, tally.total, allowed))


def responsible(interaction: Interaction, pair: Pair, weights: Mapping[str, int]) -> str:
    """Whose way back ends the pair: the side on its package; of two, the one that came less far."""
    if pair.consumer is not Version.PACKAGE:
        return interaction.provider
    if pair.provider is not Version.PACKAGE:
        return interaction.consumer
    return min((interaction.consumer, interaction.provider), key=lambda name: weights.get(name, 0))
