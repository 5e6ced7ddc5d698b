"""`/metrics` and `/healthz` of the monitor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from causeway.errors import ConfigError
from causeway.health.exposition import CONTENT_TYPE

#: Health as `(whether all is well, facts)`.
Health = Callable[[], tuple[bool, Mapping[str, Any]]]


@contextmanager
def serving(listen: str, page: Callable[[], bytes], health: Health) -> Iterator[str]:
    """Serves on HOST:PORT until the end of the context; yields the address, with the port that 0 has become.

    Raises ConfigError where it cannot listen there.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE, page())
            elif self.path == "/healthz":
                well, facts = health()
                status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, "application/json", json.dumps(facts, default=str).encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics and /healthz\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    host, port = address(listen)
    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {listen}: {error}",
            "nobody could see whether the monitor lives",
            "Stop what is there, or say --listen HOST:PORT (CAUSEWAY_LISTEN).",
        ) from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="listen", daemon=True)
    thread.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT in its parts. Raises ConfigError for anything else."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(
            f"{listen!r} is no HOST:PORT", "the monitor would listen nowhere", "For example 127.0.0.1:9477."
        )
    return host, int(port)
