"""Counters read from a Prometheus query API: Prometheus itself, or Google's managed service.

API: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries; Google serves the same below
`…/v1/projects/PROJECT/location/global/prometheus` for application-default credentials. Raw counters are asked for,
never `rate()`, which extrapolates. Google's service knows no staleness and no pattern for names of metrics, so that
there is one query per name, and the age of a figure comes from `timestamp()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from causeway.errors import without_secrets
from causeway.health.metrics import Reading, Sample, Series
from causeway.health.selectors import Selector

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_SCOPE = "https://www.googleapis.com/auth/monitoring.read"

Labels = Mapping[str, str]


class PromqlSource:
    """A `Source` over instant queries. `selectors` are what to read, for all services at once.

    Everything of one sample is asked for at one instant of the server's clock. A process read before whose figures
    are now older than `max_age` seconds, or whose `up` is 0, is down; a server that fails makes the sample blind.
    """

    def __init__(
        self,
        url: str,
        selectors: Collection[Selector],
        *,
        now: Callable[[], datetime],
        max_age: float = 30.0,
        timeout: float = 2.0,
        client: httpx.Client | None = None,
        auth: httpx.Auth | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._selectors = tuple(dict.fromkeys(selectors))
        self._now = now
        self._max_age = max_age
        self._client = client or httpx.Client(timeout=timeout, auth=auth)
        self._seen: set[str] = set()

    def read(self) -> Sample:
        """The counters as of the server's present."""
        try:
            return self._at(self._now(), self._clock())
        except _Unusable as error:
            return Sample(self._now(), blind=without_secrets(f"{self._url} {error}"))

    def history(self, start: datetime, end: datetime, step: timedelta) -> Iterator[Sample]:
        """The counters as they were at each step from `start` to `end`, oldest first, while the server keeps them."""
        for number in range(math.floor((end - start) / step) + 1):
            at = start + number * step
            try:
                yield self._at(at, at.timestamp())
            except _Unusable as error:
                yield Sample(at, blind=without_secrets(f"{self._url} {error}"))

    def _at(self, at: datetime, instant: float) -> Sample:
        any_of_ours = " or ".join(str(each) for each in self._selectors)
        began = self._query(f"process_start_time_seconds and on (job, instance) ({any_of_ours})", instant)
        started = {self._origin(labels): value for labels, value in began}
        values: dict[Series, float] = {}
        read: dict[str, Reading] = {}
        late: dict[str, float] = {}
        for selector in self._selectors:
            ages = {
                self._series(selector.name, labels): instant - scraped
                for labels, scraped in self._query(f"timestamp({selector})", instant)
            }
            for labels, value in self._query(str(selector), instant):
                series = self._series(selector.name, labels)
                age = ages.get(series, math.inf)
                if age <= self._max_age:
                    values[series] = value
                    read[series.origin] = Reading(at, started.get(series.origin))
                else:
                    late[series.origin] = age
        self._seen |= read.keys()
        down = {origin: f"was last scraped {age:.0f} s ago" for origin, age in late.items() if origin not in read}
        down |= {self._origin(labels): "is down" for labels, _ in self._query("up == 0", instant)}
        return Sample(
            at,
            {series: value for series, value in values.items() if series.origin not in down},
            {origin: reading for origin, reading in read.items() if origin not in down},
            {origin: f"{origin} {reason}" for origin, reason in down.items() if origin in self._seen},
        )

    def _clock(self) -> float:
        """The server's own time, so that nothing depends on ours."""
        answer = self._get("time()", None)
        try:
            instant = float(answer["result"][1])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _Unusable("did not answer time() with a scalar") from error
        if not math.isfinite(instant):
            raise _Unusable(f"says that its time is {instant}")
        return instant

    def _query(self, expression: str, instant: float) -> list[tuple[Labels, float]]:
        answer = self._get(expression, instant)
        try:
            return [(_labels(each["metric"]), float(each["value"][1])) for each in answer["result"]]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _Unusable(f"did not answer {expression} with a vector") from error

    def _get(self, expression: str, instant: float | None) -> dict[str, Any]:
        form = {"query": expression} if instant is None else {"query": expression, "time": f"{instant:.3f}"}
        try:
            response = self._client.post(f"{self._url}/api/v1/query", data=form)
        except httpx.TimeoutException as error:
            raise _Unusable("did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Unusable(f"could not be reached ({type(error).__name__}: {error})") from error
        if response.status_code != httpx.codes.OK:
            raise _Unusable(f"answered {response.status_code}")
        try:
            document = response.json()
            if document["status"] != "success":
                raise _Unusable(f"answered {document.get('error', document['status'])}")
            data = document["data"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _Unusable("answered something that is not a query result") from error
        if not isinstance(data, dict):
            raise _Unusable("answered something that is not a query result")
        return data

    def _series(self, name: str, labels: Labels) -> Series:
        kept = sorted((label, value) for label, value in labels.items() if label != "__name__")
        return Series(self._origin(labels), name, tuple(kept))

    def _origin(self, labels: Labels) -> str:
        """The process a series belongs to; the server itself where a rule has summed the processes away."""
        instance = labels.get("instance")
        return f"{labels.get('job', '')}/{instance}" if instance else self._url

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> PromqlSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _labels(found: object) -> Labels:
    """The labels of a series. Raises TypeError for what are none."""
    if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
        return found
    raise TypeError(f"no labels: {found!r}")


class _Unusable(Exception):
    """What the server did instead of answering, in words that follow its address."""


class GoogleAuth(httpx.Auth):
    """Sends a bearer token of application-default credentials, renewed when it runs out.

    Raises `httpx.RequestError` from the request where no credentials are found or they cannot be renewed.
    """

    def __init__(self, credentials: Credentials | None = None) -> None:
        self._credentials = credentials

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["authorization"] = f"Bearer {self._token()}"
        yield request

    def _token(self) -> str:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        try:
            if self._credentials is None:
                self._credentials = google.auth.default(scopes=[_SCOPE])[0]
            if not self._credentials.valid:
                self._credentials.refresh(Request())  # type: ignore[no-untyped-call]
        except GoogleAuthError as error:
            raise httpx.RequestError(f"no usable Google credentials: {error}") from error
        return str(self._credentials.token)
