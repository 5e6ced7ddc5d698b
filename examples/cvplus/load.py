"""Sends traffic to the front: `python -m examples.cvplus.load --url http://127.0.0.1:8080 --report out/load.json`.

An open loop: requests are sent at the rate asked for, however long the answers take. A user has one request under
way at a time, so what each user saw, and in which order, is beyond doubt. Ends after --seconds, or at SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvloop

from examples.cvplus.front import FAILED_HEADER, FAULT_HEADER, PACKAGE_HEADER
from examples.cvplus.report import Record, summarise
from examples.cvplus.seed import user

#: Every so many requests one starts a job.
JOB_EVERY = 20
TIMEOUT_S = 10.0
#: A pool of connections searches all of them at every request; many small pools cost less than one large.
CLIENTS = 32


@dataclass(frozen=True, slots=True)
class Time:
    """The clocks of a run: `wall` stamps records, `clock` paces them, both in seconds."""

    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Load:
    """The traffic of `users` users at `rate` requests a second."""

    def __init__(
        self, clients: Sequence[httpx.AsyncClient], users: int, rate: float, chance: random.Random, its: Time
    ) -> None:
        self._clients = clients
        self._rate = rate
        self._chance = chance
        self._time = its
        self._idle = [user(number) for number in range(users)]
        self._under_way: set[asyncio.Task[None]] = set()
        self.records: list[Record] = []

    async def run(self, stop: asyncio.Event, seconds: float | None) -> None:
        """Sends until told to stop, and waits for the last answers. A turn for which nobody is idle is left out."""
        begun = self._time.clock()
        for turn in itertools.count():
            due = begun + turn / self._rate
            if seconds is not None and due - begun >= seconds:
                break
            await self._time.sleep(max(0.0, due - self._time.clock()))
            if stop.is_set():
                break
            if self._idle:
                task = asyncio.create_task(self._send(self._take(), "GET" if turn % JOB_EVERY else "POST"))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
        await asyncio.gather(*self._under_way)

    async def _send(self, name: str, method: str) -> None:
        at, begun = self._time.wall(), self._time.clock()
        try:
            client = self._clients[hash(name) % len(self._clients)]
            answer = await client.request(method, f"/cv/{name}/improvements")
            record = _record(at, name, self._time.clock() - begun, answer)
        except httpx.HTTPError as error:
            record = Record(at, name, 0, self._time.clock() - begun, error=repr(error))
        self.records.append(record)
        self._idle.append(name)

    def _take(self) -> str:
        """Some idle user; the last one takes its place in the list."""
        place = self._chance.randrange(len(self._idle))
        self._idle[place], self._idle[-1] = self._idle[-1], self._idle[place]
        return self._idle.pop()


def _record(at: float, name: str, seconds: float, answer: httpx.Response) -> Record:
    listed = answer.headers.get(PACKAGE_HEADER)
    return Record(
        at,
        name,
        answer.status_code,
        seconds,
        package=None if listed is None else frozenset(filter(None, listed.split(","))),
        failed=answer.headers.get(FAILED_HEADER),
        injected=FAULT_HEADER in answer.headers,
    )


async def _main(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as open_clients:
        clients = [await open_clients.enter_async_context(_client(options.url)) for _ in range(CLIENTS)]
        load = Load(clients, options.users, options.rate, random.Random(options.seed), Time())
        await load.run(stop, options.seconds)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps(summarise(load.records), indent=1) + "\n")


def _client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=30)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, verify=False, trust_env=False)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m examples.cvplus.load", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--rate", type=float, default=80.0, help="requests a second")
    parser.add_argument("--seconds", type=float, help="how long; otherwise until SIGTERM")
    parser.add_argument("--report", type=Path, required=True, help="where the figures go, as JSON")
    parser.add_argument("--seed", type=int, default=1, help="of the order in which users come")
    uvloop.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
