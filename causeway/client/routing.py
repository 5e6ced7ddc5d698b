"""One decision per request: made at the edge for all services, carried in W3C baggage, obeyed downstream.

Format: https://www.w3.org/TR/baggage/. One member `causeway-<stack>` lists the services on package, separated by
colons; what it does not list is on legacy. Names are percent-encoded in the list, and the list once more as a value,
so that it survives libraries that decode and encode again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote, unquote

import httpx

from causeway.client.view import Context
from causeway.model.matrix import Version

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADER = "baggage"
#: The services this request gets from their packages; None outside of a routed request.
_routed: ContextVar[frozenset[str] | None] = ContextVar("causeway_packages", default=None)


def packages() -> frozenset[str]:
    """The services on package in the current request; none outside of one."""
    return _routed.get() or frozenset()


def version(service: str) -> Version:
    """The version of a service in the current request."""
    return Version.PACKAGE if service in packages() else Version.LEGACY


def member(stack: str, on_package: frozenset[str]) -> str:
    """The baggage member that carries a decision."""
    listed = ":".join(quote(name, safe="") for name in sorted(on_package))
    return f"{_name(stack)}={quote(listed, safe=':')}"


def parse(stack: str, baggage: str) -> frozenset[str] | None:
    """The decision a baggage header carries, or None if it carries none for this stack."""
    for item in baggage.split(","):
        name, equals, value = item.partition("=")
        if equals and name.strip() == _name(stack):
            listed = unquote(value.partition(";")[0].strip())
            return frozenset(unquote(part) for part in listed.split(":") if part)
    return None


def strip(stack: str, baggage: str) -> str:
    """The header without this stack's member; what others have put there stays."""
    return ",".join(item for item in baggage.split(",") if item.partition("=")[0].strip() != _name(stack))


@contextmanager
def routed(on_package: frozenset[str]) -> Iterator[None]:
    """Everything within is decided so: for work that goes on after its request, on the versions that began it."""
    token = _routed.set(on_package)
    try:
        yield
    finally:
        _routed.reset(token)


class Routing:
    """ASGI middleware that fixes the versions for the length of a request.

    `decide` gives the services on package for a context, which `context` takes from the ASGI scope. At the edge an
    incoming decision is not believed, since anybody could send one. Elsewhere it is obeyed, and a request without
    one is decided for an empty context: legacy, and the package of what is retired.
    """

    def __init__(
        self,
        app: App,
        stack: str,
        decide: Callable[[Context], frozenset[str]],
        context: Callable[[Scope], Context],
        *,
        edge: bool,
    ) -> None:
        self._app = app
        self._stack = stack
        self._decide = decide
        self._context = context
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with routed(self._packages(scope)):
            await self._app(scope, receive, send)

    def _packages(self, scope: Scope) -> frozenset[str]:
        if self._edge:
            return self._decide(self._context(scope))
        carried = parse(self._stack, _baggage(scope))
        return self._decide({}) if carried is None else carried


def carry(stack: str) -> Callable[[httpx.Request], Awaitable[None]]:
    """An httpx request hook that carries the current decision along.

    `httpx.AsyncClient(event_hooks={"request": [carry("prod")]})`
    """

    async def hook(request: httpx.Request) -> None:
        decided = _routed.get()
        if decided is not None:
            others = strip(stack, request.headers.get(HEADER, ""))
            request.headers[HEADER] = ",".join(filter(None, (others, member(stack, decided))))

    return hook


def _name(stack: str) -> str:
    return f"causeway-{quote(stack, safe='')}"


def _baggage(scope: Scope) -> str:
    # A request may have several baggage headers; they count as one list.
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == HEADER.encode())
