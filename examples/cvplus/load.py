"""Sends traffic to the front: `python -m examples.cvplus.load --url http://127.0.0.1:8080 --report out/load.json`.

An open loop: requests are sent at the rate asked for, however long the answers take. A user has one request under
way at a time, so what each user saw, and in which order, is beyond doubt. Ends after --seconds, or at SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

from examples.cvplus.front import FAILED_HEADER, FAULT_HEADER, PACKAGE_HEADER
from examples.cvplus.report import Record, summarise
from examples.cvplus.seed import user

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: its status, and its headers by name in any case."""

    status: int
    headers: Mapping[str, str]


#: Sends a request by method and path. Raises OSError, TimeoutError or aiohttp.ClientError where no answer comes.
Send = Callable[[str, str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Time:
    """The clocks of a run: `wall` stamps records, `clock` paces them, both in seconds."""

    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Load:
    """The traffic of `users` users at `rate` requests a second, one in `job_every` of which starts a job."""

    def __init__(
        self, send: Send, users: int, rate: float, chance: random.Random, its: Time, *, job_every: int = 20
    ) -> None:
        self._answer = send
        self._rate = rate
        self._job_every = job_every
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
                task = asyncio.create_task(self._send(self._take(), "GET" if turn % self._job_every else "POST"))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
        await asyncio.gather(*self._under_way)

    async def _send(self, name: str, method: str) -> None:
        at, begun = self._time.wall(), self._time.clock()
        try:
            answer = await self._answer(method, f"/cv/{name}/improvements")
            record = _record(at, name, self._time.clock() - begun, answer)
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            record = Record(at, name, 0, self._time.clock() - begun, error=repr(error))
        self.records.append(record)
        self._idle.append(name)

    def _take(self) -> str:
        """Some idle user; the last one takes its place in the list."""
        place = self._chance.randrange(len(self._idle))
        self._idle[place], self._idle[-1] = self._idle[-1], self._idle[place]
        return self._idle.pop()


def _record(at: float, name: str, seconds: float, answer: Answer) -> Record:
    listed = answer.headers.get(PACKAGE_HEADER)
    return Record(
        at,
        name,
        answer.status,
        seconds,
        package=None if listed is None else frozenset(filter(None, listed.split(","))),
        failed=answer.headers.get(FAILED_HEADER),
        injected=FAULT_HEADER in answer.headers,
    )


async def _main(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _session(options.url) as session:
        chance = random.Random(options.seed)
        load = Load(over(session), options.users, options.rate, chance, Time(), job_every=options.job_every)
        await load.run(stop, options.seconds)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps(summarise(load.records), indent=1) + "\n")


def _session(url: str) -> aiohttp.ClientSession:
    connections = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    return aiohttp.ClientSession(url, connector=connections, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))


def over(session: aiohttp.ClientSession) -> Send:
    """Sends over real connections, and reads each answer to its end."""

    async def send(method: str, path: str) -> Answer:
        async with session.request(method, path) as answer:
            await answer.read()
            return Answer(answer.status, answer.headers)

    return send


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m examples.cvplus.load", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--rate", type=float, default=80.0, help="requests a second")
    parser.add_argument("--job-every", type=int, default=20, help="one request in so many starts a job")
    parser.add_argument("--seconds", type=float, help="how long; otherwise until SIGTERM")
    parser.add_argument("--report", type=Path, required=True, help="where the figures go, as JSON")
    parser.add_argument("--seed", type=int, default=1, help="of the order in which users come")
    uvloop.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
