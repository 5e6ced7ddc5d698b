"""The certificate for a pull request, in Markdown: its status, what is in the way, and every pair that will meet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from causeway.model.certificate import Certificate, Missing, Safety
from causeway.model.exposure import Exposure, wording
from causeway.model.matrix import MIXED, Interaction, Pair
from causeway.model.plan import label
from causeway.report.escape import markdown

#: How many closures are listed, and names in each; `--json` has them all.
_SHOWN = 50
_MEANING = {
    "safe": "every mixture of versions on this plan is known to work",
    "unknown": "some mixture of versions on this plan has no evidence",
    "unsafe": "some mixture of versions is known to break",
}


def table(certificate: Certificate) -> str:
    """Markdown, ending in a newline. Names and evidence are escaped."""
    return "\n".join((*_head(certificate), *_findings(certificate), *_matrix(certificate), *_closures(certificate), ""))


def _head(certificate: Certificate) -> Iterator[str]:
    yield f"**Certificate: {certificate.status}**, {meaning(certificate)}."
    yield ""
    yield "Order: " + " → ".join(markdown(label(group)) for group in certificate.groups)
    yield ""


def meaning(certificate: Certificate) -> str:
    """What the status says. What an operator has accepted is not known, and stands beside it."""
    count = len(certificate.accepted)
    if not count:
        return _MEANING[certificate.status]
    unknowns = f"{count} accepted unknown{'s' if count > 1 else ''}"
    if certificate.status is Safety.SAFE:
        return f"every mixture of versions on this plan is known to work or accepted: {unknowns}"
    return f"{_MEANING[certificate.status]}, and {unknowns}"


def _findings(certificate: Certificate) -> Iterator[str]:
    names = certificate.plan.positions
    if certificate.conflict:
        yield "**No order exists:**"
        yield ""
        for arc in certificate.conflict:
            yield f"- {markdown(arc.before)} must come before {markdown(arc.after)}: {markdown(str(arc.cause))}"
        for remedy in certificate.remedies:
            yield f"- Remedy: {markdown(remedy.text)}"
        yield ""
    if certificate.missing:
        yield "**Blocked steps:**"
        yield ""
        for each in certificate.missing:
            where = f"{names[each.first].name} … {names[each.last].name}"
            yield f"- {markdown(where)}: {markdown(str(each))}. {markdown('; '.join(each.unblock))}."
        yield ""
    if certificate.accepted:
        yield "**Accepted unknowns:**"
        yield ""
        for accepted in certificate.accepted:
            yield f"- ⚠️ {markdown(accepted.acceptance)}"
        yield ""
    if certificate.no_return:
        yield "**Points of no return:**"
        yield ""
        for point in certificate.no_return:
            where = names[point.at].name
            yield f"- {markdown(point.service)} at {markdown(where)}, {markdown(str(point))}"
        yield ""


def _closures(certificate: Certificate) -> Iterator[str]:
    """What a hold takes along, where that is more than the service itself."""
    larger = ((service, fallen - {service}) for service, fallen in certificate.closures() if len(fallen) > 1)
    lines = [
        f"- {markdown(service)}: {markdown(', '.join(sorted(others)[:_SHOWN]))}{' …' if len(others) > _SHOWN else ''}"
        for service, others in islice(larger, _SHOWN)
    ]
    if lines:
        yield from ("", "**A hold takes along:**", "", *lines)


def _matrix(certificate: Certificate) -> Iterator[str]:
    exposed = {(each.interaction, each.pair): each for each in certificate.exposures}
    missing = {(each.interaction, each.pair): each for each in certificate.missing}
    yield f"| consumer | provider | kind | {' | '.join(markdown(str(pair)) for pair in MIXED)} |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for i in certificate.plan.matrix.interactions:
        cells = [_cell(certificate, i, pair, exposed.get((i, pair)), missing.get((i, pair))) for pair in MIXED]
        yield f"| {markdown(i.consumer)} | {markdown(i.provider)} | {i.kind} | {' | '.join(cells)} |"


def _cell(
    certificate: Certificate, i: Interaction, pair: Pair, exposure: Exposure | None, missing: Missing | None
) -> str:
    said = markdown(wording(i.evidence.get(pair)) or "no evidence")
    if missing is not None:
        return f"❌ {said}"
    if exposure is None:
        return "never meets"
    names = certificate.plan.positions
    how = "converted by the strategy" if exposure.converted else said
    mark = "⚠️" if exposure.accepted else "✅"
    return f"{mark} {how}<br>{markdown(names[exposure.first].name)} … {markdown(names[exposure.last].name)}"
