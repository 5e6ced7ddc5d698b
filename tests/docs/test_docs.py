"""The documentation names what exists: links, commands, config keys, strategies, exit codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from causeway.cli import COMMANDS, cli
from causeway.config import keys
from causeway.errors import Exit
from causeway.model.strategies import RECIPES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Commands that share a page.
SHARED = {"disarm": "arm"}


def pages(command: str) -> str:
    """What the command's page says, and those of its subcommands that have one."""
    name = SHARED.get(command, command)
    folder = ROOT / "docs" / "commands"
    return "\n".join(file.read_text() for file in (folder / f"{name}.md", *folder.glob(f"{name}-*.md")))


def links(text: str) -> Iterator[str]:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return (link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not link.startswith(("http://", "https://")))


def anchors(text: str) -> set[str]:
    """The anchors a forge makes of headings: lower case, punctuation dropped, spaces as hyphens."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_somewhere(file: Path) -> None:
    for link in links(file.read_text()):
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), f"{file}: {link}"
        assert not anchor or anchor in anchors(target.read_text()), f"{file}: {link}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_that_names_its_options(name: str) -> None:
    """Prevents an option that nobody can find, and a page about one that is gone."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    text = pages(name)
    commands = [command, *command.commands.values()] if isinstance(command, click.Group) else [command]
    options = {opt for each in commands for param in each.params for opt in param.opts if opt.startswith("--")}
    assert [option for option in sorted(options) if option not in text] == []


def test_every_key_of_config_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "config.md").read_text()
    assert [key for key in keys() if f"`causeway:{key}`" not in text] == []
    documented = set(re.findall(r"^\| `causeway:(\w+)`", text, flags=re.MULTILINE))
    assert documented == set(keys())


def test_every_strategy_and_its_actions_are_documented() -> None:
    text = (ROOT / "docs" / "reference" / "strategies.md").read_text()
    for recipe in RECIPES.values():
        names = [recipe.name, *(action.name for action in (*recipe.before, *recipe.after)), *recipe.going_back]
        assert [name for name in names if f"`{name}`" not in text] == []


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    assert [code for code in Exit if f"| {code.value} | `{code.name}` |" not in text] == []
