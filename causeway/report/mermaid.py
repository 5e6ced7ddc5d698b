"""The matrix as a Mermaid diagram: phases, groups that move together, and what is known of every interaction.

Generated from the certificate, so it is never stale. Names appear in quoted, escaped labels only, never as ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from causeway.model.certificate import Certificate
from causeway.model.matrix import MIXED, Evidence, Interaction, Pair, Status
from causeway.model.order import Group
from causeway.report.escape import mermaid

_STYLES = (
    "classDef dependency stroke-dasharray: 4 4",
    "classDef blocked stroke:#c00,stroke-width:3px",
)


def diagram(certificate: Certificate) -> str:
    """A flowchart, ending in a newline.

    An arrow goes from consumer to provider and names the pairs that will meet: thick where one is known to break,
    dotted where one is not known to work, solid otherwise. `P→L ✓`: the consumer's package with the provider's legacy.
    """
    return "\n".join(("flowchart LR", *(f"  {line}" for line in _lines(certificate)), ""))


def _lines(certificate: Certificate) -> Iterator[str]:
    matrix = certificate.plan.matrix
    ids = {name: f"s{number}" for number, name in enumerate((*matrix.services, *matrix.dependencies))}
    numbered: dict[str, list[tuple[int, Group]]] = {phase.name: [] for phase in matrix.phases}
    for number, group in enumerate(certificate.groups, 1):
        numbered[matrix.phase_of[group[0]]].append((number, group))
    for index, (phase, groups) in enumerate(numbered.items()):
        if groups:
            yield f'subgraph p{index}["{mermaid(phase)}"]'
            yield from (f"  {line}" for number, group in groups for line in _group(number, group, ids))
            yield "end"
    if matrix.dependencies:
        yield 'subgraph dependencies["do not migrate"]'
        yield from (f'  {ids[name]}["{mermaid(name)}"]:::dependency' for name in matrix.dependencies)
        yield "end"
    yield from _STYLES
    yield from _interactions(certificate, ids)


def _interactions(certificate: Certificate, ids: Mapping[str, str]) -> Iterator[str]:
    missing = {each.interaction for each in certificate.missing}
    breaks = {each.interaction for each in certificate.missing if each.incompatible}
    meets = {(each.interaction, each.pair) for each in certificate.exposures}
    meets |= {(each.interaction, each.pair) for each in certificate.missing}
    blocked: dict[str, None] = {}
    for i in certificate.plan.matrix.interactions:
        arrow = "==>" if i in breaks else "-.->" if i in missing else "-->"
        label = _label(i, [pair for pair in MIXED if (i, pair) in meets])
        yield f'{ids[i.consumer]} {arrow}|"{mermaid(label)}"| {ids[i.provider]}'
        if i in missing:
            blocked |= {ids[i.consumer]: None, ids[i.provider]: None}
    if blocked:
        yield f"class {','.join(blocked)} blocked"


def _group(number: int, group: Group, ids: Mapping[str, str]) -> Iterator[str]:
    """Services with their place in the order, framed where they move together."""
    # No "1. name": Mermaid reads a numbered list into it.
    if len(group) == 1:
        yield f'{ids[group[0]]}["{mermaid(f"{group[0]} ({number})")}"]'
        return
    yield f'subgraph g{number}["together ({number})"]'
    yield from (f'  {ids[name]}["{mermaid(name)}"]' for name in group)
    yield "end"


def _label(interaction: Interaction, pairs: Sequence[Pair]) -> str:
    said = [f"{p.consumer[0].upper()}→{p.provider[0].upper()} {_mark(interaction.evidence.get(p))}" for p in pairs]
    return f"{interaction.kind}: {', '.join(said) or 'never mixed'}"


def _mark(evidence: Evidence | None) -> str:
    if evidence is None:
        return "?"
    if evidence.status is Status.INCOMPATIBLE:
        return "✗"
    if evidence.stale:
        return "? (stale)"
    return "✓ (accepted)" if evidence.accepted else "✓"
