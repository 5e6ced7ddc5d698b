"""Answers compared with what is expected and with each other; edges judged without taking chance for failure."""

from __future__ import annotations

import gzip
import math
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.health.edges import CHANCE, chance, enough, possible, responsible
from causeway.health.probes import Answer, ask, first_difference, lacking, unexpected
from causeway.health.probing import Probing
from causeway.model.guardrails import Guardrails
from causeway.model.matrix import L_P, MIXED, P_L, P_P, Interaction, Kind, Version
from causeway.model.observation import Expected, HttpProbe, Request
from causeway.model.window import Tally

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_an_answer_contains_itself_and_does_not_differ_from_itself(value: Any) -> None:
    assert lacking(value, value) is None
    assert first_difference(value, value) is None


@given(JSON, JSON)
def test_differing_is_symmetric_and_the_opposite_of_equal(one: Any, other: Any) -> None:
    assert (first_difference(one, other) is None) == (first_difference(other, one) is None)
    if first_difference(one, other) is None:
        assert one == other


@given(JSON, JSON)
def test_everything_may_be_ignored(one: Any, other: Any) -> None:
    assert first_difference(one, other, ignore=("",)) is None


@pytest.mark.parametrize(
    ("legacy", "package", "ignore", "found"),
    [
        ({"a": 1}, {"a": 1.0}, (), None),
        ({"a": 1}, {"a": True}, (), "/a differs from legacy"),
        ({"a": 1}, {}, (), "/a is missing in package"),
        ({}, {"a": 1}, (), "/a is missing in legacy"),
        ({}, {"a": 1}, ("/a",), None),
        ([1, 2], [1], (), "the answer differs from legacy"),
        ({"a": [{"b/c": 1}]}, {"a": [{"b/c": 2}]}, (), "/a/0/b~1c differs from legacy"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ("/a/*/b",), None),
        ({"ab": 1}, {"ab": 2}, ("/a",), "/ab differs from legacy"),
        ("<html>", {"a": 1}, (), "the answer differs from legacy"),
    ],
)
def test_the_first_difference_is_named_by_its_pointer(
    legacy: Any, package: Any, ignore: tuple[str, ...], found: str | None
) -> None:
    assert first_difference(legacy, package, ignore) == found


def test_a_difference_never_shows_what_the_answers_hold() -> None:
    """Prevents somebody's data from reaching a report."""
    assert "secret" not in (first_difference({"mail": "secret@a"}, {"mail": "secret@b"}) or "")


@pytest.mark.parametrize(
    ("expected", "status", "text", "wrong"),
    [
        (Expected(), 200, "anything", None),
        (Expected(), 503, "", "answered 503, not 200"),
        (Expected(status=404), 404, "", None),
        (Expected(text="ready"), 200, "not yet", 'the answer lacks "ready"'),
        (Expected(json={"ok": True}), 200, '{"ok": true, "more": [1]}', None),
        (Expected(json={"ok": True}), 200, '{"ok": 1}', "/ok is not as expected"),
        (Expected(json={"a": {"b": 1}}), 200, '{"a": {}}', "/a/b is not in the answer"),
        (Expected(json=[1]), 200, "[1, 2]", "the answer is not as expected"),
        (Expected(json={}), 200, "<html>", "the answer is no JSON"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(expected: Expected, status: int, text: str, wrong: str | None) -> None:
    assert unexpected(expected, status, text) == wrong


def binomial_tail(bad: int, total: int, theta: float) -> float:
    return math.fsum(math.comb(total, n) * theta**n * (1 - theta) ** (total - n) for n in range(bad, total + 1))


@given(st.integers(0, 60).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))), st.floats(0.01, 0.5))
def test_chance_is_the_binomial_tail(counts: tuple[int, int], theta: float) -> None:
    bad, total = counts
    assert chance(Tally(bad, total), theta) == pytest.approx(binomial_tail(bad, total, theta), rel=1e-6, abs=1e-12)


@given(st.integers(1, 200), st.floats(0.01, 0.5))
def test_a_service_at_the_allowed_rate_fails_less_than_one_look_in_a_hundred(total: int, theta: float) -> None:
    least = next((bad for bad in range(total + 1) if chance(Tally(bad, total), theta) < CHANCE), None)
    if least is not None:
        assert binomial_tail(least, total, theta) < CHANCE


def test_edges_are_judged_without_an_error_rate_guardrail() -> None:
    """Prevents: where that guardrail is left out no number of failed calls is ever enough, and nobody is told."""
    allowed = Guardrails(error_rate=None).allowed_errors
    assert enough(2, allowed) and chance(Tally(2, 2), allowed) < CHANCE


def test_dependencies_are_always_legacy_and_state_is_no_call() -> None:
    call, dependency = Interaction("A", "B"), Interaction("A", "D")
    state = Interaction("A", "A", Kind.STATE)
    assert possible([call, dependency, state], ["D"]) == [*((call, pair) for pair in MIXED), (dependency, P_L)]


@pytest.mark.parametrize(("pair", "service"), [(P_L, "A"), (L_P, "B"), (P_P, "B")])
def test_the_service_to_go_back_is_the_one_on_its_package_that_came_less_far(pair: Any, service: str) -> None:
    assert responsible(Interaction("A", "B"), pair, {"A": 100, "B": 10}) == service


@contextmanager
def dripping(parts: Iterable[bytes], every: float = 0.05) -> Iterator[str]:
    """A server that sends an answer in parts, over and over the last one, until the client or the test has enough."""
    over = threading.Event()

    def answer(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    def drip(connection: socket.socket) -> None:
        first, *_, last = [*parts]
        with suppress(OSError), connection:
            connection.recv(4096)
            connection.sendall(first)
            while not over.wait(every):
                connection.sendall(last)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            over.set()


def test_an_answer_that_drips_has_failed_after_its_timeout() -> None:
    """Prevents: a package that sends byte by byte is never a failure, because each byte begins the timeout anew."""
    with (
        dripping([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"]) as url,
        httpx.Client() as client,
    ):
        probe = HttpProbe("answers", "X", Request(url), timeout=0.3)
        began = time.monotonic()
        assert ask(probe, Version.PACKAGE, client) == Answer(False, "did not answer within 0.3 s")
        assert time.monotonic() - began < 2


def test_a_probe_that_hangs_fails_each_time_it_is_due_and_holds_nobody_up() -> None:
    """Prevents: an answer that never begins keeps the last success standing, and every look waiting."""
    with (
        dripping([b"HTTP/1.1 200 OK\r\nx: ", b"x"]) as url,
        Probing(
            [HttpProbe("answers", "X", Request(url), versions=tuple(Version), every=10, timeout=0.3)], httpx.Client()
        ) as probing,
    ):
        looks = [probing.ask(T0 + timedelta(seconds=5 * look)) for look in range(4)]
        said = [{asked.version: asked.passed for asked in look} for look in looks]
        both = dict.fromkeys(Version, False)
        assert said == [{}, both, both, {}]
        began = time.monotonic()
        assert len(probing.ask(T0 + timedelta(seconds=30))) == 2
        assert time.monotonic() - began < 0.2, "it is waited for no longer"


def test_a_compressed_answer_is_read() -> None:
    """Prevents: an answer that is read in parts is decoded twice, or not at all."""
    body = gzip.compress(b'{"ok": true}')

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(body))

    probe = HttpProbe("answers", "X", Request("http://app/"), Expected(json={"ok": True}))
    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        assert ask(probe, Version.PACKAGE, client) == Answer(True)
