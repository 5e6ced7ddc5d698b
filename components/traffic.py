"""Traffic that a flag does not split: weighted URL map backends and Cloud Run revisions."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import cloudrunv2

from components.flag_set import guarded_by
from components.splits import CloudRunSplit, Split, UrlMapSplit, cloud_run_percents, resource_name, url_map_weights


@dataclass(frozen=True, slots=True)
class TrafficArgs:
    """One split, and the percentage of its traffic for the package.

    `follows` judges every change of it before it is made: no split goes anywhere but where the flag set has gone.
    """

    project: str
    split: Split
    weight: int
    follows: pulumi.ResourceHook

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 100:
            raise ValueError(f"{self.split.service} would get {self.weight} % of its traffic on the package")


class Traffic(pulumi.ComponentResource):
    """One service's split. It draws anew for each request: users keep their version only where a flag decides."""

    def __init__(self, name: str, args: TrafficArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:Traffic", name, None, opts)
        match args.split:
            case UrlMapSplit() as split:
                self._url_map(name, args, split)
            case CloudRunSplit() as split:
                self._cloud_run(name, args, split)
        self.register_outputs({"weight": args.weight})

    def _url_map(self, name: str, args: TrafficArgs, split: UrlMapSplit) -> None:
        # Here and not above: this module alone costs two seconds and 110 MB, and few stacks use it.
        from pulumi_gcp import compute

        compute.URLMap(
            resource_name(name, split.service),
            project=args.project,
            name=split.url_map,
            default_route_action=compute.URLMapDefaultRouteActionArgs(
                weighted_backend_services=[
                    compute.URLMapDefaultRouteActionWeightedBackendServiceArgs(backend_service=backend, weight=share)
                    for backend, share in url_map_weights(split, args.weight)
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self, hooks=guarded_by(args.follows)),
        )

    def _cloud_run(self, name: str, args: TrafficArgs, split: CloudRunSplit) -> None:
        cloudrunv2.Service(
            resource_name(name, split.service),
            project=args.project,
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
                for revision, percent in cloud_run_percents(split, args.weight)
            ],
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["template", "annotations", "labels", "client", "clientVersion", "ingress", "scaling"],
                retain_on_delete=True,
                hooks=guarded_by(args.follows),
            ),
        )
