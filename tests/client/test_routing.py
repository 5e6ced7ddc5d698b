"""The decision travels with the request and is obeyed, and nobody outside can send one."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.client import routing
from causeway.client.routing import Routing, carry, member, parse, strip
from causeway.model.matrix import Version

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)


@given(names, st.frozensets(names, max_size=6))
def test_a_decision_survives_the_header(stack: str, packages: frozenset[str]) -> None:
    header = f"user=ann, {member(stack, packages)};ttl=3 , other=1"
    assert header.isascii()
    assert parse(stack, header) == packages
    assert parse(stack, strip(stack, header)) is None
    assert "user=ann" in strip(stack, header)


def test_it_survives_a_library_that_decodes_and_encodes_again() -> None:
    """OpenTelemetry's propagator does, with `+` for a space."""
    from urllib.parse import quote_plus, unquote_plus

    packages = frozenset({"A B", "C,D", "E:F", "G+H", "50%"})
    name, _, value = member("local", packages).partition("=")
    assert parse("local", f"{name}={quote_plus(unquote_plus(value))}") == packages


def test_other_stacks_baggage_is_not_ours() -> None:
    assert parse("local", member("prod", frozenset({"A"}))) is None
    assert parse("local", "") is None
    assert parse("local", member("local", frozenset())) == frozenset()


async def answer(scope: Any, receive: Any, send: Any) -> None:
    body = f"{routing.version('A')} {routing.version('B')}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(edge: bool, headers: list[tuple[str, str]]) -> str:
    app = Routing(answer, "local", lambda context: frozenset({"B"}) if context else frozenset(), user, edge=edge)

    async def get() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return (await client.get("/", headers=headers)).text

    return asyncio.run(get())


def user(scope: Any) -> dict[str, object]:
    return {"targetingKey": "ann"} if dict(scope["headers"]).get(b"x-user") == b"ann" else {}


def test_the_edge_decides_and_believes_nobody() -> None:
    assert ask(True, [("x-user", "ann")]) == "legacy package"
    assert ask(True, [("x-user", "ann"), ("baggage", member("local", frozenset({"A"})))]) == "legacy package"


def test_downstream_obeys() -> None:
    assert ask(False, [("baggage", "a=b"), ("baggage", member("local", frozenset({"A"})))]) == "package legacy"
    assert ask(False, [("x-user", "ann"), ("baggage", member("local", frozenset()))]) == "legacy legacy"
    assert ask(False, [("x-user", "ann")]) == "legacy legacy"  # no decision was carried: an empty context decides


def test_outside_of_a_request_everything_is_legacy() -> None:
    assert routing.version("A") is Version.LEGACY


@pytest.mark.parametrize("stale", ["", member("local", frozenset({"Old"}))])
def test_httpx_carries_the_decision_and_leaves_other_baggage(stale: str) -> None:
    seen: list[str | None] = []

    async def downstream(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("baggage"))
        return httpx.Response(200)

    async def front(scope: Any, receive: Any, send: Any) -> None:
        hooks = {"request": [carry("local")]}
        async with httpx.AsyncClient(transport=httpx.MockTransport(downstream), event_hooks=hooks) as client:
            await client.get("http://down/", headers={"baggage": ",".join(filter(None, ("user=ann", stale)))})
        await answer(scope, receive, send)

    async def run() -> None:
        app = Routing(front, "local", lambda _context: frozenset({"A", "B"}), user, edge=True)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            await client.get("/")

    asyncio.run(run())
    assert seen == [f"user=ann,{member('local', frozenset({'A', 'B'}))}"]
