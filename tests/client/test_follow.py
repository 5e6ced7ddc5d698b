"""The follower over a source of the test's own, and OpenFeature over the follower."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any, cast

import pytest
from openfeature.api import get_client, set_provider_and_wait, shutdown
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from causeway.client.follow import Follower
from causeway.client.provider import CausewayProvider, decided
from causeway.client.view import Documents
from tests.client.test_view import definition, documents


class Scripted:
    """Hands out what the test puts in; an exception is raised."""

    def __init__(self, *answers: Documents | Exception) -> None:
        self.answers = list(answers)
        self.reads = 0
        self.closed = False
        self.woken = threading.Event()

    def read(self) -> Documents:
        self.reads += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self) -> None:
        self.woken.wait()

    def wake(self) -> None:
        self.woken.set()

    def close(self) -> None:
        self.closed = True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_documents_that_nobody_foresaw_do_not_end_the_reading() -> None:
    """Prevents: the background thread ends without a word, and the process serves legacy until somebody restarts it."""
    strange = replace(documents(), control=cast(Any, 7))
    follower = Follower(Scripted(documents(), strange, documents(beat=3, server=3)), Clock())
    for _ in range(3):
        follower.step()
    assert follower.packages({"targetingKey": "ann"}) == {"A", "Done", "Gone"}


def test_an_outage_is_survived_and_ends_at_once() -> None:
    clock = Clock()
    source = Scripted(documents(), OSError("gone"), documents(beat=60, server=60))
    follower = Follower(source, clock)
    follower.step()
    assert follower.packages({"targetingKey": "ann"}) == {"A", "Done", "Gone"}
    clock.now += 60
    follower.step()
    assert not follower.fresh()
    assert follower.packages({"targetingKey": "ann"}) == {"Done", "Gone"}
    follower.step()
    assert follower.packages({"targetingKey": "ann"}) == {"A", "Done", "Gone"}


def test_starts_informed_and_stops_clean() -> None:
    source = Scripted(documents())
    follower = Follower(source)
    follower.start()
    assert follower.view.flags is not None
    follower.stop()
    assert source.closed


def test_starting_without_a_server_means_legacy_and_no_error() -> None:
    follower = Follower(Scripted(OSError("refused")))
    follower.start()
    assert follower.packages({"targetingKey": "ann"}) == frozenset()
    follower.stop()


def test_openfeature_asks_by_service() -> None:
    source = Scripted(documents())
    set_provider_and_wait(CausewayProvider(Follower(source)))
    try:
        client, ann = get_client(), EvaluationContext("ann")
        assert client.get_string_value("A", "legacy", ann) == "package"
        assert client.get_boolean_value("A", False, ann) is True
        assert client.get_string_value("A", "legacy") == "legacy"  # no key
        unknown = client.get_string_details("Unknown", "package", ann)
        assert (unknown.value, unknown.reason) == ("legacy", "DEFAULT")  # whatever default the caller gave
        assert decided(client, {"targetingKey": "ann"}) == {"A", "Done", "Gone"}
        assert decided(client, {}) == {"Gone"}
        assert client.get_object_details("A", [], ann).error_code is ErrorCode.TYPE_MISMATCH
        assert client.get_integer_details("A", 7, ann).error_code is ErrorCode.TYPE_MISMATCH
    finally:
        shutdown()
    assert source.closed


def test_openfeature_says_stale() -> None:
    follower = Follower(Scripted(documents(definition(), beat=-60)))
    follower.step()
    details = CausewayProvider(follower).resolve_boolean_details("A", True, EvaluationContext("ann"))
    assert (details.value, details.reason) == (False, "STALE")


@pytest.mark.parametrize("method", ["string", "boolean"])
def test_parameter_names_are_openfeatures(method: str) -> None:
    """With other names the client swallows the TypeError and returns the caller's default."""
    resolve = getattr(CausewayProvider(Follower(Scripted(documents()))), f"resolve_{method}_details")
    assert resolve(flag_key="A", default_value="x", evaluation_context=None).variant == "legacy"
