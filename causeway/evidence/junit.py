"""Contract tests' JUnit XML as evidence.

A test says which pair of versions it is about by a property, its own or of a suite around it:
`<property name="causeway.pair" value="Consumer@package->Provider@legacy"/>`, with ` (state)` behind it where a call and
state join the two. The format has no standard; this reads
what Surefire, pytest, Jest, Mocha and GoogleTest write: nested `testsuite`, `testcase`, `failure`, `skipped`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import IntEnum
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from causeway.errors import ConfigError
from causeway.evidence.record import Entry, Found, Open, name_of, read_input
from causeway.model.matrix import Evidence, Kind, Pair, Status, Version

PROPERTY = "causeway.pair"
_PAIR = re.compile(
    r"^\s*(?P<c>[^@\s]+)@(?P<cv>legacy|package)\s*->\s*(?P<p>[^@\s]+)@(?P<pv>legacy|package)\s*(\((?P<kind>call|state)\)\s*)?$"
)
_NODES = {"testsuites", "testsuite", "testcase"}
_FAILED = {"failure", "error", "rerunFailure", "rerunError"}
#: What may stand in a test that passed. What is not known to mean so leaves its pair open: a child of another name or
#: another spelling, a word that a tool has of its own.
_HARMLESS = {"properties", "system-out", "system-err"}
_PASSED = {"", "run", "completed", "passed", "pass", "success", "successful", "ok"}

#: What a suite counts: what failed, what is open, all of it.
_COUNTS = (("failures", "errors"), ("skipped", "disabled"), ("tests",))

Key = tuple[str, str, Pair, Kind | None]


class Result(IntEnum):
    """How a test ended; the highest of a pair's tests decides."""

    PASSED = 0
    UNSURE = 1  # skipped, not run, passed only on another try, or said in words that are not known
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Test:
    """One test as far as evidence is concerned."""

    name: str
    result: Result
    pairs: frozenset[Key]
    day: date | None


def read(paths: Iterable[Path], about: Mapping[str, str], today: date) -> Found:
    """Evidence from JUnit files. A pair is verified only if every test that names it passed.

    A failure makes it incompatible; a skipped test leaves it open. Raises ConfigError for what is no such file.
    """
    found: dict[Key, list[Test]] = {}
    for path in paths:
        for test in tests(parse(read_input(path), str(path)), str(path)):
            for key in test.pairs:
                found.setdefault(key, []).append(test)
    entries, unknown = [], []
    for (consumer, provider, pair, kind), of_pair in sorted(
        found.items(), key=lambda item: (name_of(*item[0][:3]), item[0][3] or "")
    ):
        worst = max(of_pair, key=lambda test: test.result)
        if worst.result is Result.UNSURE:
            unknown.append(Open(name_of(consumer, provider, pair), f"{worst.name} is not known to have passed"))
            continue
        code = {name: about[name] for name in (consumer, provider) if name in about}
        entries.append(Entry(consumer, provider, pair, _evidence(of_pair, worst, code, today), kind))
    if not found:
        unknown.append(Open("every pair", f"no test says in the property {PROPERTY} which one it is about"))
    return Found(tuple(entries), tuple(unknown))


def _evidence(of_pair: list[Test], worst: Test, about: Mapping[str, str], today: date) -> Evidence:
    day = min((test.day for test in of_pair if test.day), default=today)
    if worst.result is Result.FAILED:
        failed = sum(test.result is Result.FAILED for test in of_pair)
        why = f"{failed} of {len(of_pair)} contract tests failed, the first: {worst.name}"
        return Evidence(Status.INCOMPATIBLE, why, date=day, about=about)
    return Evidence(Status.VERIFIED, f"contract tests, {len(of_pair)} passed, {day}", date=day, about=about)


# --- the tree -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Around:
    """What the suites around an element say of every test in them."""

    pairs: frozenset[Key] = frozenset()
    day: date | None = None


def tests(root: ElementTree.Element, where: str) -> Iterator[Test]:
    """Every test of the tree. Raises ConfigError for a pair that cannot be read."""
    open_: list[tuple[ElementTree.Element, _Around]] = [(root, _Around())]
    while open_:
        element, around = open_.pop()
        around = replace(
            around, pairs=around.pairs | _pairs(element, where), day=_day(element.get("timestamp")) or around.day
        )
        if _tag(element) == "testcase":
            yield Test(_name(element), _result(element), around.pairs, around.day)
            continue
        yield from _lost(element, around, where)
        open_ += [
            (child, around) for child in reversed(element) if _tag(child) in ("testsuite", "testsuites", "testcase")
        ]


def _lost(suite: ElementTree.Element, around: _Around, where: str) -> Iterator[Test]:
    """What is outside of any test, or counted and not shown: whose it was cannot be told, so it is everybody's."""
    shown = [_result(case) for case in suite.iter() if _tag(case) == "testcase"]
    failed, unsure, tests = (_count(suite, *keys) for keys in _COUNTS)
    if any(_tag(child) in _FAILED for child in suite) or (failed or 0) > shown.count(Result.FAILED):
        result = Result.FAILED
    elif (
        failed is None
        or unsure is None
        or tests is None
        or unsure > shown.count(Result.UNSURE)
        or tests > len(shown)
        or not {_tag(child) for child in suite} <= _NODES | _HARMLESS
    ):
        result = Result.UNSURE
    else:
        return
    pairs = around.pairs.union(*(_pairs(each, where) for each in suite.iter() if _tag(each) in _NODES))
    yield Test(f"{suite.get('name', 'a suite')} outside of its tests", result, pairs, around.day)


def _count(suite: ElementTree.Element, *keys: str) -> int | None:
    """What a suite counts; None where that is no number."""
    words = [suite.get(key, "").strip() or "0" for key in keys]
    return sum(map(int, words)) if all(word.isdecimal() for word in words) else None


def _result(case: ElementTree.Element) -> Result:
    tags = {_tag(child) for child in case}
    said = {case.get(key, "").strip().lower() for key in ("status", "result")}
    if tags & _FAILED or said & {"failed", "failure", "error"}:
        return Result.FAILED
    return Result.PASSED if tags <= _HARMLESS and said <= _PASSED else Result.UNSURE


def _pairs(element: ElementTree.Element, where: str) -> frozenset[Key]:
    values = [
        each.get("value") or each.text or ""
        for group in element
        if _tag(group) == "properties"
        for each in group
        if _tag(each) == "property" and each.get("name") == PROPERTY
    ]
    keys = (_key(value, where) for value in values)
    return frozenset(key for key in keys if key[2] != Pair(Version.LEGACY, Version.LEGACY))


def _key(value: str, where: str) -> Key:
    found = _PAIR.match(value)
    if found is None:
        raise ConfigError(
            f"{where}: property {PROPERTY} says {value!r}, which names no pair",
            "its tests would count for nothing",
            "Write Consumer@package->Provider@legacy.",
        )
    pair = Pair(Version(found["cv"]), Version(found["pv"]))
    return found["c"], found["p"], pair, Kind(found["kind"]) if found["kind"] else None


def _name(case: ElementTree.Element) -> str:
    return ".".join(part for part in (case.get("classname"), case.get("name")) if part) or "a test"


def _day(timestamp: str | None) -> date | None:
    try:
        return datetime.fromisoformat(timestamp).date() if timestamp else None
    except ValueError:
        return None


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


# --- XML that does nothing but say something ----------------------------------------------------------------------


def parse(content: bytes, where: str) -> ElementTree.Element:
    """The tree of an XML file without a document type: that is where entities come from, and JUnit has none.

    Raises ConfigError for anything else.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")

    def refuse(*_: object) -> None:
        raise ConfigError(
            f"{where} declares a document type or an entity", "it could read other files or fill the memory"
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        root = builder.close()
    except (expat.ExpatError, AssertionError, LookupError, ValueError) as error:
        raise ConfigError(f"{where} is not XML: {error}", "nothing was imported") from None
    if _tag(root) not in ("testsuites", "testsuite"):
        raise ConfigError(f"{where} is not JUnit XML: it begins with <{_tag(root)}>", "nothing was imported")
    return root
