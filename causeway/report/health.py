"""The health report and baselines for people: Markdown for files and pull requests, text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from causeway.health.baselines import Baseline, Estimate, words
from causeway.health.reports import Figure, HealthReport, ServiceHealth
from causeway.model.guardrails import percent
from causeway.model.window import Category, Check

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 20
_MARKS = {"ok": "", "warning": "warning", "rollback": "beyond rollback threshold", "missing": "missing"}
_HEADER = ("service", "figure", "package", "legacy", "baseline", "last 30 min", "trend", "")


def markdown(report: HealthReport) -> str:
    """The report as Markdown; whatever comes from outside is escaped."""
    rows = [[_escaped(cell) for cell in row] for row in _rows(report)]
    lines = [f"# Health of {_escaped(report.stack)}", "", _escaped(_when(report)), ""]
    lines += [f"> {_escaped(note)}" for note in report.notes] + ([""] if report.notes else [])
    lines += [_markdown_row(_HEADER), _markdown_row(["---"] * len(_HEADER)), *map(_markdown_row, rows), ""]
    lines += ["## Checks", "", _markdown_row(("category", "in order", "failed", "missing"))]
    lines += [_markdown_row(["---"] * 4), *(_markdown_row(row) for row in _categories(report)), ""]
    lines += [f"- **{_said(check)}** {_escaped(_described(check))}" for check in report.checks]
    return "\n".join(lines).rstrip() + "\n"


def text(report: HealthReport) -> str:
    """The report for a terminal."""
    lines = [f"Health of {report.stack}", _when(report), *(f"! {note}" for note in report.notes), ""]
    lines += [*table(_HEADER, _rows(report)), ""]
    lines += table(("category", "in order", "failed", "missing"), _categories(report))
    lines += [f"{_said(check)}: {_described(check)}" for check in report.checks]
    return "\n".join(_printable(line) for line in lines) + "\n"


def baselines(found: Mapping[str, Baseline], q: float, now: datetime, max_age: float) -> str:
    """Baselines as a table for a terminal, each figure with its confidence bounds."""
    header = ("service", "measured until", "for", "requests", f"{percent(q)} within", "error rate", "availability", "")
    rows = [
        (
            name,
            f"{each.until:%Y-%m-%d %H:%M} UTC",
            words(timedelta(seconds=each.seconds)),
            f"{each.errors.total:,}",
            _between(each.response_time(q), _seconds),
            _between(each.error_rate(), percent),
            _between(each.availability(), percent),
            "stale" if each.stale(now, max_age) else "",
        )
        for name, each in sorted(found.items())
    ]
    return "\n".join(_printable(line) for line in table(header, rows)) + "\n"


def sparkline(values: Sequence[float | None], width: int = _WIDTH) -> str:
    """The last values as bars between their least and their greatest; a dot is a value that is missing."""
    shown = values[-width:]
    known = [value for value in shown if value is not None]
    if not known:
        return "·" * len(shown)
    low, span = min(known), max(known) - min(known)
    return "".join(
        "·" if value is None else _BARS[round((value - low) / span * (len(_BARS) - 1)) if span else 0]
        for value in shown
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of aligned columns."""
    every = [header, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every]


def _when(report: HealthReport) -> str:
    return f"Position {report.position}, {report.since:%Y-%m-%d %H:%M:%S} to {report.at:%H:%M:%S} UTC"


def _rows(report: HealthReport) -> list[tuple[str, ...]]:
    return [row for service in report.services for row in _service(service)]


def _service(service: ServiceHealth) -> Iterable[tuple[str, ...]]:
    """A row per figure; the first names the service, its weight and its build."""
    legacy = {figure.name: figure for figure in service.legacy}
    name = f"{service.service} at {service.weight} %" + (f" (build {service.build})" if service.build else "")
    for figure in (*service.package, service.demand):
        beside = legacy.get(figure.name)
        yield (
            name,
            figure.name.replace("_", " "),
            _shown(figure),
            _shown(beside) if beside is not None else "",
            _number(figure.name, figure.baseline),
            sparkline(figure.course),
            _trend(figure),
            figure.missing or _MARKS[figure.state] if figure.state != "ok" else "",
        )
        name = ""


def _shown(figure: Figure) -> str:
    return _number(figure.name, figure.value)


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name == "response_time":
        return _seconds(value)
    if name == "demand":
        return f"{value:.3g} /s"
    return percent(value) if value <= 1 else f"{value * 100:.4g} %"


def _trend(figure: Figure) -> str:
    """The direction, and the change per hour with its bounds where there is a direction."""
    found = figure.trend
    if found is None:
        return ""
    if found.word == "steady":
        return "steady"
    low, high = sorted((abs(found.low), abs(found.high)))
    slope, low_said, high_said = (_change(figure.name, each) for each in (abs(found.slope), low, high))
    return f"{found.word} by {slope} an hour ({low_said} to {high_said})"


def _change(name: str, value: float) -> str:
    """A difference between two values; of shares, in percentage points."""
    return _number(name, value) if name in ("response_time", "demand") else f"{value * 100:.3g} points"


def _seconds(value: float) -> str:
    if math.isinf(value):
        return "beyond the histogram"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _between(estimate: Estimate | None, unit: Callable[[float], str]) -> str:
    if estimate is None:
        return "–"
    return f"{unit(estimate.value)} ({unit(estimate.low)} to {unit(estimate.high)})"


def _categories(report: HealthReport) -> list[tuple[str, ...]]:
    """What the checks said; performance has no checks, its guardrails stand above."""
    return [
        (
            category.words,
            str(report.passed.get(category, 0)),
            *(
                str(sum(check.category is category and check.passed is said for check in report.checks))
                for said in (False, None)
            ),
        )
        for category in Category
        if category is not Category.PERFORMANCE
    ]


def _count(checks: Iterable[Check], category: Category, said: bool | None) -> int:
    return sum(check.category is category and check.passed is said for check in checks)


def _said(check: Check) -> str:
    return "missing" if check.passed is None else "failed"


def _described(check: Check) -> str:
    return f"{check.name} ({check.service or 'whole stack'}): {check.detail}"


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Text that Markdown and HTML take as it is."""
    for plain, safe in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "\\|"),
        ("`", "\\`"),
        ("*", "\\*"),
        ("[", "\\["),
    ):
        text = text.replace(plain, safe)
    return " ".join(text.split())


def _printable(line: str) -> str:
    """A line without what could move a terminal's cursor."""
    return "".join(char if char.isprintable() else "�" for char in line)
