"""What tests of several rooms share: the real Firestore emulator and isolated local environments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from standin.environment import Environment
from standin.processes import Processes, free_port, listening
from standin.tools import emulator_command

# A deadline per example measures how busy the machine is, not the code.
hypothesis.settings.register_profile("causeway", deadline=None)
hypothesis.settings.load_profile("causeway")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """ "host:port" of a Firestore emulator, one per worker; use databases or projects of your own in it."""
    with Processes(logs=tmp_path_factory.mktemp("emulator")) as processes:
        port = free_port()
        processes.start("emulator", emulator_command(port), ready=listening(port))
        yield f"127.0.0.1:{port}"


@pytest.fixture
def environment(tmp_path: Path, emulator: str) -> Environment:
    """An isolated local environment: run the CLI in it with `environment.pulumi("up", …, cwd=project)`.

    The emulator behind it is shared, so tests that look at documents use a project of their own.
    """
    return Environment(tmp_path / "environment", emulator).make()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs the emulator is an end-to-end test, marked or not: the unit tests stay quick."""
    for item in items:
        if "emulator" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.e2e)
