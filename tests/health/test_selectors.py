"""Selectors: parsed as PromQL has them, filled without injection, matched as Prometheus matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.errors import ConfigError
from causeway.health.metrics import Series
from causeway.health.selectors import Index, Matcher, Selector


def series(name: str, **labels: str) -> Series:
    return Series("t", name, tuple(sorted(labels.items())))


OK = series("r_total", service="X", version="package", code="200")
BAD = series("r_total", service="X", version="package", code="503")
LEGACY = series("r_total", service="X", version="legacy", code="200")
OTHER = series("r_total", service="Y", version="package", code="200", zone="a")
INDEX = Index([OK, BAD, LEGACY, OTHER])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("r_total", (OK, BAD, LEGACY, OTHER)),
        ('r_total{service="$service",version="$version"}', (OK, BAD)),
        ('r_total{ service = "$service" , code=~"5.." , }', (BAD,)),
        ('r_total{service="$service",code!~"5..|4.."}', (OK, LEGACY)),
        ('r_total{zone!=""}', (OTHER,)),
        ('r_total{zone="",version!="legacy"}', (OK, BAD)),
        ('r_total{code=~"5"}', ()),
        ("other_total", ()),
    ],
)
def test_a_selector_selects_what_prometheus_would(text: str, found: tuple[Series, ...]) -> None:
    assert INDEX.select(Selector.parse(text).fill(service="X", version="package")) == found


@pytest.mark.parametrize(
    "text", ["", "1abc", "r_total{", 'r_total{a="b"', "r_total{a=b}", 'r_total{a="b" c="d"}', 'r{a=~"("}', "a b"]
)
def test_what_is_no_selector_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(ConfigError, match="causeway:metrics"):
        Selector.parse(text)


def test_an_unknown_template_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="servce"):
        Selector.parse('r{a="$servce"}').fill(service="X")


@given(st.text(), st.text())
def test_a_filled_value_cannot_leave_its_quotes(service: str, version: str) -> None:
    filled = Selector.parse('r{service="$service",version="$version"}').fill(service=service, version=version)
    assert Selector.parse(str(filled)) == filled
    assert filled.matchers == (Matcher("service", "=", service), Matcher("version", "=", version))


def test_the_static_part_covers_all_services() -> None:
    assert str(Selector.parse('r{service="$service",app="cv"}').static) == 'r{app="cv"}'
