"""Documents: what counts as typed fields, and when two spellings say the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standin.gcp.cloud import Cloud
from standin.gcp.documents import TOKEN, Documents, Refused, inputs_of, name_of, problem, same
from standin.gcp.resources import Resources
from standin.gcp.schema import Schemas

TYPED = st.recursive(
    st.one_of(
        st.text(max_size=4).map(lambda text: {"stringValue": text}),
        st.integers(-(2**63), 2**63 - 1).map(lambda number: {"integerValue": str(number)}),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda number: {"doubleValue": number}),
        st.booleans().map(lambda value: {"booleanValue": value}),
        st.just({"nullValue": None}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: {"arrayValue": {"values": items}}),
        st.dictionaries(st.text(max_size=3), inner, max_size=3).map(lambda fields: {"mapValue": {"fields": fields}}),
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.text(max_size=3), TYPED, max_size=4)


@given(FIELDS)
def test_typed_fields_have_no_problem_and_are_the_same_in_any_order(fields: Mapping[str, Any]) -> None:
    text = json.dumps(fields)
    assert problem(text) is None
    assert same(text, json.dumps(dict(reversed(fields.items())), indent=1))


@given(FIELDS, FIELDS)
def test_fields_of_different_values_are_not_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert same(json.dumps(one), json.dumps(other)) == (repr(one) == repr(other) or one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"integerValue": 3}, {"integerValue": "3"}),
        ({"doubleValue": 1}, {"doubleValue": 1.0}),
        ({"mapValue": {}}, {"mapValue": {"fields": {}}}),
        ({"arrayValue": {}}, {"arrayValue": {"values": []}}),
        ({"timestampValue": "2025-08-27T00:00:00Z"}, {"timestampValue": "2025-08-27T00:00:00.000000Z"}),
        ({"timestampValue": "2025-08-27T02:00:00+02:00"}, {"timestampValue": "2025-08-27T00:00:00Z"}),
        ({"geoPointValue": {"latitude": 1}}, {"geoPointValue": {"latitude": 1.0, "longitude": 0}}),
    ],
)
def test_spellings_the_service_changes_are_no_drift(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert same(json.dumps({"f": one}), json.dumps({"f": other}))


def test_an_integer_is_not_the_double_of_the_same_value() -> None:
    assert not same('{"f": {"integerValue": "1"}}', '{"f": {"doubleValue": 1.0}}')


@pytest.mark.parametrize("fields", ["{", "[]", '{"a": 1}', '{"a": {"stringvalue": "x"}}', '{"a": {}}'])
def test_what_is_not_typed_fields_is_said(fields: str) -> None:
    assert problem(fields)


def test_a_name_holds_all_that_places_a_document() -> None:
    name = "projects/p/databases/causeway/documents/a/b/flags/local"
    inputs = inputs_of(name, "{}")
    assert inputs["collection"] == "a/b/flags"
    assert name_of(inputs, "other") == name
    with pytest.raises(ValueError, match="not a document's name"):
        inputs_of("flags/local", "{}")


@pytest.mark.e2e
def test_documents_live_in_the_emulator(emulator: str, tmp_path: Path) -> None:
    """Created once, updated whole, read back in the program's own spelling, seen when edited by hand."""
    documents = Documents(emulator)
    resources = Resources(
        Cloud(tmp_path), documents, Schemas(tmp_path / "schemas"), project="documents", now=lambda: datetime.now(UTC)
    )
    inputs = {
        "database": "causeway",
        "collection": "flags",
        "documentId": "a b",
        "fields": '{"n": {"integerValue": 1}}',
    }
    live = resources.create(TOKEN, "urn", inputs)
    assert live.id == "projects/documents/databases/causeway/documents/flags/a b"
    with pytest.raises(Refused, match="409"):
        resources.create(TOKEN, "urn", inputs)
    again = resources.read(TOKEN, live.id, inputs)
    assert again is not None
    assert again.inputs == inputs

    resources.update(TOKEN, live.id, {**inputs, "fields": '{"m": {"stringValue": "x"}}'})
    edited = resources.read(TOKEN, live.id, inputs)
    assert edited is not None
    assert json.loads(edited.inputs["fields"]) == {"m": {"stringValue": "x"}}

    imported = resources.read(TOKEN, live.id, {})
    assert imported is not None
    assert imported.inputs["documentId"] == "a b"
    resources.delete(TOKEN, live.id, inputs)
    assert resources.read(TOKEN, live.id, inputs) is None


def test_an_emulator_that_is_down_is_named() -> None:
    with pytest.raises(Refused, match=r"127\.0\.0\.1:1 does not answer"):
        Documents("127.0.0.1:1").read("projects/p/databases/d/documents/c/d")
