"""What strategies do besides traffic: asked of the application over HTTP, idempotent, with retries.

Each call is a POST to the hook in config with the service, the action and the place; the application answers with
what it did, which goes into the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any, Protocol

from causeway.config.records import Hooks
from causeway.errors import Held, without_secrets
from causeway.model.plan import Plan, Position
from causeway.model.strategies import RECIPES


class Application(Protocol):
    """What the runner asks of the application."""

    def perform(self, service: str, action: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do an action and say what was done. Raises Held where the application does not confirm it."""

    def legacy_health(self, service: str) -> str | None:
        """What is wrong with the legacy side of a service; None when it answers, or nobody knows where to ask."""


@dataclass(frozen=True)
class HttpApplication:
    """The application behind the addresses of `causeway:hooks`."""

    hooks: Hooks
    sleep: Callable[[float], None]

    def perform(self, service: str, action: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        import httpx
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

        if self.hooks.url is None:
            return {"performed": False, "why": "causeway:hooks has no url; nothing was asked of the application"}
        url = Template(self.hooks.url).safe_substitute(service=service, action=action)
        retrying = Retrying(
            stop=stop_after_attempt(4),
            wait=wait_exponential(multiplier=0.2, max=5) + wait_random(0, 1),
            retry=retry_if_exception_type((httpx.TransportError, httpx.HTTPStatusError)),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            for attempt in retrying:
                with attempt:
                    answer = httpx.post(url, json=dict(facts), timeout=self.hooks.timeout).raise_for_status()
        except httpx.HTTPError as error:
            raise Held(
                f"{action} of {service} was not confirmed by {url}: {error}",
                "the step is not complete without it",
                "Mend the application's hook, then run again; actions are asked for again and must be idempotent.",
            ) from None
        try:
            done = answer.json()
        except ValueError:
            done = {}
        return {"performed": True, **(done if isinstance(done, dict) else {})}

    def legacy_health(self, service: str) -> str | None:
        import httpx

        if self.hooks.legacy_health is None:
            return None
        url = Template(self.hooks.legacy_health).safe_substitute(service=service)
        try:
            httpx.get(url, timeout=2.0).raise_for_status()
        except httpx.HTTPError as error:
            return without_secrets(f"{url}: {error}")
        return None


def perform(application: Application, plan: Plan, position: Position) -> list[dict[str, Any]]:
    """Do everything that a position asks for, in order. Raises Held at the first that is not confirmed."""
    return [
        {"service": service, "action": action.name, **application.perform(service, action.name, _facts(position))}
        for service, action in plan.performs(position)
    ]


def settle(application: Application, plan: Plan, services: Iterable[str], position: Position) -> list[dict[str, Any]]:
    """What a falling weight asks for: compensate, settle. The weight has fallen already."""
    return [
        {"service": service, "action": hook, **application.perform(service, hook, _facts(position))}
        for service in services
        for hook in RECIPES[plan.matrix.services[service].strategy].going_back
    ]


def undo(application: Application, plan: Plan, here: Position, there: Position) -> list[dict[str, Any]]:
    """Take back the actions between two positions, the latest first."""
    done = []
    for position in reversed(plan.positions[there.index + 1 : here.index + 1]):
        for service, action in reversed(plan.performs(position)):
            if action.undo:
                answer = application.perform(service, action.undo, _facts(position))
                done.append({"service": service, "action": action.undo, **answer})
    return done


def _facts(position: Position) -> dict[str, Any]:
    return {"position": position.name, "phase": position.phase, "weights": dict(position.changes)}
