"""Inputs are held to the installed SDK's types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standin.gcp.check import UNKNOWN, Failure, check
from standin.gcp.schema import Schema, Schemas, UnknownToken

SERVICE = "gcp:cloudrunv2/service:Service"
POLICY = "gcp:monitoring/alertPolicy:AlertPolicy"

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=5),
    "integer": st.integers(-1000, 1000),
    "number": st.floats(-10, 10),
    "boolean": st.booleans(),
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Schemas:
    return Schemas(tmp_path_factory.mktemp("schemas"))


def types() -> st.SearchStrategy[Any]:
    scalars = st.sampled_from(sorted(VALUES))

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        field = st.fixed_dictionaries({"type": inner, "required": st.booleans()})
        return st.one_of(
            st.fixed_dictionaries({"list": inner}),
            st.fixed_dictionaries({"map": inner}),
            st.fixed_dictionaries({"object": st.dictionaries(st.sampled_from("abc"), field)}),
        )

    return st.recursive(scalars, nested, max_leaves=6)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, as the SDK would send them; any of them may still be unknown."""
    if isinstance(kind, str):
        return VALUES[kind] | st.just(UNKNOWN)
    ((form, inner),) = kind.items()
    if form == "list":
        return st.lists(values(inner), max_size=3)
    if form == "map":
        return st.dictionaries(st.sampled_from("abc"), values(inner))
    required = {name: values(field["type"]) for name, field in inner.items() if field["required"]}
    optional = {name: values(field["type"]) for name, field in inner.items() if not field["required"]}
    return st.fixed_dictionaries(required, optional=optional)


@given(st.data())
def test_every_value_of_a_type_passes_and_a_value_of_another_form_does_not(data: st.DataObject) -> None:
    kind = data.draw(types())
    schema = Schema("gcp:x/y:Y", {"p": {"type": kind, "required": True}}, {})
    assert check(schema, {"p": data.draw(values(kind))}) == []
    other = [] if kind != "string" and not (isinstance(kind, dict) and "list" in kind) else {"not": "it"}
    (failure,) = check(schema, {"p": other})
    assert failure.property == "p"


def test_an_unknown_property_is_refused_with_a_suggestion(schemas: Schemas) -> None:
    failures = check(
        schemas.of(SERVICE), {"location": "eu", "template": {"containers": [{"image": "i", "workingDirr": "/"}]}}
    )
    assert failures == [
        Failure(
            "template.containers[0].workingDirr",
            f"{SERVICE} has no property 'template.containers[0].workingDirr'; did you mean 'workingDir'?",
        )
    ]


@pytest.mark.parametrize(
    ("inputs", "path", "reason"),
    [
        ({"template": {}}, "location", f"{SERVICE} needs 'location'"),
        ({"location": 3, "template": {}}, "location", f"'location' of {SERVICE} must be a string, got the number 3"),
        (
            {"location": "eu", "template": {"maxInstanceRequestConcurrency": 2.5}},
            "template.maxInstanceRequestConcurrency",
            f"'template.maxInstanceRequestConcurrency' of {SERVICE} must be an integer, got the number 2.5",
        ),
        (
            {"location": "eu", "template": {}, "labels": ["a"]},
            "labels",
            f"'labels' of {SERVICE} must be a map, got the list ['a']",
        ),
        (
            {"location": "eu", "template": {}, "deletionProtection": "no"},
            "deletionProtection",
            f"'deletionProtection' of {SERVICE} must be a boolean, got the string 'no'",
        ),
    ],
)
def test_what_is_wrong_is_said_by_path(schemas: Schemas, inputs: dict[str, Any], path: str, reason: str) -> None:
    assert check(schemas.of(SERVICE), inputs) == [Failure(path, reason)]


def test_integers_that_arrive_as_floats_pass(schemas: Schemas) -> None:
    assert check(schemas.of(SERVICE), {"location": "eu", "template": {"maxInstanceRequestConcurrency": 80.0}}) == []


def test_nested_requirements_are_those_of_the_sdk(schemas: Schemas) -> None:
    condition = {"displayName": "c", "conditionPrometheusQueryLanguage": {"duration": "60s"}}
    failures = check(schemas.of(POLICY), {"combiner": "OR", "displayName": "d", "conditions": [condition]})
    assert [failure.property for failure in failures] == ["conditions[0].conditionPrometheusQueryLanguage.query"]


def test_functions_have_schemas_too(schemas: Schemas) -> None:
    schema = schemas.of("gcp:firestore/getDocument:getDocument")
    assert schema.inputs["documentId"] == {"type": "string", "required": False}
    assert schema.outputs["fields"] == "string"


@pytest.mark.parametrize("token", ["gcp:firestore/nothing:Nothing", "gcp:nowhere/getThing:getThing", "gcp:index"])
def test_what_the_sdk_does_not_have_is_refused(schemas: Schemas, token: str) -> None:
    with pytest.raises(UnknownToken):
        schemas.of(token)


def test_a_schema_from_the_cache_is_the_schema_from_the_sdk(tmp_path: Path) -> None:
    assert Schemas(tmp_path).of(POLICY) == Schemas(tmp_path).of(POLICY)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_broken_cache_file_is_replaced(tmp_path: Path) -> None:
    first = Schemas(tmp_path).of(POLICY)
    (kept,) = tmp_path.iterdir()
    kept.write_text("{")
    assert Schemas(tmp_path).of(POLICY) == first


@pytest.mark.soak
def test_every_resource_of_the_sdk_has_a_schema(schemas: Schemas) -> None:
    import pulumi_gcp  # noqa: F401 - fills the registry
    from pulumi.runtime import rpc

    tokens = [
        token
        for name, modules in rpc._RESOURCE_MODULES.items()
        if name.startswith("gcp:")
        for module in modules
        for token in module.mod_info["classes"]  # type: ignore[attr-defined]
    ]
    assert len(tokens) > 1400
    for token in tokens:
        assert schemas.of(token).outputs, token
