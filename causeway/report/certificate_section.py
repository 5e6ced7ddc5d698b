"""The certificate as a section of the page: status, order, what is in the way, and every pair with its evidence."""

from __future__ import annotations

from collections.abc import Iterator

from causeway.model.certificate import Certificate
from causeway.model.exposure import wording
from causeway.model.matrix import MIXED, Interaction, Pair
from causeway.model.plan import label
from causeway.report.html import Markup, element, join, table
from causeway.report.matrix_table import meaning


def certificate_section(certificate: Certificate) -> Markup:
    """Heading, findings and the table of interactions."""
    said = meaning(certificate)
    order = " → ".join(map(label, certificate.groups))
    head = [
        element("h2", f"The certificate: {certificate.status}"),
        element("p", f"{said[0].upper()}{said[1:]}. Order: {order}."),
    ]
    findings = [element("p", each, class_="alarm") for each in _findings(certificate)]
    return join([*head, *findings, _pairs(certificate)])


def _findings(certificate: Certificate) -> Iterator[str]:
    names = certificate.plan.positions
    for arc in certificate.conflict:
        yield f"no order: {arc.before} must come before {arc.after}, because {arc.cause}"
    for remedy in certificate.remedies:
        yield f"remedy: {remedy.text}"
    for each in certificate.missing:
        unblock = "; ".join(each.unblock)
        yield f"blocked from {names[each.first].name} to {names[each.last].name}: {each}. {unblock}."
    for accepted in certificate.accepted:
        yield accepted.acceptance
    for point in certificate.no_return:
        yield f"point of no return of {point.service} at {names[point.at].name}: {point.interaction}, {point}"


def _pairs(certificate: Certificate) -> Markup:
    met = {(each.interaction, each.pair): each for each in certificate.exposures}
    missing = {(each.interaction, each.pair) for each in certificate.missing}
    names = certificate.plan.positions

    def cell(i: Interaction, pair: Pair) -> object:
        said, exposure = wording(i.evidence.get(pair)) or "no evidence", met.get((i, pair))
        if (i, pair) in missing:
            return element("span", f"✗ {said}", class_="bad")
        if exposure is None:
            return element("span", "never meets", class_="soft")
        how = "converted by the strategy" if exposure.converted else said
        where = f"{names[exposure.first].name} … {names[exposure.last].name}"
        mark, tone = ("⚠", "bad") if exposure.accepted else ("✓", "good")
        return [element("span", f"{mark} {how}", class_=tone), element("br"), element("span", where, class_="soft")]

    rows = (
        (f"{i.consumer} → {i.provider}", i.kind.value, *(cell(i, pair) for pair in MIXED))
        for i in certificate.plan.matrix.interactions
    )
    return table(("interaction", "kind", *(f"{p.consumer} → {p.provider}" for p in MIXED)), rows)
