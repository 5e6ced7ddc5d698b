"""Weights over the positions of the plan, as inline SVG: one lane a service, filled as high as its weight.

A lane is one path made of its changes, so a plan of a thousand services is still linear to draw and to read.
"""

from __future__ import annotations

from collections.abc import Iterator

from causeway.model.plan import Plan, Position
from causeway.report.html import Markup, element

_LABEL, _WIDTH, _LANE, _GAP, _HEAD = 210, 760, 26, 6, 22
#: A place that is reached lies left of the mark, so the mark stands behind its column.
_ALL = 100


def chart(plan: Plan, here: str, caps: dict[str, int]) -> Markup:
    """The plan, the position where the stack stands, and the caps of open breakers (service -> percent).

    What lies ahead of the position is faded.
    """
    lanes = list(plan.matrix.services)
    column = _WIDTH / len(plan.positions)
    height = _HEAD + len(lanes) * (_LANE + _GAP)
    reached = _LABEL + column * (plan[here].index + 1)
    return element(
        "svg",
        *_phases(plan, column, height),
        *(_lane(plan, name, index, column) for index, name in enumerate(lanes)),
        element(
            "rect", class_="ahead", x=_n(reached), y=_HEAD, width=_n(_LABEL + _WIDTH - reached), height=height - _HEAD
        ),
        *(_cap(name, index, caps[name], reached) for index, name in enumerate(lanes) if name in caps),
        element("line", class_="here", x1=_n(reached), x2=_n(reached), y1=_HEAD - 4, y2=height),
        viewBox=f"0 0 {_LABEL + _WIDTH + 8} {height}",
        role="img",
        aria_label=f"weights of {len(lanes)} services over {len(plan.positions)} positions; the stack stands at {here}",
    )


def _phases(plan: Plan, column: float, height: int) -> Iterator[Markup]:
    """The name of each phase above its first position, and a line down from there."""
    before = None
    for position in plan:
        if position.phase == before:
            continue
        before = position.phase
        x = _LABEL + column * position.index
        wide = sum(each.phase == position.phase for each in plan) * column > 60
        yield element("line", class_="phase", x1=_n(x), x2=_n(x), y1=_HEAD - 4, y2=height)
        if wide:
            yield element("text", position.phase, class_="label", x=_n(x + 4), y=12)


def _lane(plan: Plan, name: str, index: int, column: float) -> Markup:
    bottom = _HEAD + index * (_LANE + _GAP) + _LANE
    return element(
        "g",
        element("title", name),
        element("text", name, class_="service", x=_LABEL - 8, y=bottom - 8, text_anchor="end"),
        element("line", class_="floor", x1=_LABEL, x2=_LABEL + _WIDTH, y1=bottom, y2=bottom),
        element("path", class_="package", d=_path(plan, name, bottom, column)),
    )


def _path(plan: Plan, name: str, bottom: int, column: float) -> str:
    """Up at each rung, straight on to the next one, down at the end."""
    rungs = [position for position in plan if name in position.changes]
    if not rungs:
        return ""
    start = f"M{_n(_x(rungs[0], column))} {bottom}"
    steps = (f"H{_n(_x(each, column))}V{_n(bottom - _LANE * each.changes[name] / _ALL)}" for each in rungs)
    return "".join([start, *steps, f"H{_LABEL + _WIDTH}V{bottom}Z"])


def _x(position: Position, column: float) -> float:
    return _LABEL + column * position.index


def _cap(name: str, index: int, cap: int, reached: float) -> Markup:
    """An open breaker: what is above the cap is legacy's, whatever the position says."""
    bottom = _HEAD + index * (_LANE + _GAP) + _LANE
    y = bottom - _LANE * cap / _ALL
    mark = element(
        "line",
        element("title", f"{name} is held at {cap} %"),
        class_="cap",
        x1=_LABEL,
        x2=_n(reached),
        y1=_n(y),
        y2=_n(y),
    )
    return element("g", mark, element("text", f"held at {cap} %", class_="held", x=_n(reached + 4), y=_n(bottom - 8)))


def _n(value: float) -> str:
    """A coordinate without needless digits."""
    return f"{value:.1f}".removesuffix(".0")
