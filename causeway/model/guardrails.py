"""Guardrails: one measured limit each, with a warning and a rollback threshold.

A threshold is what a person writes (5 % errors, 3 x baseline, 99 % available, 60 % of demand); a limit is what a
test needs: the bad event, the share θ of it that is still allowed, and what crossing it asks for.
Definitions: `docs/reference/gates.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

#: Failed calls between services that are in order where no guardrail says how many.
_ALLOWED = 0.05


class Measure(StrEnum):
    """What a guardrail measures."""

    ERROR_RATE = "error_rate"
    RESPONSE_TIME = "response_time"
    THROUGHPUT = "throughput"
    AVAILABILITY = "availability"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


class Pace(StrEnum):
    """How traffic goes back: after running work has drained, or now."""

    GRACEFUL = "graceful"
    IMMEDIATE = "immediate"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit with a test behind it: more than a share `theta` of bad events, and traffic goes back at `pace`.

    `factor` is the multiple of the baseline beyond which a response is slow; None for the other measures.
    """

    measure: Measure
    theta: float
    pace: Pace = Pace.IMMEDIATE
    factor: float | None = None

    @property
    def bad_event(self) -> str:
        """What is counted, in words."""
        match self.measure:
            case Measure.ERROR_RATE:
                return "failed"
            case Measure.RESPONSE_TIME:
                return f"slower than {self.factor:g} x baseline"
            case Measure.THROUGHPUT:
                return "not completed"
            case Measure.AVAILABILITY:
                return "failed"

    def __str__(self) -> str:
        return f"{self.measure.words}: at most {percent(self.theta)} {self.bad_event}"


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One guardrail. Thresholds are in the units people write:

    error rate: share of failed requests; response time: multiples of the baseline's `quantile`; throughput:
    share of the demand that is met; availability: share of probes that succeed.
    Raises ValueError where the numbers cannot mean that.
    """

    name: Measure
    warn: float
    roll_back: float
    quantile: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", Measure(self.name))
        falling = self.name in (Measure.THROUGHPUT, Measure.AVAILABILITY)
        order = (self.roll_back, self.warn) if falling else (self.warn, self.roll_back)
        if not order[0] <= order[1]:
            raise ValueError(f"{self.name}: warn {self.warn:g} must come before roll_back {self.roll_back:g}")
        if self.name is Measure.RESPONSE_TIME:
            if self.quantile is None or not 0 < self.quantile < 1:
                raise ValueError(f"{self.name}: needs a quantile between 0 and 1, not {self.quantile}")
            if self.warn < 1:
                raise ValueError(f"{self.name}: warn is a multiple of the baseline, at least 1, not {self.warn:g}")
        elif self.quantile is not None:
            raise ValueError(f"{self.name}: only response_time has a quantile")
        elif not (0 < self.roll_back < 1 and 0 <= self.warn <= 1):
            raise ValueError(f"{self.name}: thresholds are shares between 0 and 1")

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits whose crossing sends traffic back, the mildest first."""
        match self.name:
            case Measure.ERROR_RATE:
                return (Limit(self.name, self.roll_back),)
            case Measure.RESPONSE_TIME:
                assert self.quantile is not None
                theta = round(1 - self.quantile, 12)
                return (
                    Limit(self.name, theta, Pace.GRACEFUL, self.warn),
                    Limit(self.name, theta, Pace.IMMEDIATE, self.roll_back),
                )
            case Measure.THROUGHPUT | Measure.AVAILABILITY:
                return (Limit(self.name, round(1 - self.roll_back, 12)),)

    @property
    def warning(self) -> float:
        """The largest estimate that is no warning: a share of bad events, or a multiple of the baseline."""
        falling = self.name in (Measure.THROUGHPUT, Measure.AVAILABILITY)
        return round(1 - self.warn, 12) if falling else self.warn

    def __str__(self) -> str:
        match self.name:
            case Measure.ERROR_RATE:
                return f"error rate: warning above {percent(self.warn)}, rollback above {percent(self.roll_back)}"
            case Measure.RESPONSE_TIME:
                return (
                    f"response time ({percent(self.quantile or 0)} quantile): warning and graceful rollback above "
                    f"{self.warn:g} x baseline, immediate rollback above {self.roll_back:g} x"
                )
            case Measure.THROUGHPUT | Measure.AVAILABILITY:
                unit = " of demand" if self.name is Measure.THROUGHPUT else ""
                below, far_below = percent(self.warn), percent(self.roll_back)
                return f"{self.name.words}: warning below {below}{unit}, rollback below {far_below}"


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The guardrails of one stack; None is what it does not watch.

    The defaults are for simulations and tests; a stack writes its own.
    """

    error_rate: Guardrail | None = Guardrail(Measure.ERROR_RATE, 0.02, 0.05)
    response_time: Guardrail | None = Guardrail(Measure.RESPONSE_TIME, 2.0, 3.0, 0.95)
    throughput: Guardrail | None = Guardrail(Measure.THROUGHPUT, 0.8, 0.6)
    availability: Guardrail | None = Guardrail(Measure.AVAILABILITY, 0.999, 0.99)

    def __iter__(self) -> Iterator[Guardrail]:
        every = (self.error_rate, self.response_time, self.throughput, self.availability)
        return (guardrail for guardrail in every if guardrail is not None)

    @property
    def counted(self) -> tuple[Limit, ...]:
        """The limits that count events one by one: all but throughput's, which compares demand with work done."""
        return tuple(limit for each in self if each.name is not Measure.THROUGHPUT for limit in each.limits)

    @property
    def allowed_errors(self) -> float:
        """The share of failed calls at which an edge is in order: the error rate's limit, where that is watched."""
        return self.error_rate.roll_back if self.error_rate else _ALLOWED

    def __str__(self) -> str:
        return "; ".join(str(each) for each in self)


def percent(share: float) -> str:
    """A share for people: 0.05 is `5 %`, 0.148 is `14.8 %`, 0.99999 is `99.999 %`."""
    return f"{share * 100:.6g} %" if share >= 0.999 else f"{share * 100:.3g} %"
