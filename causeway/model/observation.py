"""What is read about the running application, and what it is called there.

Plain records, built from `causeway:metrics`, `causeway:probes`, `causeway:soak` and `causeway:baseline`, and used by
`causeway.health`. Durations are seconds. Names of metrics, addresses and keys are templates in the manner of
`string.Template`: `$service` and `$version` (`legacy` or `package`) are filled in for each service, `$consumer`,
`$consumer_version`, `$provider` and `$provider_version` for each edge, `$user` for each synthetic user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from causeway.model.matrix import Version


@dataclass(frozen=True, slots=True)
class MetricNames:
    """The application's counters and its histogram, as PromQL selectors (`name{label="$service",…}`).

    `errors` selects the failed ones among what `requests` selects, `edge_errors` those of `edges`. `latency` is the
    histogram's base name: `_bucket` is added. `offered` counts demand by decided version, before the work is done.
    `build` is a gauge of 1 whose labels name the running build. What is None is not measured, and missing where a
    guardrail needs it.
    """

    requests: str = 'requests_total{service="$service",version="$version"}'
    errors: str = 'requests_total{service="$service",version="$version",outcome="error"}'
    latency: str = 'request_seconds{service="$service",version="$version"}'
    offered: str | None = None
    edges: str | None = None
    edge_errors: str | None = None
    build: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """`causeway:resources`: a gauge that must stay below the share `most` of its limit, in every process.

    Memory of its quota, say, or open files of the most there may be. `used` is a selector; `limit` is a selector of
    the same process, or a number.
    """

    name: str
    used: str
    limit: str | float
    most: float = 0.9


@dataclass(frozen=True, slots=True)
class Scrape:
    """Metrics read from `/metrics` of every process: the full address of each."""

    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promql:
    """Metrics read from a Prometheus query API: `url` is what `/api/v1/query` is appended to.

    `google` sends application-default credentials, for Google's managed service, whose `url` is
    `https://monitoring.googleapis.com/v1/projects/PROJECT/location/global/prometheus`.
    """

    url: str
    google: bool = False


@dataclass(frozen=True, slots=True)
class Metrics:
    """`causeway:metrics`: where counters are read, how often, and what they are called.

    `every` is the time between readings, `timeout` bounds one of them, and a figure older than `max_age` is missing.
    """

    source: Scrape | Promql
    names: MetricNames
    every: float = 5.0
    timeout: float = 2.0
    max_age: float = 30.0


@dataclass(frozen=True, slots=True)
class Soak:
    """`causeway:soak`: the shortest time of observation before a service may advance.

    `interval` seconds are one window, `checks` windows one block, `requests` the least a block must hold.
    """

    interval: float
    checks: int
    requests: int


@dataclass(frozen=True, slots=True)
class BaselineRules:
    """`causeway:baseline`: what a baseline must rest on, and for how long it counts.

    `requests` is the least number of requests, `window` the shortest and usual time measured, `max_age` the age in
    seconds beyond which it is stale.
    """

    requests: int
    window: float
    max_age: float


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as a template. `body` is sent as JSON where it is not None; strings in it are templates too."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer that counts as success.

    `json`, where it is not None, must be contained in the answer: mappings by key, everything else by equality.
    """

    status: int = 200
    json: object = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """One request per version whose answer must be as expected; also what the availability guardrail counts.

    `users` gives each version a synthetic user (`$user`) whose key leads there.
    """

    name: str
    service: str
    request: Request
    expected: Expected = Expected()
    versions: tuple[Version, ...] = (Version.PACKAGE,)
    users: Mapping[Version, str] = field(default_factory=dict)
    every: float = 5.0
    timeout: float = 2.0


@dataclass(frozen=True, slots=True)
class CompareProbe:
    """The same request to legacy and package, whose answers must agree in status and JSON.

    `ignore` are the JSON pointers (RFC 6901, `*` for any member) of what may differ.
    """

    name: str
    service: str
    request: Request
    users: Mapping[Version, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    every: float = 30.0
    timeout: float = 2.0


@dataclass(frozen=True, slots=True)
class CollectionProbe:
    """A collection whose documents must not get lost.

    Its count may shrink by the share `may_shrink` of what was found first; unless `may_change`, its digest must stay.
    `settle` as in `ParityProbe`.
    """

    name: str
    service: str
    collection: str
    may_shrink: float
    may_change: bool = True
    settle: float = 5.0
    every: float = 300.0


@dataclass(frozen=True, slots=True)
class ParityProbe:
    """Two collections that a dual write keeps equal, document by document.

    `ignore` are top-level fields that may differ. A write in flight is no difference: what differs must still do so,
    unchanged, `settle` seconds later.
    """

    name: str
    service: str
    legacy: str
    package: str
    ignore: tuple[str, ...] = ()
    settle: float = 5.0
    every: float = 60.0


@dataclass(frozen=True, slots=True)
class ReferenceProbe:
    """Every document of `collection` names, in `field`, a document that exists in `target`.

    `settle` as in `ParityProbe`.
    """

    name: str
    service: str
    collection: str
    field: str
    target: str
    settle: float = 5.0
    every: float = 300.0


ProbeSpec = HttpProbe | CompareProbe | CollectionProbe | ParityProbe | ReferenceProbe
