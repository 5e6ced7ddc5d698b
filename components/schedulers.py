"""What runs by itself: the monitor and the real-time backup always, backups, their care, the watchdog on time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pulumi
from pulumi_gcp import cloudrunv2, cloudscheduler

_PORT = 8080
Variable = TypeVar("Variable")


@dataclass(frozen=True, slots=True)
class AlwaysOn:
    """A Cloud Run service of exactly one instance whose CPU is never taken away. It answers `/healthz`."""

    name: str
    identity: str
    command: tuple[str, ...]
    memory: str = "512Mi"


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A Cloud Run job that Cloud Scheduler starts. `missed_after_s`: with no success for so long, somebody is told."""

    name: str
    identity: str
    command: tuple[str, ...]
    cron: str
    timeout_s: int
    missed_after_s: int
    retries: int = 1
    memory: str = "512Mi"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything of a stack that runs by itself."""

    always_on: tuple[AlwaysOn, ...]
    scheduled: tuple[Scheduled, ...]


#: Timing of a backup by how often config wants it: cron expression, timeout, missed after. `realtime` is a stream.
_TIMING = {"hourly": ("7 * * * *", 3_000, 2 * 3_600), "daily": ("17 2 * * *", 6 * 3_600, 30 * 3_600)}


def schedule(stack: str, backups: Mapping[str, str], prefix: str = "causeway") -> Schedule:
    """What a stack runs, from its backup priorities: priority -> `realtime`, `hourly` or `daily`.

    Raises KeyError for any other rhythm.
    """

    def command(*words: str) -> tuple[str, ...]:
        return ("causeway", *words, "--stack", stack)

    def snapshot(priority: str, every: str) -> Scheduled:
        cron, timeout_s, missed_after_s = _TIMING[every]
        words = command("backup", "snapshot", "--priority", priority, "--incremental")
        return Scheduled(f"{prefix}-backup-{priority}", "backup", words, cron, timeout_s, missed_after_s, memory="1Gi")

    monitor = AlwaysOn(f"{prefix}-monitor", "monitor", command("monitor"))
    stream = AlwaysOn(f"{prefix}-stream", "stream", command("backup", "stream"), memory="1Gi")
    snapshots = [snapshot(priority, every) for priority, every in backups.items() if every != "realtime"]
    return Schedule(
        always_on=(monitor, stream) if "realtime" in backups.values() else (monitor,),
        scheduled=(
            *snapshots,
            Scheduled(
                f"{prefix}-verify",
                "verify",
                command("backup", "verify"),
                "47 3 * * *",
                timeout_s=4 * 3_600,
                missed_after_s=30 * 3_600,
                memory="1Gi",
            ),
            # After the trial restore, so that what was verified last is known when old backups go.
            Scheduled(
                f"{prefix}-prune",
                "backup",
                command("backup", "prune"),
                "47 8 * * *",
                timeout_s=3_600,
                missed_after_s=48 * 3_600,
            ),
            # Retried by the next minute's run: a second attempt of a late one would only come on top. It looks for less
            # than a minute; the rest is for a stack update, which must not be killed on its way.
            Scheduled(
                f"{prefix}-watchdog",
                "monitor",
                command("monitor", "--once"),
                "* * * * *",
                timeout_s=1_800,
                missed_after_s=300,
                retries=0,
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class SchedulersArgs:
    """`image` holds causeway and the stack's config. `emails` are the addresses of the identities, by name.

    `environment` reaches every process; it is plain text in the cloud's console, so it is no place for secrets. Those
    are `secrets`: variables of what runs as `monitor` -> names in Secret Manager, read when a process starts.
    """

    project: str
    location: str
    image: str
    schedule: Schedule
    emails: Mapping[str, pulumi.Input[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "Etc/UTC"
    deletion_protection: bool = False


class Schedulers(pulumi.ComponentResource):
    """Cloud Run services and jobs, each under its own identity, reachable by nobody but the scheduler."""

    def __init__(self, name: str, args: SchedulersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:Schedulers", name, None, opts)
        for service in args.schedule.always_on:
            self._service(name, args, service)
        for job in args.schedule.scheduled:
            self._job(name, args, job)
        self.register_outputs(
            {
                "services": [service.name for service in args.schedule.always_on],
                "jobs": [job.name for job in args.schedule.scheduled],
            }
        )

    def _service(self, name: str, args: SchedulersArgs, service: AlwaysOn) -> None:
        listen = {"CAUSEWAY_LISTEN": f"0.0.0.0:{_PORT}"}
        cloudrunv2.Service(
            f"{name}-{service.name}",
            project=args.project,
            location=args.location,
            name=service.name,
            ingress="INGRESS_TRAFFIC_INTERNAL_ONLY",
            deletion_protection=args.deletion_protection,
            template=cloudrunv2.ServiceTemplateArgs(
                service_account=args.emails[service.identity],
                scaling=cloudrunv2.ServiceTemplateScalingArgs(min_instance_count=1, max_instance_count=1),
                containers=[
                    cloudrunv2.ServiceTemplateContainerArgs(
                        image=args.image,
                        commands=list(service.command),
                        envs=_variables(
                            {**args.environment, **listen},
                            _secrets(args, service.identity),
                            cloudrunv2.ServiceTemplateContainerEnvArgs,
                            cloudrunv2.ServiceTemplateContainerEnvValueSourceArgs,
                            cloudrunv2.ServiceTemplateContainerEnvValueSourceSecretKeyRefArgs,
                        ),
                        ports=cloudrunv2.ServiceTemplateContainerPortsArgs(container_port=_PORT),
                        resources=cloudrunv2.ServiceTemplateContainerResourcesArgs(
                            limits={"cpu": "1", "memory": service.memory}, cpu_idle=False
                        ),
                        liveness_probe=cloudrunv2.ServiceTemplateContainerLivenessProbeArgs(
                            http_get=cloudrunv2.ServiceTemplateContainerLivenessProbeHttpGetArgs(path="/healthz"),
                            period_seconds=10,
                            failure_threshold=3,
                        ),
                    )
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _job(self, name: str, args: SchedulersArgs, job: Scheduled) -> None:
        child = pulumi.ResourceOptions(parent=self)
        created = cloudrunv2.Job(
            f"{name}-{job.name}",
            project=args.project,
            location=args.location,
            name=job.name,
            deletion_protection=args.deletion_protection,
            template=cloudrunv2.JobTemplateArgs(
                template=cloudrunv2.JobTemplateTemplateArgs(
                    service_account=args.emails[job.identity],
                    timeout=f"{job.timeout_s}s",
                    max_retries=job.retries,
                    containers=[
                        cloudrunv2.JobTemplateTemplateContainerArgs(
                            image=args.image,
                            commands=list(job.command),
                            envs=_variables(
                                args.environment,
                                _secrets(args, job.identity),
                                cloudrunv2.JobTemplateTemplateContainerEnvArgs,
                                cloudrunv2.JobTemplateTemplateContainerEnvValueSourceArgs,
                                cloudrunv2.JobTemplateTemplateContainerEnvValueSourceSecretKeyRefArgs,
                            ),
                            resources=cloudrunv2.JobTemplateTemplateContainerResourcesArgs(
                                limits={"cpu": "1", "memory": job.memory}
                            ),
                        )
                    ],
                )
            ),
            opts=child,
        )
        cloudrunv2.JobIamMember(
            f"{name}-{job.name}-invoker",
            project=args.project,
            location=args.location,
            name=created.name,
            role="roles/run.invoker",
            member=pulumi.Output.concat("serviceAccount:", args.emails["scheduler"]),
            opts=child,
        )
        run = f"projects/{args.project}/locations/{args.location}/jobs/{job.name}:run"
        cloudscheduler.Job(
            f"{name}-{job.name}-schedule",
            project=args.project,
            region=args.location,
            name=job.name,
            description=" ".join(job.command),
            schedule=job.cron,
            time_zone=args.time_zone,
            http_target=cloudscheduler.JobHttpTargetArgs(
                uri=f"https://run.googleapis.com/v2/{run}",
                http_method="POST",
                oauth_token=cloudscheduler.JobHttpTargetOauthTokenArgs(
                    service_account_email=args.emails["scheduler"],
                    scope="https://www.googleapis.com/auth/cloud-platform",
                ),
            ),
            retry_config=cloudscheduler.JobRetryConfigArgs(retry_count=job.retries),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[created]),
        )


def _variables(
    plain: Mapping[str, str],
    secrets: Mapping[str, str],
    variable: Callable[..., Variable],
    source: Callable[..., Any],
    reference: Callable[..., Any],
) -> list[Variable]:
    """The environment of a container. Services and jobs have types of their own for it, with the same fields."""
    return [
        *(variable(name=name, value=value) for name, value in plain.items()),
        *(
            variable(name=name, value_source=source(secret_key_ref=reference(secret=secret, version="latest")))
            for name, secret in secrets.items()
        ),
    ]


def _secrets(args: SchedulersArgs, identity: str) -> Mapping[str, str]:
    """Only the monitor tells people, so only what runs as it knows their addresses."""
    return args.secrets if identity == "monitor" else {}
