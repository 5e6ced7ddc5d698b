"""The certificate for the terminal: its status, the order, and what is in the way, with what would mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from rich.console import Group, RenderableType
from rich.text import Text

from causeway.model.certificate import Certificate
from causeway.model.exposure import Exposure
from causeway.model.plan import label

_STYLE = {"safe": "bold green", "unknown": "bold yellow", "unsafe": "bold red"}
#: How many of each kind of finding are printed; `--json` has them all.
_SHOWN = 20


def render(certificate: Certificate) -> RenderableType:
    """A screen or two; all of it is in `--json`."""
    pairs, groups = len(certificate.exposures), len(certificate.groups)
    accepted = len(certificate.accepted)
    head = Text.assemble(
        ("certificate: ", "bold"),
        (str(certificate.status), _STYLE[certificate.status]),
        f", {pairs} pairs of versions meet while {groups} groups move",
        (f", {accepted} of them accepted though nobody knows" if accepted else "", "bold yellow"),
    )
    order = Text.assemble(("order: ", "bold"), " → ".join(map(label, certificate.groups)))
    found = (_conflict, _missing, _no_return, _accepted, _pairs, _closures)
    return Group(head, order, *(line for lines in found for line in lines(certificate)))


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
        yield Text(f"point of no return: {point.service} at {certificate.plan.positions[point.at].name}, {point}")


def _accepted(certificate: Certificate) -> Iterator[Text]:
    lines = (Text(each.acceptance, style="yellow") for each in certificate.accepted)
    yield from _first(lines, len(certificate.accepted))


def _pairs(certificate: Certificate) -> Iterator[Text]:
    """Every exposed pair with where it is first and last met, and why it may be."""
    names = certificate.plan.positions

    def line(each: Exposure) -> Text:
        where = f"{names[each.first].name} … {names[each.last].name}"
        return Text(f"pair: {each}, {where}: {certificate.said(each) or 'no evidence'}")

    yield from _first(map(line, certificate.exposures), len(certificate.exposures))


def _closures(certificate: Certificate) -> Iterator[Text]:
    """What a hold takes along, where that is more than the service itself."""
    larger = ((service, fallen - {service}) for service, fallen in certificate.closures() if len(fallen) > 1)
    shown = list(islice(larger, _SHOWN + 1))
    for service, others in shown[:_SHOWN]:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        yield Text(f"hold closure: {service} takes along {', '.join(sorted(others)[:_SHOWN])}{more}")
    if len(shown) > _SHOWN:
        yield Text("… and more, in --json")


def _first(lines: Iterable[Text], count: int) -> Iterator[Text]:
    yield from islice(lines, _SHOWN)
    if count > _SHOWN:
        yield Text(f"… and {count - _SHOWN} more, in --json")
