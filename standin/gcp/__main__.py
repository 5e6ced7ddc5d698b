"""`pulumi-resource-gcp`: serves one engine, in the environment that `standin.environment` describes.

CAUSEWAY_CLOUD (the local cloud's directory), CAUSEWAY_SCHEMAS (a cache), CAUSEWAY_FAULTS and FIRESTORE_EMULATOR_HOST.
"""

from __future__ import annotations

import gc
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import grpc

from standin.gcp.cloud import Cloud
from standin.gcp.documents import Documents
from standin.gcp.provider import Provider
from standin.gcp.resources import Resources
from standin.gcp.schema import Schemas
from standin.orphan import when_orphaned
from standin.protocol import provider_pb2_grpc


def main() -> None:
    """Prints the port, serves, and leaves when told to or orphaned: at once if idle, else after the write under way."""
    gc.disable()  # it lives for one operation of a few seconds
    provider = _provider()
    told, tell = os.pipe()  # a signal handler may write to a pipe; to set an Event may deadlock

    def leave(*_: object) -> None:
        os.write(tell, b"!")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    when_orphaned(leave)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=64),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    os.read(told, 1)
    provider.finish()
    os._exit(0)  # the engine waits for this process: no time for an orderly interpreter shutdown


def _provider() -> Provider:
    faults = os.environ.get("CAUSEWAY_FAULTS")
    emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
    resources = Resources(
        cloud=Cloud(Path(os.environ["CAUSEWAY_CLOUD"])),
        documents=Documents(emulator) if emulator else None,
        schemas=Schemas(Path(os.environ["CAUSEWAY_SCHEMAS"])),
        project=os.environ.get("GOOGLE_CLOUD_PROJECT", "local"),
        now=lambda: datetime.now(UTC),
    )
    return Provider(resources, Path(faults) if faults else None)


if __name__ == "__main__":
    main()
