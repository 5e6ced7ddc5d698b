"""The query API: exact figures at one instant, and a reason for every other answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from causeway.health.metrics import Series, difference
from causeway.health.promql import GoogleAuth, PromqlSource
from causeway.health.selectors import Selector

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
SERVER = T0.timestamp() + 3600  # a server whose clock is an hour ahead of ours
SELECTOR = Selector.parse('requests_total{app="cv"}')


def vector(*rows: tuple[str, float]) -> list[dict[str, Any]]:
    return [
        {"metric": {"__name__": "requests_total", "job": "app", "instance": name}, "value": [SERVER, str(value)]}
        for name, value in rows
    ]


def server(answers: Mapping[str, list[dict[str, Any]]]) -> Callable[[httpx.Request], httpx.Response]:
    def respond(request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        query = form["query"][0]
        if query == "time()":
            data: dict[str, Any] = {"resultType": "scalar", "result": [SERVER, str(SERVER)]}
        else:
            assert float(form["time"][0]) == SERVER
            data = {"resultType": "vector", "result": answers.get(query, [])}
        return httpx.Response(200, json={"status": "success", "data": data})

    return respond


def source(respond: Callable[[httpx.Request], httpx.Response]) -> PromqlSource:
    client = httpx.Client(transport=httpx.MockTransport(respond))
    return PromqlSource("http://prometheus", [SELECTOR], now=lambda: T0, max_age=30, client=client)


def of(instance: str) -> Series:
    return Series(f"app/{instance}", "requests_total", (("instance", instance), ("job", "app")))


def test_the_age_of_a_figure_is_told_by_the_servers_clock() -> None:
    """Prevents a difference between the clocks from making everything stale."""
    answers = {
        'requests_total{app="cv"}': vector(("a", 7), ("b", 8)),
        'timestamp(requests_total{app="cv"})': vector(("a", SERVER - 10), ("b", SERVER - 90)),
    }
    sample = source(server(answers)).read()
    assert sample.at == T0
    assert sample.values == {of("a"): 7.0}
    assert sample.down == {}, "a process that was never read is not known to be missing"


def test_a_process_read_before_that_is_stale_or_down_says_so() -> None:
    answers = {
        'requests_total{app="cv"}': vector(("a", 7), ("b", 8), ("c", 9)),
        'timestamp(requests_total{app="cv"})': vector(("a", SERVER), ("b", SERVER), ("c", SERVER)),
    }
    prometheus = source(server(answers))
    prometheus.read()
    answers['timestamp(requests_total{app="cv"})'] = vector(("a", SERVER), ("b", SERVER - 45))
    answers['requests_total{app="cv"}'] = vector(("a", 7), ("b", 8))
    answers["up == 0"] = vector(("c", 0), ("unrelated", 0))
    sample = prometheus.read()
    assert sample.values == {of("a"): 7.0}
    assert sample.down == {"app/b": "app/b was last scraped 45 s ago", "app/c": "app/c is down"}


def test_one_stale_series_of_a_living_process_is_left_out_alone() -> None:
    """Google's service keeps a series for minutes after it ended; a build that is gone must not hide the process."""
    old = vector(("a", 3))
    old[0]["metric"]["build"] = "1"
    answers = {
        'requests_total{app="cv"}': vector(("a", 7)) + old,
        'timestamp(requests_total{app="cv"})': [
            *vector(("a", SERVER)),
            {**old[0], "value": [SERVER, str(SERVER - 100)]},
        ],
    }
    sample = source(server(answers)).read()
    assert (sample.values, sample.down) == ({of("a"): 7.0}, {})


def test_a_series_that_goes_stale_in_a_living_process_is_missing() -> None:
    """Prevents: the failures are no longer told, and the requests that are count as good."""
    failed = vector(("a", 3))
    failed[0]["metric"]["code"] = "500"
    ages = [*vector(("a", SERVER)), {**failed[0], "value": [SERVER, str(SERVER)]}]
    answers = {'requests_total{app="cv"}': vector(("a", 7)) + failed, 'timestamp(requests_total{app="cv"})': ages}
    prometheus = source(server(answers))
    before = prometheus.read()
    ages[1]["value"] = [SERVER, str(SERVER - 100)]
    counts = difference(before, prometheus.read())
    assert counts.missing([of("a")]) is None
    assert "is no longer sent" in (counts.missing(before.values) or "")


@pytest.mark.parametrize("metric", ["x", None, [1], {"instance": 5}, {"job": ["a"]}])
def test_labels_that_are_none_make_the_sample_blind(metric: object) -> None:
    """Prevents: an answer of another shape ends a rollout with a traceback."""
    answers: dict[str, Any] = {'requests_total{app="cv"}': [{"metric": metric, "value": [SERVER, "1"]}]}
    assert "with a vector" in (source(server(answers)).read().blind or "")


@pytest.mark.parametrize("time", ["NaN", "+Inf"])
def test_a_server_without_a_time_makes_the_sample_blind(time: str) -> None:
    data = {"status": "success", "data": {"result": [SERVER, time]}}
    assert "says that its time is" in (source(lambda request: httpx.Response(200, json=data)).read().blind or "")


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (httpx.Response(200, text="[" * 200_000), "answered something that is not a query result"),
        (httpx.Response(500), "answered 500"),
        (httpx.Response(200, html="<html>Sign in</html>"), "answered something that is not a query result"),
        (httpx.Response(200, json=[]), "answered something that is not a query result"),
        (httpx.Response(200, json={"status": "success", "data": [1]}), "answered something that is not a query result"),
        (httpx.Response(200, json={"status": "error", "error": "out of memory"}), "answered out of memory"),
        (httpx.Response(200, json={"status": "success", "data": {"result": "x"}}), "did not answer time()"),
        (httpx.ReadTimeout("slow"), "did not answer in time"),
        (httpx.ConnectError("refused"), "could not be reached"),
    ],
)
def test_every_other_answer_makes_the_sample_blind_with_its_reason(
    response: httpx.Response | Exception, why: str
) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(response, Exception):
            raise response
        return response

    sample = source(respond).read()
    assert sample.blind is not None
    assert sample.blind.startswith(f"http://prometheus {why}")
    assert not sample.values


def test_history_asks_for_each_instant_of_the_past() -> None:
    asked = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(float(parse_qs(request.content.decode())["time"][0]))
        return httpx.Response(200, content=json.dumps({"status": "success", "data": {"result": []}}))

    samples = list(source(respond).history(T0, T0 + timedelta(minutes=10), timedelta(minutes=5)))
    assert [sample.at for sample in samples] == [T0, T0 + timedelta(minutes=5), T0 + timedelta(minutes=10)]
    assert sorted(set(asked)) == [sample.at.timestamp() for sample in samples]


class Token:
    """Application-default credentials that expire."""

    def __init__(self) -> None:
        self.token, self.valid, self.renewed = None, False, 0

    def refresh(self, request: object) -> None:
        self.renewed += 1
        self.token, self.valid = f"token-{self.renewed}", True


def test_google_is_asked_with_a_bearer_token_renewed_when_it_expires() -> None:
    sent = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append((request.url.path, request.headers["authorization"]))
        return httpx.Response(503)

    token = Token()
    url = "https://monitoring.googleapis.com/v1/projects/p/location/global/prometheus"
    client = httpx.Client(transport=httpx.MockTransport(respond), auth=GoogleAuth(token))  # type: ignore[arg-type]
    prometheus = PromqlSource(url, [SELECTOR], now=lambda: T0, client=client)
    prometheus.read()
    prometheus.read()
    token.valid = False
    prometheus.read()
    path = "/v1/projects/p/location/global/prometheus/api/v1/query"
    assert sent == [(path, "Bearer token-1"), (path, "Bearer token-1"), (path, "Bearer token-2")]


def test_without_google_credentials_the_sample_is_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def nothing(**_: object) -> None:
        raise DefaultCredentialsError("none found")

    monkeypatch.setattr(google.auth, "default", nothing)
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200)), auth=GoogleAuth())
    sample = PromqlSource("http://p", [SELECTOR], now=lambda: T0, client=client).read()
    assert "no usable Google credentials: none found" in (sample.blind or "")
