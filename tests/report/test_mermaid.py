"""The diagram of the matrix: golden, and harmless whatever config calls things."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.model.certificate import certify
from causeway.model.matrix import L_P, MIXED, P_L, P_P, Evidence, Interaction, Kind, Matrix, Phase, Service, Status
from causeway.report.matrix_table import table
from causeway.report.mermaid import diagram

V = Evidence(Status.VERIFIED, "contract tests")
X = Evidence(Status.INCOMPATIBLE, "fields | were <renamed>")
HOSTILE = 'A"] end; click s0 "javascript:alert(1)" <img src=x> | `@team` \n# [x](y)'


def small(first: str = "A", second: str = "B") -> Matrix:
    return Matrix(
        {name: Service(name) for name in (first, second, "C")},
        (Phase("low", (first, second)), Phase("empty", ()), Phase("high", ("C",))),
        ("Redis",),
        (
            Interaction(first, second, evidence={P_P: V}),
            Interaction("C", first, evidence={L_P: V}),
            Interaction("C", "Redis", Kind.STATE, evidence={P_L: X}),
        ),
    )


def test_golden() -> None:
    assert diagram(certify(small())) == (
        "flowchart LR\n"
        '  subgraph p0["low"]\n'
        '    subgraph g1["together (1)"]\n'
        '      s0["A"]\n'
        '      s1["B"]\n'
        "    end\n"
        "  end\n"
        '  subgraph p2["high"]\n'
        '    s2["C (2)"]\n'
        "  end\n"
        '  subgraph dependencies["do not migrate"]\n'
        '    s3["Redis"]:::dependency\n'
        "  end\n"
        "  classDef dependency stroke-dasharray: 4 4\n"
        "  classDef blocked stroke:#c00,stroke-width:3px\n"
        '  s0 -->|"call: P→P ✓"| s1\n'
        '  s2 -.->|"call: L→P ✓, P→P ?"| s0\n'
        '  s2 ==>|"state: P→L ✗"| s3\n'
        "  class s2,s0,s3 blocked\n"
    )


def test_table_golden() -> None:
    text = table(certify(small()))
    assert text.startswith(
        "**Certificate: unsafe**, some mixture of versions is known to break.\n\nOrder: A&#43;B → C\n"
    )
    assert (
        "| C | Redis | state | ❌ incompatible: fields &#124; were &#60;renamed&#62; | never meets | never meets |"
        in text
    )
    assert "- high/C/10 … deprecation/retire-legacy: C&#64;package -&#62; A&#64;package" in text


@given(st.text(min_size=1).filter(lambda name: name.strip() and name not in ("B", "C", "Redis")))
def test_any_name_stays_inside_its_label(name: str) -> None:
    """Every line has the shape of a line of the golden diagram, so no name can begin a statement of its own."""
    label = r'[^"<>|`;]*(#\d+;[^"<>|`;]*)*'
    shape = re.compile(
        rf'flowchart LR|  +(subgraph \w+\["{label}"\]|end|s\d+\["{label}"\](:::\w+)?'
        rf'|s\d+ (-->|-\.->|==>)\|"{label}"\| s\d+|classDef .*|class [s\d,]+ blocked)'
    )
    lines = diagram(certify(small(first=name))).split("\n")
    assert lines.pop() == ""
    assert all(shape.fullmatch(line) for line in lines)
    assert len(lines) == len(diagram(certify(small())).split("\n")) - 1


@pytest.mark.parametrize("markup", ["<", "|", "`", "@", "[x]", "\n#"])
def test_hostile_names_are_text_in_a_pull_request(markup: str) -> None:
    """One table row a matrix row, no HTML, no mention, no link."""
    text = table(certify(small(first=HOSTILE)))
    plain = table(certify(small()))
    assert text.count("\n") == plain.count("\n")
    assert text.replace("<br>", "").count(markup) == plain.replace("<br>", "").count(markup)


def test_a_diagram_of_a_verified_matrix_blocks_nothing() -> None:
    matrix = Matrix(
        {"A": Service("A"), "B": Service("B")},
        (Phase("low", ("A", "B")),),
        (),
        (Interaction("A", "B", evidence=dict.fromkeys(MIXED, V)),),
    )
    assert "blocked\n" not in diagram(certify(matrix)).replace("classDef blocked", "")
