"""Prometheus's own tools: Debian's package `prometheus` has both."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import settings


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"LOUD: {name} is not installed, nothing holds the PromQL here; `apt-get install -y prometheus`")
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    return tool("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    return tool("prometheus")


# What is slow on a busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
