"""What a soak remembers of one service beside its tests: how long it was watched, what is missing, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from causeway.model.guardrails import Guardrails, Limit, Measure
from causeway.model.window import Histogram, Missing, Tally, Throughput, Window


@dataclass(frozen=True, slots=True)
class Backlog:
    """Demand on one side and how much of it was met in time, from running totals.

    A request is due once a whole window has passed since the window it came in, so that work in progress is not
    taken for lost work. `aged` is the demand up to the last closed window, `due` what has been judged of it, `late`
    what of that was not completed.
    """

    offered: int = 0
    completed: int = 0
    aged: int = 0
    due: int = 0
    late: int = 0

    def add(self, offered: int, completed: int) -> Backlog:
        return replace(self, offered=self.offered + offered, completed=self.completed + completed)

    def close(self) -> Backlog:
        """Ends the window: what came before it is due, and late where completions have not kept up."""
        late = max(self.late, self.aged - self.completed)
        return replace(self, aged=self.offered, due=self.aged, late=late)


@dataclass(frozen=True, slots=True)
class Flow:
    """Throughput of a service: both sides' backlogs, the same as they stood when the block began, and its demand.

    `weight` is that of the last look; `expected` is the demand the baseline has for the block, None if unknown.
    """

    weight: int = 0
    package: Backlog = Backlog()
    legacy: Backlog = Backlog()
    package_before: Backlog = Backlog()
    legacy_before: Backlog = Backlog()
    expected: float | None = None

    def observe(self, seen: Throughput | Missing, closes: bool, opens: bool) -> Flow:
        flow = replace(self, package_before=self.package, legacy_before=self.legacy, expected=None) if opens else self
        if isinstance(seen, Throughput):
            flow = replace(
                flow,
                weight=seen.weight,
                package=flow.package.add(seen.offered, seen.completed),
                legacy=flow.legacy.add(seen.legacy_offered, seen.legacy_completed),
                expected=flow.expected if seen.expected is None else (flow.expected or 0.0) + seen.expected,
            )
        return replace(flow, package=flow.package.close(), legacy=flow.legacy.close()) if closes else flow

    @property
    def demand(self) -> int:
        """Requests offered to both versions in this block."""
        return sum(now.offered - then.offered for now, then in self._sides)

    @property
    def met(self) -> Tally:
        """Of the package's demand that fell due in this block, what was late."""
        return _judged(*self._sides[0])

    @property
    def met_by_legacy(self) -> Tally:
        return _judged(*self._sides[1])

    @property
    def relative(self) -> float | None:
        """The estimate: the share of its demand that the package meets, as a multiple of legacy's below weight 100."""
        package, legacy = self.met, self.met_by_legacy
        if not package.total or (self.weight < 100 and legacy.bad == legacy.total):
            return None
        own = 1 - package.bad / package.total
        return own if self.weight >= 100 else own / (1 - legacy.bad / legacy.total)

    @property
    def _sides(self) -> tuple[tuple[Backlog, Backlog], tuple[Backlog, Backlog]]:
        return (self.package, self.package_before), (self.legacy, self.legacy_before)


def _judged(now: Backlog, before: Backlog) -> Tally:
    return Tally(now.late - before.late, now.due - before.due)


@dataclass(frozen=True, slots=True)
class Course:
    """One service in a soak. `windows` are the closed ones with complete data in each look, `requests` all counted.

    `whole`: no look of the present window lacked anything. `build` is what ran last, `builds` all that ran since the
    soak was asked for; `latency` is the histogram of the current block, `missing` what the last look could not measure,
    with the reason.
    """

    service: str
    build: str | None = None
    builds: frozenset[str] = frozenset()
    windows: int = 0
    whole: bool = True
    requests: int = 0
    latency: Histogram | None = None
    flow: Flow = Flow()
    missing: Mapping[Measure, str] = field(default_factory=dict)

    def observe(
        self,
        window: Window,
        tallies: Mapping[Limit, Tally | Missing],
        guardrails: Guardrails,
        closes: bool,
        opens: bool,
    ) -> Course:
        """Adds one look; `opens` says that it is the first of a block."""
        missing = {limit.measure: tally.reason for limit, tally in tallies.items() if isinstance(tally, Missing)}
        if guardrails.throughput and isinstance(window.throughput, Missing):
            missing[Measure.THROUGHPUT] = window.throughput.reason
        requests = 0 if isinstance(window.errors, Missing) else window.errors.total
        latency = None if isinstance(window.latency, Missing) else window.latency
        whole = self.whole and not missing
        return replace(
            self,
            build=window.build or self.build,
            builds=self.builds | running(window.build),
            windows=self.windows + int(closes and whole),
            whole=whole or closes,
            requests=self.requests + requests,
            latency=_added(None if opens else self.latency, latency),
            flow=self.flow.observe(window.throughput, closes, opens),
            missing=missing,
        )

    def other_than(self, build: str | None) -> bool:
        """Whether a build ran that the one named here is not."""
        return build is not None and self.build is not None and build != self.build

    def unproven(self) -> Course:
        """The same with nothing that vouches for it: a block begins."""
        return replace(
            self, windows=0, whole=True, requests=0, latency=None, flow=self.flow.observe(Missing(), False, True)
        )


def running(build: str | None) -> frozenset[str]:
    """The builds that a label names: several, joined by `+`, while one replaces another."""
    return frozenset(build.split("+")) if build else frozenset()


def _added(block: Histogram | None, look: Histogram | None) -> Histogram | None:
    """The block's histogram with this look; a service whose bounds change starts over with the new ones."""
    if block is None or look is None or block.bounds != look.bounds:
        return look or block
    return block + look


def tallies(window: Window, guardrails: Guardrails, baseline: float | None) -> dict[Limit, Tally | Missing]:
    """The counts of one look for each limit that counts events one by one (all but throughput).

    `baseline` is legacy's response time at the guardrail's quantile in seconds, None if there is none.
    """
    counted: dict[Limit, Tally | Missing] = {}
    for limit in guardrails.counted:
        match limit.measure:
            case Measure.ERROR_RATE:
                counted[limit] = window.errors
            case Measure.AVAILABILITY:
                counted[limit] = window.probes
            case _:
                counted[limit] = _slow(window.latency, limit, baseline)
    return counted


def _slow(latency: Histogram | Missing, limit: Limit, baseline: float | None) -> Tally | Missing:
    if isinstance(latency, Missing):
        seen = _slow(latency.seen, limit, baseline) if isinstance(latency.seen, Histogram) else None
        return Missing(latency.reason, seen if isinstance(seen, Tally) else None)
    if baseline is None:
        return Missing("no baseline to compare with")
    if baseline <= 0:
        return Missing("the baseline is 0 s, and no multiple of that is a limit")
    assert limit.factor is not None
    threshold = limit.factor * baseline
    bound = latency.bound_for(threshold)
    if bound is None:
        return Missing(f"the histogram has no bound between {threshold:.4g} s and {1.25 * threshold:.4g} s")
    return latency.slower_than(bound)
