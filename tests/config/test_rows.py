"""What is read shape by shape is what the parser reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.config import load, rows
from causeway.errors import ConfigError

HEAD = "config:\n  causeway:matrix:\n    services: {A: {strategy: direct}}\n    interactions:\n"
TAIL = "  causeway:hold: [A]\n"

#: Words that a person may write, in the ways in which YAML lets them be written, and some that it reads otherwise.
PLAIN = st.sampled_from(
    [
        *(
            "A",
            "Service-12",
            "tests",
            "tests, 2025-08-20",
            "2025-08-20",
            "foo - bar",
            "x (y)",
            "a:b",
            "é",
            "R&D",
            "7 tests",
            "7",
            "end  ",
        ),
        *(
            '"tests, 2025"',
            "'it''s'",
            '"a # b"',
            '"tab\\t"',
            "'yes'",
            '"no"',
            '"{x}"',
            '""',
            '"two\n            lines"',
        ),
        *("yes", "No", "null", "~", "on time", "1_000", "0x1F", "1e3", ".5", "causeway", "a\n              b"),
        *("'see: foo, bar'", "'say: \"x\", y'"),
    ]
)
ODD = st.sampled_from(
    ["a # b", "*a", "&a x", "!t x", "- x", "? x", "| ", ">-\n          folded", '"\x07"', "\x85", '"two\n lines"']
)
TIDY = (
    "      - {{consumer: {0}, provider: {1}, evidence: {{p->l: {{verified: {2}, date: {3}}}}}}}\n",
    "      - consumer: {0}\n        provider: {1}\n        evidence:\n          x: {2}\n          y: {3}\n",
    "      - consumer: {0} # not: a, word\n        evidence: {{x: {{verified: {1}}}, y: [{2}, {3}]}}\n",
    "      - consumer: {0}\n\n        # a comment: word\n        list:\n          - {2}\n          - {3}\n",
    "      # a: word\n      - text: |\n          - x: {1}\n\n        y: {2}\n",
)
STRANGE = (
    "      - {{consumer: {0},\n   provider: {1}\n, kind: {2}, {3}\n}}\n",
    "      - {0}\n",
    "      -\n        consumer: {0}\n",
    "  # {0}\n",
    "      - consumer: {0} # {1}\n",
    "      - consumer: {0}\n        consumer: {1}\n",
)


@st.composite
def row(draw: st.DrawFn, templates: tuple[str, ...], words: st.SearchStrategy[str]) -> str:
    return draw(st.sampled_from(templates)).format(*(draw(words) for _ in range(4)))


def plain(text: str) -> Any:
    """What the parser makes of it; None where it is wrong, which is then for the parser to say."""
    try:
        return load._parsed(text)[1]
    except (load.yaml.YAMLError, ValueError):
        return None


@settings(max_examples=200, deadline=None)
@given(st.lists(row(TIDY, PLAIN), min_size=1, max_size=4), st.sampled_from(["", TAIL]))
def test_a_tidy_file_is_read_by_rows_and_says_what_it_says(found: list[str], tail: str) -> None:
    """Prevents: a large file means something else than the same lines in a small one."""
    text = f"{HEAD}      - {{consumer: A}}\n{''.join(found)}{tail}"
    assert repr(by_rows(text)) == repr(plain(text))


@settings(max_examples=200, deadline=None)
@given(st.lists(row(TIDY, PLAIN), max_size=2), row(TIDY + STRANGE, PLAIN | ODD), st.sampled_from(["", TAIL, "---\n"]))
def test_a_strange_file_is_read_by_rows_only_if_it_says_the_same(found: list[str], strange: str, tail: str) -> None:
    """Prevents: the same, where rows hide in texts, refer to each other, or end where they should not."""
    for text in (f"{HEAD}{strange}{''.join(found)}{tail}", f"{HEAD}{''.join(found)}{strange}{tail}"):
        read = by_rows(text)
        assert read is None or repr(read) == repr(plain(text))


def by_rows(text: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "_LARGE", 0)
        found = load._parsed_by_rows(text)
    return found and found[1]


FLOW = "      - {{consumer: S{0}, provider: S1, evidence: {{x: {{verified: tests of {0}, date: 2025-08-20}}}}}}\n"
BLOCK = '      - consumer: S{0}\n        evidence:\n          x:\n            verified: "run {0}, at night"\n'


def test_a_name_that_is_given_twice_is_given_twice_in_a_large_file_too() -> None:
    """Prevents: rows that are parsed one by one hide that the parser refuses all of them together."""
    text = f"{HEAD}      - {{consumer: &a A}}\n      - {{consumer: &a B, provider: *a}}\n"
    assert plain(text) is None
    assert by_rows(text) is None


@pytest.mark.parametrize("shape", [FLOW, BLOCK])
def test_rows_of_one_shape_are_parsed_once(shape: str) -> None:
    """Prevents: ten thousand services take seconds and half a gigabyte before anything is known of them."""
    text = HEAD + "".join(shape.format(number) for number in range(50)) + TAIL
    outline, own = rows.split(text) or ("", [])
    parsed: list[str] = []

    def parse(row: str) -> Any:
        parsed.append(row)
        return load._parsed(row)[1]

    assert list(rows.read(own, parse)) == plain(text)["config"]["causeway:matrix"]["interactions"]
    assert (len(own), len(parsed)) == (50, 1)
    assert plain(outline)["config"]["causeway:matrix"]["interactions"] == [rows.ROWS]
    assert by_rows(text) == plain(text)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("      - {consumer: A, provider: A, kind: sate}\n", "large.yaml:5005: .*is not one of"),
        ("      - {consumer: A, provider: A, kind: call\n", "large.yaml:5006 is not YAML"),
        ("      - {consumer: A, consumer: A}\n", "large.yaml:5005 is not YAML: consumer stands twice"),
        ("  causeway:seed: 2025-01-01T00:00:00Z\n", "large.yaml:5005: causeway:seed has .* without quotes"),
        ("  causeway:testers: [a, 2025-01-01T00:00:00Z]\n", "large.yaml:5005: causeway:testers has"),
    ],
)
def test_a_mistake_in_a_large_file_has_its_line(tmp_path: Path, wrong: str, said: str) -> None:
    file = tmp_path / "large.yaml"
    many = "      - {consumer: A, provider: A, kind: call, routing: request}\n" * 5_000
    file.write_text(f"{HEAD}{many}{wrong}")
    with pytest.raises(ConfigError, match=said):
        load.from_file(file, needs=load.PLAN)
