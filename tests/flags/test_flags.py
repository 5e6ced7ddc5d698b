"""The flag set: round trip, refusal of garbage, and every decision as flagd's own evaluators make it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmh3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway import flags as room
from causeway.errors import ConfigError, IntegrityError
from causeway.flags import Flag, FlagSet, bucket, build, evaluate, read, self_test, size
from causeway.model.matrix import Version
from causeway.model.stage import Stage

DATA = Path(__file__).parent.parent / "data"
CORE = json.loads((DATA / "flagd_core_0_16_1.json").read_text())
FRACTIONAL = json.loads((DATA / "flagd_fractional_v2.json").read_text())


def flag_set(*flags: Flag, **changes: Any) -> FlagSet:
    fields: dict[str, Any] = {"stack": "local", "position": "low/A/25", "seed": "seed", "flags": flags}
    return FlagSet(**fields | changes)


def at(weight: int, *, seed: str = "seed", testers: tuple[str, ...] = (), stage: Stage = Stage.IN_PROGRESS) -> FlagSet:
    return flag_set(Flag("A", weight, stage), seed=seed, testers=testers)


@pytest.fixture
def broken_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(mmh3, "hash", lambda *_args, **_kwargs: 0)
    room._sound.cache_clear()
    yield
    room._sound.cache_clear()


# --- decisions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", sorted(CORE["definition"]["flags"]))
def test_decides_as_the_go_evaluator_does(service: str) -> None:
    targeting = CORE["definition"]["flags"][service]["targeting"]["fractional"]
    head = targeting[0]
    seed, weight = (head["cat"][0], targeting[1][1]) if isinstance(head, dict) else (service, head[1])
    flags = flag_set(Flag(service, weight, Stage.IN_PROGRESS), seed=seed)
    decided = "".join("P" if evaluate(flags, service, key) is Version.PACKAGE else "L" for key in CORE["keys"])
    assert decided == CORE["expected"][service]


@pytest.mark.parametrize("case", FRACTIONAL["cases"], ids=lambda case: case["case"])
def test_hashes_as_flagd_does(case: dict[str, Any]) -> None:
    assert mmh3.hash(case["key"].encode(), 0, signed=False) == int(case["murmur3"], 16)
    if sum(weight for _, weight in case["weights"]) == 100:
        assert bucket("", case["key"]) == case["bucket"]


@given(st.text(), st.lists(st.integers(0, 100), min_size=2, max_size=6))
def test_a_user_never_flips_back_while_weights_grow(key: str, weights: list[int]) -> None:
    decided = [evaluate(at(weight), "A", key) for weight in sorted(weights)]
    assert decided == sorted(decided)  # "legacy" < "package"


@given(st.text(min_size=1), st.integers(0, 100), st.integers(0, 100))
def test_the_same_users_go_first_in_every_service(key: str, a: int, b: int) -> None:
    flags = flag_set(Flag("A", min(a, b), Stage.IN_PROGRESS), Flag("B", max(a, b), Stage.IN_PROGRESS))
    assert evaluate(flags, "A", key) <= evaluate(flags, "B", key)


def test_weights_hold_within_half_a_percent() -> None:
    counts = [0] * 100
    for number in range(200_000):
        counts[bucket("cvplus-2025", f"user-{number}")] += 1
    for weight in (10, 25, 50, 75):
        assert abs(sum(counts[:weight]) / 2_000 - weight) < 0.5


@pytest.mark.parametrize("key", [None, "", 7, 7.0, b"ann", ["ann"], "\ud800"])
def test_a_key_that_is_no_key_means_legacy(key: object) -> None:
    """An empty key has a bucket like any other, and mmh3 5.3 crashes the process on a lone surrogate."""
    assert evaluate(at(100), "A", key) is Version.LEGACY


def test_a_missing_flag_means_legacy() -> None:
    assert evaluate(at(100), "B", "ann") is Version.LEGACY


def test_testers_go_first_and_not_before_the_first_step() -> None:
    late = next(key for key in map(str, range(1000)) if bucket("seed", key) == 99)
    assert evaluate(at(1, testers=(late,)), "A", late) is Version.PACKAGE
    assert evaluate(at(1), "A", late) is Version.LEGACY
    assert evaluate(at(0, testers=(late,)), "A", late) is Version.LEGACY


def test_a_retired_service_serves_every_key() -> None:
    assert evaluate(at(100, stage=Stage.RETIRED), "A", None) is Version.PACKAGE


def test_self_test_passes_here() -> None:
    self_test()


def test_an_evaluator_that_fails_its_vectors_serves_legacy(broken_hash: None) -> None:
    with pytest.raises(IntegrityError, match="shared-seedseven"):
        self_test()
    assert evaluate(at(100), "A", "ann") is Version.LEGACY
    assert evaluate(at(100, stage=Stage.RETIRED), "A", "ann") is Version.PACKAGE


# --- the definition --------------------------------------------------------------------------------------------------

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=","), min_size=1, max_size=12)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
flags_strategy = st.builds(
    Flag,
    service=names,
    weight=st.integers(0, 100),
    stage=st.sampled_from(Stage),
    cohort=st.one_of(st.just("user"), names),
    modes=st.dictionaries(st.sampled_from(["writes", "epoch", "toggle"]), texts),
    rollback=texts,
)
sets = st.builds(
    FlagSet,
    stack=names,
    position=texts,
    seed=names,
    flags=st.lists(flags_strategy, unique_by=lambda flag: flag.service, max_size=5).map(tuple),
    testers=st.lists(texts, max_size=3).map(tuple),
    hold=st.lists(names, max_size=3).map(tuple),
    acknowledged=st.lists(names, max_size=3).map(tuple),
    renew_s=st.sampled_from([0.5, 1, 3.0]),
    max_age_s=st.sampled_from([15, 15.5]),
)


@given(sets)
def test_reading_gives_back_what_was_built(flags: FlagSet) -> None:
    assert read(build(flags)) == flags
    assert build(read(build(flags))) == build(flags)


def test_equal_sets_have_equal_definitions() -> None:
    a, b = Flag("A", 10, Stage.IN_PROGRESS), Flag("B", 0, Stage.UNTOUCHED)
    assert build(flag_set(a, b, renew_s=3)) == build(flag_set(b, a, renew_s=3.0))


def test_the_definition_is_flagds() -> None:
    flags = flag_set(
        Flag("A", 25, Stage.IN_PROGRESS, modes={"writes": "both"}, rollback="error rate > 5 %"),
        Flag("B", 0, Stage.UNTOUCHED, cohort="tenant"),
        testers=("qa@example.org",),
        hold=("B",),
    )
    assert json.loads(build(flags)) == {
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "flags": {
            "A": {
                "state": "ENABLED",
                "variants": {"package": "package", "legacy": "legacy"},
                "defaultVariant": "legacy",
                "targeting": {
                    "if": [
                        {"in": [{"var": "targetingKey"}, ["qa@example.org"]]},
                        "package",
                        {
                            "fractional": [
                                {"cat": ["seed", {"var": "targetingKey"}]},
                                ["package", 25],
                                ["legacy", 75],
                            ]
                        },
                    ]
                },
                "metadata": {
                    "stage": "in_progress",
                    "cohort": "user",
                    "writes": "both",
                    "rollback": "error rate > 5 %",
                },
            },
            "B": {
                "state": "ENABLED",
                "variants": {"package": "package", "legacy": "legacy"},
                "defaultVariant": "legacy",
                "targeting": {"fractional": [{"cat": ["seed", {"var": "tenant"}]}, ["package", 0], ["legacy", 100]]},
                "metadata": {"stage": "untouched", "cohort": "tenant", "rollback": ""},
            },
        },
        "metadata": {
            "flagSetId": "local",
            "position": "low/A/25",
            "seed": "seed",
            "hold": "B",
            "renew_s": 3,
            "max_age_s": 15,
            "testers": '["qa@example.org"]',
        },
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.one_of(st.text(), json_values.map(json.dumps)))
def test_garbage_is_refused(definition: str) -> None:
    with pytest.raises(ConfigError):
        read(definition)


@settings(max_examples=300)
@given(st.data())
def test_a_definition_changed_anywhere_is_refused_or_read_as_what_it_says(data: st.DataObject) -> None:
    """One value replaced by another type: never half-obeyed, never a stray exception."""
    document = json.loads(build(flag_set(Flag("A", 25, Stage.IN_PROGRESS), testers=("qa",))))
    node: Any = document
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(json_values)
    try:
        flags = read(json.dumps(document))
    except ConfigError:
        return
    assert json.loads(build(flags)) == document


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Flag("A", 101, Stage.IN_PROGRESS), "101"),
        (lambda: Flag("A", True, Stage.IN_PROGRESS), "True"),
        (lambda: Flag("A,B", 1, Stage.IN_PROGRESS), "A,B"),
        (lambda: Flag("A", 1, Stage.IN_PROGRESS, modes={"stage": "x"}), "stage"),
        (lambda: flag_set(Flag("A", 1, Stage.IN_PROGRESS), Flag("A", 2, Stage.IN_PROGRESS)), "twice"),
        (lambda: flag_set(seed=""), "seed"),
        (lambda: flag_set(renew_s=15), "renews every 15"),
        (lambda: flag_set(max_age_s=float("inf")), "inf"),
    ],
)
def test_a_flag_set_that_would_mislead_cannot_be_made(make: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()


# --- size ------------------------------------------------------------------------------------------------------------


def many(count: int) -> FlagSet:
    rollback = "error rate > 5 %, p95 > 3 × baseline, availability < 99 %, throughput < 60 %"
    return flag_set(*(Flag(f"Service{n:05}", 10, Stage.IN_PROGRESS, rollback=rollback) for n in range(count)))


def test_size_says_how_many_services_fit_and_that_is_so() -> None:
    capacity = size(build(many(1000))).capacity
    assert capacity > 1500
    build(many(int(capacity * 0.999)))
    with pytest.raises(ConfigError, match="such fit"):
        build(many(int(capacity * 1.001)))
