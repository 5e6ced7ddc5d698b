"""Traffic that a flag does not split: weighted URL map backends and Cloud Run revisions."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import cloudrunv2


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


@dataclass(frozen=True, slots=True)
class TrafficArgs:
    """One split, and the percentage of its traffic for the package."""

    project: str
    split: UrlMapSplit | CloudRunSplit
    weight: int

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 100:
            raise ValueError(f"{self.split.service} would get {self.weight} % of its traffic on the package")


class Traffic(pulumi.ComponentResource):
    """One service's split. It draws anew for each request: users keep their version only where a flag decides."""

    def __init__(self, name: str, args: TrafficArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:Traffic", name, None, opts)
        match args.split:
            case UrlMapSplit() as split:
                self._url_map(name, args.project, split, args.weight)
            case CloudRunSplit() as split:
                self._cloud_run(name, args.project, split, args.weight)
        self.register_outputs({"weight": args.weight})

    def _url_map(self, name: str, project: str, split: UrlMapSplit, weight: int) -> None:
        # Here and not above: this module alone costs two seconds and 110 MB, and few stacks use it.
        from pulumi_gcp import compute

        compute.URLMap(
            f"{name}-{split.service}",
            project=project,
            name=split.url_map,
            default_route_action=compute.URLMapDefaultRouteActionArgs(
                weighted_backend_services=[
                    compute.URLMapDefaultRouteActionWeightedBackendServiceArgs(backend_service=backend, weight=share)
                    for backend, share in url_map_weights(split, weight)
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _cloud_run(self, name: str, project: str, split: CloudRunSplit, weight: int) -> None:
        cloudrunv2.Service(
            f"{name}-{split.service}",
            project=project,
            location=split.location,
            name=split.run_service,
            # Required by the type; what is deployed stays the application's affair (`ignore_changes`).
            template=cloudrunv2.ServiceTemplateArgs(
                containers=[cloudrunv2.ServiceTemplateContainerArgs(image=split.image)]
            ),
            traffics=[
                cloudrunv2.ServiceTrafficArgs(
                    type="TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", revision=revision, percent=percent
                )
                for revision, percent in cloud_run_percents(split, weight)
            ],
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["template", "annotations", "labels", "client", "clientVersion", "ingress", "scaling"],
                retain_on_delete=True,
            ),
        )


def url_map_weights(split: UrlMapSplit, weight: int) -> tuple[tuple[str, int], ...]:
    """Backends and their weights (0 to 1000, the URL map's unit), the package first."""
    return (split.package_backend, weight * 10), (split.legacy_backend, 1000 - weight * 10)


def cloud_run_percents(split: CloudRunSplit, weight: int) -> tuple[tuple[str, int], ...]:
    """Revisions and their whole percents, the package first; a revision without traffic is left out."""
    shares = (split.package_revision, weight), (split.legacy_revision, 100 - weight)
    return tuple((revision, percent) for revision, percent in shares if percent)
