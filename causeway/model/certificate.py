"""The certificate: whether every mixture of versions that a rollout can make live is known to work, and in what order.

It covers every position, every step forward, every way back, every single hold and every crash between two writes.
Definitions and the JSON: `docs/reference/certificate.md`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from causeway.model.bulk import bulk
from causeway.model.closure import closures
from causeway.model.exposure import Exposure, NoReturn, exposed, wording
from causeway.model.matrix import L_P, Interaction, Matrix, Pair
from causeway.model.order import Arc, Group, Unproven, per_user
from causeway.model.plan import Plan, build
from causeway.model.remedy import Remedy, evidence_to_add, remedies

#: How many names `as_dict` lists in all closures together; a closure beyond is null, for `closure` to answer alone.
LISTED = 200_000


class Safety(StrEnum):
    """What the certificate says. Unsafe: what is known to break would meet, or stands in the way of any order."""

    SAFE = "safe"
    UNKNOWN = "unknown"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Missing:
    """A pair that blocks every step to a position from `first` to `last` (indices), and what would unblock them."""

    interaction: Interaction
    pair: Pair
    first: int
    last: int
    no_return: bool = False

    @property
    def incompatible(self) -> bool:
        """Whether the pair is known to break."""
        return self.interaction.incompatible(self.pair)

    @property
    def unblock(self) -> tuple[str, ...]:
        """What to do about it; one of these is enough."""
        i, pair = self.interaction, self.pair
        ways = [evidence_to_add(Unproven(i, pair))]
        if self.no_return:
            ways.append(f"or acknowledge under causeway:acknowledge that {i.consumer} cannot go back from there on")
        elif not self.incompatible:
            ways.append("or accept the unknown by name, with reason and expiry, under causeway:accept")
        return tuple(ways)

    def __str__(self) -> str:
        return str(Unproven(self.interaction, self.pair))


@dataclass(frozen=True)
class Certificate:
    """What is exposed where on a plan, and by what evidence it may be."""

    plan: Plan
    exposures: tuple[Exposure, ...]
    missing: tuple[Missing, ...]
    no_return: tuple[NoReturn, ...]
    remedies: tuple[Remedy, ...] = ()

    @property
    def groups(self) -> tuple[Group, ...]:
        """What moves together, in order."""
        return self.plan.order.groups

    @property
    def conflict(self) -> tuple[Arc, ...]:
        """The circle that proves that no order exists, or nothing."""
        return self.plan.order.conflict

    @cached_property
    def status(self) -> Safety:
        """`unsafe` before `unknown` before `safe`."""
        if any(each.incompatible for each in self.missing) or any(arc.cause.incompatible for arc in self.conflict):
            return Safety.UNSAFE
        return Safety.UNKNOWN if self.missing or self.conflict else Safety.SAFE

    @property
    def accepted(self) -> tuple[Exposure, ...]:
        """Pairs that nothing but an operator's acceptance lets meet: shown wherever the status is."""
        return tuple(each for each in self.exposures if each.accepted)

    def blocked(self, position: str) -> tuple[Missing, ...]:
        """What forbids a step forward to this position. Raises ConfigError where the plan has no such position."""
        index = self.plan[position].index
        return tuple(each for each in self.missing if each.first <= index <= each.last)

    def crossed(
        self, written: Mapping[str, int], weights: Mapping[str, int], acknowledged: Collection[str] = ()
    ) -> tuple[NoReturn, ...]:
        """The acknowledged points of no return that these weights would go back over.

        `written` is the highest weight each service has had since the data was last restored; `acknowledged` are the
        services whose point was acknowledged then, if no more. What nobody has ever acknowledged blocked the way
        there, so it never blocks the way back.
        """
        return tuple(
            each
            for each in self.no_return
            if (each.acknowledged or each.service in acknowledged)
            and written.get(each.interaction.provider, 0)
            and weights[each.service] < self._stays(each, written)
        )

    def _stays(self, each: NoReturn, written: Mapping[str, int]) -> int:
        """The weight below which the service's legacy users meet what the provider's package has written."""
        return written[each.interaction.provider] if per_user(self.plan.matrix, each.interaction) else 100

    def closures(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Per service, what falls with it when its breaker opens; computed one by one."""
        return closures(self.plan.matrix)

    @bulk()
    def as_dict(self) -> dict[str, object]:
        """For `--json`; every list in the order of the plan or the matrix."""
        return {
            "status": str(self.status),
            "groups": [list(group) for group in self.groups],
            "exposures": [self._exposure(each) for each in self.exposures],
            "missing": [self._missing(each) for each in self.missing],
            "no_return": [self._no_return(each) for each in self.no_return],
            "closures": _listed(self.plan.matrix.services, self.closures()),
            "conflict": [arc.as_dict() for arc in self.conflict],
            "remedies": [remedy.as_dict() for remedy in self.remedies],
        }

    def _where(self, each: Exposure | Missing) -> dict[str, object]:
        i, names = each.interaction, self.plan.positions
        return {
            "consumer": i.consumer,
            "provider": i.provider,
            "kind": str(i.kind),
            "pair": str(each.pair),
            "first": names[each.first].name,
            "last": names[each.last].name,
        }

    def said(self, each: Exposure) -> str | None:
        """Why a pair may meet, in words; None where there is no evidence."""
        said = wording(each.evidence)
        if each.converted:
            strategy = self.plan.matrix.services[each.interaction.consumer].strategy
            said = f"{strategy} converts or dual-writes this state" + (f"; {said}" if said else "")
        return said

    def _exposure(self, each: Exposure) -> dict[str, object]:
        return {**self._where(each), "evidence": self.said(each), **({"accepted": True} if each.accepted else {})}

    def _missing(self, each: Missing) -> dict[str, object]:
        steps = each.last - each.first + 1
        return {**self._where(each), "steps": steps, "why": str(each), "unblock": list(each.unblock)}

    def _no_return(self, each: NoReturn) -> dict[str, object]:
        return {
            "service": each.service,
            "provider": each.interaction.provider,
            "position": self.plan.positions[each.at].name,
            "acknowledged": each.acknowledged,
            "why": str(Unproven(each.interaction, L_P)),
            **({"unwatched": True} if each.unwatched else {}),
        }


@bulk()
def certify(matrix: Matrix, plan: Plan | None = None) -> Certificate:
    """The certificate of a matrix; `plan` spares building it where the caller has it. Pure, and linear."""
    plan = plan or build(matrix)
    exposures, no_return = exposed(plan)
    end = len(plan.positions) - 1
    return Certificate(
        plan=plan,
        exposures=exposures,
        missing=(
            *(Missing(e.interaction, e.pair, e.first, e.last) for e in exposures if not e.verified),
            *(Missing(n.interaction, L_P, n.at, end, no_return=True) for n in no_return if not n.acknowledged),
        ),
        no_return=no_return,
        remedies=remedies(matrix, plan.order.conflict),
    )


def _listed(services: Iterable[str], found: Iterable[tuple[str, frozenset[str]]]) -> dict[str, list[str] | None]:
    """Closures, the service itself first, as long as there is room for them."""
    listed: dict[str, list[str] | None] = dict.fromkeys(services)
    room = LISTED
    for service, fallen in found:
        room -= len(fallen)
        if room < 0:
            break
        listed[service] = [service, *sorted(fallen - {service})]
    return listed
