"""Contract tests become evidence, and never more than they say."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.errors import ConfigError, Exit
from causeway.evidence import junit
from causeway.evidence.record import Found
from causeway.model.matrix import Status

DATA = Path("tests/data/junit")
TODAY = date(2025, 9, 1)
PAIR = "Consumer@package->Provider@legacy"
PROPERTY = f'<properties><property name="causeway.pair" value="{PAIR.replace(">", "&gt;")}"/></properties>'


def read(*names: str) -> Found:
    return junit.read([DATA / name for name in names], {}, TODAY)


def of(tmp_path: Path, xml: str) -> Found:
    file = tmp_path / "report.xml"
    file.write_text(xml)
    return junit.read([file], {"Consumer": "1.2.0", "Other": "9"}, TODAY)


def outcomes(found: Found) -> dict[str, str]:
    return {str(entry): entry.evidence.status for entry in found.entries} | {
        each.what: "unknown" for each in found.unknown
    }


def test_what_pytest_writes() -> None:
    assert outcomes(read("pytest.xml")) == {
        "ImprovementOrchestrator@package->ActionOrchestrator@legacy": Status.VERIFIED,
        "ActionOrchestrator@legacy->ImprovementOrchestrator@package": Status.INCOMPATIBLE,
        "RecommendationGenerator@package->CircuitBreakerCore@legacy": "unknown",
    }


def test_what_surefire_writes_of_a_suite_with_two_pairs() -> None:
    assert outcomes(read("surefire.xml")) == {
        "RecommendationOrchestrator@legacy->CVAnalyzer@package": Status.VERIFIED,
        "RecommendationOrchestrator@package->CVAnalyzer@package": Status.VERIFIED,
    }


def test_what_jest_writes_is_dated_by_its_suite() -> None:
    found = read("jest.xml")
    assert [entry.as_dict() for entry in found.entries] == [
        {
            "consumer": "CacheManager",
            "provider": "CacheKeyManager",
            "pair": "package->legacy",
            "verified": "contract tests, 2 passed, 2025-08-20",
            "date": "2025-08-20",
        },
        {
            "consumer": "CircuitBreakerCore",
            "provider": "RecommendationGenerator",
            "pair": "legacy->package",
            "incompatible": "1 of 2 contract tests failed, the first: fallback of nothing.fallback of nothing",
            "date": "2025-08-23",
        },
    ]
    assert found.code is Exit.UNSAFE


def test_a_disabled_test_of_googletest_leaves_its_pair_open() -> None:
    found = read("googletest.xml")
    assert (found.entries, found.code) == ((), Exit.HELD)
    assert found.unknown[0].what == "CircuitBreakerCore@package->RetryManager@legacy"


def test_a_failure_in_any_file_counts_against_a_pass_in_another(tmp_path: Path) -> None:
    passed, failed = tmp_path / "passed.xml", tmp_path / "failed.xml"
    passed.write_text(f'<testsuite name="a">{PROPERTY}<testcase name="t"/></testsuite>')
    failed.write_text(f'<testsuite name="a">{PROPERTY}<testcase name="t"><error/></testcase></testsuite>')
    assert outcomes(junit.read([passed, failed], {}, TODAY)) == {PAIR: Status.INCOMPATIBLE}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<testcase name="t"/>', Status.VERIFIED),
        ('<testcase name="t"/><testcase name="u"><skipped/></testcase>', "unknown"),
        ('<testcase name="t"><flakyFailure/></testcase>', "unknown"),
        ('<testcase name="t" status="failed"/>', Status.INCOMPATIBLE),
        ('<testcase name="t"/><error message="worker died"/>', Status.INCOMPATIBLE),
        ('<testsuite failures="2"><testcase name="t"/></testsuite>', Status.INCOMPATIBLE),
        ('<testsuite failures="1"><testcase name="t"><failure/></testcase></testsuite>', Status.INCOMPATIBLE),
        ('<testsuite tests="3" skipped="1"><testcase name="t"/></testsuite>', "unknown"),
        ('<testsuite skipped="1"><testcase name="t"/></testsuite>', "unknown"),
        ('<testsuite tests="2"><testcase name="t"/></testsuite>', "unknown"),
        ('<testsuite tests="2" skipped="1"><testcase name="t"/><testcase><skipped/></testcase></testsuite>', "unknown"),
        ('<testsuite tests="1" skipped="0"><testcase name="t"/></testsuite>', Status.VERIFIED),
        ('<testsuite failures="many"><testcase name="t"/></testsuite>', "unknown"),
        ('<testsuite failures="1.0"><testcase name="t"/></testsuite>', "unknown"),
        ('<testsuite failures=" 1 "><testcase name="t"/></testsuite>', Status.INCOMPATIBLE),
        ('<testsuite tests=" 1 " failures=""><testcase name="t"/></testsuite>', Status.VERIFIED),
        ('<testsuite><testcase name="t"/><Failure/></testsuite>', "unknown"),
        ('<testcase name="t" status="aborted"/>', "unknown"),
        ('<testcase name="t" status="timeout"/>', "unknown"),
        ('<testcase name="t" result="inconclusive"/>', "unknown"),
        ('<testcase name="t"><Failure/></testcase>', "unknown"),
        ('<testcase name="t" status="run" result="completed"><system-out>a</system-out></testcase>', Status.VERIFIED),
        ('<testcase name="t" status="Passed"/>', Status.VERIFIED),
    ],
)
def test_a_pair_is_verified_by_what_is_known_to_have_passed_and_nothing_else(
    tmp_path: Path, body: str, expected: str
) -> None:
    assert outcomes(of(tmp_path, f'<testsuites><testsuite name="s">{PROPERTY}{body}</testsuite></testsuites>')) == {
        PAIR: expected
    }


def test_a_test_may_say_that_it_is_about_state(tmp_path: Path) -> None:
    """Prevents: contract tests of calls certify the state of the same two services."""
    both = PROPERTY.replace("@legacy", "@legacy (state)"), PROPERTY
    found = of(
        tmp_path, "".join(("<testsuites>", *(f"<testsuite>{p}<testcase/></testsuite>" for p in both), "</testsuites>"))
    )
    assert [(str(entry), entry.as_dict().get("kind")) for entry in found.entries] == [
        (PAIR, None),
        (f"{PAIR} (state)", "state"),
    ]


def test_evidence_is_about_the_code_that_was_told(tmp_path: Path) -> None:
    found = of(tmp_path, f"<testsuite>{PROPERTY}<testcase/></testsuite>")
    assert found.entries[0].as_dict()["about"] == {"Consumer": "1.2.0"}


def test_legacy_with_legacy_needs_no_evidence_and_silence_is_no_evidence(tmp_path: Path) -> None:
    value = "Consumer@legacy->Provider@legacy"
    found = of(
        tmp_path,
        f'<testsuite><properties><property name="causeway.pair">{value.replace(">", "&gt;")}</property></properties>'
        "<testcase/></testsuite>",
    )
    assert (found.entries, found.code) == ((), Exit.HELD)
    assert "causeway.pair" in found.unknown[0].why


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite name="&a;"/>',
        '<!DOCTYPE t [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><testsuite name="&b;"/>',
        '<!DOCTYPE testsuite SYSTEM "http://127.0.0.1/t.dtd"><testsuite/>',
        "<testsuite>",
        "",
        "not xml",
        "<html/>",
        '<?xml version="1.0" encoding="klingon"?><testsuite/>',
        '<testsuite><properties><property name="causeway.pair" value="A->B"/></properties><testcase/></testsuite>',
    ],
)
def test_what_is_no_report_is_refused_with_its_name(tmp_path: Path, xml: str) -> None:
    with pytest.raises(ConfigError, match=r"report\.xml"):
        of(tmp_path, xml)


def test_a_file_that_is_not_there_is_one_message() -> None:
    with pytest.raises(ConfigError, match=r"gone\.xml cannot be read"):
        read("gone.xml")


PAIRS = [f"{c}@{cv}->{p}@{pv}" for c in "AB" for cv in ("legacy", "package") for p in "BC" for pv in ("package",)]


@st.composite
def suites(draw: st.DrawFn, depth: int = 3) -> ElementTree.Element:
    """Any tree of suites and tests, with pairs and results anywhere."""
    leaf = depth == 0 or draw(st.booleans())
    node = ElementTree.Element("testcase" if leaf else "testsuite", name=draw(st.sampled_from("xyz")))
    if said := draw(st.lists(st.sampled_from(PAIRS), max_size=2)):
        properties = ElementTree.SubElement(node, "properties")
        for value in said:
            ElementTree.SubElement(properties, "property", name="causeway.pair", value=value)
    if leaf:
        for tag in draw(st.lists(st.sampled_from(["failure", "error", "skipped", "system-out"]), max_size=2)):
            ElementTree.SubElement(node, tag)
    else:
        node.extend(draw(st.lists(suites(depth - 1), max_size=3)))
    return node


def failed_pairs(node: ElementTree.Element, around: frozenset[str] = frozenset()) -> set[str]:
    """The oracle: recursive, and by its own reading of the tree."""
    mine = around | {each.attrib["value"] for each in node.findall("properties/property")}
    if node.tag == "testcase":
        return set(mine) if node.find("failure") is not None or node.find("error") is not None else set()
    return {pair for child in node if child.tag.startswith("test") for pair in failed_pairs(child, mine)}


@given(st.lists(suites(), max_size=3))
def test_no_tree_verifies_a_pair_of_which_a_test_failed(
    tmp_path_factory: pytest.TempPathFactory, trees: list[ElementTree.Element]
) -> None:
    root = ElementTree.Element("testsuites")
    root.extend(trees)
    file = tmp_path_factory.mktemp("tree") / "report.xml"
    file.write_bytes(ElementTree.tostring(root))
    found = junit.read([file], {}, TODAY)
    failed = failed_pairs(root)
    assert {str(e) for e in found.entries if e.evidence.status is Status.INCOMPATIBLE} == failed
    assert not {str(e) for e in found.entries if e.evidence.status is Status.VERIFIED} & failed
