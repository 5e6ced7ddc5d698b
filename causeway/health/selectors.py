"""PromQL series selectors as templates: `name{service="$service",code!~"5.."}`.

The subset is PromQL's own (https://prometheus.io/docs/prometheus/latest/querying/basics/#time-series-selectors):
a metric name and matchers with `=`, `!=`, `=~` or `!~`, whose regular expressions match whole values.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template

from causeway.errors import ConfigError
from causeway.health.metrics import Series

_SELECTOR = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; an absent label is the empty value."""

    label: str
    operator: str
    value: str

    def accepts(self, value: str) -> bool:
        match self.operator:
            case "=":
                return value == self.value
            case "!=":
                return value != self.value
            case "=~":
                return re.fullmatch(self.value, value) is not None
            case _:
                return re.fullmatch(self.value, value) is None

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{json.dumps(self.value, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric's name and matchers, whose values may be templates."""

    name: str
    matchers: tuple[Matcher, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selector:
        """The selector written in config. Raises ConfigError with what is wrong in it."""
        found = _SELECTOR.fullmatch(text)
        if found is None:
            raise _malformed(text, "it must be a metric name, with matchers in braces if any")
        matchers, rest = [], (found[2] or "").strip()
        while rest:
            matcher = _MATCHER.match(rest)
            if matcher is None:
                raise _malformed(text, f'cannot read "{rest}"')
            matchers.append(_matcher(text, *matcher.groups()))
            rest = rest[matcher.end() :].strip()
        return cls(found[1], tuple(matchers))

    def fill(self, **values: str) -> Selector:
        """The selector with its templates filled in. Raises ConfigError for a name that has no value here."""
        try:
            filled = tuple(
                Matcher(each.label, each.operator, Template(each.value).substitute(values)) for each in self.matchers
            )
        except (KeyError, ValueError) as error:
            offered = ", ".join(f"${name}" for name in values)
            raise _malformed(str(self), f"{error} is not one of {offered}; a plain dollar is written $$") from error
        return Selector(self.name, filled)

    @property
    def static(self) -> Selector:
        """The same without the matchers that are templates: the series of all services at once."""
        return Selector(self.name, tuple(each for each in self.matchers if "$" not in each.value))

    def suffixed(self, suffix: str, *more: Matcher) -> Selector:
        """The selector of another series of the same metric, such as `_bucket`."""
        return Selector(self.name + suffix, self.matchers + more)

    def __str__(self) -> str:
        return f"{self.name}{{{','.join(str(each) for each in self.matchers)}}}"


class Index:
    """Series by name and label, so that selecting does not look at all of them."""

    def __init__(self, series: Iterable[Series]) -> None:
        self._by_name: dict[str, list[Series]] = defaultdict(list)
        self._by_label: dict[tuple[str, str, str], list[Series]] = defaultdict(list)
        for each in series:
            self._by_name[each.name].append(each)
            for label, value in each.labels:
                self._by_label[each.name, label, value].append(each)

    def select(self, selector: Selector) -> tuple[Series, ...]:
        """Every series that the filled selector matches."""
        candidates = self._by_name.get(selector.name, [])
        for matcher in selector.matchers:
            if matcher.operator == "=" and matcher.value:
                found = self._by_label.get((selector.name, matcher.label, matcher.value), [])
                candidates = min(candidates, found, key=len)
        return tuple(each for each in candidates if _accepts(selector.matchers, dict(each.labels)))


def _accepts(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    return all(each.accepts(labels.get(each.label, "")) for each in matchers)


def _matcher(text: str, label: str, operator: str, quoted: str) -> Matcher:
    try:
        value = str(json.loads(quoted))
    except ValueError as error:
        raise _malformed(text, f"cannot read {quoted}: {error}") from error
    if operator in ("=~", "!~"):
        try:
            re.compile(Template(value).safe_substitute())
        except re.error as error:
            raise _malformed(text, f"{quoted} is no regular expression: {error}") from error
    return Matcher(label, operator, value)


def _malformed(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"the metric selector {text} cannot be used: {why}",
        "what it should measure would be missing",
        "Write it as in PromQL under causeway:metrics, for example "
        'app_requests_total{service="$service",version="$version"}',
    )
