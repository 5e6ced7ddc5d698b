"""Where a figure is heading: the slope of a least-squares line with its 95 % confidence bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_CONFIDENCE = 0.95
#: Fewer points have bounds so wide that they say nothing.
FEWEST = 4

#: Values that differ by no more than this share of themselves differ by rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Trend:
    """Change per hour, in the figure's own unit."""

    slope: float
    low: float
    high: float

    @property
    def word(self) -> str:
        """`rising` or `falling` where the bounds agree on it, else `steady`."""
        if self.low > 0:
            return "rising"
        return "falling" if self.high < 0 else "steady"


def trend(hours: Sequence[float], values: Sequence[float | None]) -> Trend | None:
    """The trend of values at times in hours, None for what was not measured; None with fewer than four points.

    Ordinary least squares; bounds from Student's t with n - 2 degrees of freedom. Successive windows are taken as
    independent, so that a trend is a hint for people and never a gate.
    """
    from scipy.special import stdtrit

    points = [(hour, value) for hour, value in zip(hours, values, strict=True) if value is not None]
    if len(points) < FEWEST:
        return None
    x, y = np.array(points).T
    x = x - x.mean()
    spread = float(x @ x)
    if spread == 0:
        return None
    if np.ptp(y) <= _ROUNDING * np.abs(y).max():
        return Trend(0.0, 0.0, 0.0)
    slope = float(x @ y) / spread
    residuals = y - y.mean() - slope * x
    freedom = len(points) - 2
    error = float(np.sqrt(residuals @ residuals / freedom / spread))
    margin = float(stdtrit(freedom, (1 + _CONFIDENCE) / 2)) * error
    return Trend(slope, slope - margin, slope + margin)
