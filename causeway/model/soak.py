"""A soak: the tests of every watched service, side by side, from one position's start to its verdict.

`Soak.begin` states what is watched; `observe` adds a look (every scrape; the last of a window closes it); `verdict`
judges what has been seen so far. Every state is a value. None is stored: a soak whose process died begins again, with
an α of its own that the budget counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import starmap

import numpy as np

from causeway.model.course import Course, Flow, running, tallies
from causeway.model.guardrails import Guardrails, Limit
from causeway.model.judge import judge
from causeway.model.observation import Soak as SoakRules
from causeway.model.risk import ALPHA
from causeway.model.sequential import Bernoulli, Family, Floats, Harm, Ints, Relative, Safe
from causeway.model.verdict import Verdict
from causeway.model.window import Category, Check, Missing, Tally, Window

#: Consecutive failures of a functionality or integration check that send traffic back.
STRIKES = 3


@dataclass(frozen=True, eq=False)
class Watch:
    """Harm processes with what they say now and the most they ever said in this soak: crossing once is enough.

    Of the `peak` it keeps what it rested on, because that is what has to be told: `seen` is the statistic since the
    start that had won most (rows, width), `lasted` how many windows that was, `at` the window of the peak.
    """

    harm: Harm
    log_evidence: Floats
    peak: Floats
    seen: Floats
    lasted: Ints
    at: Ints
    window: int = 1

    @classmethod
    def begin(cls, family: Family, rows: int) -> Watch:
        nothing = np.zeros(rows)
        counted, windows = np.zeros((rows, family.width)), np.ones(rows, dtype=np.int64)
        return cls(Harm.begin(family, rows), nothing, nothing, counted, windows, windows)

    def observe(self, increments: Floats, closes: bool) -> Watch:
        harm, window = self.harm.observe(increments, closes), self.window + closes
        evidence = harm.log_evidence()
        higher = evidence > self.peak
        births, seen = harm.since()
        return Watch(
            harm,
            evidence,
            np.maximum(self.peak, evidence),
            np.where(higher[:, None], seen, self.seen),
            np.where(higher, np.maximum(1, harm.window - births), self.lasted),
            np.where(higher, window, self.at),
            window,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """A check's last result and how often it has failed in a row. What has rolled back once stays failed."""

    check: Check
    failures: int = 0

    @property
    def tripped(self) -> bool:
        return self.failures >= (1 if self.check.category is Category.DATA_INTEGRITY else STRIKES)

    def observe(self, check: Check) -> Standing:
        """Missing is not failed: it neither counts nor clears."""
        if self.tripped:
            return self
        if check.passed is None:
            return Standing(check, self.failures)
        return Standing(check, 0 if check.passed else self.failures + 1)


@dataclass(frozen=True, eq=False)
class Soak:
    """What was seen of the watched services since the soak began. Build it with `begin`.

    `moving` are the services whose weight this position raises: they need the minimum soak and evidence of safety;
    the others (complete already) only must not be harmed. `baselines` has legacy's response time in seconds at the
    guardrail's quantile. Rows of `counted` and `safe` are services x `guardrails.counted`, rows of `flow` services.
    `shown` is the throughput of each service when the evidence against it was strongest.
    """

    services: tuple[str, ...]
    moving: frozenset[str]
    guardrails: Guardrails
    rules: SoakRules
    baselines: Mapping[str, float]
    counted: Watch
    safe: Safe
    flow: Watch | None
    courses: tuple[Course, ...]
    shown: tuple[Flow, ...]
    standings: Mapping[tuple[str, str, str], Standing] = field(default_factory=dict)
    looks: int = 0
    began_again: str | None = None

    @classmethod
    def begin(
        cls,
        services: Iterable[str],
        guardrails: Guardrails,
        rules: SoakRules,
        baselines: Mapping[str, float],
        moving: Iterable[str] | None = None,
    ) -> Soak:
        """Nothing seen yet. All services move unless `moving` says otherwise."""
        watched = tuple(services)
        theta = np.tile([limit.theta for limit in guardrails.counted], len(watched)).astype(float)
        throughput = guardrails.throughput
        return cls(
            services=watched,
            moving=frozenset(watched if moving is None else moving),
            guardrails=guardrails,
            rules=rules,
            baselines=dict(baselines),
            counted=Watch.begin(Bernoulli(theta), len(theta)),
            safe=Safe.begin(theta, rules.checks),
            flow=Watch.begin(Relative.below(throughput.roll_back), len(watched)) if throughput else None,
            courses=tuple(Course(name) for name in watched),
            shown=(Flow(),) * len(watched),
        )

    def observe(self, windows: Iterable[Window], checks: Iterable[Check] = (), closes: bool = True) -> Soak:
        """Adds one look at all services; one without a window is missing, one that is not watched is ignored.

        `closes` is False for a look in the middle of a window: counts add up, but minimum soak and change points
        count whole windows. A build that has not run before starts the soak again, without this look, whose counts
        may be about both. One that comes and goes has to be shown to be safe anew, and harm goes on being counted: it
        is about every request, whatever answered it.
        """
        seen = {window.service: window for window in windows}
        changed = [each for each in self.courses if each.service in seen and each.other_than(seen[each.service].build)]
        why = "; ".join(_changed(course, seen[course.service]) for course in changed) or None
        if any(running(seen[course.service].build) - course.builds for course in changed):
            return self._anew(why, seen, checks)
        opens = self.safe.fresh
        looked = tuple(self._timed(seen.get(name, Window(name))) for name in self.services)
        counts = [tallies(window, self.guardrails, self.baselines.get(window.service)) for window in looked]
        courses = tuple(
            course.observe(window, counted, self.guardrails, closes, opens)
            for course, window, counted in zip(self.courses, looked, counts, strict=True)
        )
        harming = _numbers(map(_seen, each.values()) for each in counts)
        vouching = _numbers(starmap(_vouches, each.items()) for each in counts)
        flow = self.flow and self.flow.observe(self._worked(self.flow, courses), closes)
        after = replace(
            self,
            counted=self.counted.observe(harming, closes),
            safe=self.safe.observe(vouching[:, 0], vouching[:, 1], closes),
            flow=flow,
            courses=courses,
            shown=self._shown(flow, courses),
            standings=self._checked(checks),
            looks=self.looks + 1,
        )
        return after._unproven(why) if changed else after

    def verdict(self) -> Verdict:
        """What may be done on the evidence so far."""
        return judge(self)

    def said(self, category: Category, name: str, service: str | None) -> bool:
        """Whether a check has been made, or could not be made, since the soak began."""
        return (category, name, service or "") in self.standings

    def log_odds(self, limit: Limit) -> float:
        """What the log evidence against a limit must reach: 1/α, shared among the limits of one guardrail."""
        rail = next(each for each in self.guardrails if each.name is limit.measure)
        return math.log(len(rail.limits) / ALPHA)

    def _timed(self, window: Window) -> Window:
        """Without its throughput where a window is too short for that: what is not done yet would count as lost."""
        usual, interval = self.baselines.get(window.service, 0.0), self.rules.interval
        if usual <= interval:
            return window
        why = f"requests take {usual:.3g} s by the baseline, longer than the window of {interval:g} s"
        return replace(window, throughput=Missing(why))

    def _anew(self, why: str | None, seen: Mapping[str, Window], checks: Iterable[Check]) -> Soak:
        """Nothing seen but what is no matter of builds: which of them ran, and what is wrong with the data."""
        began = Soak.begin(self.services, self.guardrails, self.rules, self.baselines, self.moving)
        builds = [
            each.builds | running(seen[each.service].build if each.service in seen else None) for each in self.courses
        ]
        courses = tuple(replace(course, builds=ran) for course, ran in zip(began.courses, builds, strict=True))
        data = {
            key: each
            for key, each in self._checked(checks).items()
            if each.tripped and each.check.category is Category.DATA_INTEGRITY
        }
        return replace(began, began_again=why, courses=courses, standings=data)

    def _unproven(self, why: str | None) -> Soak:
        """The same with nothing that vouches for it."""
        return replace(
            self,
            safe=Safe.begin(self.safe.theta, self.rules.checks),
            courses=tuple(course.unproven() for course in self.courses),
            standings={key: each for key, each in self.standings.items() if each.failures},
            began_again=why,
        )

    def _shown(self, flow: Watch | None, courses: tuple[Course, ...]) -> tuple[Flow, ...]:
        if flow is None or self.flow is None:
            return self.shown
        rose = flow.peak > self.flow.peak
        return tuple(
            course.flow if higher else before for course, before, higher in zip(courses, self.shown, rose, strict=True)
        )

    def _worked(self, flow: Watch, courses: tuple[Course, ...]) -> Floats:
        """The increments of the throughput tests: what fell due and was done since the look before."""
        family = flow.harm.family
        assert isinstance(family, Relative)
        judged = [
            (now.due - then.due, now.late - then.late)
            for course, before in zip(courses, self.courses, strict=True)
            for now, then in (
                (course.flow.package, before.flow.package),
                (course.flow.legacy, before.flow.legacy),
            )
        ]
        due, late, legacy_due, legacy_late = np.array(judged, dtype=float).reshape(-1, 4).T
        alone = np.array([course.flow.weight >= 100 for course in courses], dtype=bool)[:, None]
        done = due - late
        beside = family.beside(done, due, legacy_due - legacy_late, legacy_due)
        return np.where(alone, family.alone(done, due), beside)

    def _checked(self, checks: Iterable[Check]) -> Mapping[tuple[str, str, str], Standing]:
        standings = dict(self.standings)
        for check in checks:
            key = _key(check)
            standings[key] = standings.get(key, Standing(check)).observe(check)
        return standings


def _changed(course: Course, window: Window) -> str:
    return f"build of {course.service}@package changed from {course.build} to {window.build}"


def _seen(found: Tally | Missing) -> Tally:
    """What was counted, be it a part: to be harmed by what some processes do, one need not see the others."""
    seen = found.seen if isinstance(found, Missing) else found
    return seen if isinstance(seen, Tally) else Tally(0, 0)


def _vouches(limit: Limit, found: Tally | Missing) -> Tally:
    """What counts for safety: everything, or nothing; a part only where it speaks against it, beyond the limit."""
    seen = _seen(found)
    return seen if isinstance(found, Tally) or seen.bad > limit.theta * seen.total else Tally(0, 0)


def _numbers(tallies: Iterable[Iterable[Tally]]) -> Floats:
    """Bad and all events, a row for each."""
    found = [(tally.bad, tally.total) for each in tallies for tally in each]
    return np.array(found, dtype=float).reshape(-1, 2)


def _key(check: Check) -> tuple[str, str, str]:
    return check.category, check.name, check.service or ""
