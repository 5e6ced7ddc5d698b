"""Checking what differs finds what checking everything finds."""

from __future__ import annotations

from typing import Any

import pytest

from causeway.config.alike import thinned
from causeway.config.load import _validator

GOOD = {"consumer": "A", "provider": "B", "evidence": {"package->legacy": {"verified": "tests"}}}
OTHERS: list[Any] = [
    {**GOOD, "consumer": "B"},
    {**GOOD, "kind": "state"},
    {**GOOD, "kind": True},
    {**GOOD, "kind": "sate"},
    {**GOOD, "consumer": "not a name!"},
    {**GOOD, "consumer": 1},
    {**GOOD, "consumer": ["A"]},
    {"consumer": "A"},
    {**GOOD, "evidence": {"package->legacy": {"verified": ""}}},
    "A -> B",
    None,
]


def body(*rows: Any) -> dict[str, Any]:
    services = {name: {"strategy": "direct"} for name in "AB"}
    return {"causeway:matrix": {"services": services, "interactions": list(rows)}}


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_what_is_wrong_is_never_left_out(other: Any) -> None:
    """Prevents: a wrong row is taken for one that has been checked."""
    whole = body(GOOD, GOOD, other, GOOD)
    assert _validator("config").is_valid(thinned(whole)) is _validator("config").is_valid(whole)


def test_rows_that_say_the_same_are_checked_once() -> None:
    rows = thinned(body(GOOD, {**GOOD, "consumer": "B", "provider": "A"}, {**GOOD, "kind": "state"}))
    assert len(rows["causeway:matrix"]["interactions"]) == 2


@pytest.mark.parametrize("strange", [{}, {"causeway:matrix": []}, {"causeway:matrix": {"services": []}}])
def test_what_is_no_matrix_is_left_as_it_is(strange: dict[str, Any]) -> None:
    assert thinned(strange) is strange
