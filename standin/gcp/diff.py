"""What changes between two sets of inputs, and whether the change needs a new resource. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Kind = Literal["ADD", "DELETE", "UPDATE"]

_ABSENT = object()

_IMMUTABLE = frozenset(
    {
        "accountId",
        "collection",
        "database",
        "datasetId",
        "documentId",
        "folderId",
        "instance",
        "location",
        "locationId",
        "name",
        "namespace",
        "parent",
        "project",
        "region",
        "repositoryId",
        "secretId",
        "topic",
        "zone",
    }
)
"""Inputs that name or place a resource. The SDK does not say which inputs force a replacement; these do in GCP."""

_WHOLLY_IMMUTABLE = ("iAMMember", "iamMember", "firestore/index:", "firebaserules/ruleset:")
"""Parts of tokens of resources that GCP cannot change in any way."""


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Kind]:
    """The paths (`template.containers[0].image`) at which two sets of inputs differ, each with what happened to it."""
    return dict(_walk(old, new, ""))


def replaces(token: str, path: str) -> bool:
    """Whether a change at `path` needs a new resource of this type."""
    return any(part in token for part in _WHOLLY_IMMUTABLE) or path in _IMMUTABLE


def _walk(old: Any, new: Any, path: str) -> Iterator[tuple[str, Kind]]:
    if old is _ABSENT or new is _ABSENT:
        yield path, "ADD" if old is _ABSENT else "DELETE"
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        names = [name for name in {**old, **new} if not name.startswith("__")]
        for name in names:
            inner = f"{path}.{name}" if path else name
            yield from _walk(old.get(name, _ABSENT), new.get(name, _ABSENT), inner)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _walk(_at(old, index), _at(new, index), f"{path}[{index}]")
    elif old != new:
        yield path, "UPDATE"


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _ABSENT
