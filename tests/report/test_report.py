"""The page and the Markdown of a stack: golden, complete, and harmless whatever a stack holds."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from causeway.config import Config
from causeway.model.certificate import Certificate, certify
from causeway.report.backup_diagram import diagram
from causeway.report.html import document, element
from causeway.report.page import page
from causeway.report.summary import summary
from causeway.rollout.account import Account
from tests.report.accounts import account, config, record

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = '"><script>alert(1)</script><img src=http://evil.example/x> [a](http://evil.example) @team | `x`'


class Seen(HTMLParser):
    """Which elements a page has, with their attributes, and that each one ends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def judged(made: Config) -> Certificate:
    return certify(made.matrix, made.plan)


def whole(found: Account | None = None) -> tuple[str, Seen]:
    made = config()
    text = page(made, judged(made), found)
    return text, Seen(text)


@pytest.mark.parametrize(
    ("name", "found"), [("report.md", account()), ("plan.md", None)], ids=["of a stack", "of a config alone"]
)
def test_golden_markdown(name: str, found: Account | None) -> None:
    made = config()
    golden = GOLDEN / name
    assert summary(made, judged(made), found) == golden.read_text(), f"if this is meant, write it to {golden}"


def test_golden_page() -> None:
    golden = GOLDEN / "report.html"
    style = re.compile(r"<style>.*?</style>", re.DOTALL)
    body = style.sub("<style/>", whole(account())[0]).replace("><", ">\n<")
    body = re.sub(r"sha256-[^']+", "sha256-…", body)
    assert body == golden.read_text(), f"if this is meant, write it to {golden}"


def test_golden_backup_diagram() -> None:
    assert diagram(config()) == (GOLDEN / "backup.mmd").read_text()


def test_any_name_stays_inside_its_label_in_the_backup_diagram() -> None:
    """Every line has the shape of a line of the golden diagram, so no name can begin a statement of its own."""
    made = config()
    names = dataclasses.replace(made.backup.priorities[0], collections=(HOSTILE, 'x"] end'), every=HOSTILE)
    hostile = dataclasses.replace(made.backup, priorities=(names, *made.backup.priorities[1:]), archive=HOSTILE)
    lines = diagram(dataclasses.replace(made, backup=hostile)).splitlines()
    assert len(lines) == len(diagram(made).splitlines())
    label = r'[^"`;@\[\]]*?(#\d+;[^"`;@\[\]]*?)*'
    node = rf'\w+(\["{label}"\]|\[\("{label}"\)\])?'
    shape = re.compile(rf'flowchart LR| +(subgraph {node}|end|{node}|{node} (-->|-\.->)\|"{label}"\| {node})')
    assert [line for line in lines if not shape.fullmatch(line)] == []


def test_the_page_asks_nobody_for_anything() -> None:
    """Prevents a report that a team keeps from telling a third party who reads it, or from breaking without one."""
    text, seen = whole(account())
    names = {tag for tag, _ in seen.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "form", "a"}
    assert not re.search(r"url\(|@import|https?://", text)
    assert all(not name.startswith("on") and name not in ("style", "src", "href") for _, a in seen.tags for name in a)


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    text, seen = whole(account())
    style = text.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [a["content"] for tag, a in seen.tags if tag == "meta" and a.get("http-equiv")]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_what_a_stack_holds_is_text_on_the_page() -> None:
    """Reasons, answers of hooks, statuses and failures are written by others; none of them may become an element."""
    plain = whole(account())[1]
    hostile_move = record(7, "high/Writer/50", 50, why=HOSTILE, actions=[{"service": HOSTILE, "action": HOSTILE}])
    found = account(
        records=(*account().records, hostile_move),
        missing={"backups": HOSTILE},
        status={"judged": HOSTILE, "override": HOSTILE},
    )
    seen = whole(found)[1]
    assert {tag for tag, _ in seen.tags} == {tag for tag, _ in plain.tags}
    assert seen.words.count("<script>alert(1)</script>") >= 4


def test_what_a_stack_holds_is_text_in_markdown() -> None:
    made = config()
    found = account(
        missing={"backups": HOSTILE},
        records=(dataclasses.replace(account().records[-1], why=HOSTILE),),
    )
    text = summary(made, judged(made), found)
    assert not re.search(r"<(?!br>)[a-z]", text)
    assert "@team" not in text
    assert "](http" not in text


def test_a_part_that_could_not_be_read_is_named() -> None:
    """Prevents an empty table from reading as an empty journal."""
    text, _ = whole(account(missing={"journal": "Firestore does not answer"}, records=()))
    assert "journal could not be read: Firestore does not answer" in text


def test_without_a_backup_the_page_says_so() -> None:
    assert "There is no backup in out/backup." in whole(account(backups=()))[1].words


def test_an_element_escapes_text_and_attributes_and_keeps_elements() -> None:
    assert element("p", "a<b", element("br"), None, class_='"') == '<p class="&quot;">a&lt;b<br></p>'
    assert "<title>&lt;b&gt;</title>" in document("<b>", "")
