"""Faults hit what they name, as often as they say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from standin.gcp.faults import Fault, Injected, before_write, inject, take

FLAGS = "urn:pulumi:local::causeway::gcp:firestore/document:Document::flags"


def test_a_fault_names_operation_and_resource(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    inject(path, [Fault("update", "*::flags", fail="no")])
    assert take(path, "update", FLAGS) == Fault("update", "*::flags", fail="no")
    assert take(path, "create", FLAGS) is None
    assert take(path, "update", FLAGS.replace("flags", "other")) is None
    inject(path, [])
    assert take(path, "update", FLAGS) is None


def test_without_a_control_file_nothing_fails(tmp_path: Path) -> None:
    assert take(None, "update", FLAGS) is None
    assert take(tmp_path / "none", "update", FLAGS) is None


def test_a_fault_that_hits_three_times_hits_three_of_many_at_once(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    inject(path, [Fault(times=3)])
    with ThreadPoolExecutor(8) as pool:
        hits = list(pool.map(lambda _: take(path, "create", FLAGS), range(20)))
    assert sum(hit is not None for hit in hits) == 3


def test_a_failing_operation_says_its_message() -> None:
    with pytest.raises(Injected, match="quota exceeded"):
        before_write(Fault(fail="quota exceeded"))
    before_write(None)
