"""Which pairs of versions meet, and where: from the first to the last position of the plan at which they may.

Definitions: `docs/reference/certificate.md`. A pair's positions follow from four numbers, the positions at which
consumer and provider leave 0 and reach 100, because batches move one after the other. Linear in interactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from causeway.model.matrix import L_P, MIXED, P_L, P_P, Evidence, Interaction, Kind, Matrix, Pair, Status
from causeway.model.order import per_user
from causeway.model.plan import Plan
from causeway.model.strategies import converts_state


@dataclass(frozen=True, slots=True)
class Exposure:
    """A mixed pair that is live somewhere on the plan.

    `first` and `last` are indices of positions. What is written stays, so a `state` pair, once met, is met to the end
    of the plan, if only by going back. `converted`: the consumer's strategy converts or dual-writes that state, so the
    raw pair never meets.
    """

    interaction: Interaction
    pair: Pair
    first: int
    last: int
    converted: bool = False

    def __str__(self) -> str:
        i = self.interaction
        return f"{i.consumer}@{self.pair.consumer} -> {i.provider}@{self.pair.provider} ({i.kind})"

    @property
    def evidence(self) -> Evidence | None:
        """What the matrix says about the pair."""
        return self.interaction.evidence.get(self.pair)

    @property
    def verified(self) -> bool:
        """Whether the pair may meet."""
        return self.converted or self.interaction.verified(self.pair)

    @property
    def accepted(self) -> bool:
        """Whether the pair may meet only because an operator accepts that nobody knows."""
        found = self.evidence
        return not self.converted and found is not None and found.accepted and found.holds

    @property
    def acceptance(self) -> str:
        """Of a pair that is accepted: which, why, and until when."""
        return f"{self}: {wording(self.evidence)}"

    @property
    def incompatible(self) -> bool:
        """Whether the pair is known to break."""
        return not self.converted and self.interaction.incompatible(self.pair)


@dataclass(frozen=True, slots=True)
class NoReturn:
    """A point of no return: from the provider's first step on, the consumer's legacy would read package data.

    Nothing says that it can. `at` is the index of that step. Only level 4 takes `service` back from there on, and it
    needs an acknowledgement in config to get there. `unwatched`: the service is still on its ladder then, so readers
    that hear no watcher send it to legacy all the same.
    """

    interaction: Interaction
    at: int
    acknowledged: bool
    unwatched: bool = False

    @property
    def service(self) -> str:
        """The service that cannot go back."""
        return self.interaction.consumer

    def __str__(self) -> str:
        known = "acknowledged" if self.acknowledged else "not acknowledged"
        unwatched = f"; until {self.service} is complete, readers that hear no watcher go back all the same"
        return f"{known}; from there on only level 4 goes back{unwatched if self.unwatched else ''}"


@dataclass(frozen=True, slots=True)
class _Span:
    """Indices of the positions at which a service leaves 0 and reaches 100; behind the plan's end: never."""

    start: int
    full: int


def exposed(plan: Plan) -> tuple[tuple[Exposure, ...], tuple[NoReturn, ...]]:
    """Every pair that is live on the plan, and every point of no return, in the order of the matrix."""
    matrix, spans, end = plan.matrix, _spans(plan), len(plan.positions) - 1
    never = _Span(end + 1, end + 1)
    exposures: list[Exposure] = []
    no_return: list[NoReturn] = []
    for interaction in matrix.interactions:
        consumer, provider = spans.get(interaction.consumer, never), spans.get(interaction.provider, never)
        one_way = _is_no_return(matrix, interaction, consumer, provider)
        if one_way:
            acknowledged = interaction.consumer in matrix.acknowledged
            on_its_ladder = consumer.full >= provider.start
            no_return.append(NoReturn(interaction, provider.start, acknowledged, on_its_ladder))
        for pair in (P_L, P_P) if one_way else MIXED:
            where = _where(matrix, interaction, pair, consumer, provider, end)
            if where is not None:
                converted = pair is P_L and _converted(matrix, interaction)
                exposures.append(Exposure(interaction, pair, *where, converted))
    return tuple(exposures), tuple(no_return)


def _spans(plan: Plan) -> Mapping[str, _Span]:
    never = len(plan.positions)
    start: dict[str, int] = {}
    full: dict[str, int] = {}
    for position in plan.positions:
        for service, weight in position.changes.items():
            start.setdefault(service, position.index)
            if weight == 100:
                full[service] = position.index
    return {service: _Span(index, full.get(service, never)) for service, index in start.items()}


def _where(
    matrix: Matrix, interaction: Interaction, pair: Pair, consumer: _Span, provider: _Span, end: int
) -> tuple[int, int] | None:
    """First and last index at which a pair is live, or None."""
    if min(consumer.start, provider.start) > end:
        return None  # neither ever moves: two dependencies
    if pair is P_P:
        first, last = max(consumer.start, provider.start), end
    elif interaction.kind is Kind.STATE:
        first, last = (consumer if pair is P_L else provider).start, end
    else:
        ahead, behind = (consumer, provider) if pair is P_L else (provider, consumer)
        first, last = ahead.start, min(behind.full - 1, end)
        if consumer.start == provider.start:  # in one write
            if per_user(matrix, interaction):
                return None
            last = max(first, last)  # processes see that write at different times
    return (first, last) if first <= last else None


def _is_no_return(matrix: Matrix, interaction: Interaction, consumer: _Span, provider: _Span) -> bool:
    """Whether the pair legacy -> package is not verified, and met by going back only."""
    if interaction.kind is not Kind.STATE or interaction.verified(L_P):
        return False
    if interaction.consumer not in matrix.services or interaction.provider not in matrix.services:
        return False
    if per_user(matrix, interaction):
        return consumer.start <= provider.start
    return consumer.full < provider.start


def _converted(matrix: Matrix, interaction: Interaction) -> bool:
    """A strategy converts state that migrates; what a dependency keeps, it reads as it is."""
    return (
        interaction.kind is Kind.STATE
        and interaction.consumer in matrix.services
        and interaction.provider in matrix.services
        and converts_state(matrix.services[interaction.consumer].strategy)
    )


def wording(evidence: Evidence | None) -> str | None:
    """A piece of evidence in words; None where there is none."""
    if evidence is None:
        return None
    if evidence.status is Status.INCOMPATIBLE:
        return f"incompatible: {evidence.source}"
    said = evidence.source
    if evidence.accepted and not said.startswith("accepted"):
        said = f"accepted: {said}"
    return f"{said}; stale: {evidence.stale}" if evidence.stale else said
