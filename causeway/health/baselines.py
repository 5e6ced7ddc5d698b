"""What legacy performed like before the migration: measured over a window, with its sample sizes.

A baseline keeps counts; every figure and its bounds are computed from them. Bounds are 95 % confidence bounds:
Clopper-Pearson for shares, order statistics for quantiles, widened to the histogram's own resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from causeway.errors import Held
from causeway.health import windows
from causeway.health.metrics import Counts, Sample, difference, remember
from causeway.health.selectors import Index
from causeway.health.windows import Bound, Names
from causeway.model.matrix import Version
from causeway.model.observation import BaselineRules
from causeway.model.window import Histogram, Missing, Tally

_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure between its confidence bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Hour:
    """What one hour of the day (UTC) saw: requests, in so many seconds of observation."""

    requests: int
    seconds: float

    def __add__(self, other: Hour) -> Hour:
        return Hour(self.requests + other.requests, self.seconds + other.seconds)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Legacy performance of one service, measured from `since` to `until`.

    `seconds` is the time observed in it, which is less where readings were missing; `probes` is None where no probe
    asked legacy.
    """

    service: str
    since: datetime
    until: datetime
    seconds: float
    errors: Tally
    latency: Histogram
    probes: Tally | None = None
    hours: Mapping[int, Hour] = field(default_factory=dict)

    def error_rate(self) -> Estimate:
        """The share of failed requests."""
        return share(self.errors.bad, self.errors.total)

    def response_time(self, q: float) -> Estimate:
        """The q-quantile in seconds. A bound may be infinite: the histogram does not reach that far."""
        return quantile(self.latency, q)

    def availability(self) -> Estimate | None:
        """The share of probes that succeeded."""
        return share(self.probes.total - self.probes.bad, self.probes.total) if self.probes else None

    def demand(self, at: datetime) -> float | None:
        """Requests a second at that hour of the day; None for an hour that was not observed."""
        hour = self.hours.get(at.astimezone(UTC).hour)
        return hour.requests / hour.seconds if hour and hour.seconds else None

    def stale(self, now: datetime, max_age: float) -> str | None:
        """Why the baseline no longer counts; None while it does."""
        age = now - self.until
        if age <= timedelta(seconds=max_age):
            return None
        return f"the baseline of {self.service} is {words(age)} old, the limit is {words(timedelta(seconds=max_age))}"


class Recorder:
    """Gathers baselines from successive samples.

    Feed it with `add`, or with `add_probes` where probes ask legacy; `baseline` judges whether there is enough.
    """

    def __init__(self, names: Names, services: Iterable[str]) -> None:
        self._names = names
        self._gathered = {service: _Gathered() for service in services}
        self._memory: Sample | None = None
        self._bound: dict[str, Bound] = {}

    def add(self, sample: Sample) -> None:
        """Counts what happened since the sample before; what cannot be counted is left out of the time observed."""
        counts = difference(self._memory, sample)
        before, self._memory = self._memory, remember(self._memory, sample)
        if before is None or before.values.keys() != self._memory.values.keys():
            index = Index(self._memory.values)
            self._bound = {name: self._names.service(index, name, Version.LEGACY) for name in self._gathered}
        for service, gathered in self._gathered.items():
            gathered.add(self._bound[service], counts)

    def add_probes(self, service: str, probes: Tally) -> None:
        """Counts probes of a service's legacy version."""
        gathered = self._gathered[service]
        gathered.probes = probes if gathered.probes is None else gathered.probes + probes

    def baseline(self, service: str, rules: BaselineRules, q: float) -> Baseline:
        """The baseline, good for a response time guardrail at quantile `q`.

        Raises Held, with how much more is needed, where it would rest on too little.
        """
        return self._gathered[service].baseline(service, rules, q)

    def baselines(self, rules: BaselineRules, q: float) -> tuple[dict[str, Baseline], Held | None]:
        """Every baseline that rests on enough, and the refusal of the others in one."""
        found: dict[str, Baseline] = {}
        refused: list[Held] = []
        for service in self._gathered:
            try:
                found[service] = self.baseline(service, rules, q)
            except Held as held:
                refused.append(held)
        facts, remedies = (
            "; ".join(each.fact for each in refused),
            " ".join(dict.fromkeys(each.remedy for each in refused)),
        )
        return found, Held(facts, refused[0].consequence, remedies) if refused else None


def share(part: int, total: int) -> Estimate:
    """A share with its exact (Clopper-Pearson) bounds; from nothing, nothing but 0 to 1 is known."""
    from scipy.special import betaincinv

    if not total:
        return Estimate(math.nan, 0.0, 1.0)
    low = float(betaincinv(part, total - part + 1, _ALPHA / 2)) if part else 0.0
    high = float(betaincinv(part + 1, total - part, 1 - _ALPHA / 2)) if part < total else 1.0
    return Estimate(part / total, low, high)


def quantile(histogram: Histogram, q: float) -> Estimate:
    """The q-quantile with bounds from the ranks between which it lies (binomial), widened to whole buckets."""
    from scipy.stats import binom

    value = histogram.quantile(q)
    if value is None:
        return Estimate(math.nan, 0.0, math.inf)
    total = histogram.total
    low, high = (int(rank) for rank in binom.ppf([_ALPHA / 2, 1 - _ALPHA / 2], total, q))
    return Estimate(value, _bucket(histogram, low)[0], _bucket(histogram, high + 1)[1])


def requests_needed(rules: BaselineRules, q: float) -> int:
    """The least number of requests: what the rules say, and enough for the quantile to have an upper bound at all."""
    return max(rules.requests, math.ceil(math.log(_ALPHA / 2) / math.log(q)))


def words(time: timedelta) -> str:
    """A time as people say it: its two largest units."""
    left = max(0, round(time.total_seconds()))
    parts = []
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, seconds)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"


class _Gathered:
    """What was seen of one service so far."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self.until: datetime | None = None
        self.seconds = 0.0
        self.errors = Tally(0, 0)
        self.latency: Histogram | None = None
        self.probes: Tally | None = None
        self.hours: dict[int, Hour] = {}
        self.missing = "no reading"
        self._untimed = 0

    def add(self, bound: Bound, counts: Counts) -> None:
        """Counts what was seen, a part of it too; time and demand are those of looks that end in a complete one."""
        errors, latency = windows.errors(bound, counts), windows.latency(bound, counts)
        failed = errors.seen if isinstance(errors, Missing) else errors
        lasted = latency.seen if isinstance(latency, Missing) else latency
        if isinstance(lasted, Histogram):
            if self.latency is not None and self.latency.bounds != lasted.bounds:
                self.missing = "the bounds of its histogram changed while it was measured"
                return
            self.latency = lasted if self.latency is None else self.latency + lasted
        if isinstance(failed, Tally):
            self.errors += failed
            self._untimed += failed.total
        for found in (errors, latency):
            if isinstance(found, Missing):
                self.missing = found.reason
                return
        assert counts.since is not None
        since = self.until or counts.since  # after an outage, the counts are about all of it
        seconds = max(0.0, (counts.until - since).total_seconds())
        self.since = self.since or since
        self.until = counts.until
        self.seconds += seconds
        hour = (since + (counts.until - since) / 2).astimezone(UTC).hour
        self.hours[hour] = self.hours.get(hour, Hour(0, 0.0)) + Hour(self._untimed, seconds)
        self._untimed = 0

    def baseline(self, service: str, rules: BaselineRules, q: float) -> Baseline:
        if self.latency is None or self.since is None or self.until is None:
            raise _held(
                service, f"nothing could be measured: {self.missing}", "Mend causeway:metrics and record again."
            )
        lacking = self._lacking(rules, q)
        if lacking is not None:
            raise _held(service, *lacking)
        found = Baseline(
            service, self.since, self.until, self.seconds, self.errors, self.latency, self.probes, dict(self.hours)
        )
        slow = found.response_time(q).value
        if not 0 < slow < math.inf:
            last = self.latency.bounds[-2] if len(self.latency.bounds) > 1 else 0.0
            raise _held(
                service,
                f"its {q:g} quantile is {slow:g} s by a histogram that ends at {last:g} s",
                "Give the histogram bounds around its usual response times, and record again.",
            )
        return found

    def _lacking(self, rules: BaselineRules, q: float) -> tuple[str, str] | None:
        needed = requests_needed(rules, q)
        found = min(self.errors.total, self.latency.total if self.latency else 0)
        time = timedelta(seconds=self.seconds)
        if found < needed:
            wait = f" (about {words(time * ((needed - found) / found))} at this rate)" if found else ""
            return (
                f"{found} requests in {words(time)}, {needed} are needed",
                f"Measure {needed - found} requests more{wait}.",
            )
        if self.seconds < rules.window:
            more = timedelta(seconds=rules.window) - time
            return (
                f"{words(time)} observed, {words(timedelta(seconds=rules.window))} needed",
                f"Measure {words(more)} more.",
            )
        return None


def _held(service: str, fact: str, remedy: str) -> Held:
    return Held(f"no baseline of {service}@legacy: {fact}", "its package would be compared with chance", remedy)


def _bucket(histogram: Histogram, rank: int) -> tuple[float, float]:
    """The lower and upper bound of the bucket that holds the request of that rank, counted from 1."""
    lower = 0.0
    for bound, reached in zip(histogram.bounds, accumulate(histogram.counts), strict=True):
        if reached >= max(rank, 1):
            return lower, bound
        lower = bound
    return lower, math.inf
