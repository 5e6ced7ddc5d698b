"""The backup systems as a Mermaid diagram, from config: what is kept, how often, where, and how it is proved."""

from __future__ import annotations

from collections.abc import Iterator

from causeway.config import Config
from causeway.config.records import Priority
from causeway.report.escape import mermaid

_RHYTHM = {"realtime": "stream, always on", "hourly": "snapshot every hour", "daily": "snapshot every day"}


def diagram(config: Config) -> str:
    """A flowchart, ending in a newline: the application's database on the left, causeway's own records below it."""
    return "\n".join(("flowchart LR", *(f"  {line}" for line in _lines(config)), ""))


def _lines(config: Config) -> Iterator[str]:
    backup = config.backup
    yield f'subgraph application["{mermaid(f"application database {backup.database}")}"]'
    for index, priority in enumerate(backup.priorities):
        yield f'  c{index}["{_label(priority.name.upper(), *priority.collections)}"]'
    states = [name for name, collections in config.hooks.state.items() if collections]
    if states:
        yield f'  states["{_label("state of services", *states)}"]'
    yield "end"
    yield f'archive[("{mermaid(f"archive {backup.archive}")}")]'
    yield 'subgraph own["database causeway"]'
    yield '  kept["service_state_backups"]'
    yield '  journal["migration_checkpoints"]'
    yield '  others["rollback_triggers, performance_baselines, flags, control"]'
    yield "end"
    for index, priority in enumerate(backup.priorities):
        yield f'c{index} -->|"{mermaid(_rhythm(priority))}"| archive'
    if states:
        yield 'states -->|"at every step"| kept'
    if backup.priorities:
        yield 'archive -->|"trial restore, compared by digest"| scratch[("database causeway-verify")]'
        yield 'scratch -->|"result"| journal'
        yield 'archive -.->|"level 4"| application'
    if states:
        yield 'kept -.->|"level 4"| states'


def _rhythm(priority: Priority) -> str:
    return _RHYTHM.get(priority.every, priority.every)


def _label(head: str, *items: str) -> str:
    """A heading and its items, one a line; Mermaid takes `<br>` for a line break in a quoted label."""
    return "<br>".join(mermaid(text) for text in (head, *items))
