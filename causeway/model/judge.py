"""Judging a soak: every guardrail of every service and every check, each with its arithmetic in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from scipy.special import bdtrc

from causeway.model.course import Course
from causeway.model.guardrails import Guardrail, Limit, Measure, Pace, percent
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.model.window import Category, Check, Tally

if TYPE_CHECKING:
    from causeway.model.soak import Soak, Standing, Watch

#: An estimate beyond a warning that is as probable as this at the warning itself holds, and is no alert.
_CHANCE = 0.05
#: What must be shown to be safe before a service advances, beside not being harmful.
_SHOWN_SAFE = (Measure.ERROR_RATE, Measure.RESPONSE_TIME)
#: How far a failed check goes back: a service, the phase, everything. Without a service it is the phase at least.
_LEVELS = {Category.PERFORMANCE: 1, Category.FUNCTIONALITY: 1, Category.INTEGRATION: 2, Category.DATA_INTEGRITY: 3}


def judge(soak: Soak) -> Verdict:
    """The verdict on what a soak has seen so far. Nothing seen is `HOLD`."""
    if not soak.looks:
        why = f"{soak.began_again}; the soak began again" if soak.began_again else "nothing was measured yet"
        return Verdict.of([Reason(Decision.HOLD, Cause.EARLY, "soak", why)])
    reasons = [*_counted(soak), *(_checked(soak, each) for each in soak.standings.values())]
    for row, course in enumerate(soak.courses):
        if soak.guardrails.throughput:
            reasons.append(_throughput(soak, row, course, soak.guardrails.throughput))
        if course.service in soak.moving:
            reasons += _minimum(soak, course)
    return Verdict.of(reasons)


def _counted(soak: Soak) -> Iterator[Reason]:
    """One reason for each limit that counts events: harmed, missing, warned, not yet safe, or fine."""
    watch = soak.counted
    needed, safety = soak.safe.good_needed(), soak.safe.log_evidence()
    rails = {limit: rail for rail in soak.guardrails for limit in rail.limits}
    odds = {limit: soak.log_odds(limit) for limit in rails}
    for row, (course, limit) in enumerate(product(soak.courses, soak.guardrails.counted)):
        name, rail = course.service, rails[limit]
        if watch.peak[row] >= odds[limit]:
            seen = Tally(int(watch.seen[row, 0]), int(watch.seen[row, 1]))
            text = _figures(soak, course, limit, seen) + _against(limit, watch.peak[row], odds[limit])
            text += f" after {_windows(int(watch.lasted[row]))}{_ago(watch, row)}"
            yield Reason(Decision.ROLL_BACK, Cause.HARM, rail.name, text, name, limit.pace, level=1)
            continue
        figures = _figures(soak, course, limit, Tally(int(soak.safe.bad[row]), int(soak.safe.total[row])))
        if limit.measure in course.missing:
            if limit != rail.limits[0]:
                continue  # one reason for a measure is enough
            text = f"{_of(limit.measure, name)}: missing, {course.missing[limit.measure]}"
            yield Reason(Decision.HOLD, Cause.MISSING, rail.name, text, name)
        elif warned := _warning(soak, row, course, rail):
            chance = _by_chance(soak, row - rail.limits.index(limit), rail)
            text = f"{figures}{warned}{', which may be chance' if chance else ''}"
            yield Reason(Decision.HOLD, Cause.EARLY if chance else Cause.WARNING, rail.name, text, name)
        elif name in soak.moving and rail.name in _SHOWN_SAFE and needed[row]:
            more = int(needed[row])
            safe = _odds(safety[row])
            text = f'{figures}; evidence {safe} for "< {percent(limit.theta)}" (advances at '
            text += f"{_odds(soak.safe.log_needed)}); at least {more:,} more good requests needed"
            yield Reason(Decision.HOLD, Cause.EARLY, rail.name, text, name, more_requests=more)
        else:
            text = figures + _against(limit, watch.log_evidence[row], odds[limit])
            yield Reason(Decision.ADVANCE, Cause.SAFE, rail.name, text, name)


def _warning(soak: Soak, row: int, course: Course, rail: Guardrail) -> str | None:
    """What the current block's estimate warns of, in words; None if it does not."""
    if rail.name is not Measure.RESPONSE_TIME:
        bad, total = soak.safe.bad[row], soak.safe.total[row]
        return f"; warning above {percent(rail.warning)}" if total and bad / total > rail.warning else None
    baseline = soak.baselines[course.service]
    quantile = rail.quantile or 0.0
    estimate = course.latency.quantile(quantile) if course.latency else None
    if estimate is None or estimate <= rail.warn * baseline:
        return None
    return f"; warning: the {percent(quantile)} quantile is near {_seconds(estimate)}, above {rail.warn:g} x baseline"


def _by_chance(soak: Soak, row: int, rail: Guardrail) -> bool:
    """Whether a service at the warning threshold shows as many bad events in more than one block of twenty."""
    allowed = rail.limits[0].theta if rail.name is Measure.RESPONSE_TIME else rail.warning
    bad, total = int(soak.safe.bad[row]), int(soak.safe.total[row])
    return bad > allowed * total and float(bdtrc(bad - 1, total, allowed)) > _CHANCE


def _throughput(soak: Soak, row: int, course: Course, rail: Guardrail) -> Reason:
    watch, (limit,) = soak.flow, rail.limits
    assert watch is not None
    harmed = watch.peak[row] >= soak.log_odds(limit)
    flow = soak.shown[row] if harmed else course.flow
    evidence = watch.peak[row] if harmed else watch.log_evidence[row]
    done, relative = flow.met.total - flow.met.bad, flow.relative
    text = f"{_of(rail.name, course.service)}: {done:,} of {flow.met.total:,} due requests completed"
    if flow.weight < 100:
        legacy = flow.met_by_legacy
        text += f", legacy {legacy.total - legacy.bad:,} of {legacy.total:,}"
    text += "" if relative is None else f" ({percent(relative)}, limit {percent(rail.roll_back)})"
    judged = f'{text}; evidence {_odds(evidence)} against "≥ {percent(rail.roll_back)}"'
    judged += f" (rolls back at {_odds(soak.log_odds(limit))})"
    if harmed:
        judged += _ago(watch, row)
        return Reason(Decision.ROLL_BACK, Cause.HARM, rail.name, judged, course.service, limit.pace, level=1)
    if rail.name in course.missing:
        text = f"{_of(rail.name, course.service)}: missing, {course.missing[rail.name]}"
        return Reason(Decision.HOLD, Cause.MISSING, rail.name, text, course.service)
    if flow.expected and flow.demand < rail.warn * flow.expected:
        share = percent(flow.demand / flow.expected)
        text += f"; demand is {share} of the baseline's for this time: too quiet to judge"
        return Reason(Decision.HOLD, Cause.EARLY, rail.name, text, course.service)
    if relative is not None and relative < rail.warn:
        text += f"; warning below {percent(rail.warn)}"
        return Reason(Decision.HOLD, Cause.WARNING, rail.name, text, course.service)
    return Reason(Decision.ADVANCE, Cause.SAFE, rail.name, judged, course.service)


def _minimum(soak: Soak, course: Course) -> Iterator[Reason]:
    """The minimum soak, where it has not been reached."""
    if course.windows < soak.rules.checks:
        text = f"soak of {course.service}@package: {course.windows} of {_windows(soak.rules.checks)} with complete data"
        yield Reason(Decision.HOLD, Cause.EARLY, "soak", text, course.service)
    more = soak.rules.requests - course.requests
    if more > 0:
        text = (
            f"soak of {course.service}@package: {course.requests:,} of {soak.rules.requests:,} requests, {more:,} more"
        )
        yield Reason(Decision.HOLD, Cause.EARLY, "soak", f"{text} needed", course.service, more_requests=more)


def _checked(soak: Soak, standing: Standing) -> Reason:
    check = standing.check
    about = f"{check.category.words} check {check.name}"
    about += f" of {check.service}" if check.service else ""
    detail = f" ({check.detail})" if check.detail else ""
    if check.passed is False and _without_users(soak, check):
        text = f"{about}: failed{detail}; nobody is on its package, so that there is nobody to send back"
        return Reason(Decision.ADVANCE, Cause.SAFE, check.category, text, check.service)
    if standing.tripped:
        level = _LEVELS[check.category] if check.service else max(2, _LEVELS[check.category])
        text = f"{about}: failed{_in_a_row(standing.failures)}{detail}"
        return Reason(
            Decision.ROLL_BACK, Cause.FAILED, check.category, text, check.service, Pace.IMMEDIATE, level=level
        )
    if check.passed is None:
        return Reason(Decision.HOLD, Cause.MISSING, check.category, f"{about}: missing{detail}", check.service)
    if not check.passed:
        text = f"{about}: failed{_in_a_row(standing.failures)}{detail}; 3 in a row roll back"
        return Reason(Decision.HOLD, Cause.WARNING, check.category, text, check.service)
    return Reason(Decision.ADVANCE, Cause.SAFE, check.category, f"{about}: passed{detail}", check.service)


def _without_users(soak: Soak, check: Check) -> bool:
    """Whether a failure harms nobody: a package that is not deployed yet, or whose traffic has gone back already.

    Data is another matter: a dual write can spoil it before the first user comes.
    """
    return (
        check.category is not Category.DATA_INTEGRITY
        and check.service is not None
        and check.service not in soak.services
    )


def _figures(soak: Soak, course: Course, limit: Limit, tally: Tally) -> str:
    """`error rate of X@package: 61 of 412 failed (14.8 %, limit 5 %)`."""
    share = f"{percent(tally.bad / tally.total)}, " if tally.total else ""
    event, note = _event(soak, course, limit)
    counts = f"{tally.bad:,} of {tally.total:,} {event} ({share}limit {percent(limit.theta)}{note})"
    return f"{_of(limit.measure, course.service)}: {counts}"


def _event(soak: Soak, course: Course, limit: Limit) -> tuple[str, str]:
    """The bad event in words, and what there is to say about the limit it was counted at."""
    if limit.factor is None or course.service not in soak.baselines:
        return limit.bad_event, ""
    baseline = soak.baselines[course.service]
    threshold = limit.factor * baseline
    bound = course.latency.bound_for(threshold) if course.latency else None
    about = f"; {limit.factor:g} x baseline {_seconds(baseline)}"
    if bound is None or math.isclose(bound, threshold):
        return f"slower than {_seconds(threshold)}", about
    return f"slower than {_seconds(bound)}", f"{about} is {_seconds(threshold)}, the next bound was used"


def _against(limit: Limit, log_evidence: float, log_needed: float) -> str:
    against = f'against "≤ {percent(limit.theta)}"'
    return f"; evidence {_odds(log_evidence)} {against} (rolls back at {_odds(log_needed)})"


def _of(measure: Measure, service: str) -> str:
    return f"{measure.words} of {service}@package"


def _odds(log_evidence: float) -> str:
    """Odds for people, never rounded up: `312 : 1`, `0.52 : 1`, `10^9 : 1`."""
    if log_evidence >= math.log(1e6):
        return f"10^{int(log_evidence / math.log(10))} : 1"
    odds = math.exp(log_evidence)
    if odds >= 10:
        return f"{int(odds + 1e-9):,} : 1"
    return f"{int(odds * 100) / 100:g} : 1" if odds >= 0.01 else "under 0.01 : 1"


def _seconds(value: float) -> str:
    return f"{value:.3g} s"


def _ago(watch: Watch, row: int) -> str:
    """That the evidence is not of now: figures of the peak beside those of the present would not fit together."""
    ago = watch.window - int(watch.at[row])
    return f", shown {_windows(ago)} ago" if ago else ""


def _windows(count: int) -> str:
    return f"{count} window" if count == 1 else f"{count} windows"


def _in_a_row(failures: int) -> str:
    return f" {failures} times in a row" if failures > 1 else ""
