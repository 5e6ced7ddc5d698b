"""Firestore over raw gRPC: requests and responses as bytes, so that nothing a document holds passes through a model.

The generated clients lose or refuse what they do not know (a reference into another project, say) and cost twice the
time. Method names are those of `google.firestore.v1.Firestore`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import grpc

from causeway.backup.documents import Database
from causeway.errors import CausewayError, IntegrityError, Unreachable

EMULATOR = "FIRESTORE_EMULATOR_HOST"
_HOST = "firestore.googleapis.com:443"
_SERVICE = "/google.firestore.v1.Firestore/"
_SILENCE_S = 60
"""A service that says nothing for so long does not answer."""
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 1 << 16),
]


def emulator_host() -> str | None:
    """The emulator this process is pointed at, if any."""
    return os.environ.get(EMULATOR) or None


class Connection:
    """One channel to one database."""

    def __init__(self, database: Database, channel: grpc.Channel, *, emulated: bool) -> None:
        self.database = database
        self.emulated = emulated
        self._channel = channel
        token = [("authorization", "Bearer owner")] if emulated else []
        self._metadata = [
            ("google-cloud-resource-prefix", database.name),
            ("x-goog-request-params", f"database={database.name.replace('/', '%2F')}"),
            *token,
        ]

    @staticmethod
    def open(database: Database, host: str | None = None) -> Connection:
        """Connect to the emulator at `host` or in the environment, else to the service with default credentials.

        Raises:
            Unreachable: there are no credentials.
        """
        address = host or emulator_host()
        if address is not None:
            return Connection(database, grpc.insecure_channel(address, options=_OPTIONS), emulated=True)
        return Connection(database, _secure_channel(), emulated=False)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def stream(self, method: str, request: bytes) -> Iterator[bytes]:
        """The raw responses of a server-streaming method.

        Raises:
            Unreachable: the service does not answer.
            CausewayError: it refuses the request.
        """
        call = self._channel.unary_stream(_SERVICE + method)(request, metadata=self._metadata)
        watch = _Watch(call)
        try:
            for response in call:
                watch.seen += 1
                yield response
        except grpc.RpcError as error:
            if watch.silent:
                raise self._silent(method) from error
            raise self.failure(method, error) from error
        finally:
            watch.stop()
            call.cancel()

    def _silent(self, method: str) -> Unreachable:
        return Unreachable(
            f"{method} on {self.database.name} has sent nothing for {_SILENCE_S} s",
            "what was done so far stays good",
            "is the database alive? Run the same command again: it resumes",
        )

    def start(self, method: str, request: bytes) -> Any:
        """A unary call under way: a future whose `result()` is the raw response; pass its error to `failure`."""
        return self._channel.unary_unary(_SERVICE + method).future(request, metadata=self._metadata, timeout=_SILENCE_S)

    def call(self, method: str, request: bytes) -> bytes:
        """The raw response of a unary method; errors as for `stream`."""
        try:
            return bytes(self.start(method, request).result())
        except grpc.RpcError as error:
            raise self.failure(method, error) from error

    def failure(self, method: str, error: grpc.RpcError) -> CausewayError:
        """What an RPC error means to a person."""
        code, details = error.code(), error.details()
        fact = f"{method} on {self.database.name}: {code.name}: {details}"
        if code is grpc.StatusCode.INTERNAL and "parse" in str(details).lower():
            return IntegrityError(fact, "the connection delivers damaged messages", "run the same command again")
        if code is grpc.StatusCode.FAILED_PRECONDITION and "too old" in str(details).lower():
            return CausewayError(
                fact,
                "the service keeps past states for one hour, and this took longer",
                "read less at once (--collections), or share the work among several tasks",
            )
        if code in _PASSING:
            return Unreachable(fact, "what was done so far stays good", "run the same command again: it resumes")
        return CausewayError(fact, "nothing more was read or written", "mend what it names and run the command again")


class _Watch:
    """Cancels a stream that falls silent; gRPC's own deadline is for a whole call, however much it has to send."""

    def __init__(self, call: Any) -> None:
        self.seen = 0
        self.silent = False
        self._call = call
        self._over = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """The stream has ended."""
        self._over.set()

    def _run(self) -> None:
        before = -1
        while not self._over.wait(_SILENCE_S):
            if self.seen == before:
                self.silent = True
                self._call.cancel()
                return
            before = self.seen


_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}
"""Codes after which trying again may help."""


def _secure_channel() -> grpc.Channel:
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.grpc import AuthMetadataPlugin
    from google.auth.transport.requests import Request

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/datastore"])
    except GoogleAuthError as error:
        raise Unreachable(
            f"no Google credentials: {error}", "", f"run `gcloud auth application-default login` or set {EMULATOR}"
        ) from error
    tokens = grpc.metadata_call_credentials(AuthMetadataPlugin(credentials, Request()))  # type: ignore[no-untyped-call]
    return grpc.secure_channel(
        _HOST, grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), tokens), options=_OPTIONS
    )
