"""The largest flag set of a plan bounds them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from causeway import flags
from causeway.config import from_file
from causeway.errors import ConfigError
from causeway.model.hold import NO_HOLD, Hold
from causeway.model.moves import Place
from causeway.rollout.desired import flag_set
from causeway.rollout.largest import largest

LOCAL = from_file(Path(__file__).parents[2] / "stacks" / "Pulumi.local.yaml")
HOLDS = (NO_HOLD, Hold(dict.fromkeys(LOCAL.matrix.services, 0)), Hold(dict.fromkeys(LOCAL.matrix.services, 25)))


@pytest.mark.parametrize("hold", HOLDS, ids=str)
def test_no_place_of_a_plan_has_a_larger_one(hold: Hold) -> None:
    """Prevents: `check` says safe, and a position half way, or the hold of an emergency, fits into no document."""
    bound = len(flags.build(largest(LOCAL)))
    assert all(len(flags.build(flag_set(LOCAL, Place(each.name, hold)))) <= bound for each in LOCAL.plan)


def test_an_emergency_may_use_what_is_kept_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: a rollback is refused for a margin of 64 KiB."""
    found = largest(LOCAL)
    monkeypatch.setattr(flags, "DOCUMENT_LIMIT", flags.RESERVED + len(flags.build(found)) - 1)
    with pytest.raises(ConfigError, match="bytes"):
        flags.build(found)
    assert flags.read(flags.build(found, emergency=True)) == found
    monkeypatch.setattr(flags, "DOCUMENT_LIMIT", len(flags.build(found, emergency=True)) - 1)
    with pytest.raises(ConfigError, match="bytes"):
        flags.build(found, emergency=True)
