"""Are a resource's inputs what the SDK says they are? Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from standin.gcp.schema import Schema, Type

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's mark for a value that is only known after an update (`pulumi.runtime.rpc.UNKNOWN`)."""

_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "number": (int, float), "boolean": bool}


@dataclass(frozen=True)
class Failure:
    """`property` is the path of the offending value, `reason` what is wrong with it."""

    property: str
    reason: str


def check(schema: Schema, inputs: Mapping[str, Any]) -> list[Failure]:
    """Every unknown property, missing required one and wrong type in `inputs`; unknown (computed) values pass."""
    return list(_object(schema.token, schema.inputs, inputs, ""))


def _object(owner: str, fields: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[Failure]:
    for name, field in fields.items():
        if field["required"] and value.get(name) is None:
            yield Failure(_join(path, name), f"{owner} needs '{_join(path, name)}'")
    for name, item in value.items():
        if name.startswith("__") or item is None:
            continue
        if name not in fields:
            yield Failure(
                _join(path, name), f"{owner} has no property '{_join(path, name)}'{_suggestion(name, fields)}"
            )
        else:
            yield from _value(owner, fields[name]["type"], item, _join(path, name))


def _value(owner: str, expected: Type, value: Any, path: str) -> Iterator[Failure]:
    if value == UNKNOWN or value is None or expected == "any":
        return
    if isinstance(expected, str):
        if not _is(expected, value):
            yield Failure(path, f"'{path}' of {owner} must be {_a(expected)}, got {_described(value)}")
        return
    ((kind, inner),) = expected.items()
    match kind, value:
        case "list", list():
            for index, item in enumerate(value):
                yield from _value(owner, inner, item, f"{path}[{index}]")
        case "map", dict():
            for key, item in value.items():
                yield from _value(owner, inner, item, f"{path}.{key}")
        case "object", dict():
            yield from _object(owner, inner, value, path)
        case _:
            yield Failure(path, f"'{path}' of {owner} must be {_a(kind)}, got {_described(value)}")


def _is(expected: str, value: Any) -> bool:
    if expected == "integer":  # integers arrive as floats on the wire
        return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if expected == "number" and isinstance(value, bool):
        return False
    return isinstance(value, _PYTHON_TYPES[expected])


def _suggestion(name: str, fields: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, fields, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _described(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "list", dict: "object"}
    shown = repr(value)
    return f"the {names.get(type(value), 'value')} {shown if len(shown) <= 60 else shown[:57] + '...'}"
