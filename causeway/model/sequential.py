"""Tests that may be looked at any time: harm (traffic must go back) and safety (a service may advance).

Both are e-processes: non-negative, and of expectation at most 1 at every stopping time as long as the null
hypothesis holds, so that crossing 1/α ever has probability at most α (Ville's inequality), however often one looks.
Rows are processes side by side (service x limit, or simulated run); a row of one is a single test. States are
frozen, arrays are never written after construction, everything is in logs. Definitions: `docs/reference/gates.md`.

Why `Harm` is an e-process. Under the null each start j has a likelihood ratio M_j that is 1 until its window begins
and a supermartingale after, so E = Σ_j w_j M_j with Σ w_j = 1 is one too; starts still to come count as their weight.
Thinning ends the bet of one start and hands its capital w_j M_j to a neighbour i, whose weight grows by
w_j M_j / M_i: E does not change at that moment, and from then on all of it is bet on a supermartingale. Which
start goes is decided by the windows' numbers alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy

from causeway.model.betatail import log_above, log_below
from causeway.model.risk import BETA, LIFE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_] | NDArray[np.intp]

#: Live starts of one harm process.
STARTS = 64


class Family(Protocol):
    """What a harm process bets on. `statistic` columns add up over windows; zeros are no evidence."""

    @property
    def width(self) -> int:
        """Columns of the statistic."""
        ...

    def log_ratio(self, statistic: Floats) -> Floats:
        """log likelihood ratio of a statistic (rows, starts, width) -> (rows, starts)."""
        ...

    def log_bound(self, statistic: Floats) -> Floats:
        """A cheap upper bound of `log_ratio`."""
        ...

    def select(self, rows: Rows) -> Family:
        """The same for some of the rows."""
        ...


@dataclass(frozen=True, eq=False)
class Bernoulli:
    """Events that are bad with a probability at most θ, against a Beta(1, 1) mixture of the rates above θ.

    `theta` has one entry per row; the statistic is (bad, total).
    """

    theta: Floats

    @property
    def width(self) -> int:
        return 2

    def log_ratio(self, statistic: Floats) -> Floats:
        bad, total = statistic[..., 0], statistic[..., 1]
        return log_above(bad, total - bad, self.theta[:, None])

    def log_bound(self, statistic: Floats) -> Floats:
        """total · KL(observed, θ), the largest ratio of any rate above θ; 0 at or below θ."""
        bad, total = statistic[..., 0], statistic[..., 1]
        theta = np.broadcast_to(self.theta[:, None], bad.shape)
        bound = np.zeros_like(bad)
        above = bad > theta * total
        b, n, t = bad[above], total[above], theta[above]
        bound[above] = xlogy(b, b / (n * t)) + xlogy(n - b, (n - b) / (n * (1 - t)))
        return bound

    def select(self, rows: Rows) -> Bernoulli:
        return Bernoulli(self.theta[rows])


@dataclass(frozen=True, eq=False)
class Relative:
    """Work that is done at least at a share `limit` of what is due, against an even mixture of smaller shares.

    The statistic has one log likelihood ratio per share of the mixture (`increments`), because the probability of
    the counted event changes from window to window with the cohort's share of demand.
    """

    limit: float
    shares: Floats

    @classmethod
    def below(cls, limit: float) -> Relative:
        """Shares from almost nothing to nine tenths of the limit."""
        return cls(limit, limit * np.array([0.01, 0.15, 0.3, 0.5, 0.7, 0.9]))

    @property
    def width(self) -> int:
        return len(self.shares)

    def log_ratio(self, statistic: Floats) -> Floats:
        total: Floats = logsumexp(statistic, axis=-1)
        return total - math.log(self.width)

    def log_bound(self, statistic: Floats) -> Floats:
        largest: Floats = statistic.max(axis=-1)
        return largest

    def select(self, rows: Rows) -> Relative:
        return self

    def alone(self, done: Floats, due: Floats) -> Floats:
        """Increments (rows, width) when all demand is the package's: `done` of `due` at probability share."""
        d, n = done[:, None], due[:, None]
        increments: Floats = xlogy(d, self.shares / self.limit) + xlogy(n - d, (1 - self.shares) / (1 - self.limit))
        return increments

    def beside(self, done: Floats, due: Floats, legacy_done: Floats, legacy_due: Floats) -> Floats:
        """Increments (rows, width) below weight 100: the package's share of all work done, given that of demand.

        With a share π of demand and relative throughput r the package does p(r) = rπ / (rπ + 1 - π) of the work. The
        ratio's expectation is at most 1 also where work is not Poisson: if legacy completes each request with any
        probability q and the package with Lq, L being the limit, then with c = (Lπ + 1 - π) / (rπ + 1 - π)

            log E = N [π log(1 - qL + qrc) + (1 - π) log(1 - q + qc)] <= N log 1

        by Jensen's inequality, and a better package lowers it. No demand of either side is no evidence.
        """
        d, n, ld, ln = (each[:, None] for each in (done, due, legacy_done, legacy_due))
        informative = (n > 0) & (ln > 0)
        pi = np.where(informative, n / np.maximum(n + ln, 1.0), 0.5)

        at = self.limit * pi / (self.limit * pi + 1 - pi)
        under = self.shares * pi / (self.shares * pi + 1 - pi)
        return np.where(informative, xlogy(d, under / at) + xlogy(ld, (1 - under) / (1 - at)), 0.0)


@dataclass(frozen=True, eq=False)
class Harm:
    """Harm processes of one family, advancing window by window together.

    `window` is the number of the current window within this life, from 1. `births` holds the window in which each
    live start began, `log_weights` (rows, starts) what is bet on it, `seen` (rows, width) the statistic of this life
    and `before` (rows, starts, width) what of it had been seen when the start began.
    """

    family: Family
    window: int
    births: Ints
    log_weights: Floats
    seen: Floats
    before: Floats

    @classmethod
    def begin(cls, family: Family, rows: int) -> Harm:
        """Nothing seen: one start of weight ½, the other ½ on starts to come."""
        return cls(
            family,
            window=1,
            births=np.array([1]),
            log_weights=np.full((rows, 1), math.log(0.5)),
            seen=np.zeros((rows, family.width)),
            before=np.zeros((rows, 1, family.width)),
        )

    def observe(self, increments: Floats, closes: bool = True) -> Harm:
        """Adds what was seen (rows, width); `closes` ends the window, so that the next one has a start of its own.

        Where a window is cut for looking into it does not matter. After `LIFE` windows everything begins anew.
        """
        state = self if self.window <= LIFE else Harm.begin(self.family, len(self.seen))
        state = replace(state, seen=state.seen + increments)
        return state._closed() if closes else state

    def log_evidence(self) -> Floats:
        """log E of each row: the odds against "the limit is kept"."""
        begun: Floats = logsumexp(self._capital, axis=1)
        return np.logaddexp(begun, self._log_to_come)

    def reaches(self, log_odds: float) -> NDArray[np.bool_]:
        """Which rows have at least that much evidence: asked exactly only where a cheap upper bound allows it."""
        bound = self.family.log_bound(self._since_birth()) + self.log_weights
        to_come = self._log_to_come
        reached: NDArray[np.bool_] = np.logaddexp(bound.max(axis=1) + math.log(len(self.births)), to_come) >= log_odds
        reached[reached] = np.logaddexp(logsumexp(bound[reached], axis=1), to_come) >= log_odds
        if reached.any():
            reached[reached] = self.select(reached).log_evidence() >= log_odds
        return reached

    def since(self) -> tuple[Ints, Floats]:
        """Where the evidence lies: per row the window in which its heaviest start began and the statistic since."""
        heaviest = self._capital.argmax(axis=1)
        return self.births[heaviest], self.seen - self.before[np.arange(len(self.seen)), heaviest]

    def select(self, rows: Rows) -> Harm:
        """The same for some of the rows."""
        family = self.family.select(rows)
        return replace(
            self, family=family, log_weights=self.log_weights[rows], seen=self.seen[rows], before=self.before[rows]
        )

    @property
    def _log_to_come(self) -> float:
        return math.log(0.5 / self.window)

    def _since_birth(self) -> Floats:
        since: Floats = self.seen[:, None, :] - self.before
        return since

    @cached_property
    def _capital(self) -> Floats:
        return self.log_weights + self.family.log_ratio(self._since_birth())

    def _closed(self) -> Harm:
        born = self.window + 1
        weight = math.log(0.5 / (born * (born - 1)))
        kept = self._thinned() if len(self.births) == STARTS else self
        return replace(
            kept,
            window=born,
            births=np.append(kept.births, born),
            log_weights=np.column_stack([kept.log_weights, np.full(len(kept.seen), weight)]),
            before=np.concatenate([kept.before, kept.seen[:, None, :]], axis=1),
        )

    def _thinned(self) -> Harm:
        """One start fewer: the one whose neighbours lie closest for their age gives its capital to the younger one."""
        gaps = (self.births[2:] - self.births[:-2]) / (self.window + 1 - self.births[1:-1])
        gone = 1 + int(gaps.argmin())
        pair = slice(gone, gone + 2)
        ratios = self.family.log_ratio(self.seen[:, None, :] - self.before[:, pair])
        heir = np.logaddexp(self.log_weights[:, gone + 1], self.log_weights[:, gone] + ratios[:, 0] - ratios[:, 1])
        weights = np.delete(self.log_weights, gone, axis=1)
        weights[:, gone] = heir
        return replace(
            self,
            births=np.delete(self.births, gone),
            log_weights=weights,
            before=np.delete(self.before, gone, axis=1),
        )


@dataclass(frozen=True, eq=False)
class Safe:
    """Evidence that rates lie below θ, from the current block of windows only.

    Each block is a test of its own, block k at level β/(k(k+1)), which adds up to β: old health does not vouch for
    the present. The first block has `checks` windows, each later one twice as many as the one before, so that little
    traffic takes longer instead of for ever. `windows` counts the closed windows of the block; `bad` and `total` are
    its counts by row.
    """

    theta: Floats
    checks: int
    block: int
    windows: int
    bad: Floats
    total: Floats

    @classmethod
    def begin(cls, theta: Floats, checks: int) -> Safe:
        """Nothing seen. `theta` has one entry per row; `checks` >= 1 windows make the first block."""
        return cls(theta, checks, 1, 0, np.zeros_like(theta), np.zeros_like(theta))

    @property
    def fresh(self) -> bool:
        """The block has ended: what is observed next belongs to a new one."""
        return self.windows == self.checks << (self.block - 1)

    def observe(self, bad: Floats, total: Floats, closes: bool = True) -> Safe:
        """Adds counts by row; `closes` ends the window, and after the block's last one the next opens a new block."""
        state = self
        if self.fresh:
            nothing = np.zeros_like(self.theta)
            state = replace(self, block=self.block + 1, windows=0, bad=nothing, total=nothing)
        return replace(state, bad=state.bad + bad, total=state.total + total, windows=state.windows + int(closes))

    def log_evidence(self, more_good: Floats | float = 0.0) -> Floats:
        """log odds against "at or beyond θ", if so many more good events had been seen."""
        return log_below(self.bad, self.total - self.bad + more_good, self.theta)

    @property
    def log_needed(self) -> float:
        """What `log_evidence` must reach in this block."""
        return math.log(self.block * (self.block + 1) / BETA)

    def good_needed(self) -> Floats:
        """How many more events, all of them good, each row needs in this block; 0 where it is safe. Whole numbers."""
        low = np.zeros_like(self.theta)
        high = np.ones_like(self.theta)
        while (short := self.log_evidence(high) < self.log_needed).any():
            high = np.where(short, 2 * high, high)
        for _ in range(int(math.log2(high.max(initial=1))) + 1):
            middle = np.floor((low + high) / 2)
            reached = self.log_evidence(middle) >= self.log_needed
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        return np.where(self.log_evidence() >= self.log_needed, 0.0, high)

    def select(self, rows: Rows) -> Safe:
        """The same for some of the rows."""
        return replace(self, theta=self.theta[rows], bad=self.bad[rows], total=self.total[rows])
