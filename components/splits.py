"""How traffic is divided where no flag does it: the shares that a stack asks for, and those that it has recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class UrlMapSplit:
    """A URL map in front of both versions; the backends are full names of backend services."""

    service: str
    url_map: str
    legacy_backend: str
    package_backend: str


@dataclass(frozen=True, slots=True)
class CloudRunSplit:
    """An existing Cloud Run service whose revisions are the versions. Only its traffic is taken over.

    It enters the stack by `pulumi import`, once (docs/reference/resources.md): a resource option would demand that the
    service already had the traffic which is wanted.
    """

    service: str
    run_service: str
    location: str
    image: str
    legacy_revision: str
    package_revision: str


Split = UrlMapSplit | CloudRunSplit


def component_name(service: str) -> str:
    """The name of the component that splits a service's traffic."""
    return f"traffic-{service}"


def resource_name(component: str, service: str) -> str:
    """The name of the resource inside it."""
    return f"{component}-{service}"


def url_map_weights(split: UrlMapSplit, weight: int) -> tuple[tuple[str, int], ...]:
    """Backends and their weights (0 to 1000, the URL map's unit), the package first."""
    return (split.package_backend, weight * 10), (split.legacy_backend, 1000 - weight * 10)


def cloud_run_percents(split: CloudRunSplit, weight: int) -> tuple[tuple[str, int], ...]:
    """Revisions and their whole percents, the package first; a revision without traffic is left out."""
    shares = (split.package_revision, weight), (split.legacy_revision, 100 - weight)
    return tuple((revision, percent) for revision, percent in shares if percent)


def package_percent(split: Split, inputs: Mapping[str, Any]) -> float:
    """What the package gets of all traffic, by a resource's inputs. Raises KeyError, TypeError on any other shape."""
    match split:
        case UrlMapSplit():
            rows = inputs["defaultRouteAction"]["weightedBackendServices"]
            shares = [(row["backendService"], row["weight"]) for row in rows]
            package = split.package_backend
        case CloudRunSplit():
            shares = [(row["revision"], row["percent"]) for row in inputs["traffics"]]
            package = split.package_revision
    whole = sum(share for _, share in shares)
    return 100 * sum(share for name, share in shares if name == package) / whole if whole else 0.0
