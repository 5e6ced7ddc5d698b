"""The `ResourceProvider` service (`pulumi/provider.proto`) over the local cloud."""

# ruff: noqa: N802 - methods are named as provider.proto names them

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from standin.gcp import check, documents, faults, functions
from standin.gcp.diff import changes, replaces
from standin.gcp.resources import Refused, Resources
from standin.gcp.schema import UnknownToken
from standin.gcp.wire import plain, struct
from standin.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc
from standin.versions import PULUMI_GCP


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one engine; calls arrive side by side. `faults` names the environment's control file."""

    def __init__(self, resources: Resources, fault_file: Path | None) -> None:
        self._resources = resources
        self._fault_file = fault_file
        self._under_way = 0
        self._idle = threading.Condition()

    def finish(self) -> None:
        """Returns when no operation is under way: what the engine has asked for is written, engine or no engine."""
        with self._idle:
            self._idle.wait_for(lambda: self._under_way == 0)

    # The plugin itself

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=PULUMI_GCP)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Empty:
        return Empty()

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        return Empty()

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetSchemaResponse(schema=f'{{"name": "gcp", "version": "{PULUMI_GCP}"}}')

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        project = plain(request.args).get("project")
        if isinstance(project, str) and project != check.UNKNOWN:
            self._resources = self._resources.of_project(project)
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    # Resources

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        token, inputs = _token(request.urn), plain(request.news)
        with _answering(context):
            schema = self._resources.schemas.of(token)
            named = self._resources.named(schema, request.urn, inputs, plain(request.olds), request.randomSeed)
            failures = check.check(schema, named)
            if token == documents.TOKEN and not failures and inputs["fields"] != check.UNKNOWN:
                problem = documents.problem(inputs["fields"])
                failures = [check.Failure("fields", f"'fields' of {token} is {problem}")] if problem else []
        return provider_pb2.CheckResponse(
            inputs=struct(named),
            failures=[
                provider_pb2.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures
            ],
        )

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        token, new = _token(request.urn), plain(request.news)
        old = plain(request.old_inputs)
        found = changes(old, new)
        if token == documents.TOKEN and documents.same(str(old.get("fields")), str(new.get("fields"))):
            found.pop("fields", None)
        detailed = {path: _property_diff(kind, replaces(token, path)) for path, kind in found.items()}
        response = provider_pb2.DiffResponse
        return response(
            changes=response.DIFF_SOME if found else response.DIFF_NONE,
            diffs=list(found),
            replaces=[path for path in found if replaces(token, path)],
            detailedDiff=detailed,
            hasDetailedDiff=True,
            # What keeps its id cannot stand beside the one it replaces.
            deleteBeforeReplace=self._resources.identity(token, request.urn, new) == request.id,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        token, inputs = _token(request.urn), plain(request.properties)
        with _answering(context):
            if request.preview:
                outputs = self._resources.preview(token, inputs, check.UNKNOWN)
                return provider_pb2.CreateResponse(properties=struct(outputs))
            with self._operation("create", request.urn):
                live = self._resources.create(token, request.urn, inputs)
        return provider_pb2.CreateResponse(id=live.id, properties=struct(live.outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _answering(context), self._operation("read", request.urn):
            live = self._resources.read(_token(request.urn), request.id, plain(request.inputs))
        if live is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=live.id, properties=struct(live.outputs), inputs=struct(live.inputs))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        token, inputs = _token(request.urn), plain(request.news)
        with _answering(context):
            if request.preview:
                return provider_pb2.UpdateResponse(properties=struct({**plain(request.olds), **inputs}))
            with self._operation("update", request.urn):
                live = self._resources.update(token, request.id, inputs)
        return provider_pb2.UpdateResponse(properties=struct(live.outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Empty:
        inputs = plain(request.old_inputs)
        with _answering(context), self._operation("delete", request.urn):
            self._resources.delete(_token(request.urn), request.id, inputs)
        return Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = plain(request.args)
        with _answering(context):
            failures = check.check(self._resources.schemas.of(request.tok), inputs)
            if failures:
                wrong = [
                    provider_pb2.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures
                ]
                return provider_pb2.InvokeResponse(failures=wrong)
            resources = self._resources
            result = functions.answer(request.tok, inputs, resources.project, resources.cloud, resources.documents)
        return getattr(provider_pb2, "InvokeResponse")(**{"return": struct(result)})  # noqa: B009 - a keyword of Python

    @contextmanager
    def _operation(self, operation: str, urn: str) -> Iterator[None]:
        with self._idle:
            self._under_way += 1
        try:
            fault = faults.take(self._fault_file, operation, urn)
            faults.before_write(fault)
            yield
            faults.after_write(fault)
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()


@contextmanager
def _answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Turns a refusal into the status and message that the engine prints."""
    try:
        yield
    except (UnknownToken, functions.NotServed) as error:
        context.abort(grpc.StatusCode.NOT_FOUND, str(error))
    except (Refused, documents.Refused, faults.Injected, ValueError) as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


def _token(urn: str) -> str:
    """`urn:pulumi:STACK::PROJECT::PARENT$TOKEN::NAME` → TOKEN."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _property_diff(kind: str, replace: bool) -> Any:
    name = f"{kind}_REPLACE" if replace else kind
    return provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(name), inputDiff=True)
