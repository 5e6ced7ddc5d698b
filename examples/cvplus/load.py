"""Sends traffic to the front: `python -m examples.cvplus.load --url http://127.0.0.1:8080 --report out/load.json`.

An open loop: requests are sent at the rate asked for, however long the answers take. A user has one request under
way at a time, so what each user saw, and in which order, is beyond doubt. Ends after --seconds, or at SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import time
from collections.abc import Callable, Sequence
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


class Load:
    """The traffic of `users` users at `rate` requests a second."""

    def __init__(
        self,
        clients: Sequence[httpx.AsyncClient],
        users: int,
        rate: float,
        chance: random.Random,
        now: Callable[[], float],
    ) -> None:
        self._clients = clients
        self._rate = rate
        self._chance = chance
        self._now = now
        self._idle = [user(number) for number in range(users)]
        self._under_way: set[asyncio.Task[None]] = set()
        self._sent = 0
        self.records: list[Record] = []

    async def run(self, stop: asyncio.Event, seconds: float | None) -> None:
        """Sends until told to stop, and waits for the last answers."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not stop.is_set() and (seconds is None or loop.time() - begun < seconds):
            due = begun + self._sent / self._rate
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if self._idle:
                task = asyncio.create_task(self._send(self._take()))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            self._sent += 1
        await asyncio.gather(*self._under_way)

    async def _send(self, name: str) -> None:
        method = "POST" if self._sent % JOB_EVERY == 0 else "GET"
        at, begun = self._now(), time.perf_counter()
        try:
            client = self._clients[hash(name) % len(self._clients)]
            answer = await client.request(method, f"/cv/{name}/improvements")
            record = _record(at, name, time.perf_counter() - begun, answer)
        except httpx.HTTPError as error:
            record = Record(at, name, 0, time.perf_counter() - begun, error=repr(error))
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
        load = Load(clients, options.users, options.rate, random.Random(options.seed), time.time)
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
