"""Runs the application: `python -m examples.cvplus.app --port 8080 --stack local`."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import random
import time

import uvicorn
import uvloop
from tenacity import retry, stop_after_delay, wait_fixed

from causeway.client import FirestoreSource, Follower
from examples.cvplus.database import Firestore
from examples.cvplus.features import Features
from examples.cvplus.front import application
from examples.cvplus.runtime import Runtime
from examples.cvplus.seed import seed

#: How long the start waits for a database that is not there yet, in seconds.
PATIENCE_S = 60


def main() -> None:
    """Serves until SIGTERM; requests under way are finished first."""
    options = _options()
    features = Features(Follower(FirestoreSource(options.stack, options.project)))
    try:
        uvloop.run(_serve(options, features))
    except KeyboardInterrupt:
        pass
    finally:
        features.close()


async def _serve(options: argparse.Namespace, features: Features) -> None:
    from google.cloud import firestore

    client = firestore.AsyncClient(project=options.project)
    database = Firestore(client, lambda: features.view.maintenance is not None)

    @retry(stop=stop_after_delay(PATIENCE_S), wait=wait_fixed(0.5), reraise=True)
    async def started() -> None:
        await seed(database, options.users, (client.document, firestore.GeoPoint))
        await runtime.load()
        _spare_the_collector()

    runtime = Runtime(
        database,
        features,
        now=lambda: datetime.datetime.now(datetime.UTC),
        monotonic=time.monotonic,
        sleep=asyncio.sleep,
        chance=random.Random(),
        pace=options.pace,
    )
    served = application(runtime, options.stack, started)
    config = uvicorn.Config(
        served,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=60,  # longer than any client's, so that none sends on a connection just being closed
        timeout_graceful_shutdown=5,
    )
    await uvicorn.Server(config).serve()


def _spare_the_collector() -> None:
    """What the start has left stays: by default Python went through all of it every 3 s under load, 0.1 s each time.

    That alone was response-time harm: nobody got an answer meanwhile, and the slowest 5 % of requests were its.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 1000)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.cvplus.app", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--stack", default="local", help="whose flags to follow")
    parser.add_argument("--project", default="demo-cvplus")
    parser.add_argument("--users", type=int, default=400, help="users to seed an empty database with")
    parser.add_argument("--pace", type=float, default=1.0, help="1: services take 8-25 ms each; 0: no time at all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
