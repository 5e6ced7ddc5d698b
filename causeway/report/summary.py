"""The report as Markdown: for a pull request, and as the documentation of a migration that is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from causeway.config import Config
from causeway.model.certificate import Certificate
from causeway.report import backup_diagram, matrix_table, mermaid, story
from causeway.report.comparison import to_optimise
from causeway.report.escape import markdown
from causeway.report.page import between, comparisons
from causeway.report.story import when
from causeway.rollout.account import Account

_BAR = 10


def summary(config: Config, certificate: Certificate, account: Account | None) -> str:
    """Markdown, ending in a newline. Whatever comes from outside is escaped."""
    sections: list[Iterable[str]] = [_head(config, account)]
    if account is not None:
        sections += [_moved(config, account), _compared(config, account), _criteria(account), _went_back(account)]
    sections += [["## The certificate", "", matrix_table.table(certificate).rstrip()]]
    if account is not None:
        sections += [_backups(config, account)]
    sections += [
        _fenced("The matrix", mermaid.diagram(certificate)),
        _fenced("The backup systems", backup_diagram.diagram(config)),
    ]
    return "\n\n".join("\n".join(lines) for section in sections if (lines := list(section))) + "\n"


def _head(config: Config, account: Account | None) -> Iterator[str]:
    here, plan = config.plan[config.position], config.plan
    yield f"# {markdown(config.stack)} at {markdown(here.name)}"
    yield ""
    yield f"Position {here.index + 1} of {len(plan.positions)}, phase {markdown(here.phase)}."
    if config.hold:
        yield f"**Open breakers: {markdown(str(config.hold))}.**"
    if account is not None:
        yield story.sentence(account.records)
        for name, why in account.missing.items():
            yield f"{name} could not be read: {markdown(why)}"
    yield ""
    weights = plan.at(config.position, config.hold).weights
    rows = ((markdown(name), f"`{_bar(weight)}` {weight} %") for name, weight in weights.items())
    yield from _table(("service", "on the package"), rows)


def _moved(config: Config, account: Account) -> Iterator[str]:
    yield from ("## What moved, and when", "")
    rows = (
        (
            markdown(each.service),
            config.matrix.services[each.service].strategy,
            when(each.began),
            when(each.complete),
            str(each.went_back or ""),
            when(each.retired),
        )
        for each in story.courses(config.plan, account.records)
    )
    head = ("service", "strategy", "first users (UTC)", "all users", "went back", "legacy retired")
    yield from _table(head, rows)


def _compared(config: Config, account: Account) -> Iterator[str]:
    found = comparisons(config, account)
    yield from ("## Packages beside their baselines", "")
    rows = (
        (
            markdown(each.service),
            "–" if each.package is None else between(each.package, 1000, "ms"),
            "–" if each.legacy is None else between(each.legacy, 1000, "ms"),
            "–" if each.failures is None else between(each.failures, 100, "%"),
            markdown(each.finding),
        )
        for each in found
    )
    yield from _table(("service", "package", "legacy", "package failed", "finding"), rows)
    if worst := to_optimise(found):
        yield ""
        yield f"**What to optimise:** {', '.join(markdown(each.service) for each in worst)}."


def _criteria(account: Account) -> Iterator[str]:
    yield from ("## What success means, measured", "")
    marks = {True: "✅", False: "❌", None: "–"}
    rows = (
        (marks[each.held], markdown(each.name), markdown(each.measured)) for each in story.criteria(account.records)
    )
    yield from _table(("", "criterion", "measured"), rows)


def _went_back(account: Account) -> Iterator[str]:
    back = story.rollbacks(account.records)
    if not back:
        return
    yield from ("## What went back, and why", "")
    for record in back:
        moved = record.facts.get("traffic_moved_s")
        took = f", traffic moved in {moved:.1f} s" if moved is not None else ""
        yield f"- {when(record.began)} UTC to {markdown(str(record.there))}{took}: {markdown(record.why)}"


def _backups(config: Config, account: Account) -> Iterator[str]:
    yield from ("## Backups", "")
    if not account.backups:
        yield f"There is no backup in {markdown(config.backup.archive)}."
        return
    rows = (
        (markdown(each.id), each.state, when(each.instant), f"{each.documents:,}", when(each.verified))
        for each in reversed(account.backups)
    )
    yield from _table(("backup", "state", "restorable as of (UTC)", "documents", "verified"), rows)


def _fenced(title: str, diagram: str) -> Iterator[str]:
    yield from (f"## {title}", "", "```mermaid", diagram.rstrip(), "```")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield f"| {' | '.join('---' for _ in names)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _bar(weight: int) -> str:
    filled = round(weight * _BAR / 100)
    return "█" * filled + "░" * (_BAR - filled)
