"""Differences of inputs, and which of them need a new resource."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standin.gcp.diff import changes, replaces

SCALARS = st.one_of(st.text(max_size=3), st.integers(), st.booleans())
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=8
)
INPUTS = st.dictionaries(st.sampled_from("abc"), TREES)


@given(INPUTS, INPUTS)
def test_there_are_changes_exactly_where_inputs_differ(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert bool(changes(old, new)) == (old != new)


@given(INPUTS, INPUTS)
def test_the_way_back_has_the_same_paths_add_and_delete_exchanged(old: dict[str, Any], new: dict[str, Any]) -> None:
    exchanged = {"ADD": "DELETE", "DELETE": "ADD", "UPDATE": "UPDATE"}
    assert {path: exchanged[kind] for path, kind in changes(old, new).items()} == changes(new, old)


def test_paths_lead_to_the_value() -> None:
    old = {"template": {"containers": [{"image": "a"}, {"image": "b"}]}, "gone": 1}
    new = {"template": {"containers": [{"image": "c"}]}, "come": 1}
    assert changes(old, new) == {
        "template.containers[0].image": "UPDATE",
        "template.containers[1]": "DELETE",
        "gone": "DELETE",
        "come": "ADD",
    }


@pytest.mark.parametrize(
    ("token", "path", "expected"),
    [
        ("gcp:storage/bucket:Bucket", "location", True),
        ("gcp:storage/bucket:Bucket", "labels.location", False),
        ("gcp:firestore/document:Document", "fields", False),
        ("gcp:firestore/document:Document", "documentId", True),
        ("gcp:projects/iAMMember:IAMMember", "role", True),
        ("gcp:firestore/index:Index", "fields[0].order", True),
    ],
)
def test_what_names_or_places_a_resource_replaces_it(token: str, path: str, expected: bool) -> None:
    assert replaces(token, path) is expected
