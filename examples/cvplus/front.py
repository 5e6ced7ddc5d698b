"""The HTTP front: the edge at which each request is decided once, and the switches that people and hooks use."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from causeway.client.routing import Routing, Scope
from causeway.client.view import TARGETING_KEY, Context
from causeway.model.matrix import Version
from examples.cvplus.faults import Fault
from examples.cvplus.hooks import Hooks, Unconfirmed
from examples.cvplus.mesh import CallFailed
from examples.cvplus.runtime import SERVICES, Runtime
from examples.cvplus.seed import cv_of

#: Tells whoever asks which services came from their packages, which one failed, and whether that was on purpose.
PACKAGE_HEADER, FAILED_HEADER, FAULT_HEADER = "x-cvplus-package", "x-cvplus-failed", "x-cvplus-fault"
#: Asks for one version of a service, whatever the flags say; for probes that compare both.
VERSION_HEADER = "x-cvplus-version"
#: How each service is asked on its own: a method, and its arguments for a user.
PROBES: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "CVAnalyzer": ("analyze", lambda user: {"cv": cv_of(user)}),
    "ImprovementOrchestrator": ("improve", lambda user: {"skills": cv_of(user)["skills"], "suggestions": ["learn:go"]}),
    "CacheManager": ("profile", lambda user: {"user": user}),
    "RecommendationGenerator": ("generate", lambda _user: {"gaps": ["go", "sql"]}),
    "CircuitBreakerCore": ("permit", lambda _user: {"name": "ai", "gaps": ["go", "sql"]}),
    "RecommendationOrchestrator": ("draft", lambda user: {"cv": cv_of(user)}),
    "ActionOrchestrator": ("apply", lambda user: {"skills": cv_of(user)["skills"], "suggestions": ["learn:go"]}),
}


class Front:
    """The routes over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._app = runtime
        self._hooks = Hooks(runtime)

    async def improvements(self, request: Request) -> Response:
        """What a user could do better; POST also starts the work on it."""
        user = request.path_params["user"]
        cv = cv_of(user)
        with self._app.requests.under_way():
            try:
                answer = await self._improve(user, cv)
            except CallFailed as failure:
                return _failed(failure, self._app.served())
            if request.method == "POST":
                answer["job"] = f"{user}-{uuid.uuid4().hex[:12]}"
                await self._app.jobs.start(answer["job"], user, cv)
        return JSONResponse(
            answer,
            status_code=202 if request.method == "POST" else 200,
            headers={PACKAGE_HEADER: ",".join(self._app.served())},
        )

    async def service(self, request: Request) -> Response:
        """One service on its own, on the version that `?user=` gets or that a header asks for."""
        service, user = request.path_params["service"], request.query_params.get("user", "")
        if service not in PROBES:
            return _refused(404, f"there is no service {service}")
        method, arguments = PROBES[service]
        try:
            version = Version(request.headers.get(VERSION_HEADER) or self._app.mesh.version(service))
        except ValueError as error:
            return _refused(400, str(error))
        with self._app.requests.under_way():
            try:
                answer = await self._app.mesh.call(service, method, arguments(user), version=version)
            except CallFailed as failure:
                return _failed(failure, self._app.served())
        return JSONResponse(answer, headers={VERSION_HEADER: version.value})

    async def health(self, request: Request) -> Response:
        """Whether a version of a service could take traffic."""
        service, version = request.path_params["service"], request.path_params["version"]
        if service not in SERVICES or version not in tuple(Version):
            return _refused(404, f"there is no {service}@{version}")
        if version == Version.LEGACY and self._app.mesh.retired(service):
            return _refused(503, f"{service}@legacy has been retired")
        fault = self._app.faults.of(service, Version(version))
        if fault.error_rate >= 0.5:
            return _refused(503, f"{service}@{version} fails {fault.error_rate:.0%} of its requests")
        return JSONResponse({"service": service, "version": version, "ok": True})

    async def healthz(self, _request: Request) -> Response:
        """That the process serves, and what it knows of the flags."""
        view = self._app.view()
        return JSONResponse(
            {
                "ok": True,
                "position": view.flags.position if view.flags else None,
                "weights": {flag.service: flag.weight for flag in view.flags.flags} if view.flags else {},
                "fresh": self._app.fresh(),
                "overridden": view.overridden,
                "trouble": view.trouble,
            }
        )

    async def metrics(self, _request: Request) -> Response:
        """Prometheus' page."""
        return Response(self._app.metrics.page(), media_type="text/plain; version=0.0.4")

    async def faults(self, request: Request) -> Response:
        """GET lists, POST sets one, DELETE clears all."""
        if request.method == "DELETE":
            self._app.faults.clear()
        elif request.method == "POST":
            try:
                body = json.loads(await request.body())
                service, version = body["service"], Version(body["version"])
                fault = Fault(float(body.get("error_rate", 0)), float(body.get("latency", 0)))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                return _refused(400, f"not a fault: {error!r}")
            if service not in SERVICES:
                return _refused(404, f"there is no service {service}")
            self._app.faults.set(service, version, fault)
        return JSONResponse({"faults": self._app.faults.listed()})

    async def ship(self, request: Request) -> Response:
        """A new build of a package, without its faults."""
        try:
            service = json.loads(await request.body())["service"]
        except (KeyError, TypeError, ValueError) as error:
            return _refused(400, f"name the service to ship: {error!r}")
        if service not in SERVICES:
            return _refused(404, f"there is no service {service}")
        return JSONResponse({"service": service, "build": self._app.ship(service)})

    async def hook(self, request: Request) -> Response:
        """An action of a strategy."""
        service, action = request.path_params["service"], request.path_params["action"]
        try:
            return JSONResponse(await self._hooks.perform(service, action))
        except KeyError as error:
            return _refused(404, str(error.args[0]))
        except Unconfirmed as error:
            return JSONResponse(error.found, status_code=409)
        except TimeoutError as error:
            return _refused(409, str(error))

    def routes(self) -> list[Route]:
        """Where all of it is found."""
        return [
            Route("/cv/{user}/improvements", self.improvements, methods=["GET", "POST"]),
            Route("/services/{service}", self.service),
            Route("/health/{service}/{version}", self.health),
            Route("/healthz", self.healthz),
            Route("/metrics", self.metrics),
            Route("/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/ship", self.ship, methods=["POST"]),
            Route("/hooks/{service}/{action}", self.hook, methods=["POST"]),
        ]

    async def _improve(self, user: str, cv: dict[str, Any]) -> dict[str, Any]:
        call = self._app.mesh.call
        profile = await call("CacheManager", "profile", {"user": user})
        draft = await call("RecommendationOrchestrator", "draft", {"cv": cv})
        found = await call("RecommendationGenerator", "generate", {"gaps": draft["gaps"]})
        arguments = {"skills": draft["skills"], "suggestions": found["suggestions"]}
        improved = await call("ImprovementOrchestrator", "improve", arguments)
        return {"profile": profile, "draft": draft, "found": found, "improved": improved}


def application(
    runtime: Runtime, stack: str, started: Callable[[], Awaitable[None]] | None = None
) -> Callable[..., Awaitable[None]]:
    """The ASGI application: routing at the edge, then the front.

    `started` takes up the state before the first request: `runtime.load`, if nothing else.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await (started or runtime.load)()
        background = asyncio.create_task(runtime.run())
        yield
        background.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await background

    starlette = Starlette(routes=Front(runtime).routes(), lifespan=lifespan)
    return Routing(starlette, stack, runtime.packages, user_of, edge=True)


def user_of(scope: Scope) -> Context:
    """Whose request it is: the user in the path, or in the query of a request to one service."""
    parts = scope["path"].split("/")
    if len(parts) > 2 and parts[1] == "cv":
        return {TARGETING_KEY: parts[2]}
    user = Request(scope).query_params.get("user")
    return {TARGETING_KEY: user} if user else {}


def _failed(failure: CallFailed, served: list[str]) -> JSONResponse:
    headers = {PACKAGE_HEADER: ",".join(served), FAILED_HEADER: f"{failure.service}@{failure.version.value}"}
    if failure.injected:
        headers[FAULT_HEADER] = "injected"
    return JSONResponse({"failed": str(failure)}, status_code=502, headers=headers)


def _refused(status: int, why: str) -> JSONResponse:
    return JSONResponse({"why": why}, status_code=status)
