"""`promtool test rules` holds every expression: silent while all is well, firing exactly beyond a threshold."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from causeway.health.expressions import alerts_for, expression
from causeway.model.guardrails import Guardrails, Measure
from causeway.model.observation import MetricNames, Metrics, Scrape

NAMES = MetricNames(
    requests='app_requests_total{service="$service",version="$version"}',
    errors='app_requests_total{service="$service",version="$version",outcome="error"}',
    latency='app_seconds{service="$service",version="$version"}',
    offered='app_offered_total{service="$service",cohort="$version"}',
)
RULES = alerts_for(["X"], Guardrails(), Metrics(Scrape(()), NAMES))
OF = 'service="X",version="package"'

Series = dict[str, float]


def requests(ok: float, failed: float | None = None, version: str = "package") -> Series:
    """Requests a minute, from two processes."""
    of = f'service="X",version="{version}"'
    series = {f'app_requests_total{{{of},outcome="ok",instance="{n}"}}': ok / 2 for n in "ab"}
    return series | ({} if failed is None else {f'app_requests_total{{{of},outcome="error",instance="a"}}': failed})


def durations(fast: float, medium: float, slow: float) -> Series:
    """Requests a minute up to 0.1 s, 0.25 s and 0.5 s."""
    of = f'app_seconds_bucket{{{OF},le="%s"}}'
    reached = (fast, fast + medium, fast + medium + slow, fast + medium + slow)
    return {of % bound: number for bound, number in zip(("0.1", "0.25", "0.5", "+Inf"), reached, strict=True)}


def offered(package: float, legacy: float) -> Series:
    return {
        'app_offered_total{service="X",cohort="package"}': package,
        'app_offered_total{service="X",cohort="legacy"}': legacy,
    }


def probes(ok: float, failed: float) -> Series:
    of = f"causeway_probes_total{{{OF},outcome="
    return {f'{of}"ok"}}': ok, f'{of}"failed"}}': failed}


BASELINE = "causeway_baseline_seconds{service='X'}"

#: Counters a minute, a gauge if any, and the alerts that must fire.
CASES: dict[str, tuple[Series, set[str]]] = {
    "nothing is measured": ({}, set()),
    "no traffic": (requests(0, 0) | offered(0, 0) | probes(0, 0) | durations(0, 0, 0), set()),
    "healthy, no error counter yet": (requests(100) | offered(100, 0), set()),
    "1 % errors": (requests(990, 10), set()),
    "3 % errors": (requests(970, 30), {"error_rate_warning"}),
    "6 % errors": (requests(940, 60), {"error_rate_warning", "error_rate"}),
    "legacy fails": (requests(100, 0) | requests(50, 50, "legacy"), set()),
    "as fast as the baseline": (durations(100, 0, 0), set()),
    "2.4 times slower": (durations(10, 90, 0), {"response_time_warning"}),
    "more than 3 times slower": (durations(10, 10, 80), {"response_time_warning", "response_time"}),
    "most of the demand met": (requests(90) | offered(100, 0), set()),
    "70 % of the demand met": (requests(70) | offered(100, 0), {"throughput_warning"}),
    "half of the demand met": (requests(50) | offered(100, 0), {"throughput_warning", "throughput"}),
    "half is met, as legacy does": (requests(50) | requests(450, 0, "legacy") | offered(100, 900), set()),
    "half is met, legacy meets all": (
        requests(50) | requests(900, 0, "legacy") | offered(100, 900),
        {"throughput_warning", "throughput"},
    ),
    "nothing is met": (offered(100, 0) | requests(0), {"throughput_warning", "throughput"}),
    "every probe answered": (probes(12, 0), set()),
    "5 in 1000 probes failed": (probes(995, 5), {"availability_warning"}),
    "2 % of the probes failed": (probes(98, 2), {"availability_warning", "availability"}),
}


def test_promtool_holds_every_expression(promtool: str, tmp_path: Path) -> None:
    alerts = [{"alert": rule.guardrail, "expr": rule.query} for rule in RULES]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "guardrails", "rules": alerts}]}))
    tests = [case(name, series, fired) for name, (series, fired) in CASES.items()]
    tests_file = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests_file))
    ran = subprocess.run([promtool, "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def case(name: str, series: Series, fired: set[str]) -> dict[str, Any]:
    """Ten minutes of counters, and what must fire after them. The baseline is 0.1 s."""
    rising = [{"series": each, "values": f"0+{number}x10"} for each, number in series.items()]
    return {
        "name": name,
        "interval": "1m",
        "input_series": [*rising, {"series": BASELINE.replace("'", '"'), "values": "0.1x10"}],
        "alert_rule_test": [
            {
                "eval_time": "10m",
                "alertname": rule.guardrail,
                "exp_alerts": [{"exp_labels": {}}] if rule.guardrail in fired else [],
            }
            for rule in RULES
        ],
    }


def test_there_is_a_warning_and_a_critical_alert_for_each_guardrail() -> None:
    assert [(rule.guardrail, rule.severity) for rule in RULES] == [
        (f"{measure}{suffix}", severity)
        for measure in ("error_rate", "response_time", "throughput", "availability")
        for suffix, severity in (("", "CRITICAL"), ("_warning", "WARNING"))
    ]
    assert RULES[0].title == "error rate of X@package is beyond its rollback threshold"
    assert "rollback above 5 %" in RULES[0].text


def test_what_is_not_measured_has_no_alert() -> None:
    without = MetricNames(NAMES.requests, NAMES.errors, NAMES.latency)
    assert expression(Guardrails().throughput, without, "X") is None  # type: ignore[arg-type]
    assert alerts_for(["X"], Guardrails(), None) == []
    assert len(alerts_for(["X", "Y"], Guardrails(), Metrics(Scrape(()), without))) == 12


def test_a_service_name_cannot_leave_its_quotes() -> None:
    found = expression(Guardrails().error_rate, NAMES, 'X"} or vector(1) #')  # type: ignore[arg-type]
    assert found is not None
    assert 'service="X\\"} or vector(1) #"' in found.value


@pytest.mark.parametrize("measure", list(Measure))
def test_the_window_is_the_callers(measure: Measure) -> None:
    rail = next(each for each in Guardrails() if each.name is measure)
    found = expression(rail, NAMES, "X", window="30s")
    assert found is not None
    assert "[30s]" in found.value
    assert "[5m]" not in found.value
