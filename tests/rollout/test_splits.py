"""What splits traffic without a flag goes where the flag set goes, and is drift anywhere else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from causeway.config import Config
from causeway.config.records import CloudRunSplit, UrlMapSplit
from causeway.model.moves import Place
from causeway.rollout import splits
from causeway.rollout.engine import Export
from causeway.rollout.status import drift
from components.splits import cloud_run_percents, url_map_weights
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World

LOW = Place("low/Reader/50")
CONFIGURED = {
    "url_map": UrlMapSplit("backend/legacy", "backend/package"),
    "cloud_run": CloudRunSplit("reader", "europe-west1", "image", "reader-1", "reader-2"),
}
URN = "urn:pulumi:test::causeway::causeway:components:Traffic$gcp:some/type:Type::traffic-Reader-Reader"


def split_by(here: World, kind: str) -> Config:
    return replace(here.config, splits={"Reader": CONFIGURED[kind]})


def recorded(config: Config, percent: int) -> Export:
    """The state of a stack whose split gives the package that much."""
    split = splits.splits(config)["Reader"]
    inputs = (
        {"traffics": [{"revision": name, "percent": share} for name, share in cloud_run_percents(split, percent)]}
        if isinstance(split, splits.CloudRunSplit)
        else {
            "defaultRouteAction": {
                "weightedBackendServices": [
                    {"backendService": name, "weight": share} for name, share in url_map_weights(split, percent)
                ]
            }
        }
    )
    return Export({URN: inputs}, ())


@pytest.mark.parametrize("kind", CONFIGURED)
@pytest.mark.parametrize("percent", [0, 50, 100])
def test_a_split_elsewhere_than_its_stack_is_drift(here: World, kind: str, percent: int) -> None:
    config = split_by(here, kind)
    lines = [] if percent == 50 else [f"traffic-Reader-Reader gives Reader {percent} %, the plan says 50 % at {LOW}"]
    assert list(splits.elsewhere(config, LOW, recorded(config, percent))) == lines


def test_a_split_that_is_not_there_or_not_one_is_drift(here: World) -> None:
    config = split_by(here, "url_map")
    assert list(splits.elsewhere(config, LOW, Export({URN: {"defaultRouteAction": None}}, ()))) == [
        "traffic-Reader-Reader cannot be read as a split"
    ]
    (line,) = splits.elsewhere(config, LOW, Export({URN.replace("gcp:", "causeway:"): {}}, ()))
    assert line.startswith("traffic-Reader-Reader is not in the stack")


def test_drift_looks_at_splits(here: World) -> None:
    """Prevents: half of all users are on a package by a URL map, and `causeway drift` finds no drift."""
    with runner_of(here) as runner:
        runner.walk(str(LOW))
    config = split_by(here, "url_map")
    here.engine.state[URN] = recorded(config, 100).inputs[URN]
    assert drift(replace(here.stack, config=config))["drift"] == [
        f"traffic-Reader-Reader gives Reader 100 %, the plan says 50 % at {LOW}"
    ]


@pytest.fixture
def hook(here: World, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Judges a change of Reader's split to a place, in a preview or in an update; `old` False: it is created."""
    monkeypatch.setattr(splits, "FirestoreStore", lambda project: here.store)
    monkeypatch.delenv(splits.REASON, raising=False)
    config = split_by(here, "url_map")

    def judge(place: Place, *, dry: bool, old: bool = True) -> None:
        inputs = {"name": "reader"} if old else None
        splits.follows(config, "demo", "Reader", place, dry=lambda: dry)(SimpleNamespace(old_inputs=inputs))

    return judge


def test_an_update_of_the_split_alone_is_refused(here: World, hook) -> None:  # type: ignore[no-untyped-def]
    """Prevents: `pulumi up --target` puts users on a package without a move of the flag set, which nobody judges."""
    with runner_of(here) as runner:
        runner.walk(str(LOW))
    hook(LOW, dry=False)
    hook(LOW, dry=True)
    for place in ("low/Reader/100", "infrastructure"):
        with pytest.raises(RuntimeError, match="and the flag set stands at low/Reader/50"):
            hook(Place(place), dry=False)
    hook(Place("low/Reader/100"), dry=True)  # the flag set would go there first
    with pytest.raises(RuntimeError, match="by accident"):
        hook(Place("infrastructure"), dry=True)
    with pytest.raises(RuntimeError, match="is 2 steps ahead"):
        hook(Place("high/Writer/dual-write"), dry=True)


def test_a_new_split_without_users_asks_no_database_that_may_not_be_there(here: World, hook) -> None:  # type: ignore[no-untyped-def]
    here.store.down = True
    hook(Place("infrastructure"), dry=True, old=False)
    with pytest.raises(RuntimeError, match="Firestore does not answer"):
        hook(LOW, dry=False, old=False)
