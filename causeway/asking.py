"""Asking Firestore once: whoever calls knows what to do when nobody answers, and does not wait five minutes for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.cloud.firestore import Query


def stream_once(query: Query, timeout: float) -> Iterator[Any]:
    """The documents of a query; it breaks off with what the library raises, at the latest after `timeout` seconds.

    A retry that never does: with `retry=None` the library ends in an AttributeError where a stream breaks off
    (google-cloud-firestore 2.x, `Query._retry_query_after_exception`).
    """
    from google.api_core.retry import Retry

    return iter(query.stream(timeout=timeout, retry=Retry(predicate=lambda _: False)))
