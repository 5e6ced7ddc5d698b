"""A thousand services with four guardrails each, from a page of metrics to a verdict, in half a second."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import httpx

from causeway.health.checker import Checker, Look
from causeway.health.metrics import Reading, Sample
from causeway.health.probing import Probing
from causeway.health.scrape import Page
from causeway.health.windows import Names
from causeway.model.guardrails import Guardrails
from causeway.model.matrix import Matrix, Service, Version
from causeway.model.observation import MetricNames, Soak
from causeway.model.soak import Soak as Soaking
from causeway.model.verdict import Decision
from causeway.model.window import Tally

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
SERVICES = [f"Service{number}" for number in range(1000)]
BOUNDS = (".005", ".01", ".025", ".05", ".075", ".1", ".25", ".5", ".75", "1", "2.5", "5", "7.5", "10", "+Inf")
NAMES = Names(
    MetricNames(
        requests='r_total{service="$service",version="$version"}',
        errors='r_total{service="$service",version="$version",outcome="error"}',
        latency='s{service="$service",version="$version"}',
        offered='o_total{service="$service",cohort="$version"}',
        build='build_info{service="$service",version="$version"}',
    )
)


class Pages:
    """A source whose page has every series of a thousand services, and grows by 100 requests each a look."""

    def __init__(self) -> None:
        self.page = Page("app", NAMES.series, 30)
        self.looks = 0
        self.text = self.write()

    def write(self) -> str:
        n, lines = 100 * self.looks, []
        for service in SERVICES:
            for version in Version:
                of = f'service="{service}",version="{version}"'
                lines.append(f'r_total{{{of},outcome="ok"}} {n - self.looks}.0')
                lines.append(f'r_total{{{of},outcome="error"}} {self.looks}.0')
                lines.append(f'o_total{{service="{service}",cohort="{version}"}} {n}.0')
                lines.append(f'build_info{{{of},build="1"}} 1.0')
                lines += [f's_bucket{{{of},le="{bound}"}} {n}.0' for bound in BOUNDS]
        return "\n".join(lines) + "\n"

    def next(self) -> None:
        self.looks += 1
        self.text = self.write()

    def read(self) -> Sample:
        at = T0 + timedelta(seconds=5 * self.looks)
        return Sample(at, self.page.parse(self.text, at), {"app": Reading(at)})


def test_a_thousand_services_are_read_and_judged_in_half_a_second() -> None:
    matrix = Matrix({name: Service(name) for name in SERVICES}, ())
    weights = dict.fromkeys(SERVICES, 50)
    baselines = dict.fromkeys(SERVICES, 0.05)
    pages = Pages()
    soak = Soaking.begin(SERVICES, Guardrails(), Soak(30, 10, 500), baselines)
    with Probing((), httpx.Client()) as probing:
        checker = Checker(pages, NAMES, matrix, probing, allowed_errors=0.05, now=lambda: T0)
        checker.look(weights)
        took = []
        for _ in range(5):
            pages.next()
            began = time.process_time()
            look: Look = checker.look(weights)
            seen = time.process_time()
            soak = soak.observe(look.windows.values())
            verdict = soak.verdict()
            took.append((time.process_time() - began, seen - began))
    print(f"\n{len(pages.text):,} characters: {min(took)[0]:.3f} s a look, of which reading {min(took)[1]:.3f} s")
    assert look.windows[SERVICES[-1]].errors == Tally(1, 100)
    assert verdict.decision is Decision.HOLD
    assert min(took)[0] <= 0.5
