"""Verdicts: the worst of all reasons, in words with numbers, and silence that never advances."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product

import pytest

from causeway.model.guardrails import Guardrail, Guardrails, Measure, Pace
from causeway.model.observation import Soak as SoakRules
from causeway.model.soak import Soak
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.model.window import Category, Check, Histogram, Missing, Tally, Throughput, Window

BOUNDS = (0.1, 0.2, 0.3, 0.5, math.inf)
HEALTHY = Window(
    "CacheManager",
    Tally(1, 200),
    Histogram(BOUNDS, (190, 10, 0, 0, 0)),
    Throughput(50, 200, 200, 200, 200),
    Tally(0, 3),
)


def judged(
    *windows: Window, checks: list[Check] | None = None, baseline: float = 0.1, guardrails: Guardrails | None = None
) -> Verdict:
    services = dict.fromkeys(window.service for window in windows)
    rules = SoakRules(interval=30, checks=3, requests=500)
    state = Soak.begin(services, guardrails or Guardrails(), rules, dict.fromkeys(services, baseline))
    for _ in range(3):
        state = state.observe(windows, checks or [])
        checks = None
    return state.verdict()


def only(verdict: Verdict) -> str:
    (reason,) = verdict.decisive
    return reason.text


def test_nothing_measured_holds() -> None:
    assert Verdict.of([]).decision is Decision.HOLD
    assert judged(Window("A")).decision is Decision.HOLD


def test_healthy_and_complete_advances_and_says_why() -> None:
    verdict = judged(HEALTHY)
    assert str(verdict) == (
        "ADVANCE\n"
        "  error rate of CacheManager@package: 3 of 600 failed (0.5 %, limit 5 %); "
        'evidence 0.16 : 1 against "≤ 5 %" (rolls back at 100 : 1)\n'
        "  response time of CacheManager@package: 0 of 600 slower than 0.2 s (0 %, limit 5 %; 2 x baseline 0.1 s); "
        'evidence 0.16 : 1 against "≤ 5 %" (rolls back at 200 : 1)\n'
        "  response time of CacheManager@package: 0 of 600 slower than 0.3 s (0 %, limit 5 %; 3 x baseline 0.1 s); "
        'evidence 0.16 : 1 against "≤ 5 %" (rolls back at 200 : 1)\n'
        "  availability of CacheManager@package: 0 of 9 failed (0 %, limit 1 %); "
        'evidence 0.27 : 1 against "≤ 1 %" (rolls back at 100 : 1)\n'
        "  throughput of CacheManager@package: 400 of 400 due requests completed, legacy 400 of 400 "
        '(100 %, limit 60 %); evidence 0.16 : 1 against "≥ 60 %" (rolls back at 100 : 1)'
    )


def test_harm_in_words() -> None:
    verdict = judged(replace(HEALTHY, errors=Tally(12, 103)))
    assert (verdict.decision, verdict.pace, verdict.level) == (Decision.ROLL_BACK, Pace.IMMEDIATE, 1)
    assert verdict.headline == "ROLL_BACK at level 1, immediate"
    assert only(verdict) == (
        "error rate of CacheManager@package: 36 of 309 failed (11.7 %, limit 5 %); "
        'evidence 1,022 : 1 against "≤ 5 %" (rolls back at 100 : 1) after 3 windows'
    )


@pytest.mark.parametrize(
    "missing",
    [kept for kept in product([True, False], repeat=4) if not all(kept)],
)
def test_anything_missing_holds(missing: tuple[bool, ...]) -> None:
    measures = ("errors", "latency", "throughput", "probes")
    gone = {name: Missing("gone") for name, kept in zip(measures, missing, strict=True) if not kept}
    verdict = judged(replace(HEALTHY, **gone))  # type: ignore[arg-type]
    assert verdict.decision is Decision.HOLD
    assert sum(reason.cause is Cause.MISSING for reason in verdict.reasons) == len(gone)


def test_missing_does_not_hide_harm() -> None:
    verdict = judged(replace(HEALTHY, errors=Tally(60, 60), latency=Missing("timeout")))
    assert verdict.decision is Decision.ROLL_BACK


def test_a_warning_holds() -> None:
    verdict = judged(replace(HEALTHY, errors=Tally(8, 200)))
    assert only(verdict) == "error rate of CacheManager@package: 24 of 600 failed (4 %, limit 5 %); warning above 2 %"
    assert verdict.decisive[0].cause is Cause.WARNING


@pytest.mark.parametrize(("bad", "total"), [(1, 20), (5, 200)])
def test_a_failure_among_few_requests_holds_and_warns_nobody(bad: int, total: int) -> None:
    """Prevents: several alerts a day of a healthy service that has ten requests a window."""
    reason = next(
        each for each in judged(replace(HEALTHY, errors=Tally(bad, total))).reasons if each.source == "error_rate"
    )
    assert (reason.decision, reason.cause) == (Decision.HOLD, Cause.EARLY)
    assert reason.text.endswith("; warning above 2 %, which may be chance")


@pytest.mark.parametrize(
    ("bounds", "counts", "cause"),
    [
        (BOUNDS, (9, 0, 1, 0, 0), Cause.EARLY),
        (BOUNDS, (185, 0, 15, 0, 0), Cause.WARNING),
        ((0.1, 0.25, 0.3, 0.5, math.inf), (0, 10, 0, 0, 0), Cause.WARNING),  # counted at 0.25 s, none is slower
    ],
)
def test_slow_requests_warn_beyond_chance(bounds: tuple[float, ...], counts: tuple[int, ...], cause: Cause) -> None:
    """Prevents: one slow request of ten is an alert; and that none is where no bound lies at the warning."""
    verdict = judged(replace(HEALTHY, latency=Histogram(bounds, counts)))
    warned = next(each for each in verdict.reasons if each.source == "response_time")
    assert (warned.decision, warned.cause) == (Decision.HOLD, cause), warned.text


def test_not_yet_safe_says_how_many_more() -> None:
    verdict = judged(replace(HEALTHY, errors=Tally(0, 20)))
    assert verdict.headline == "HOLD: at least 440 more requests needed"
    text = next(reason.text for reason in verdict.reasons if reason.source == "error_rate")
    assert text == (
        "error rate of CacheManager@package: 0 of 60 failed (0 %, limit 5 %); "
        'evidence 6.8 : 1 for "< 5 %" (advances at 40 : 1); at least 45 more good requests needed'
    )


@pytest.mark.parametrize(
    ("counts", "pace", "factor"),
    [((100, 0, 40, 0, 0), Pace.GRACEFUL, "0.2 s"), ((100, 0, 0, 40, 0), Pace.IMMEDIATE, "0.3 s")],
)
def test_slow_goes_back_gracefully_and_very_slow_at_once(counts: tuple[int, ...], pace: Pace, factor: str) -> None:
    verdict = judged(replace(HEALTHY, latency=Histogram(BOUNDS, counts)))
    assert (verdict.decision, verdict.pace) == (Decision.ROLL_BACK, pace)
    assert any(f"slower than {factor}" in reason.text for reason in verdict.decisive)


def test_a_bound_that_is_not_exact_is_said() -> None:
    verdict = judged(replace(HEALTHY, latency=Histogram(BOUNDS, (0, 0, 0, 50, 0))), baseline=0.0875)
    assert (
        "slower than 0.2 s (100 %, limit 5 %; 2 x baseline 0.0875 s is 0.175 s, the next bound was used)"
        in verdict.decisive[0].text
    )


@pytest.mark.parametrize(
    ("baseline", "why"),
    [
        (0.0, "the baseline is 0 s, and no multiple of that is a limit"),
        (0.1001, "the histogram has no bound between 0.3003 s and 0.3754 s"),
        (9.0, "the histogram has no bound between 27 s and 33.75 s"),
    ],
)
def test_a_baseline_that_cannot_be_judged_against_is_missing(baseline: float, why: str) -> None:
    verdict = judged(HEALTHY, baseline=baseline)
    assert [reason.text.endswith(why) for reason in verdict.reasons if reason.cause is Cause.MISSING] == [True]


def test_no_baseline_is_missing() -> None:
    state = Soak.begin(["CacheManager"], Guardrails(), SoakRules(30, 1, 1), {}).observe([HEALTHY])
    missing = [reason.text for reason in state.verdict().reasons if reason.cause is Cause.MISSING]
    assert missing == ["response time of CacheManager@package: missing, no baseline to compare with"]


def test_only_what_is_watched_is_judged() -> None:
    guardrails = Guardrails(response_time=None, throughput=None, availability=None)
    verdict = judged(Window("A", errors=Tally(0, 200)), guardrails=guardrails)
    assert [reason.source for reason in verdict.reasons] == ["error_rate"]
    assert verdict.decision is Decision.ADVANCE


def test_availability_rolls_back() -> None:
    assert judged(replace(HEALTHY, probes=Tally(2, 2))).decisive[0].source == "availability"


def test_two_harmed_services_suggest_the_phase() -> None:
    broken = replace(HEALTHY, errors=Tally(60, 60))
    verdict = judged(broken, replace(broken, service="CVAnalyzer"))
    assert (verdict.level, verdict.services) == (2, ("CacheManager", "CVAnalyzer"))


def test_two_guardrails_are_two_chances_of_a_false_alarm_and_share_alpha() -> None:
    state = Soak.begin(["A"], Guardrails(), SoakRules(30, 1, 1), {})
    odds = {(limit.measure, limit.factor): math.exp(state.log_odds(limit)) for limit in Guardrails().counted}
    assert odds == pytest.approx(
        {
            (Measure.ERROR_RATE, None): 100,
            (Measure.RESPONSE_TIME, 2.0): 200,
            (Measure.RESPONSE_TIME, 3.0): 200,
            (Measure.AVAILABILITY, None): 100,
        }
    )


# Checks


def checked(*results: bool | None, category: Category = Category.FUNCTIONALITY, service: str | None = "A") -> Verdict:
    guardrails = Guardrails(Guardrail(Measure.ERROR_RATE, 0.02, 0.05), None, None, None)
    state = Soak.begin(["A"], guardrails, SoakRules(30, 1, 1), {})
    for passed in results:
        check = Check(category, "answers", passed, service, detail="GET / said 500" if passed is False else "")
        state = state.observe([Window("A", errors=Tally(0, 200))], [check])
    return state.verdict()


@pytest.mark.parametrize(
    ("results", "decision"),
    [
        ([True], Decision.ADVANCE),
        ([False], Decision.HOLD),
        ([False, False], Decision.HOLD),
        ([False, False, False], Decision.ROLL_BACK),
        ([False, False, True, False], Decision.HOLD),  # cumulative failures once rolled healthy services back
        ([None, None, None, None], Decision.HOLD),
        ([False, None, False, None], Decision.HOLD),
        ([False, None, False, None, False], Decision.ROLL_BACK),
        ([False, False, False, True], Decision.ROLL_BACK),
        ([False, False, None, True], Decision.ADVANCE),
    ],
)
def test_three_failures_in_a_row_roll_back_and_missing_is_not_failed(
    results: list[bool | None], decision: Decision
) -> None:
    assert checked(*results).decision is decision


@pytest.mark.parametrize(
    ("category", "service", "level"),
    [
        (Category.FUNCTIONALITY, "A", 1),
        (Category.FUNCTIONALITY, None, 2),
        (Category.INTEGRATION, "A", 2),
        (Category.DATA_INTEGRITY, "A", 3),
    ],
)
def test_levels_by_trigger(category: Category, service: str | None, level: int) -> None:
    verdict = checked(False, False, False, category=category, service=service)
    assert (verdict.level, verdict.pace) == (level, Pace.IMMEDIATE)


def test_a_data_integrity_failure_goes_back_at_once_and_completely() -> None:
    verdict = checked(False, category=Category.DATA_INTEGRITY)
    assert (verdict.decision, verdict.level, verdict.pace) == (Decision.ROLL_BACK, 3, Pace.IMMEDIATE)
    assert only(verdict) == "data integrity check answers of A: failed (GET / said 500)"


def test_a_check_that_was_not_due_keeps_its_standing() -> None:
    state = Soak.begin(["A"], Guardrails(), SoakRules(30, 1, 1), {})
    for checks in ([Check(Category.INTEGRATION, "edge", False, "A")], [], [], []):
        state = state.observe([Window("A")], checks)
    text = next(reason.text for reason in state.verdict().reasons if reason.source == "integration")
    assert text == "integration check edge of A: failed; 3 in a row roll back"


def test_a_verdict_as_json() -> None:
    verdict = Verdict.of([Reason(Decision.HOLD, Cause.EARLY, "soak", "a while yet", "A", more_requests=7)])
    assert json.loads(json.dumps(verdict.as_dict())) == {
        "decision": "HOLD",
        "pace": None,
        "level": None,
        "services": ["A"],
        "more_requests": 7,
        "reasons": [
            {
                "decision": "HOLD",
                "cause": "early",
                "source": "soak",
                "service": "A",
                "pace": None,
                "level": None,
                "more_requests": 7,
                "text": "a while yet",
            }
        ],
    }


def test_a_verdict_reads_back_from_what_the_journal_keeps() -> None:
    """Prevents: whoever takes over from a dead runner acts on another verdict than was written."""
    reasons = [
        Reason(Decision.ROLL_BACK, Cause.HARM, "error_rate", "61 of 412 failed", "A", Pace.IMMEDIATE, 2),
        Reason(Decision.HOLD, Cause.EARLY, "soak", "a while yet", more_requests=7),
    ]
    verdict = Verdict.of(reasons)
    assert Verdict.parse(json.loads(json.dumps(verdict.as_dict()))) == verdict
