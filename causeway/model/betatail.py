"""The evidence of one start: a Beta mixture of failure rates beyond a limit against the limit itself, in logs.

For `bad` bad and `good` good events and a limit θ, with the rate p uniform (Beta(1, 1)) on the side that is tested,

    above:  M = ∫_θ^1 p^bad (1-p)^good dp / ((1-θ) θ^bad (1-θ)^good)
    below:  M = ∫_0^θ p^bad (1-p)^good dp / (   θ  θ^bad (1-θ)^good)

The second is the first with the roles of good and bad, and θ and 1-θ, exchanged. Far in the tail, where the integral
underflows, the continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8, evaluated by Lentz's
method as in Numerical Recipes 6.4) gives M without a difference of large logarithms:

    M = θ / (good + 1) · fraction(good + 1, bad + 1, 1 - θ)

Near and above the mode the regularised tail is an ordinary number and scipy's `betaincc` is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaln

Floats = NDArray[np.float64]

#: Standard deviations below the limit from which on the fraction converges in a few dozen terms whatever the counts.
_TAIL = 3.0
_TINY = 1e-300
_EPSILON = 1e-15
_MAX_TERMS = 500


def log_above(bad: ArrayLike, good: ArrayLike, theta: ArrayLike) -> Floats:
    """log M of rates above θ, elementwise for broadcastable counts >= 0 and 0 < θ < 1. Zero without events."""
    b, g, t = (np.array(each, dtype=float) for each in np.broadcast_arrays(bad, good, theta))
    shape = b.shape
    b, g, t = b.ravel(), g.ravel(), t.ravel()
    total = b + g
    deep = t * total - b > _TAIL * np.sqrt(t * (1 - t) * total)
    result = np.empty_like(b)
    for part, formula in ((deep, _by_fraction), (~deep, _by_tail)):
        if part.any():
            result[part] = formula(b[part], g[part], t[part])
    return result.reshape(shape)


def log_below(bad: ArrayLike, good: ArrayLike, theta: ArrayLike) -> Floats:
    """log M of rates below θ: the mirror image of `log_above`."""
    return log_above(good, bad, 1.0 - np.asarray(theta, dtype=float))


def _by_tail(bad: Floats, good: Floats, theta: Floats) -> Floats:
    tail: Floats = np.log(betaincc(bad + 1, good + 1, theta)) + betaln(bad + 1, good + 1)
    return tail - bad * np.log(theta) - (good + 1) * np.log1p(-theta)


def _by_fraction(bad: Floats, good: Floats, theta: Floats) -> Floats:
    return np.log(theta / (good + 1)) + np.log(_fraction(good + 1, bad + 1, 1 - theta))


def _fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """1/(1 + d1/(1 + d2/(1 + ...))) of I_x(a, b); elements leave the iteration as they converge."""
    result = np.empty_like(a)
    active: NDArray[np.intp] = np.arange(a.size)
    c = np.ones_like(a)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    h = d.copy()
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            change = c * d
            h = h * change
        going = np.abs(change - 1) > _EPSILON
        if not going.all():
            result[active[~going]] = h[~going]
            active = active[going]
            a, b, x, c, d, h = (each[going] for each in (a, b, x, c, d, h))
        if not active.size:
            return result
    result[active] = h
    return result


def _away_from_zero(values: Floats) -> Floats:
    return np.where(np.abs(values) < _TINY, _TINY, values)
