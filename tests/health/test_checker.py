"""The checker: from a page of metrics and a few answers to the records that the gates judge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from causeway.errors import ConfigError, Unreachable
from causeway.health.baselines import Baseline, Hour
from causeway.health.checker import Checker, Look
from causeway.health.metrics import Reading, Sample, Series
from causeway.health.probing import Probing
from causeway.health.scrape import Page
from causeway.health.traffic import Traffic
from causeway.health.windows import Names
from causeway.model.guardrails import Guardrails
from causeway.model.matrix import Interaction, Matrix, Phase, Service, Version
from causeway.model.observation import (
    CollectionProbe,
    CompareProbe,
    Expected,
    HttpProbe,
    MetricNames,
    ParityProbe,
    ProbeSpec,
    Request,
)
from causeway.model.observation import Soak as SoakRules
from causeway.model.soak import Soak
from causeway.model.verdict import Decision
from causeway.model.window import Category, Check, Histogram, Missing, Tally, Window

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
NAMES = MetricNames(
    requests='requests_total{service="$service",version="$version"}',
    errors='requests_total{service="$service",version="$version",outcome="error"}',
    latency='seconds{service="$service",version="$version"}',
    offered='offered_total{service="$service",cohort="$version"}',
    edges=(
        'edge_total{consumer="$consumer",consumer_version="$consumer_version",'
        'provider="$provider",provider_version="$provider_version"}'
    ),
    edge_errors=(
        'edge_total{consumer="$consumer",consumer_version="$consumer_version",'
        'provider="$provider",provider_version="$provider_version",outcome="error"}'
    ),
    build='build_info{service="$service",version="$version"}',
)
MATRIX = Matrix(
    services={"X": Service("X"), "Y": Service("Y")},
    phases=(Phase("low", ("X", "Y")),),
    dependencies=("D",),
    interactions=(Interaction("X", "Y"), Interaction("X", "D")),
)


class Inline(Executor):
    """Runs everything at once, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Application:
    """One process with the application's counters, read as a page of metrics; steps a window at a time."""

    def __init__(self) -> None:
        self.counters: dict[str, float] = {}
        self.now = T0
        self.down: str | None = None
        self._page = Page("app", Names(NAMES).series, 30)
        for service in ("X", "Y"):
            for version in Version:
                self.serve(service, version, 0, 0)

    def serve(self, service: str, version: Version, ok: int, failed: int, slow: int = 0) -> None:
        of = f'service="{service}",version="{version}"'
        self.add(f'requests_total{{{of},outcome="ok"}}', ok)
        if failed:
            self.add(f'requests_total{{{of},outcome="error"}}', failed)
        self.add(f'offered_total{{service="{service}",cohort="{version}"}}', ok + failed)
        self.add(f'seconds_bucket{{{of},le="0.1"}}', ok + failed - slow)
        self.add(f'seconds_bucket{{{of},le="+Inf"}}', ok + failed)

    def call(self, consumer: str, provider: str, ok: int, failed: int) -> None:
        """`X@package` to `Y@legacy`, say."""
        ends = zip(("consumer", "provider"), (consumer.split("@"), provider.split("@")), strict=True)
        of = ",".join(f'{end}="{name}",{end}_version="{version}"' for end, (name, version) in ends)
        self.add(f'edge_total{{{of},outcome="ok"}}', ok)
        self.add(f'edge_total{{{of},outcome="error"}}', failed)

    def add(self, series: str, number: float) -> None:
        self.counters[series] = self.counters.get(series, 0) + number

    def read(self) -> Sample:
        if self.down:
            return Sample(self.now, down={"app": self.down})
        text = "".join(f"{series} {value}\n" for series, value in self.counters.items())
        return Sample(self.now, self._page.parse(text, self.now), {"app": Reading(self.now)})


class Rig:
    """An application, a checker over it, and time that goes by five seconds a look."""

    def __init__(
        self,
        specs: Iterable[ProbeSpec] = (),
        respond: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(200),
        documents: Any = None,
        baselines: dict[str, Baseline] | None = None,
    ) -> None:
        self.app = Application()
        client = httpx.Client(transport=httpx.MockTransport(respond))
        probing = Probing(tuple(specs), client, documents, executor=Inline())
        self.checker = Checker(
            self.app,
            Names(NAMES),
            MATRIX,
            probing,
            allowed_errors=0.05,
            now=lambda: self.app.now,
            baselines=baselines,
        )

    def look(self, **weights: int) -> Look:
        look = self.checker.look({"X": 10, "Y": 0, **weights})
        self.app.now += timedelta(seconds=5)
        return look


def test_a_look_counts_what_happened_since_the_look_before() -> None:
    rig = Rig()
    rig.app.serve("X", Version.PACKAGE, 1000, 10)
    first = rig.look()
    assert first.windows["X"].errors == Missing("read for the first time, nothing to compare with yet")
    rig.app.serve("X", Version.PACKAGE, 47, 3, slow=5)
    rig.app.serve("X", Version.LEGACY, 400, 1)
    second = rig.look()
    window, legacy = second.windows["X"], second.legacy["X"]
    assert (second.since, second.seconds) == (T0, 5.0)
    assert (window.errors, legacy.errors) == (Tally(3, 50), Tally(1, 401))
    assert window.latency == Histogram((0.1, math.inf), (45, 5))
    flow = window.throughput
    assert not isinstance(flow, Missing)
    assert (flow.weight, flow.offered, flow.completed, flow.legacy_offered, flow.legacy_completed) == (
        10, 50, 50, 401, 401,
    )  # fmt: skip


def test_nothing_is_read_twice() -> None:
    assert [str(selector) for selector in Names(NAMES).selectors] == [
        "requests_total{}",
        "seconds_bucket{}",
        "offered_total{}",
        "edge_total{}",
        "build_info{}",
    ]


def test_zero_traffic_is_counted_as_zero_and_an_error_counter_yet_to_appear_as_none() -> None:
    rig = Rig()
    rig.look()
    window = rig.look().windows["X"]
    assert window.errors == Tally(0, 0)
    assert isinstance(window.latency, Histogram)
    rig.app.serve("X", Version.PACKAGE, 0, 1)
    assert rig.look().windows["X"].errors == Tally(1, 1)


def test_what_is_not_there_is_missing_by_name() -> None:
    rig = Rig()
    rig.app.counters = {"other_total": 1}
    rig.look()
    window = rig.look().windows["X"]
    assert window.errors == Missing("no series matches causeway:metrics.requests")
    assert window.latency == Missing("no series matches causeway:metrics.latency")
    assert window.throughput == Missing("no series matches causeway:metrics.offered")
    assert window.probes == Missing("no http probe asks it")


def test_an_outage_is_missing_and_counted_when_it_is_over() -> None:
    rig = Rig()
    rig.look()
    rig.app.serve("X", Version.PACKAGE, 10, 2)
    rig.app.down = "app did not answer in time"
    assert rig.look().windows["X"].errors == Missing("app did not answer in time")
    rig.app.down = None
    rig.app.serve("X", Version.PACKAGE, 10, 0)
    assert rig.look().windows["X"].errors == Tally(2, 22)


def test_a_source_that_never_answered_is_missing_with_its_reason() -> None:
    """Prevents "no series matches …" from sending people to mend a selector that is right."""
    rig = Rig()
    rig.app.down = "app answered 500"
    rig.look()
    assert rig.look().windows["X"].errors == Missing("app answered 500")


def test_a_failure_counter_that_is_no_longer_sent_is_missing_and_waits_for_the_rest() -> None:
    """Prevents: requests whose failures are not told count as good, and failures told later as all there was."""
    rig = Rig()
    failed = 'requests_total{service="X",version="package",outcome="error"}'
    rig.app.serve("X", Version.PACKAGE, 10, 1)
    rig.look()
    kept = rig.app.counters.pop(failed)
    for _ in range(2):
        rig.app.serve("X", Version.PACKAGE, 8, 0)
        errors = rig.look().windows["X"].errors
        assert isinstance(errors, Missing) and "is no longer sent" in errors.reason
        assert errors.seen == Tally(0, 0), "half of what a process counts is no share of anything"
    rig.app.counters[failed] = kept
    rig.app.serve("X", Version.PACKAGE, 4, 20)
    assert rig.look().windows["X"].errors == Tally(20, 40)


def test_a_bucket_that_is_no_longer_sent_loses_and_invents_nothing() -> None:
    """Prevents: the requests of an outage all come back as slow ones, because only the last bucket was out."""
    rig = Rig()
    rig.look()
    last = 'seconds_bucket{service="X",version="package",le="+Inf"}'
    kept = rig.app.counters.pop(last)
    rig.app.serve("X", Version.PACKAGE, 10, 0, slow=2)
    rig.app.counters.pop(last)
    assert isinstance(rig.look().windows["X"].latency, Missing)
    rig.app.counters[last] = kept + 10
    rig.app.serve("X", Version.PACKAGE, 5, 0)
    assert rig.look().windows["X"].latency == Histogram((0.1, math.inf), (13, 2))


def test_what_is_offered_while_the_work_cannot_be_counted_waits_for_it() -> None:
    """Prevents: the work of an outage comes back in one lump and hides as many lost requests after it."""
    baseline = Baseline(
        "X", T0, T0, 3600, Tally(0, 7200), Histogram((0.1, math.inf), (7200, 0)), hours={12: Hour(7200, 3600)}
    )
    rig = Rig(baselines={"X": baseline})
    rig.look()
    offered, done = (f'{name}{{service="X",{of}="package"{more}}}' for name, of, more in [
        ("offered_total", "cohort", ""), ("requests_total", "version", ',outcome="ok"'),
    ])  # fmt: skip
    for _ in range(3):
        rig.app.add(offered, 10)
        rig.app.add(done, 10)
        kept, rig.app.counters[done] = rig.app.counters[done], math.nan
        assert isinstance(rig.look(X=100).windows["X"].throughput, Missing)
        rig.app.counters[done] = kept
    rig.app.add(offered, 10)
    flow = rig.look(X=100).windows["X"].throughput
    assert not isinstance(flow, Missing)
    assert (flow.offered, flow.completed, flow.expected) == (40, 30, 40.0)


class Replicas:
    """Two processes of X; the one on `b` can be out of reach."""

    def __init__(self) -> None:
        self.now, self.out, self.counted = T0, False, {"a": (0, 0), "b": (0, 0)}

    def serve(self, ok: int, failed: int) -> None:
        self.counted = {name: (good + ok, bad + failed) for name, (good, bad) in self.counted.items()}

    def read(self) -> Sample:
        self.now += timedelta(seconds=5)
        answers = {name: each for name, each in self.counted.items() if name == "a" or not self.out}
        values = {}
        for name, (good, bad) in answers.items():
            for outcome, count in (("ok", good), ("error", bad)):
                labels = (("outcome", outcome), ("service", "X"), ("version", "package"))
                values[Series(name, "requests_total", labels)] = float(count)
        down = {"b": "b could not be reached"} if self.out else {}
        return Sample(self.now, values, {name: Reading(self.now) for name in answers}, down)


def test_what_the_processes_that_answer_count_is_seen_while_another_is_down() -> None:
    """Prevents: some replicas crash, the rest answer 500, and nobody is sent back because a target is out of reach."""
    source = Replicas()
    traffic = Traffic(Names(NAMES), MATRIX, 0.05)
    guardrails = Guardrails(response_time=None, throughput=None, availability=None)
    soak = Soak.begin(["X"], guardrails, SoakRules(30, 10, 500), {})

    def window() -> Window:
        sample = source.read()
        return traffic.window("X", Version.PACKAGE, traffic.count(sample), sample)

    window()
    source.serve(50, 0)
    assert window().errors == Tally(0, 100)
    source.out = True
    source.serve(0, 50)
    seen = window()
    assert isinstance(seen.errors, Missing) and seen.errors.seen == Tally(50, 50)
    assert soak.observe([seen]).verdict().decision is Decision.ROLL_BACK
    source.out = False
    source.serve(50, 0)
    assert window().errors == Tally(50, 150), "b's failures, and what both have done since"


def test_a_restart_of_the_process_loses_nothing_counted_after_it() -> None:
    rig = Rig()
    rig.app.serve("X", Version.PACKAGE, 1000, 10)
    rig.look()
    rig.app.counters = {}
    rig.app.serve("X", Version.PACKAGE, 5, 1)
    assert rig.look().windows["X"].errors == Tally(1, 6)


@pytest.mark.parametrize(
    ("series", "value", "reason"),
    [
        ('requests_total{service="X",version="package",outcome="ok"}', math.nan, "is not a number"),
        ('requests_total{service="X",version="package",outcome="ok"}', -3.0, "is negative (-3)"),
    ],
)
def test_a_figure_that_is_no_count_makes_its_service_missing_and_no_other(
    series: str, value: float, reason: str
) -> None:
    rig = Rig()
    rig.look()
    rig.app.counters[series] = value
    look = rig.look()
    errors = look.windows["X"].errors
    assert isinstance(errors, Missing)
    assert reason in errors.reason
    assert look.windows["Y"].errors == Tally(0, 0)


def test_a_histogram_that_falls_is_missing() -> None:
    rig = Rig()
    rig.look()
    rig.app.add('seconds_bucket{service="X",version="package",le="0.1"}', 5)
    latency = rig.look().windows["X"].latency
    assert isinstance(latency, Missing)
    assert latency.reason.startswith("its histogram falls where it must rise")


def test_bounds_that_one_process_lacks_are_left_out() -> None:
    """Prevents the requests of one process from being counted as slow because it has no bucket to count them in."""
    rig = Rig()
    other = 'seconds_bucket{service="X",version="package",pod="b",le="%s"}'
    for bound in ("0.05", "0.1", "+Inf"):
        rig.app.add(other % bound, 0)
    rig.look()
    rig.app.serve("X", Version.PACKAGE, 4, 0)
    for bound in ("0.05", "0.1", "+Inf"):
        rig.app.add(other % bound, 3)
    assert rig.look().windows["X"].latency == Histogram((0.1, math.inf), (7, 0))


def test_more_errors_than_requests_is_missing() -> None:
    rig = Rig()
    rig.checker._traffic._names = Names(replace(NAMES, errors='offered_total{service="$service",cohort="$version"}'))
    rig.look()
    rig.app.add('offered_total{service="X",cohort="package"}', 9)
    assert rig.look().windows["X"].errors == Missing("more failed (9) than were answered (0)")


def test_at_full_weight_legacy_need_not_be_readable() -> None:
    rig = Rig()
    rig.look()
    rig.app.counters['offered_total{service="X",cohort="legacy"}'] = math.nan
    assert isinstance(rig.look(X=50).windows["X"].throughput, Missing)
    assert not isinstance(rig.look(X=100).windows["X"].throughput, Missing)


def test_the_baseline_says_how_much_demand_to_expect() -> None:
    baseline = Baseline(
        "X", T0, T0, 3600, Tally(0, 7200), Histogram((0.1, math.inf), (7200, 0)), hours={12: Hour(7200, 3600)}
    )
    rig = Rig(baselines={"X": baseline})
    rig.look()
    flow = rig.look().windows["X"].throughput
    assert not isinstance(flow, Missing)
    assert flow.expected == 10.0  # two a second for five seconds
    rig.checker.compare_with({})
    flow = rig.look().windows["X"].throughput
    assert not isinstance(flow, Missing)
    assert flow.expected is None


def test_the_build_is_a_label_and_two_at_once_are_both_named() -> None:
    rig = Rig()
    rig.app.add('build_info{service="X",version="package",build="7"}', 1)
    assert rig.look().windows["X"].build == "7"
    rig.app.add('build_info{service="X",version="package",build="8"}', 1)
    assert rig.look().windows["X"].build == "7+8"
    rig.app.counters['build_info{service="X",version="package",build="7"}'] = 0
    assert rig.look().windows["X"].build == "8"
    assert rig.look().windows["Y"].build is None


# --- integration ---


def test_edges_name_the_pair_and_the_service_whose_way_back_ends_it() -> None:
    rig = Rig()
    rig.app.call("X@package", "Y@legacy", 0, 0)
    rig.app.call("X@package", "D@legacy", 0, 0)
    rig.app.call("X@legacy", "Y@legacy", 0, 0)
    rig.look()
    rig.app.call("X@package", "Y@legacy", 10, 10)
    rig.app.call("X@package", "D@legacy", 100, 5)
    rig.app.call("X@legacy", "Y@legacy", 0, 50)
    assert set(rig.look().checks) == {
        Check(
            Category.INTEGRATION,
            "X@package -> Y@legacy",
            False,
            "X",
            "10 of 20 calls failed, 5 % are allowed",
        ),
        Check(Category.INTEGRATION, "X@package -> D@legacy", True, "X", "5 of 105 calls failed, 5 % are allowed"),
    }


def test_a_quiet_edge_that_can_be_read_again_says_so() -> None:
    """Prevents one outage of the metrics from holding a rollout for ever, where an edge has no calls."""
    rig = Rig()
    rig.app.call("X@package", "Y@legacy", 0, 0)
    rig.look()
    rig.app.down = "app answered 500"
    assert [check.passed for check in rig.look().checks] == [None]
    rig.app.down = None
    assert [(check.passed, check.detail) for check in rig.look().checks] == [
        (True, "0 of 0 calls failed, 5 % are allowed")
    ]
    assert rig.look().checks == ()


def test_calls_are_gathered_until_they_can_tell() -> None:
    """Prevents an edge with one call a look, each of them failed, from never failing."""
    rig = Rig()
    rig.app.call("X@legacy", "Y@package", 0, 0)
    rig.look()
    rig.look()
    said = []
    for _ in range(4):
        assert rig.look().checks == ()
        rig.app.call("X@legacy", "Y@package", 0, 1)
        said += rig.look().checks
    assert [(check.passed, check.service, check.detail) for check in said] == [
        (False, "Y", "2 of 2 calls failed, 5 % are allowed")
    ] * 2


def test_an_edge_that_cannot_be_read_is_missing_not_failed() -> None:
    rig = Rig()
    rig.app.call("X@package", "Y@package", 5, 0)
    rig.look()
    rig.app.down = "app answered 500"
    (check,) = rig.look(X=100, Y=10).checks
    assert (check.passed, check.service, check.detail) == (None, "Y", "app answered 500")


# --- functionality ---

HTTP = HttpProbe(
    "analyze",
    "X",
    Request("http://app/$version/analyze", headers={"user": "$user"}),
    Expected(json={"ok": True}),
    versions=(Version.LEGACY, Version.PACKAGE),
    users={Version.LEGACY: "old", Version.PACKAGE: "new"},
)


def test_probes_ask_both_versions_as_their_synthetic_users() -> None:
    asked = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, request.headers["user"]))
        return httpx.Response(200, json={"ok": True, "more": 1})

    rig = Rig([HTTP], respond)
    look = rig.look()
    assert asked == [("/legacy/analyze", "old"), ("/package/analyze", "new")]
    assert [(check.name, check.passed) for check in look.checks] == [
        ("analyze@legacy", True),
        ("analyze@package", True),
    ]
    assert (look.windows["X"].probes, look.legacy["X"].probes) == (Tally(0, 1), Tally(0, 1))


def test_a_package_that_does_not_answer_has_failed_and_a_legacy_that_does_not_is_missing() -> None:
    """Prevents a rollback to a legacy that is down on the ground that legacy is down."""

    def respond(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    look = Rig([HTTP], respond).look()
    legacy, package = look.checks
    assert (legacy.passed, package.passed) == (None, False)
    assert legacy.detail == "legacy itself fails: did not answer (ConnectError: refused)"
    assert (look.windows["X"].probes, look.legacy["X"].probes) == (Tally(1, 1), Tally(1, 1))


def test_a_probe_that_cannot_be_made_is_missing() -> None:
    probe = replace(HTTP, request=Request("ftp://app/$version"), versions=(Version.PACKAGE,))

    def respond(request: httpx.Request) -> httpx.Response:
        raise httpx.UnsupportedProtocol("no ftp")

    look = Rig([probe], respond).look()
    assert look.checks[0].passed is None
    assert isinstance(look.windows["X"].probes, Missing)


def test_an_answer_that_breaks_a_probe_is_missing_and_costs_no_other() -> None:
    """Prevents: hostile JSON of one package ends the soak of all with a traceback."""

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="[" * 200_000 if "hostile" in request.url.path else '{"ok": true}')

    hostile = replace(
        HTTP, name="hostile", request=Request("http://app/hostile"), versions=(Version.PACKAGE,), users={}
    )
    compared = CompareProbe("compared", "X", Request("http://app/hostile"))
    look = Rig([hostile, compared, HTTP], respond).look()
    said = {check.name: (check.passed, check.detail) for check in look.checks}
    assert said["hostile@package"] == said["compared"] == (None, "the probe broke (RecursionError)")
    assert said["analyze@package"] == (True, "")


def test_a_probe_asks_at_its_own_interval() -> None:
    rig = Rig(
        [replace(HTTP, every=10.0, versions=(Version.PACKAGE,))], lambda _: httpx.Response(200, json={"ok": True})
    )
    assert [rig.look().windows["X"].probes for _ in range(4)] == [Tally(0, 1), Tally(0, 0), Tally(0, 1), Tally(0, 0)]


def test_at_the_begin_of_a_soak_every_probe_is_due_and_what_still_runs_is_of_before() -> None:
    """Prevents: what was read before a move vouches for the time after it."""

    class ByHand(Executor):
        def __init__(self) -> None:
            self.jobs: list[tuple[Future[Any], Callable[[], Any]]] = []

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.jobs.append((Future(), fn))
            return self.jobs[-1][0]

        def run(self) -> None:
            for future, job in self.jobs:
                future.set_result(job())
            self.jobs.clear()

    executor = ByHand()
    collection = CollectionProbe("carts", "X", "carts", may_shrink=0.1, every=300)
    probing = Probing([collection], httpx.Client(), Collections(carts={"1": "a"}), executor)  # type: ignore[arg-type]
    assert not probing.ask(T0)
    probing.begin()
    executor.run()
    assert not probing.ask(T0), "it began before"
    assert not probing.ask(T0), "asked again"
    executor.run()
    assert [asked.passed for asked in probing.ask(T0)] == [True]
    probing.ask(T0 + timedelta(seconds=5))
    assert not executor.jobs, "and then at its own interval"


def test_probes_of_two_services_may_have_the_same_name() -> None:
    """Prevents the one from taking the other's turn."""
    probes = [replace(HTTP, service=name, every=10.0, versions=(Version.PACKAGE,)) for name in ("X", "Y")]
    look = Rig(probes, lambda _: httpx.Response(200, json={"ok": True})).look()
    assert [check.service for check in look.checks] == ["X", "Y"]


def test_an_unknown_template_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ConfigError, match="vresion"):
        Rig([replace(HTTP, request=Request("http://app/$vresion"))])


def test_answers_of_both_versions_are_compared() -> None:
    probe = CompareProbe("same", "X", Request("http://app/$version"), ignore=("/at", "/items/*/id"))

    def respond(request: httpx.Request) -> httpx.Response:
        package = request.url.path == "/package"
        return httpx.Response(200, json={"at": package, "items": [{"id": package, "score": 3 + package}]})

    (check,) = Rig([probe], respond).look().checks
    assert (check.name, check.passed, check.detail) == ("same", False, "/items/0/score differs from legacy")


# --- data integrity ---


class Collections:
    """`Documents` in memory."""

    def __init__(self, **collections: dict[str, str]) -> None:
        self.collections = collections
        self.fails = False

    def pinned(self) -> Collections:
        return self

    def digests(self, collection: str, ignore: object = ()) -> dict[str, str]:
        if self.fails:
            raise Unreachable("the database does not answer")
        return dict(self.collections[collection])


PARITY = ParityProbe("cache parity", "X", "old", "new", settle=8, every=60)


def test_a_write_in_flight_is_no_difference_and_one_that_stays_is() -> None:
    documents = Collections(old={"1": "a", "2": "b"}, new={"1": "a"})
    rig = Rig([PARITY], documents=documents)
    (first,) = rig.look().checks
    assert first.passed is None
    documents.collections["new"]["2"] = "b"
    documents.collections["old"]["3"] = "c"
    assert rig.look().checks == ()  # not before it has had time to settle
    (second,) = rig.look().checks
    assert second.passed is None, "another document differs now, which may be in flight as well"
    rig.look()
    (third,) = rig.look().checks
    assert (third.category, third.passed) == (Category.DATA_INTEGRITY, False)
    assert third.detail == "1 of 3 documents differ between old and new: 3"
    documents.collections["new"]["3"] = "c"
    rig.app.now += timedelta(seconds=60)
    assert [check.passed for check in rig.look().checks] == [True]


def test_documents_that_are_gone_for_a_moment_are_not_lost() -> None:
    """Prevents: everything goes back because a document was being replaced while it was counted."""
    documents = Collections(carts={str(number): "a" for number in range(100)})
    rig = Rig([CollectionProbe("carts", "X", "carts", may_shrink=0.01, settle=4, every=5)], documents=documents)

    def lose(number: int) -> list[bool | None]:
        documents.collections["carts"] = {str(each): "a" for each in range(100 - number)}
        return [check.passed for check in rig.look().checks]

    assert lose(0) == lose(1) == [True], "so many may be deleted"
    assert lose(2) == [None]
    assert lose(0) == [True]
    assert lose(2) == [None]
    assert lose(2) == [False]


def test_a_database_that_does_not_answer_is_missing_not_failed() -> None:
    documents = Collections()
    documents.fails = True
    (check,) = Rig([PARITY], documents=documents).look().checks
    assert (check.passed, check.detail) == (None, "the database does not answer")
