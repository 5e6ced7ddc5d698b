"""A gRPC server that speaks Firestore's Listen as it is *documented*, in front of the emulator, for tests.

The emulator cannot serve incremental Listen: every commit resends everything, tokens and read times have no effect.
This server passes every other call through to it, sees the commits on the way, and tells listeners of them by the rules
of `google/firestore/v1/firestore.proto`: ADD, the content or what changed since the token, CURRENT, and NO_CHANGE with
`read_time` and `resume_token` wherever the state is consistent. It proves our client against the documentation, not
against Google's server.

Only Commit and BatchWrite may write, and only through this server. `control` switches faults on and off; see `Faults`.
Run it as `python -m tests.backup.protocol_server --emulator HOST:PORT --port N`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.firestore_v1.types import document as _document
from google.cloud.firestore_v1.types import firestore as _firestore
from google.cloud.firestore_v1.types import write as _write

SERVICE = "/google.firestore.v1.Firestore/"
CONTROL = "/causeway.test.Faults/Set"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
ADD, REMOVE, CURRENT, RESET = 1, 2, 3, 4
HISTORY = 400_000

_DOC: Any = _document.Document.pb()
_CHANGE: Any = _write.DocumentChange.pb()
_LISTEN: Any = _firestore.ListenRequest.pb()
_RESPONSE: Any = _firestore.ListenResponse.pb()
_COMMIT: Any = _firestore.CommitRequest.pb()
_COMMITTED: Any = _firestore.CommitResponse.pb()
_BATCH: Any = _firestore.BatchWriteRequest.pb()
_BATCHED: Any = _firestore.BatchWriteResponse.pb()
_QUERY: Any = _firestore.RunQueryRequest.pb()
_RESULT: Any = _firestore.RunQueryResponse.pb()
_GET: Any = _firestore.BatchGetDocumentsRequest.pb()
_GOT: Any = _firestore.BatchGetDocumentsResponse.pb()


def micros(stamp: Any) -> int:
    return int(stamp.seconds * 1_000_000 + stamp.nanos // 1000)


def stamp(into: Any, at: int) -> None:
    into.seconds, into.nanos = at // 1_000_000, at % 1_000_000 * 1000


def group_of(name: str) -> str:
    return name.rsplit("/", 2)[-2]


@dataclass
class Faults:
    """What goes wrong until it is switched off."""

    freeze: bool = False  # connections stay, nothing is sent
    drop_deletes: bool = False  # deletions are swallowed
    drop_updates: bool = False  # changes are swallowed, except of the stream's own documents
    deletes_as: str = "turns"  # delete | remove | ids: how a deletion is told; turns: one after the other
    expired: bool = False  # tokens are too old: RESET follows ADD


ONCE = ("reset", "filter", "garbage", "cut", "end_targets")
"""What happens once, on all streams: RESET of all targets with the content again; existence filters; a message that
cannot be parsed; an end with UNAVAILABLE; TargetChange REMOVE with a cause."""


@dataclass
class Target:
    id: int
    group: str
    cursor: int = -1  # everything up to this instant was sent; -1: nothing was


@dataclass
class Server:
    """The database as of `published`, what has changed since when, and commits under way."""

    channel: Any
    metadata: tuple[tuple[str, str], ...] = (("authorization", "Bearer owner"),)
    cadence: float = 0.05
    faults: Faults = field(default_factory=Faults)
    happened: list[str] = field(default_factory=list)  # one-time faults, oldest first
    database: str = ""
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[tuple[int, str, Any]] = field(default_factory=list)  # (commit time, name, document or None)
    waiting: list[tuple[int, str, Any]] = field(default_factory=list)
    published: int = 0
    seen: int = 0  # the latest commit time seen
    floors: dict[int, int] = field(default_factory=dict)  # commit under way -> its commit time is greater than this
    calls: int = 0
    turn: int = 0
    loaded: bool = False
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    # -- the database behind -------------------------------------------------------------------------------------

    async def load(self, database: str) -> None:
        """Read the whole database; against what was known, the difference becomes history, as of a real one."""
        async with self.loading:
            if self.loaded:
                return
            self.database = database
            request = _QUERY(parent=f"{database}/documents")
            request.structured_query.from_.add().all_descendants = True
            fresh: dict[str, Any] = {}
            at = 0
            async for raw in self.channel.unary_stream(SERVICE + "RunQuery")(
                request.SerializeToString(), metadata=self.metadata
            ):
                response = _RESULT.FromString(raw)
                at = max(at, micros(response.read_time))
                if response.HasField("document"):
                    fresh[response.document.name] = response.document
            at = max(at, self.published + 1)
            old = {name: doc for names in self.state.values() for name, doc in names.items()}
            gone = [(at, name, None) for name in old.keys() - fresh.keys()]
            new = [(at, n, d) for n, d in fresh.items() if n not in old or old[n].update_time != d.update_time]
            self.waiting = [*gone, *new, *(entry for entry in self.waiting if entry[0] > at)]
            self.seen = max(self.seen, at)
            while self.safe() < at:  # commits that began before it are still under way
                await asyncio.sleep(0.005)
            self.loaded = True
        await self.publish()

    def safe(self) -> int:
        """The latest instant of which every commit is known."""
        return min(self.floors.values(), default=self.seen)

    async def publish(self) -> None:
        if not self.loaded:
            return
        at = self.safe()
        if at <= self.published:
            return
        ripe = sorted((c for c in self.waiting if c[0] <= at), key=lambda change: change[0])
        self.waiting = [change for change in self.waiting if change[0] > at]
        for _, name, document in ripe:
            names = self.state.setdefault(group_of(name), {})
            if document is None:
                names.pop(name, None)
            else:
                names[name] = document
        self.history += ripe
        del self.history[:-HISTORY]
        self.published = at
        async with self.news:
            self.news.notify_all()

    async def catch_up(self) -> None:
        """Publish what is committed by now: Firestore is strongly consistent, no target begins in the past."""
        wanted = self.seen
        while self.safe() < wanted:
            await asyncio.sleep(0.002)
        await self.publish()

    async def publishing(self) -> None:
        while True:
            await asyncio.sleep(self.cadence)
            await self.publish()

    # -- calls passed through ------------------------------------------------------------------------------------

    async def through(self, method: str, request: bytes, context: Any) -> bytes:
        try:
            return bytes(await self.channel.unary_unary(method)(request, metadata=self.metadata))
        except grpc.aio.AioRpcError as error:
            await self.failed(error, context)
            raise

    async def through_stream(self, method: str, request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            async for raw in self.channel.unary_stream(method)(request, metadata=self.metadata):
                yield raw
        except grpc.aio.AioRpcError as error:
            await self.failed(error, context)

    async def failed(self, error: Any, context: Any) -> None:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            await self.lost()
        await context.abort(error.code(), error.details())

    async def lost(self) -> None:
        """The emulator died: whatever answers at its address next may hold anything."""
        self.loaded = False
        self.happened.append("cut")
        async with self.news:
            self.news.notify_all()

    async def commit(self, request: bytes, context: Any) -> bytes:
        parsed = _COMMIT.FromString(request)
        self.calls += 1
        call, floor = self.calls, self.seen
        self.floors[call] = floor
        try:
            raw = await self.through(SERVICE + "Commit", request, context)
            response = _COMMITTED.FromString(raw)
            at = micros(response.commit_time)
            assert at > floor, "the emulator's commit times run backwards"
            await self.note(parsed.database, parsed.writes, response.write_results, at)
            self.seen = max(self.seen, at)
        finally:
            del self.floors[call]
        return raw

    async def note(self, database: str, writes: Any, results: Any, at: int) -> None:
        """What a commit changed. A write that changed nothing keeps the document's update time."""
        again = []
        for write, result in zip(writes, results, strict=True):
            if write.delete:
                self.waiting.append((at, write.delete, None))
            elif micros(result.update_time) != at:
                continue
            elif write.HasField("update_mask") or write.update_transforms or write.HasField("transform"):
                again.append(write.update.name or write.transform.document)
            else:
                self.waiting.append((at, write.update.name, self.stamped(write.update, at)))
        if again:
            self.waiting += [(at, document.name, document) async for document in self.reread(database, again, at)]

    def stamped(self, document: Any, at: int) -> Any:
        old = self.state.get(group_of(document.name), {}).get(document.name)
        new = _DOC(name=document.name, fields=document.fields)
        stamp(new.create_time, micros(old.create_time) if old is not None else at)
        stamp(new.update_time, at)
        return new

    async def reread(self, database: str, names: Iterable[str], at: int) -> AsyncIterator[Any]:
        request = _GET(database=database, documents=sorted(set(names)))
        stamp(request.read_time, at)
        async for raw in self.channel.unary_stream(SERVICE + "BatchGetDocuments")(
            request.SerializeToString(), metadata=self.metadata
        ):
            got = _GOT.FromString(raw)
            if got.found.name:
                yield got.found

    async def batch_write(self, request: bytes, context: Any) -> bytes:
        """Each write on its own, as documented, so that each has a commit time (a delete's result has none)."""
        parsed = _BATCH.FromString(request)
        response = _BATCHED()
        for write in parsed.writes:
            raw = await self.commit(_COMMIT(database=parsed.database, writes=[write]).SerializeToString(), context)
            response.write_results.append(_COMMITTED.FromString(raw).write_results[0])
            response.status.add()
        return bytes(response.SerializeToString())

    # -- Listen --------------------------------------------------------------------------------------------------

    async def listen(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        headers = dict(context.invocation_metadata())
        stream = _Listening(self, routed=headers.get("google-cloud-resource-prefix", ""))
        reader = asyncio.create_task(stream.read(requests))
        try:
            async for message in stream.messages():
                yield message
        except _CutError:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        finally:
            reader.cancel()

    async def set(self, request: bytes, context: Any) -> bytes:
        order = json.loads(request)
        if order.pop("reload", False):
            self.loaded = False
            await self.load(self.database)
        for name, value in order.items():
            if name in ONCE:
                self.happened.append(name)
            else:
                setattr(self.faults, name, value)
        async with self.news:
            self.news.notify_all()
        return b"{}"


class _CutError(Exception):
    pass


class _Listening:
    """One Listen call."""

    def __init__(self, server: Server, routed: str) -> None:
        self.server = server
        self.routed = routed
        self.targets: list[Target] = []
        self.added: list[Any] = []
        self.told = len(server.happened)

    async def read(self, requests: AsyncIterator[bytes]) -> None:
        async for raw in requests:
            self.added.append(_LISTEN.FromString(raw))
            async with self.server.news:
                self.server.news.notify_all()

    async def messages(self) -> AsyncIterator[bytes]:
        server = self.server
        while True:
            async with server.news:
                await server.news.wait_for(self.due)
            if server.faults.freeze:
                await asyncio.sleep(0.1)
                continue
            if self.told != len(server.happened):
                for message in list(self.once_faults()):
                    yield message
            if not server.loaded and self.added:
                try:
                    await server.load(self.added[0].database)
                except grpc.aio.AioRpcError as error:
                    raise _CutError from error
            began, self.added = self.added, []
            if began:
                await server.catch_up()
            at = server.published
            for message in list(self.step(began, at)):  # made at once: the state moves on while it is sent
                yield message

    def due(self) -> bool:
        server = self.server
        behind = any(target.cursor < server.published for target in self.targets)
        return bool(self.added) or self.told != len(server.happened) or (behind and server.loaded)

    def once_faults(self) -> Iterable[bytes]:
        happened, self.told = self.server.happened[self.told :], len(self.server.happened)
        for fault in happened:
            yield from getattr(self, f"fault_{fault}")()

    def fault_cut(self) -> Iterable[bytes]:
        raise _CutError

    def fault_garbage(self) -> Iterable[bytes]:
        yield b"\xff\xff\xff\xff not a message"

    def fault_end_targets(self) -> Iterable[bytes]:
        for target in self.targets:
            response = change(REMOVE, [target.id])
            response.target_change.cause.code, response.target_change.cause.message = 13, "told to"
            yield response.SerializeToString()

    def fault_reset(self) -> Iterable[bytes]:
        yield change(RESET, []).SerializeToString()
        for target in self.targets:
            target.cursor = -1

    def fault_filter(self) -> Iterable[bytes]:
        for target in self.targets:
            count = len(self.server.state.get(target.group, {}))
            yield _RESPONSE(filter={"target_id": target.id, "count": count}).SerializeToString()

    def step(self, began: list[Any], at: int) -> Iterable[bytes]:
        """Add the targets that `began`, bring every target to the instant `at`, then say that it is consistent."""
        if self.routed != self.server.database:
            return  # without the routing header the service says nothing
        current = []
        for request in began:
            add = request.add_target
            target = Target(add.target_id, add.query.structured_query.from_[0].collection_id)
            self.targets.append(target)
            current.append(target.id)
            yield change(ADD, [target.id]).SerializeToString()
            token = int(add.resume_token or b"-1")
            if token >= 0 and self.server.faults.expired:
                yield change(RESET, [target.id]).SerializeToString()
            elif token >= 0 and self.reaches(token):
                target.cursor = token
        for target in self.targets:
            if target.cursor < 0 and target.id not in current:
                current.append(target.id)
            yield from self.content(target, at)
            target.cursor = at
        for target_id in current:
            yield consistent(change(CURRENT, [target_id]), at)
        yield consistent(change(0, []), at)

    def reaches(self, token: int) -> bool:
        history = self.server.history
        return token <= self.server.published and (len(history) < HISTORY or history[0][0] <= token)

    def content(self, target: Target, at: int) -> Iterable[bytes]:
        if target.cursor < 0:
            for document in self.server.state.get(target.group, {}).values():
                yield document_change(document, target.id)
            return
        history = self.server.history
        start = bisect_right(history, target.cursor, key=lambda entry: entry[0])
        latest = {name: document for _, name, document in history[start:] if group_of(name) == target.group}
        for name, document in latest.items():
            if document is None:
                yield from self.gone(name, target.id, at)
            elif not self.server.faults.drop_updates or target.group == "causeway_stream":
                yield document_change(document, target.id)

    def gone(self, name: str, target: int, at: int) -> Iterable[bytes]:
        server = self.server
        if server.faults.drop_deletes:
            return
        server.turn += 1
        ways = ("delete", "remove", "ids")
        way = ways[server.turn % 3] if server.faults.deletes_as == "turns" else server.faults.deletes_as
        response = _RESPONSE()
        if way == "ids":
            response.document_change.document.name = name
            response.document_change.removed_target_ids.append(target)
        else:
            told = response.document_delete if way == "delete" else response.document_remove
            told.document = name
            told.removed_target_ids.append(target)
            stamp(told.read_time, at)
        yield response.SerializeToString()


def document_change(document: Any, target: int) -> bytes:
    return bytes(_RESPONSE(document_change=_CHANGE(document=document, target_ids=[target])).SerializeToString())


def change(kind: int, targets: list[int]) -> Any:
    response = _RESPONSE()
    response.target_change.target_change_type = kind
    response.target_change.target_ids.extend(targets)
    return response


def consistent(response: Any, at: int) -> bytes:
    stamp(response.target_change.read_time, at)
    response.target_change.resume_token = str(at).encode()
    return bytes(response.SerializeToString())


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, server: Server) -> None:
        self.server = server

    def service(self, details: Any) -> Any:
        method, server = details.method, self.server
        if method == SERVICE + "Listen":
            return grpc.stream_stream_rpc_method_handler(server.listen)
        if method == SERVICE + "Commit":
            return grpc.unary_unary_rpc_method_handler(server.commit)
        if method == SERVICE + "BatchWrite":
            return grpc.unary_unary_rpc_method_handler(server.batch_write)
        if method == CONTROL:
            return grpc.unary_unary_rpc_method_handler(server.set)
        if method.rsplit("/", 1)[1] in ("RunQuery", "RunAggregationQuery", "BatchGetDocuments"):

            async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
                async for raw in server.through_stream(method, request, context):
                    yield raw

            return grpc.unary_stream_rpc_method_handler(stream)

        async def unary(request: bytes, context: Any) -> bytes:
            return await server.through(method, request, context)

        return grpc.unary_unary_rpc_method_handler(unary)


def control(address: str, **faults: object) -> None:
    """Set faults of the server at `address`; `reload=True` makes it notice a change made behind its back."""
    with grpc.insecure_channel(address) as channel:
        channel.unary_unary(CONTROL)(json.dumps(faults).encode(), timeout=30)


async def serve(emulator: str, port: int, cadence: float) -> None:
    server = grpc.aio.server(options=OPTIONS)
    behind = Server(grpc.aio.insecure_channel(emulator, options=OPTIONS), cadence=cadence)
    server.add_generic_rpc_handlers((_Handlers(behind),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        await behind.publishing()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cadence", type=float, default=0.05, help="seconds between consistent states")
    given = parser.parse_args()
    asyncio.run(serve(given.emulator, given.port, given.cadence))
