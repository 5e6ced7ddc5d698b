"""The certificate for a pull request, in Markdown: its status, what is in the way, and every pair that will meet."""

from __future__ import annotations

from collections.abc import Iterator

from causeway.model.certificate import Certificate, Missing
from causeway.model.exposure import Exposure, wording
from causeway.model.matrix import MIXED, Interaction, Pair
from causeway.report.escape import markdown

_MEANING = {
    "safe": "every mixture of versions on this plan is known to work",
    "unknown": "some mixture of versions on this plan has no evidence",
    "unsafe": "some mixture of versions is known to break",
}


def table(certificate: Certificate) -> str:
    """Markdown, ending in a newline. Names and evidence are escaped."""
    return "\n".join((*_head(certificate), *_findings(certificate), *_matrix(certificate), ""))


def _head(certificate: Certificate) -> Iterator[str]:
    yield f"**Certificate: {certificate.status}**, {_MEANING[certificate.status]}."
    yield ""
    yield "Order: " + " → ".join(markdown("+".join(group)) for group in certificate.groups)
    yield ""


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
    if certificate.no_return:
        yield "**Points of no return:**"
        yield ""
        for point in certificate.no_return:
            known = "acknowledged" if point.acknowledged else "not acknowledged"
            where = names[point.at].name
            yield f"- {markdown(point.service)} cannot go back once {markdown(where)} is reached ({known})"
        yield ""


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
    return f"✅ {how}<br>{markdown(names[exposure.first].name)} … {markdown(names[exposure.last].name)}"
