"""A report is written from whatever can be read; what cannot is named, and nothing is made up for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from causeway.rollout.account import gather
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World


@pytest.fixture
def walked(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    with runner_of(here) as runner:
        runner.walk("low")
    return here


def test_the_journal_is_told_from_its_beginning(walked: World) -> None:
    found = gather(walked.stack, 0.0)
    assert [str(each.there) for each in found.records] == ["infrastructure", "low/Reader/50", "low/Reader/100"]
    assert found.status["applied"] == "low/Reader/100"
    assert found.at == walked.time.now()


def test_what_cannot_be_measured_is_named(walked: World) -> None:
    found = gather(walked.stack, 5.0)
    assert set(found.missing) == {"measures"}
    assert "measures nothing" in found.missing["measures"]
    assert found.records, "the rest is there all the same"
    assert found.backups == (), "and nobody has taken one yet"


def test_measuring_nothing_is_no_failure(walked: World) -> None:
    assert "measures" not in gather(walked.stack, 0.0).missing


def test_without_firestore_every_part_says_so(walked: World) -> None:
    """Prevents a report of an unreachable stack from reading like one of a stack that never moved."""
    walked.store.down = True
    found = gather(walked.stack, 0.0)
    assert {"status", "journal"} <= set(found.missing)
    assert all("does not answer" in found.missing[name] for name in ("status", "journal"))
