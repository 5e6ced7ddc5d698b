"""The environment for use by hand starts once, stops once, and says when it is not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from causeway.errors import Unreachable
from standin.local import Local, ensure_stack
from standin.processes import listening

pytestmark = pytest.mark.e2e


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    local = Local(tmp_path / ".local")
    yield local
    local.stop()


def test_starting_twice_starts_one_emulator_and_stopping_leaves_none(local: Local) -> None:
    first = local.start()
    assert local.start() == first
    emulator = local.emulator()
    assert emulator is not None
    assert listening(emulator.port)()
    assert local.stop()
    assert not psutil.pid_exists(emulator.pid) or psutil.Process(emulator.pid).status() == psutil.STATUS_ZOMBIE
    assert not local.stop()
    with pytest.raises(Unreachable, match="make local"):
        local.environment()


def test_a_process_that_has_taken_over_the_number_is_not_the_emulator(local: Local) -> None:
    """Prevents make stop from killing a stranger after a reboot."""
    local.root.mkdir()
    stranger = psutil.Process().pid
    (local.root / "emulator.json").write_text(f'{{"pid": {stranger}, "port": 1, "born": 1.0}}')
    assert local.emulator() is None
    assert not local.stop()


def test_the_stack_is_created_once(local: Local, tmp_path: Path) -> None:
    environment = local.start()
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: tiny\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
    )
    assert ensure_stack(environment, tmp_path)
    assert not ensure_stack(environment, tmp_path)
