"""Rows that say the same are checked once: a large matrix has ten thousands of them, and few ways to be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_MATRIX = "causeway:matrix"
_ENDS = ("consumer", "provider")


def thinned(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same without interactions that differ from an earlier one by nothing but which services they join.

    By the schema it is right if and only if the whole is: names of services are checked where they are keys.
    """
    matrix = body.get(_MATRIX)
    if not isinstance(matrix, dict) or not isinstance(matrix.get("services"), dict):
        return body
    rows = matrix.get("interactions")
    if not isinstance(rows, list):
        return body
    return {**body, _MATRIX: {**matrix, "interactions": list(_different(rows, matrix["services"]))}}


def _different(rows: list[Any], services: Mapping[Any, Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for row in rows:
        if not isinstance(row, dict) or not all(isinstance(row.get(e), str) and row[e] in services for e in _ENDS):
            yield row
            continue
        rest = repr({key: value for key, value in row.items() if key not in _ENDS})
        if rest not in seen:
            seen.add(rest)
            yield row
