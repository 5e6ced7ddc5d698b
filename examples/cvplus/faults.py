"""Faults on purpose: errors and delays per service and version, switched while it runs."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from causeway.model.matrix import Version


class Injected(Exception):
    """A failure somebody asked for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`error_rate` is the share of requests that fail, 0…1; `latency` is added to each, in seconds."""

    error_rate: float = 0.0
    latency: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.error_rate <= 1:
            raise ValueError(f"error_rate is {self.error_rate}, not 0…1")
        if not 0 <= self.latency <= 60:
            raise ValueError(f"latency is {self.latency}, not 0…60 seconds")


class Faults:
    """The faults in force."""

    def __init__(self, chance: random.Random, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._chance = chance
        self._sleep = sleep
        self._faults: dict[tuple[str, Version], Fault] = {}

    def set(self, service: str, version: Version, fault: Fault) -> None:
        """Puts a fault in force; one that does nothing takes it away."""
        if fault == Fault():
            self._faults.pop((service, version), None)
        else:
            self._faults[service, version] = fault

    def clear(self) -> None:
        """No faults."""
        self._faults.clear()

    def of(self, service: str, version: Version) -> Fault:
        """The fault of a service's version."""
        return self._faults.get((service, version), Fault())

    def listed(self) -> list[dict[str, object]]:
        """All of them, for people."""
        return [
            {"service": service, "version": version, "error_rate": fault.error_rate, "latency": fault.latency}
            for (service, version), fault in sorted(self._faults.items())
        ]

    async def strike(self, service: str, version: Version) -> None:
        """Delays a request and fails it, as often as the fault says. Raises Injected."""
        fault = self._faults.get((service, version))
        if fault is None:
            return
        if fault.latency:
            await self._sleep(fault.latency)
        if self._chance.random() < fault.error_rate:
            raise Injected(f"{service}@{version} fails {fault.error_rate:.0%} of its requests on purpose")
