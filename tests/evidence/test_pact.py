"""A Pact Broker's matrix becomes evidence, at least as strictly as the broker itself answers."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from causeway.errors import ConfigError, Exit
from causeway.evidence import pact
from causeway.evidence.record import Found
from causeway.model.matrix import Status, Version

DATA = Path("tests/data/pact")
TODAY = date(2025, 9, 1)


def outcomes(found: Found) -> dict[str, str]:
    return {str(entry): entry.evidence.status for entry in found.entries} | {
        each.what: "unknown" for each in found.unknown
    }


def test_a_matrix_with_both_versions_of_two_services() -> None:
    participants = {"action-orchestrator": "ActionOrchestrator", "improvement-orchestrator": "ImprovementOrchestrator"}
    names = pact.Names.parse(
        tuple(f"{name}=1.8.3" for name in participants),
        tuple(f"{name}=2.0.0" for name in participants),
        tuple(f"{name}={service}" for name, service in participants.items()),
    )
    found = pact.read([DATA / "matrix.json"], names, TODAY)
    assert outcomes(found) == {
        # failed on the 19th, verified on the 20th: the later one counts
        "ImprovementOrchestrator@package->ActionOrchestrator@legacy": Status.VERIFIED,
        "ImprovementOrchestrator@legacy->ActionOrchestrator@package": Status.INCOMPATIBLE,
        "ImprovementOrchestrator@package->ActionOrchestrator@package": Status.VERIFIED,
        "ActionOrchestrator@legacy->ImprovementOrchestrator@package": Status.VERIFIED,
        "ActionOrchestrator@package->ImprovementOrchestrator@legacy": "unknown",
        "ActionOrchestrator@package->ImprovementOrchestrator@package": "unknown",
    }
    assert found.entries[0].evidence.about == {"ImprovementOrchestrator": "2.0.0"}


def test_what_can_i_deploy_prints() -> None:
    names = pact.Names.parse(("recommendation-orchestrator=1.8.3",), ("cv-analyzer=2.0.0",), ())
    found = pact.read([DATA / "can-i-deploy.json"], names, TODAY)
    assert outcomes(found) == {"recommendation-orchestrator@legacy->cv-analyzer@package": Status.VERIFIED}
    assert found.code is Exit.OK


def test_a_file_that_says_nothing_of_the_versions_is_held() -> None:
    found = pact.read([DATA / "can-i-deploy.json"], pact.Names.parse((), ("cv-analyzer=3",), ()), TODAY)
    assert (found.entries, found.code) == ((), Exit.HELD)
    assert "--legacy" in found.unknown[0].why


def matrix(tmp_path: Path, *rows: tuple[str, str, bool | None]) -> Path:
    """Foo, a legacy consumer, against versions of Bar: (Foo's version, Bar's version, verified)."""
    file = tmp_path / "matrix.json"
    content = [
        {
            "consumer": {"name": "Foo", "version": {"number": consumer}},
            "provider": {"name": "Bar", "version": {"number": provider}},
            "verificationResult": None if success is None else {"success": success},
        }
        for consumer, provider, success in rows
    ]
    file.write_text(json.dumps({"matrix": content}))
    return file


LIVE = pact.Names.parse(("Foo=1",), ("Bar=10", "Bar=11"), ())


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("1", "10", True), ("1", "11", True)], Status.VERIFIED),
        ([("1", "10", False), ("1", "11", True)], Status.INCOMPATIBLE),
        ([("1", "11", True)], "unknown"),  # the broker says yes: another live version is verified
        ([("1", "10", None), ("1", "11", True)], "unknown"),
        ([("1", "10", True), ("1", "11", True), ("1", "9", False)], Status.VERIFIED),  # 9 is not live
        ([("1", "10", True), ("1", "10", False), ("1", "11", True)], Status.INCOMPATIBLE),  # no times: the worst
        ([("1", "10", True), ("1", "10", None), ("1", "11", True)], "unknown"),
    ],
)
def test_every_live_version_must_be_verified(
    tmp_path: Path, rows: list[tuple[str, str, bool | None]], expected: str
) -> None:
    assert outcomes(pact.read([matrix(tmp_path, *rows)], LIVE, TODAY)) == {"Foo@legacy->Bar@package": expected}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"matrix": 3}', '{"matrix": [{}]}', '{"matrix": [3]}', "<xml/>"])
def test_what_is_no_matrix_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "matrix.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="no matrix of a Pact Broker"):
        pact.read([file], LIVE, TODAY)


def test_a_version_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--package 2\.0\.0 is not NAME=VERSION"):
        pact.Names.parse((), ("2.0.0",), ())


def test_one_number_is_not_both_versions() -> None:
    """Prevents: one row of the broker verifies package->legacy and package->package alike."""
    with pytest.raises(ConfigError, match="--legacy and --package both say Bar=1"):
        pact.Names.parse(("Bar=1", "Bar=2"), ("Foo=1", "Bar=1"), ())
    assert pact.Names.parse(("Bar=1", "Foo=2"), ("Bar=2", "Foo=1"), ()).versions["Bar", Version.PACKAGE] == ("2",)


def test_a_time_without_a_zone_is_the_broker_s(tmp_path: Path) -> None:
    """Prevents: of two verifications, one without a zone, none could be told the later: a crash."""
    times = {"2025-08-20T10:00:00+00:00": True, "2025-08-21T10:00:00": False}
    ends = {end: {"name": end, "version": {"number": "1"}} for end in ("consumer", "provider")}
    rows = [ends | {"verificationResult": {"success": ok, "verifiedAt": at}} for at, ok in times.items()]
    (tmp_path / "m.json").write_text(json.dumps({"matrix": rows}))
    found = pact.read([tmp_path / "m.json"], pact.Names.parse(("provider=1",), ("consumer=1",), ()), TODAY)
    assert outcomes(found) == {"consumer@package->provider@legacy": Status.INCOMPATIBLE}
    assert found.entries[0].as_dict()["kind"] == "call"
