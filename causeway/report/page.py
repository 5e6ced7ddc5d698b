"""The page of a stack: one HTML file that stands alone, for a team to read and to keep after the migration."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from causeway.config import Config
from causeway.health.baselines import Estimate
from causeway.model.certificate import Certificate
from causeway.model.guardrails import percent
from causeway.model.plan import Position
from causeway.model.strategies import RECIPES
from causeway.report import backup_diagram, mermaid, story
from causeway.report.certificate_section import certificate_section
from causeway.report.comparison import Comparison, compare, to_optimise
from causeway.report.html import Markup, document, element, join, table
from causeway.report.story import when
from causeway.report.weights_chart import chart
from causeway.rollout.account import Account
from causeway.rollout.journal import Record

_TONE = {"ADVANCE": "good", "HOLD": "warn", "ROLL_BACK": "bad", "failed": "bad", "superseded": "warn"}


def page(config: Config, certificate: Certificate, account: Account | None) -> str:
    """The whole page; without an account it shows what follows from config alone. Everything in it is escaped."""
    sections = [*_head(config, certificate, account), *_plan(config)]
    if account is not None:
        sections += [*_moved(config, account), *_compared(config, account), *_criteria(account)]
    sections += [certificate_section(certificate)]
    if account is not None:
        sections += [*_journal(account), *_backups(config, account)]
    return document(f"{config.stack}: {config.position}", _style(), *sections, *_diagrams(config, certificate))


@cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def comparisons(config: Config, account: Account) -> list[Comparison]:
    """Every package beside its baseline, at the guardrail's quantile."""
    rail = config.guardrails.response_time
    q = rail.quantile if rail and rail.quantile else 0.95
    return compare(config.matrix.services, account.windows, account.baselines, q)


# --- sections -----------------------------------------------------------------------------------------------------


def _head(config: Config, certificate: Certificate, account: Account | None) -> Iterator[Markup]:
    here, plan = config.plan[config.position], config.plan
    yield element("h1", f"{config.stack} at {config.position}")
    about = story.sentence(account.records) if account else "The plan of a migration from legacy to packages."
    yield element("p", about, class_="soft")
    tone = {"safe": "good", "unknown": "warn", "unsafe": "bad"}[certificate.status]
    facts = [
        _fact("position", f"{here.index + 1} of {len(plan.positions)}", f"phase {here.phase}"),
        _fact("certificate", certificate.status.value, f"{len(certificate.exposures)} pairs of versions meet", tone),
    ]
    if account is not None:
        facts += _standing(account)
    yield element("div", facts, class_="facts")
    for alarm in _alarms(config, account):
        yield element("p", alarm, class_="alarm")


def _standing(account: Account) -> Iterator[Markup]:
    status = account.status
    judged = str(status.get("judged") or "–")
    yield _fact("judged", judged, f"next: {status.get('next') or '–'}", "good" if judged == "good" else "warn")
    back = story.rollbacks(account.records)
    yield _fact("moves", str(len(account.records)), f"{len(back)} of them took traffic back")
    yield _fact("as of", f"{when(account.at)} UTC", "watched" if status.get("watched") else "nobody watches")


def _fact(name: str, value: str, note: str, tone: str | None = None) -> Markup:
    return element("div", element("span", name, class_="soft"), element("b", value, class_=tone), note, class_="fact")


def _alarms(config: Config, account: Account | None) -> Iterator[str]:
    if config.hold:
        yield f"open breakers: {config.hold}"
    if account is None:
        return
    if override := account.status.get("override"):
        yield f"an override stands, which applications obey instead of the stack: {override}"
    for name in ("maintenance", "frozen"):
        if account.status.get(name):
            yield f"{name}: {account.status[name]}"
    for name, why in account.missing.items():
        yield f"{name} could not be read: {why}"


def _plan(config: Config) -> Iterator[Markup]:
    yield element("h2", "The plan")
    caps = dict(config.hold.effective(config.matrix))
    legend = "Each lane is a service, as high as its share of users on the package; what lies ahead is faded."
    caption = element("figcaption", legend)
    yield element("figure", chart(config.plan, config.position, caps), caption, class_="chart")
    here = config.plan[config.position].index
    rows = (_place(config, position, here) for position in config.plan)
    listed = table(("", "position", "weights", "what happens"), rows)
    yield element("details", element("summary", f"all {len(config.plan.positions)} positions"), listed)


def _place(config: Config, position: Position, here: int) -> tuple[object, ...]:
    mark = "▶" if position.index == here else "✓" if position.index < here else ""
    weights = ", ".join(f"{name} {weight} %" for name, weight in position.changes.items())
    acts = dict.fromkeys(action.does for _, action in config.plan.performs(position))
    return mark, position.name, weights, "; ".join(acts) or ("" if weights else "backups, schedules, alerts, flag set")


def _moved(config: Config, account: Account) -> Iterator[Markup]:
    yield element("h2", "What moved, and when")
    rows = []
    for each in story.courses(config.plan, account.records):
        strategy = config.matrix.services[each.service].strategy
        means = [strategy, element("br"), element("span", RECIPES[strategy].summary, class_="soft")]
        back = f"{each.went_back} ×" if each.went_back else ""
        rows.append((each.service, means, _at(each.began), _at(each.complete), back, _at(each.retired)))
    yield table(("service", "strategy", "first users (UTC)", "all users", "went back", "legacy retired"), rows)


def _compared(config: Config, account: Account) -> Iterator[Markup]:
    found = comparisons(config, account)
    rail = config.guardrails.response_time
    q = percent(rail.quantile) if rail and rail.quantile else "95 %"
    yield element("h2", "Packages beside their baselines")
    if account.measured_s:
        seconds, until = f"{account.measured_s:.0f} s", when(account.at)
        about = f"Packages as measured for {seconds} before {until} UTC, legacy as recorded before."
    else:
        about = "The packages were not measured for this page."
    yield element("p", about, " Bounds are 95 % confidence bounds.", class_="soft")
    rows = (
        (
            each.service,
            f"{each.requests:,}" if each.requests else "–",
            _seconds(each.package),
            _seconds(each.legacy),
            _share(each.failures),
            _share(each.legacy_failures),
            element("span", each.finding, class_=_tone(each)),
        )
        for each in found
    )
    head = ("service", "requests", f"package, {q} within", "legacy", "package failed", "legacy failed", "finding")
    yield table(head, rows)
    worst = to_optimise(found)
    if worst:
        names = ", ".join(each.service for each in worst)
        yield element("p", element("b", "What to optimise, what costs users most first: "), names)
    elif any(each.ratio for each in found):
        yield element("p", "Nothing to optimise: no package is slower, or fails more often, than legacy beyond chance.")


def _criteria(account: Account) -> Iterator[Markup]:
    yield element("h2", "What success means, measured")
    marks = {True: ("✓", "good"), False: ("✗", "bad"), None: ("–", "soft")}
    rows = []
    for each in story.criteria(account.records):
        mark, tone = marks[each.held]
        rows.append((element("span", mark, class_=tone), each.name, each.measured))
    yield table(("", "criterion", "measured"), rows)


def _journal(account: Account) -> Iterator[Markup]:
    yield element("h2", "The journal")
    yield element("p", "Who moved what, when and why; behind each verdict, what it rests on.", class_="soft")
    rows = (_move(record) for record in reversed(account.records))
    yield table(("", "when (UTC)", "move", "to", "verdict, who and why"), rows)


def _move(record: Record) -> tuple[object, ...]:
    said = record.verdict or str(record.state)
    head = [element("span", said, class_=_TONE.get(said)), element("span", f" · {record.who}", class_="soft")]
    told = [*head, f" · {record.why}" if record.why else None]
    detail = [element("li", text) for text in _details(record)]
    cell = element("details", element("summary", told), element("ul", detail)) if detail else join(told)
    return record.seq, _at(record.began), record.direction.value, str(record.there), cell


def _details(record: Record) -> Iterator[str]:
    """What a reader may want to know of one move, a sentence each."""
    facts = record.facts
    for name, (old, new) in facts.get("weights", {}).items():
        yield f"{name} {old} → {new} %"
    for act in (*facts.get("actions", ()), *facts.get("settled_work", ()), *facts.get("undone", ())):
        yield f"{act.get('action', 'work in flight')} of {act.get('service', 'the stack')}: {_answer(act)}"
    yield from (str(reason["text"]) for reason in story.reasons(record))
    times = {
        "traffic_moved_s": "traffic moved",
        "settled_s": "stack settled",
        "soak_s": "soaked for",
        "pulumi_s": "Pulumi",
    }
    took = [f"{words} {facts[key]:.1f} s" for key, words in times.items() if key in facts]
    if took:
        yield ", ".join(took)
    if facts.get("differences") == []:
        yield f"resource inputs equal to those kept by record {facts['compared_with']}"
    elif facts.get("differences"):
        yield f"differs from record {facts['compared_with']}: {'; '.join(facts['differences'])}"


def _answer(act: Mapping[str, Any]) -> str:
    said = {key: value for key, value in act.items() if key not in ("service", "action", "performed")}
    return ", ".join(f"{key} {value}" for key, value in said.items()) or "done"


def _backups(config: Config, account: Account) -> Iterator[Markup]:
    yield element("h2", "Backups")
    wanted = [(each.name, each.every, ", ".join(each.collections)) for each in config.backup.priorities]
    yield table(("priority", "rhythm", "collections"), wanted)
    if not account.backups:
        yield element("p", f"There is no backup in {config.backup.archive}.", class_="alarm")
        return
    rows = (
        (
            each.id,
            each.priority or "–",
            each.state,
            _at(each.instant),
            f"{each.documents:,}",
            f"{each.stored_bytes / 1e6:.1f} MB",
            _at(each.verified) if each.verified else element("span", "never", class_="bad"),
        )
        for each in reversed(account.backups)
    )
    yield table(("backup", "priority", "state", "restorable as of (UTC)", "documents", "stored", "verified"), rows)


def _diagrams(config: Config, certificate: Certificate) -> Iterator[Markup]:
    yield element("h2", "Diagrams")
    yield element("p", "Mermaid text; a forge shows it as a picture, and so does mermaid.live.", class_="soft")
    for name, text in (("matrix", mermaid.diagram(certificate)), ("backup systems", backup_diagram.diagram(config))):
        yield element("details", element("summary", name), element("pre", text))


# --- cells --------------------------------------------------------------------------------------------------------


def _at(at: datetime.datetime | None) -> Markup:
    """A time on one line."""
    return element("time", when(at))


def _tone(each: Comparison) -> str | None:
    return "bad" if each.fails_more else "warn" if each.slower else "soft" if each.why_not else None


def _seconds(estimate: Estimate | None) -> object:
    return "–" if estimate is None else element("span", between(estimate, 1000, "ms"), class_="figure")


def _share(estimate: Estimate | None) -> object:
    return "–" if estimate is None else element("span", between(estimate, 100, "%"), class_="figure")


def between(estimate: Estimate, scale: float, unit: str) -> str:
    """A figure with its bounds, three digits each; ∞ is beyond what was measured."""
    figures = (estimate.value, estimate.low, estimate.high)
    value, low, high = (f"{each * scale:.3g}" if math.isfinite(each) else "∞" for each in figures)
    return f"{value} {unit} ({low} to {high})"
