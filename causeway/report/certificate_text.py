"""The certificate for the terminal: its status, the order, and what is in the way, with what would mend it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from causeway.model.certificate import Certificate

_STYLE = {"safe": "bold green", "unknown": "bold yellow", "unsafe": "bold red"}
#: How many of each kind of finding are printed; `--json` has them all.
_SHOWN = 20


def render(certificate: Certificate) -> RenderableType:
    """One screen or two; evidence in full is in `--json` and `--markdown`."""
    pairs, groups = len(certificate.exposures), len(certificate.groups)
    head = Text.assemble(
        ("certificate: ", "bold"),
        (str(certificate.status), _STYLE[certificate.status]),
        f", {pairs} pairs of versions meet while {groups} groups move",
    )
    order = Text.assemble(("order: ", "bold"), " → ".join("+".join(group) for group in certificate.groups))
    return Group(head, order, *_conflict(certificate), *_missing(certificate), *_no_return(certificate))


def _conflict(certificate: Certificate) -> Iterator[Text]:
    if not certificate.conflict:
        return
    yield Text("no order exists, for these would all have to hold:", style="bold red")
    for arc in certificate.conflict:
        relation = "is complete before" if arc.strict else "is never behind"
        yield Text(f"  {arc.before} {relation} {arc.after}: {arc.cause}")
    for remedy in certificate.remedies:
        yield Text(f"  remedy: {remedy.text}", style="bold")


def _missing(certificate: Certificate) -> Iterator[Text]:
    names = certificate.plan.positions
    for each in certificate.missing[:_SHOWN]:
        steps = f"{names[each.first].name} … {names[each.last].name}"
        yield Text.assemble(("blocked: ", "bold yellow"), f"{steps}: {each}")
        yield from (Text(f"  {way}") for way in each.unblock)
    if (more := len(certificate.missing) - _SHOWN) > 0:
        yield Text(f"… and {more} more, in --json")


def _no_return(certificate: Certificate) -> Iterator[Text]:
    for point in certificate.no_return[:_SHOWN]:
        known = "acknowledged" if point.acknowledged else "not acknowledged"
        where = certificate.plan.positions[point.at].name
        yield Text(f"point of no return: {point.service} at {where} ({known}); from there on only level 4 goes back")
