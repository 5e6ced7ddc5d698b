"""What a reader decides, stepped by hand: documents come in, time passes, nothing sleeps."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from causeway.client.view import Decision, Documents, Reason, View
from causeway.flags import Flag, FlagSet, build
from causeway.model.matrix import Version
from causeway.model.stage import Stage

NOON = datetime.datetime(2025, 9, 1, 12, tzinfo=datetime.UTC)
ANN = {"targetingKey": "ann"}
ON_PACKAGE, ON_LEGACY = Decision(Version.PACKAGE, Reason.SPLIT), Decision(Version.LEGACY, Reason.SPLIT)
STALE = Decision(Version.LEGACY, Reason.STALE)


def definition(weight: int = 100, stage: Stage = Stage.IN_PROGRESS, **changes: Any) -> str:
    others = (Flag("Done", 100, Stage.COMPLETE), Flag("Gone", 100, Stage.RETIRED))
    return build(FlagSet("local", "low/A/100", "seed", (Flag("A", weight, stage), *others), **changes))


def after(seconds: float) -> datetime.datetime:
    return NOON + datetime.timedelta(seconds=seconds)


def documents(
    flags: str | None = definition(), *, beat: float | None = 0, server: float = 0, **control: Any
) -> Documents:
    renewed = {} if beat is None else {"renewed_at": after(beat)}
    return Documents(None if flags is None else {"definition": flags}, {**renewed, **control}, after(server))


def versions(view: View, now: float) -> tuple[str, str, str]:
    a, done, gone = (view.decide(name, ANN, now).version.value for name in ("A", "Done", "Gone"))
    return a, done, gone


def test_before_anything_was_read_everything_is_legacy() -> None:
    assert View().decide("A", ANN, 0) == STALE
    assert View().packages(ANN, 0) == frozenset()


def test_obeys_the_flag_set_while_somebody_watches() -> None:
    view = View().learn(documents(), asked_at=100)
    assert view.decide("A", ANN, 100) == ON_PACKAGE
    assert view.packages(ANN, 100) == {"A", "Done", "Gone"}
    assert view.decide("Unknown", ANN, 100) == Decision(Version.LEGACY, Reason.MISSING)


def test_no_heartbeat_sends_only_services_in_progress_to_legacy() -> None:
    view = View().learn(documents(), asked_at=100)
    for second in range(100, 130, 5):  # reads go on, but the heartbeat stands still
        view = view.learn(documents(server=second - 100), asked_at=second)
    assert versions(view, 115) == ("package", "package", "package")
    assert versions(view, 115.1) == ("legacy", "package", "package")
    assert view.decide("A", ANN, 115.1) == STALE


def test_a_heartbeat_that_moves_again_is_obeyed_at_once() -> None:
    view = View().learn(documents(), asked_at=100)
    for second in range(105, 130, 5):
        view = view.learn(documents(server=second - 100), asked_at=second)
    assert versions(view, 130)[0] == "legacy"
    view = view.learn(documents(beat=30, server=30), asked_at=130)
    assert versions(view, 130)[0] == "package"


def test_an_outage_makes_the_copy_stale_without_anybody_saying_so() -> None:
    view = View().learn(documents(), asked_at=100)
    assert versions(view, 116) == ("legacy", "package", "package")


def test_the_clocks_of_watcher_and_reader_may_differ() -> None:
    """A watcher an hour behind is heard as soon as its heartbeat is seen to move."""
    view = View().learn(documents(beat=-3600), asked_at=100)
    assert versions(view, 100)[0] == "legacy"
    view = view.learn(documents(beat=-3597, server=3), asked_at=103)
    assert versions(view, 103)[0] == "package"


def test_a_reader_that_starts_late_does_not_believe_a_dead_watcher() -> None:
    view = View().learn(documents(beat=0, server=14), asked_at=100)
    assert versions(view, 100)[0] == "package"
    assert versions(view, 101.1)[0] == "legacy"
    assert versions(View().learn(documents(beat=0, server=16), asked_at=100), 100)[0] == "legacy"


def test_a_reader_back_from_an_outage_does_not_believe_a_dead_watcher() -> None:
    """The last beat before the watcher died is new to this reader, but it is old."""
    view = View().learn(documents(beat=0), asked_at=100)
    view = view.learn(documents(beat=30, server=200), asked_at=300)
    assert versions(view, 300)[0] == "legacy"


def test_a_slow_read_counts_from_when_it_was_begun() -> None:
    view = View().learn(documents(), asked_at=100).learn(documents(beat=3, server=3), asked_at=103)
    assert view.fresh(118)
    assert not view.fresh(118.1)


def test_an_override_is_obeyed_while_it_is_there() -> None:
    view = View().learn(documents(), asked_at=100)
    view = view.learn(documents(override=definition(0)), asked_at=101)
    assert view.overridden
    assert view.decide("A", ANN, 101) == ON_LEGACY
    view = view.learn(documents(), asked_at=102)
    assert not view.overridden
    assert view.decide("A", ANN, 102) == ON_PACKAGE


@pytest.mark.parametrize("broken", ["", "{}", "not json", 7])
def test_an_override_that_cannot_be_read_sends_services_in_progress_back_at_once(broken: object) -> None:
    view = View().learn(documents(), asked_at=100).learn(documents(override=broken), asked_at=101)
    assert view.trouble
    assert versions(view, 101) == ("legacy", "package", "package")
    view = view.learn(documents(), asked_at=102)
    assert versions(view, 102) == ("package", "package", "package")


def test_a_deleted_flag_set_sends_services_in_progress_back_at_once() -> None:
    view = View().learn(documents(), asked_at=100).learn(documents(flags=None), asked_at=101)
    assert versions(view, 101) == ("legacy", "package", "package")
    assert versions(View().learn(documents(flags=None), asked_at=100), 100) == ("legacy", "legacy", "legacy")


@pytest.mark.parametrize("control", [None, {}, {"renewed_at": "yesterday"}])
def test_without_a_heartbeat_nobody_watches(control: dict[str, Any] | None) -> None:
    view = View().learn(Documents({"definition": definition()}, control, NOON), asked_at=100)
    assert versions(view, 100) == ("legacy", "package", "package")


def test_another_cohort_is_keyed_by_its_attribute() -> None:
    flags = build(FlagSet("local", "p", "seed", (Flag("A", 100, Stage.IN_PROGRESS, cohort="tenant"),)))
    view = View().learn(documents(flags), asked_at=0)
    assert view.decide("A", {"tenant": "acme"}, 0) == ON_PACKAGE
    assert view.decide("A", ANN, 0) == ON_LEGACY


def test_modes_and_epochs_do_not_go_stale() -> None:
    flags = build(FlagSet("local", "p", "seed", (Flag("A", 10, Stage.IN_PROGRESS, modes={"writes": "both"}),)))
    view = View().learn(documents(flags, epochs={"A": 3}, maintenance="restore"), asked_at=0)
    assert not view.fresh(1000)
    assert view.modes("A") == {"writes": "both"}
    assert view.modes("B") == {}
    assert (view.epoch("A"), view.epoch("B")) == (3, 0)
    assert view.maintenance == "restore"
