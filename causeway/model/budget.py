"""The false-alarm budget: what the gates of a whole stack may get wrong by chance."""

from __future__ import annotations

from dataclasses import dataclass

from causeway.model.guardrails import percent
from causeway.model.sequential import ALPHA, LIFE


@dataclass(frozen=True, slots=True)
class Budget:
    """α for each guardrail of each service each time its tests begin: with a soak, and after `LIFE` windows."""

    guardrails: int
    services: int
    starts: int = 1

    @property
    def bound(self) -> float:
        """The most false rollbacks that are to be expected; below 1 also a bound of the chance of any."""
        return ALPHA * self.guardrails * self.services * self.starts

    def __str__(self) -> str:
        counts = ((self.guardrails, "guardrail"), (self.services, "service"), (self.starts, "start"))
        factors = " x ".join([percent(ALPHA), *(_count(number, thing) for number, thing in counts)])
        return (
            f"false-alarm budget: at most {self.bound:.2g} false rollbacks are to be expected ({factors} of the tests, "
            f"which begin with each soak and every {LIFE} windows), and that only if all services stood at all limits"
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
