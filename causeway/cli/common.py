"""What several commands share: naming the stack, reading config, printing facts."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from causeway.errors import ConfigError

if TYPE_CHECKING:
    from causeway.config import Config

P = ParamSpec("P")
T = TypeVar("T")

stack_option = click.option("--stack", metavar="NAME", help="The Pulumi stack; default: the selected one.")
config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Any stack config file; no Pulumi, no cloud.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def print_json(facts: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(facts, ensure_ascii=False, indent=2, default=str))


def config_of(
    stack: str | None,
    config_file: Path | None = None,
    needs: Sequence[str] | None = None,
    *,
    anywhere: bool = False,
) -> Config:
    """The config a command speaks about: a file, a stack by name, or the selected stack.

    A file on its own must have the keys that `needs` names, a stack all that a stack must have. `anywhere` takes a
    position that the plan does not have.
    """
    from causeway.config import from_file, stack_file

    if config_file is not None and stack is not None:
        raise ConfigError("--stack and --config are both given", "they may disagree", "Give one of them.")
    if config_file is not None:
        return from_file(config_file, needs=needs, anywhere=anywhere)
    return from_file(stack_file(stack or selected_stack()), anywhere=anywhere)


def selected_stack() -> str:
    """The stack that `pulumi stack select` has chosen for this folder, without asking Pulumi.

    Pulumi keeps it in its home, in a file named by the project and a digest of its path.
    """
    import hashlib

    if chosen := os.environ.get("PULUMI_STACK"):
        return chosen
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    project = Path("Pulumi.yaml").resolve()
    digest = hashlib.sha1(str(project).encode(), usedforsecurity=False).hexdigest()
    for file in sorted((home / "workspaces").glob(f"*-{digest}-workspace.json")):
        selected = json.loads(file.read_text())
        by_backend = selected.get("stacks") or {}
        name = by_backend.get(os.environ.get("PULUMI_BACKEND_URL")) or next(iter(by_backend.values()), None)
        if name := name or selected.get("stack"):
            return str(name).rsplit("/", 1)[-1]
    raise ConfigError(
        "no stack is selected", "there is nothing to speak about", "`pulumi stack select NAME`, or --stack."
    )


#: Wider than any line: in a pipe or a file nothing is wrapped or cut, unless COLUMNS says how wide it shall be.
_UNBOUND = 10_000


def rich_console(stderr: bool = False) -> Any:
    """A console that uses colour, and lines no longer than it is wide, only on a terminal."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _UNBOUND
    return made


def quietly(command: Callable[P, T]) -> Callable[P, T]:
    """For commands that talk to Google's libraries: no metadata server is asked for on a laptop."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        os.environ.setdefault("METADATA_SERVER_DETECTION", "none")
        return command(*args, **kwargs)

    return run
