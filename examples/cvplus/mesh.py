"""How services call each other: by name, on the version their request was routed to, counted and timed on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

from causeway.client import routing
from causeway.model.matrix import Version
from examples.cvplus.faults import Faults, Injected
from examples.cvplus.metrics import Metrics

Answer = dict[str, Any]
Method = Callable[..., Awaitable[Answer]]


class CallFailed(Exception):
    """A service failed by its own doing. It travels up through its callers and stays that service's failure."""

    def __init__(self, service: str, version: Version, cause: Exception) -> None:
        super().__init__(f"{service}@{version}: {cause}")
        self.service = service
        self.version = version
        self.injected = isinstance(cause, Injected)


class Caller:
    """A service's way to the others. Whoever holds it is the consumer of the calls."""

    def __init__(self, mesh: Mesh, consumer: str, version: Version) -> None:
        self._mesh = mesh
        self._consumer = consumer
        self._version = version

    async def __call__(self, service: str, method: str, **arguments: Any) -> Answer:
        """Calls another service. Raises CallFailed."""
        return await self._mesh.call(service, method, arguments, (self._consumer, self._version))


class Mesh:
    """All services in all versions. `register` them, then `call`.

    `open_gate` may close the package of a service whose feature toggle is off: its requests then go to legacy.
    """

    def __init__(
        self,
        metrics: Metrics,
        faults: Faults,
        open_gate: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._metrics = metrics
        self._faults = faults
        self._open_gate = open_gate
        self._clock = clock
        self._methods: dict[tuple[str, Version], Mapping[str, Method]] = {}
        self._retired: set[str] = set()

    def register(self, service: str, version: Version, methods: Mapping[str, Method]) -> None:
        """Adds one version of a service."""
        self._methods[service, version] = methods
        self._metrics.declare(service, [version])

    def retire(self, service: str) -> None:
        """The legacy version answers no more."""
        self._retired.add(service)

    def revive(self, service: str) -> None:
        """The legacy version answers again."""
        self._retired.discard(service)

    def retired(self, service: str) -> bool:
        """Whether legacy is gone."""
        return service in self._retired

    def version(self, service: str) -> Version:
        """The version that serves a service in the current request."""
        version = routing.version(service)
        return version if version is Version.LEGACY or self._open_gate(service) else Version.LEGACY

    async def call(
        self,
        service: str,
        method: str,
        arguments: Mapping[str, Any],
        consumer: tuple[str, Version] | None = None,
        version: Version | None = None,
    ) -> Answer:
        """Calls a service; `version` overrides what the request was routed to. Raises CallFailed."""
        version = version or self.version(service)
        self._metrics.offered.labels(service, version).inc()
        caller_inner = _inner.get()
        inner = [0.0]
        token = _inner.set(inner)
        begun = self._clock()
        outcome = "error"
        try:
            answer = await self._answer(service, version, method, arguments)
            outcome = "ok"
        except CallFailed:
            outcome = "dependency"
            raise
        except Exception as error:
            raise CallFailed(service, version, error) from error
        finally:
            _inner.reset(token)
            taken = self._clock() - begun
            if caller_inner is not None:
                caller_inner[0] += taken
            self._metrics.requests.labels(service, version, outcome).inc()
            if outcome == "ok":  # a failure is quick for no merit of its own
                self._metrics.seconds.labels(service, version).observe(max(0.0, taken - inner[0]))
            if consumer is not None:
                self._metrics.edges.labels(*consumer, service, version, outcome).inc()
        return answer

    async def _answer(self, service: str, version: Version, method: str, arguments: Mapping[str, Any]) -> Answer:
        if version is Version.LEGACY and service in self._retired:
            raise LookupError("legacy has been retired")
        await self._faults.strike(service, version)
        return await self._methods[service, version][method](**arguments)


#: Seconds that the services called by the one at work have taken.
_inner: ContextVar[list[float] | None] = ContextVar("cvplus_inner", default=None)
