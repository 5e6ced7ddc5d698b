"""Which stack a command speaks about: the one that is named, chosen by Pulumi's environment, or selected."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from causeway.cli.common import selected_stack
from causeway.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Pulumi home, and a project in the present folder."""
    for name in ("PULUMI_STACK", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "home" / "workspaces").mkdir(parents=True)
    return tmp_path / "home"


def select(home: Path, facts: object) -> None:
    """What `pulumi stack select` leaves: a file named by the project and a digest of its path."""
    digest = hashlib.sha1(str(Path("Pulumi.yaml").resolve()).encode(), usedforsecurity=False).hexdigest()
    (home / "workspaces" / f"causeway-{digest}-workspace.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"stack": "local"}, "local"),
        ({"stack": "organization/causeway/local"}, "local"),
        ({"stacks": {"file:///state": "organization/causeway/prod"}}, "prod"),
    ],
)
def test_the_selected_stack_is_the_one_pulumi_has_selected(home: Path, facts: object, name: str) -> None:
    select(home, facts)
    assert selected_stack() == name


def test_each_backend_has_its_own_selection(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    select(home, {"stacks": {"file:///a": "a", "file:///b": "b"}})
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///b")
    assert selected_stack() == "b"


def test_the_environment_goes_before_the_selection(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    select(home, {"stack": "local"})
    monkeypatch.setenv("PULUMI_STACK", "prod")
    assert selected_stack() == "prod"


@pytest.mark.parametrize("facts", [{}, None])
def test_where_none_is_selected_it_says_how(home: Path, facts: object) -> None:
    """Also where the selection of another project is there: its digest is not this one's."""
    (home / "workspaces" / "other-0000-workspace.json").write_text('{"stack": "other"}')
    if facts is not None:
        select(home, facts)
    with pytest.raises(ConfigError, match="no stack is selected"):
        selected_stack()
