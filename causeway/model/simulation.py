"""What the gates would do: the error rate guardrail on simulated traffic, many runs side by side.

The harm and safe processes are those of a real soak (`soak.py`; a test plays both on the same counts), for one
service and the error rate alone. A run goes on after it has advanced, because a service is watched at every rung.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causeway.model.guardrails import Guardrail
from causeway.model.observation import Soak as SoakRules
from causeway.model.risk import ALPHA
from causeway.model.sequential import Bernoulli, Harm, Safe

Counts = NDArray[np.int64]

#: Runs played together: what fits a processor's cache.
_BATCH = 1000
NEVER = 0
_MOST_REQUESTS = 1e9
#: Windows of all runs together: about a gigabyte.
_MOST_WINDOWS = 40_000_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """Traffic of one service. Windows are numbered from 1; `change_at` is the first with the rate `then`.

    `requests` is the mean of the Poisson number of requests a window. `burst` is the correlation ρ of failures
    within a window (beta-binomial): 0 for independent failures, which is what the tests assume.
    Raises ValueError for rates outside 0..1 and other numbers that mean nothing.
    """

    error_rate: float
    requests: float
    windows: int
    then: float | None = None
    change_at: int | None = None
    burst: float = 0.0

    def __post_init__(self) -> None:
        for rate in (self.error_rate, self.then):
            if rate is not None and not 0 <= rate <= 1:
                raise ValueError(f"an error rate lies between 0 and 1, not {rate:g}")
        if (self.then is None) != (self.change_at is None):
            raise ValueError("a change needs both its rate and its window")
        if self.change_at is not None and not 1 <= self.change_at <= self.windows:
            raise ValueError(f"the change must lie in windows 1 to {self.windows}, not at {self.change_at}")
        if not 0 <= self.requests <= _MOST_REQUESTS:
            raise ValueError(f"requests a window lie between 0 and 10^9, not {self.requests:g}")
        if self.windows < 1:
            raise ValueError(f"a run has one window at least, not {self.windows}")
        if not 0 <= self.burst < 1:
            raise ValueError(f"a correlation lies between 0 and 1, not {self.burst:g}")

    def fault_at(self, limit: float) -> int | None:
        """The first window whose rate is beyond the limit; None if there is none."""
        if self.error_rate > limit:
            return 1
        return self.change_at if self.then is not None and self.then > limit else None

    def draw(self, runs: int, rng: np.random.Generator) -> tuple[Counts, Counts]:
        """Failed and all requests, each (windows, runs). Raises ValueError for more than fits into memory."""
        if self.windows * runs > _MOST_WINDOWS:
            raise ValueError(f"{runs:,} runs of {self.windows:,} windows are more than {_MOST_WINDOWS:,} windows")
        rates = np.full((self.windows, 1), self.error_rate)
        if self.then is not None and self.change_at is not None:
            rates[self.change_at - 1 :] = self.then
        shape = (self.windows, runs)
        total = rng.poisson(self.requests, shape)
        if not self.burst:
            return rng.binomial(total, np.broadcast_to(rates, shape)), total
        strength = (1 - self.burst) / self.burst
        inner = np.clip(rates, 1e-9, 1 - 1e-9)
        drawn = rng.beta(inner * strength, (1 - inner) * strength, shape)
        return rng.binomial(total, drawn), total


@dataclass(frozen=True, slots=True)
class Outcome:
    """Per run the window of the rollback and of the first `ADVANCE` before it; `NEVER` (0) if there was none."""

    rolled_back: Counts
    advanced: Counts

    def median_detection(self, fault_at: int | None) -> float | None:
        """Median windows from the fault's start to the rollback, the window of the fault counting as one.

        Over the runs that had not been rolled back before; a run never rolled back counts as infinite, and an
        infinite median is None, as is that of no fault.
        """
        if fault_at is None:
            return None
        rolled_back = self.rolled_back[(self.rolled_back == NEVER) | (self.rolled_back >= fault_at)]
        if not len(rolled_back):
            return None
        median = float(np.median(np.where(rolled_back == NEVER, np.inf, rolled_back - fault_at + 1.0)))
        return median if math.isfinite(median) else None

    def facts(self, fault_at: int | None) -> dict[str, float | None]:
        """Shares of the runs that were rolled back and that were told to advance, and the median detection."""
        return {
            "rolled_back": float(np.mean(self.rolled_back != NEVER)),
            "advanced": float(np.mean(self.advanced != NEVER)),
            "median_windows": self.median_detection(fault_at),
        }


def play(bad: Counts, total: Counts, guardrail: Guardrail, rules: SoakRules) -> Outcome:
    """What the gates do on these counts (windows, runs), judged at the end of every window."""
    parts = [
        _play(bad[:, at : at + _BATCH], total[:, at : at + _BATCH], guardrail, rules)
        for at in range(0, bad.shape[1], _BATCH)
    ]
    return Outcome(
        np.concatenate([part.rolled_back for part in parts]), np.concatenate([part.advanced for part in parts])
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """log evidence of one run after each window, and what it must reach."""

    harm: tuple[float, ...]
    safety: tuple[float, ...]
    needed_for_harm: float
    needed_for_safety: tuple[float, ...]


def follow(bad: Counts, total: Counts, guardrail: Guardrail, rules: SoakRules) -> Trace:
    """The evidence of one run, whose counts are (windows,)."""
    harm, safe = _begin(guardrail, rules, 1)
    harmful, harmless, needed = [], [], []
    for failed, requests in zip(bad, total, strict=True):
        harm = harm.observe(np.array([[failed, requests]], dtype=float))
        safe = safe.observe(np.array([failed], dtype=float), np.array([requests], dtype=float))
        harmful.append(float(harm.log_evidence()[0]))
        harmless.append(float(safe.log_evidence()[0]))
        needed.append(safe.log_needed)
    return Trace(tuple(harmful), tuple(harmless), -math.log(ALPHA), tuple(needed))


def _begin(guardrail: Guardrail, rules: SoakRules, runs: int) -> tuple[Harm, Safe]:
    (limit,) = guardrail.limits
    theta = np.full(runs, limit.theta)
    return Harm.begin(Bernoulli(theta), runs), Safe.begin(theta, rules.checks)


def _play(bad: Counts, total: Counts, guardrail: Guardrail, rules: SoakRules) -> Outcome:
    runs = bad.shape[1]
    harm, safe = _begin(guardrail, rules, runs)
    outcome = Outcome(np.full(runs, NEVER), np.full(runs, NEVER))
    live = np.arange(runs)
    seen = np.cumsum(total, axis=0)
    for window, (failed, requests) in enumerate(zip(bad, total, strict=True), start=1):
        f, n = failed[live].astype(float), requests[live].astype(float)
        harm, safe = harm.observe(np.column_stack([f, n])), safe.observe(f, n)
        harmed = harm.reaches(-math.log(ALPHA))
        outcome.rolled_back[live[harmed]] = window
        if window >= rules.checks:
            ready = ~harmed & (seen[window - 1, live] >= rules.requests) & (outcome.advanced[live] == NEVER)
            ready &= safe.bad <= guardrail.warning * safe.total
            ready[ready] = safe.select(ready).log_evidence() >= safe.log_needed
            outcome.advanced[live[ready]] = window
        if harmed.any():
            live, harm, safe = live[~harmed], harm.select(~harmed), safe.select(~harmed)
        if not len(live):
            break
    return outcome
