"""Scraping: the format's own library reads what is new, a lookup the rest, and both say the same."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics

from causeway.health.metrics import Series
from causeway.health.scrape import NotMetrics, Page, ScrapeSource

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
NAMES = ("requests_total", "seconds_bucket")
NASTY = ["plain", 'quote"', "back\\slash", "brace} 5", "line\nbreak", "# hash", "ü ", ""]


def page() -> Page:
    return Page("t", NAMES, max_age=30)


def application() -> tuple[CollectorRegistry, Counter, Histogram]:
    registry = CollectorRegistry()
    requests = Counter("requests", "Help", ["service"], registry=registry)
    seconds = Histogram("seconds", "Help", ["service"], registry=registry, buckets=(0.1, 1))
    return registry, requests, seconds


@given(st.lists(st.tuples(st.sampled_from(NASTY), st.integers(1, 5)), min_size=1, max_size=20))
def test_a_page_read_again_says_the_same_as_a_page_read_first(events: list[tuple[str, int]]) -> None:
    registry, requests, seconds = application()
    known = page()
    for service, number in events:
        requests.labels(service).inc(number)
        seconds.labels(service).observe(number / 4)
        text = generate_latest(registry).decode()
        values = known.parse(text, T0)
        assert values == page().parse(text, T0)
        assert values[Series("t", "requests_total", (("service", service),))] == requests.labels(service)._value.get()
        assert values == page().parse(generate_open_metrics(registry).decode(), T0, open_metrics=True)


def test_only_the_series_asked_for_are_kept() -> None:
    assert page().parse('requests_total 3\nother_total{a="b"} 4\nrequests_created 1.7e9\n', T0) == {
        Series("t", "requests_total", ()): 3.0
    }


def test_a_timestamp_after_the_value_is_no_value() -> None:
    """Prevents the time of a figure from being remembered as the figure."""
    reader = page()
    for second in range(3):
        at = int(T0.timestamp() * 1000) + second
        assert reader.parse(f'requests_total{{a="b"}} 7 {at}\n', T0) == {
            Series("t", "requests_total", (("a", "b"),)): 7.0
        }


@pytest.mark.parametrize(
    "line", ["requests_total{}\t{}", "requests_total{} {} ", "requests_total{} \t{}", "requests_total\t{} {}"]
)
@pytest.mark.parametrize("labels", ["", '{a="b c"}'])
def test_a_page_may_separate_by_tabs_and_end_in_blanks(line: str, labels: str) -> None:
    """Prevents: a page that is in order is missing from the second look on."""
    reader, series = page(), Series("t", "requests_total", (("a", "b c"),) if labels else ())
    for number in (5, 6, 7):
        assert reader.parse(line.replace("{}", labels, 1).replace("{}", str(number)) + "\n", T0) == {series: number}
    with pytest.raises(NotMetrics):
        reader.parse("7\n", T0)


def test_figures_that_are_too_old_are_refused() -> None:
    with pytest.raises(NotMetrics, match="60 s old"):
        page().parse(f"requests_total 7 {int(T0.timestamp() * 1000) - 60_000}\n", T0)


@pytest.mark.parametrize("text", ["<html><body>Sign in</body></html>", "requests_total", "requests_total x", "a b c d"])
def test_what_is_no_page_of_metrics_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(NotMetrics):
        page().parse("requests_total 3\n" + text + "\n", T0)
    reader = page()
    reader.parse("requests_total 3\n", T0)
    with pytest.raises(NotMetrics):
        reader.parse("requests_total three\n", T0)


def answer(request: httpx.Request) -> httpx.Response:
    match request.url.host:
        case "good":
            return httpx.Response(200, text="requests_total 3\nprocess_start_time_seconds 1.7e9\n")
        case "error":
            return httpx.Response(500, text="requests_total 3\n")
        case "page":
            return httpx.Response(200, html="<html>Sign in</html>")
        case "slow":
            raise httpx.ReadTimeout("too slow")
        case "moved":
            return httpx.Response(302, headers={"location": "http://good/metrics"})
        case _:
            raise httpx.ConnectError("refused")


def test_every_way_of_not_answering_is_down_with_its_reason() -> None:
    hosts = ("good", "error", "page", "slow", "moved", "gone")
    targets = [f"http://{host}/metrics" for host in hosts]
    client = httpx.Client(transport=httpx.MockTransport(answer))
    with ScrapeSource(targets, NAMES, now=lambda: T0, client=client) as source:
        sample = source.read()
    assert sample.values == {Series("http://good/metrics", "requests_total", ()): 3.0}
    assert sample.read["http://good/metrics"].started == 1.7e9
    assert list(sample.read) == ["http://good/metrics"]
    reasons = {origin.split("/")[2]: reason.split(" ", 1)[1] for origin, reason in sample.down.items()}
    assert reasons["error"] == "answered 500"
    assert reasons["page"].startswith("answered something that is not metrics")
    assert reasons["slow"] == "did not answer in time"
    assert reasons["moved"] == "answered 302"
    assert reasons["gone"] == "could not be reached (ConnectError: refused)"


def test_a_target_that_sends_byte_by_byte_does_not_hold_up_the_others() -> None:
    """Prevents one slow process from stopping the watch over all of them."""
    sent = threading.Event()

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.host == "drip":
            sent.wait(10)
        return httpx.Response(200, text="requests_total 3\n")

    client = httpx.Client(transport=httpx.MockTransport(respond))
    targets = ["http://drip/metrics", "http://good/metrics"]
    with ScrapeSource(targets, NAMES, now=lambda: T0, timeout=0.05, client=client) as source:
        first = source.read()
        assert first.down == {targets[0]: "http://drip/metrics did not answer in time"}
        assert list(first.read) == [targets[1]]
        sent.set()
        source._running[targets[0]].result(10)
        assert source.read().down == {}


def test_lines_that_are_gone_are_forgotten_in_the_end() -> None:
    reader = page()
    for number in range(1000):
        reader.parse(f'requests_total{{pod="{number}"}} 1\n', T0)
    assert len(reader._known) < 200


def test_a_page_that_breaks_the_parser_is_down_and_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: one process that answers something strange hides all the others."""
    parse = Page.parse

    def breaking(self: Page, text: str, *more: object) -> dict[Series, float]:
        if "strange" in text:
            raise RecursionError
        return parse(self, text, *more)  # type: ignore[arg-type]

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="strange" if request.url.host == "odd" else "requests_total 3\n")

    monkeypatch.setattr(Page, "parse", breaking)
    client = httpx.Client(transport=httpx.MockTransport(respond))
    with ScrapeSource(["http://odd/m", "http://good/m"], NAMES, now=lambda: T0, client=client) as source:
        sample = source.read()
    assert sample.down == {"http://odd/m": "http://odd/m could not be read (RecursionError)"}
    assert list(sample.read) == ["http://good/m"]
