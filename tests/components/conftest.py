"""Pulumi's mocks, recording what would be asked of the cloud and holding it against the SDK's own types."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from standin.gcp.check import check
from standin.gcp.schema import Schemas


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Everything that was registered. Custom resources must be what the installed `pulumi_gcp` declares."""

    schemas: Schemas
    #: Settings of the application's database, as the cloud would give them to `Database.get`.
    existing: dict[str, Any] = field(default_factory=dict)
    resources: list[pulumi.runtime.MockResourceArgs] = field(default_factory=list)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        if args.resource_id and not args.inputs:  # `X.get`, a read
            return args.resource_id, self.existing
        if args.typ.startswith("gcp:"):
            failures = check(self.schemas.of(args.typ), plain(args.inputs))
            assert not failures, [failure.reason for failure in failures]
        return f"{args.name}-id", {"name": f"{args.name}-name", **_computed(args), **args.inputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"components call nothing, but {args.token} was called")

    def provision(self, program: Callable[[], Any]) -> Any:
        """Run a program to its end, every registration included; what it returned, outputs resolved."""
        results: list[Any] = []

        @pulumi.runtime.test
        def run() -> pulumi.Output[None] | None:
            result = program()
            if isinstance(result, pulumi.Output):
                return result.apply(results.append)
            results.append(result)
            return None

        run()
        return results[0]

    def of(self, kind: str) -> list[pulumi.runtime.MockResourceArgs]:
        """Resources whose type ends in `kind`, in order of their names; those that were only read left out."""
        found = (r for r in self.resources if r.typ.endswith(f":{kind}") and (r.inputs or not r.resource_id))
        return sorted(found, key=lambda resource: resource.name)

    def one(self, name: str) -> dict[str, Any]:
        """The inputs of the one resource of that name."""
        (found,) = (resource for resource in self.resources if resource.name == name)
        return found.inputs


def plain(value: Any) -> Any:
    """A value of the wire without its marks of secrecy."""
    value = rpc.unwrap_rpc_secret(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _computed(args: pulumi.runtime.MockResourceArgs) -> dict[str, str]:
    if not args.typ.endswith(":Account"):
        return {}
    email = f"{args.inputs['accountId']}@demo.iam.gserviceaccount.com"
    return {"email": email, "member": f"serviceAccount:{email}"}


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Schemas:
    """The SDK's types, read out once."""
    return Schemas(Path(tmp_path_factory.mktemp("schemas")))


@pytest.fixture
def cloud(schemas: Schemas) -> Iterator[Recorder]:
    """A fresh recorder, in force while the test runs.

    Mocks need an event loop of the thread's own, and `asyncio.run` in an earlier test leaves none behind.
    """
    asyncio.set_event_loop(asyncio.new_event_loop())
    recorder = Recorder(schemas)
    pulumi.runtime.set_mocks(recorder, project="causeway", stack="local", preview=False)
    yield recorder
