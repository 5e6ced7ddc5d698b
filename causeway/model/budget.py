"""The false-alarm budget: what the gates of a whole stack may get wrong by chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from causeway.model.guardrails import Guardrails, percent
from causeway.model.observation import Soak
from causeway.model.plan import Plan
from causeway.model.risk import ALPHA, LIFE

#: Tests of the same traffic: the soak's, and those of the standing watch beside it.
_SIDE_BY_SIDE = 2
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Budget:
    """α for each guardrail of each service each time its tests begin: with a soak, and after `LIFE` windows.

    `services` are the most that one soak watches, `soaks` the services of every soak of a plan added up, `starts` how
    often tests begin in one soak, `interval` the seconds of a window. The plan is walked once; every way back walks a
    part of it again. While a place is held the monitor's watch goes on, and its tests begin again and again.
    """

    guardrails: int
    services: int
    soaks: int
    starts: int = 1
    interval: float = 30.0

    @classmethod
    def of(cls, plan: Plan, guardrails: Guardrails, rules: Soak, timeout: float) -> Budget:
        """The budget of a plan. `timeout` is the longest soak, in seconds."""
        first = {
            name: position.index
            for position in reversed(plan.positions)
            for name, weight in position.changes.items()
            if weight > 0
        }
        soaks = sum(len(plan.positions) - index for index in first.values())
        starts = max(1, math.ceil(timeout / rules.interval / LIFE))
        return cls(len(tuple(guardrails)), len(first), soaks, starts, rules.interval)

    @property
    def a_soak(self) -> float:
        """The most false rollbacks that are to be expected of one soak; below 1 also a bound of the chance of any."""
        return ALPHA * self.guardrails * self.services * self.starts

    @property
    def a_plan(self) -> float:
        """The most that are to be expected while the plan is walked once, the monitor's standing watch included."""
        return ALPHA * self.guardrails * self.soaks * self.starts * _SIDE_BY_SIDE

    @property
    def a_day(self) -> float:
        """The most that are to be expected of a day at one place, where the standing watch is all there is."""
        return ALPHA * self.guardrails * self.services * _DAY / (self.interval * LIFE)

    def __str__(self) -> str:
        tests = " x ".join([percent(ALPHA), _count(self.guardrails, "guardrail"), _count(self.services, "service")])
        tests += f" x {_count(self.starts, 'start')} of the tests" if self.starts > 1 else ""
        return (
            f"false-alarm budget: at most {self.a_soak:.2g} false rollbacks are to be expected in one soak ({tests}), "
            f"{self.a_plan:.2g} over the whole plan ({self.soaks:,} times a service is soaked, the monitor's watch "
            f"beside it) and {self.a_day:.2g} a day while a place is held, and that only "
            f"if all services stood at all limits all the time"
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
