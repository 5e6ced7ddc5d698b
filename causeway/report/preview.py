"""A preview for a pull request, in Markdown: where traffic would go first, then everything else that would change.

Read from the engine's events (`pulumi preview --event-log FILE` with `PULUMI_DEBUG_COMMANDS=1`). Their `detailedDiff`
names properties only, so old and new inputs are flattened and compared here. Alike changes share a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from causeway import flags
from causeway.flags import Flag, FlagSet

_FLAG_SET = ("gcp:firestore/document:Document", "flags")
#: How the engine marks a value that is only known after the update.
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
#: Steps that change nothing, and the halves of a replacement, which has a step `replace` as well.
_KEPT = ("same", "read", "refresh", "create-replacement", "delete-replaced")
#: What takes something away is shown first, and loudly.
_LOUD = ("delete", "replace")
#: What a comment on GitHub may have, with room for whoever adds a heading.
_MOST_CHARACTERS = 60_000
#: A reader's minute is over sooner.
_LONGEST, _MOST_GROUPS, _MOST_DIFFERENCES, _MOST_NAMES = 200, 25, 6, 3
#: Of two long values only the part that differs is shown, with so many characters around it.
_CONTEXT = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One property, before and after; None where there is none."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One resource that would change: what is done to it, and which of its inputs differ."""

    op: str
    kind: str
    name: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a preview's events say. `before` and `after` are the flag sets, None where the preview touches none.

    `violations` are (policy, sentence, whether it blocks); `passed` counts the policies that found nothing.
    """

    stack: str
    before: FlagSet | None
    after: FlagSet | None
    changes: tuple[Change, ...]
    unchanged: int
    violations: tuple[tuple[str, str, bool], ...]
    passed: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def read(events: Iterable[Mapping[str, Any]], stack: str) -> Preview:
    """What the events of one preview say. Events of other kinds are passed over."""
    found = list(events)
    steps = [e["resourcePreEvent"]["metadata"] for e in found if "resourcePreEvent" in e]
    moved = next((step for step in steps if _is_flag_set(step)), None)
    violations = [e["policyEvent"] for e in found if "policyEvent" in e]
    ran = {
        name for e in found for kind, body in e.items() if kind.startswith("policyAnalyze") for name in _passed(body)
    }
    changed = [step for step in steps if step["op"] not in _KEPT and step is not moved and _custom(step)]
    return Preview(
        stack=stack,
        before=_flags(moved["old"]) if moved else None,
        after=_flags(moved["new"]) if moved else None,
        changes=tuple(_change(step) for step in changed),
        unchanged=sum(e["summaryEvent"]["resourceChanges"].get("same", 0) for e in found if "summaryEvent" in e),
        violations=tuple(
            (each["policyName"], _finding(each["message"]), each["enforcementLevel"] == "mandatory")
            for each in violations
        ),
        passed=len(ran - {each["policyName"] for each in violations}),
        errors=tuple(_diagnostics(found, "error")),
        warnings=tuple(_diagnostics(found, "warning")),
    )


def comment(events: Iterable[Mapping[str, Any]], stack: str) -> str:
    """The comment of a preview. Everything that comes from events is escaped."""
    return render(read(events, stack))


def render(preview: Preview) -> str:
    """A preview as Markdown."""
    sections = (_title(preview), _refusals(preview), _weights(preview), _changes(preview), _policies(preview))
    text = "\n\n".join(section for section in sections if section)
    if len(text) > _MOST_CHARACTERS:
        whole_lines = text[:_MOST_CHARACTERS].rpartition("\n")[0]
        text = f"{whole_lines}\n\n… and more; `pulumi preview --diff` shows all"
    return f"{text}\n"


# --- reading ------------------------------------------------------------------------------------------------------


def _custom(step: Mapping[str, Any]) -> bool:
    """Whether it is a resource in the cloud: no component, no provider."""
    state = step.get("new") or step.get("old") or {}
    return bool(state.get("custom")) and not step["type"].startswith("pulumi:providers:")


def _is_flag_set(step: Mapping[str, Any]) -> bool:
    inputs = ((step.get("new") or step.get("old")) or {}).get("inputs") or {}
    return (step["type"], inputs.get("collection")) == _FLAG_SET


def _flags(state: Mapping[str, Any] | None) -> FlagSet | None:
    if state is None:
        return None
    return flags.read(json.loads(state["inputs"]["fields"])["definition"]["stringValue"])


def _change(step: Mapping[str, Any]) -> Change:
    old, new = (dict(_flat((step.get(side) or {}).get("inputs") or {})) for side in ("old", "new"))
    paths = sorted({*old, *new}) if step["op"] not in ("create", "delete") else ()
    return Change(
        op=step["op"],
        kind=step["type"].rsplit(":", 1)[-1],
        name=step["urn"].rsplit("::", 1)[-1],
        differences=tuple(
            Difference(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)
        ),
    )


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every scalar inside, with its path: `template.containers[0].image`."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    else:
        yield path, "known after the update" if value == _UNKNOWN else _scalar(value)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _passed(body: Any) -> Sequence[str]:
    return body.get("passed") or () if isinstance(body, Mapping) else ()


def _diagnostics(events: Iterable[Mapping[str, Any]], severity: str) -> Iterator[str]:
    seen: set[str] = set()
    for event in events:
        found = event.get("diagnosticEvent", {})
        message = _text(found.get("message", ""))
        if found.get("severity") == severity and message not in ("preview failed", "", *seen):
            seen.add(message)
            yield message


def _text(message: str) -> str:
    """A message without colour marks, on one line."""
    return " ".join(re.sub(r"<\{%.*?%\}>", "", message).split())


def _finding(message: str) -> str:
    """A policy's finding without the policy's description, which the engine puts on a line before it."""
    return _text(message.split("\n", 1)[-1]) or _text(message)


# --- writing ------------------------------------------------------------------------------------------------------


def _title(preview: Preview) -> str:
    before, after = preview.before, preview.after
    if before is not None and after is None:
        where = "the flag set is removed, all traffic falls back to legacy"
    elif after is None:
        where = "traffic stays as it is"
    elif before is None:
        where = f"starts at {_code(after.position)}"
    elif before.position == after.position:
        where = f"stays at {_code(after.position)}"
    else:
        where = f"{_code(before.position)} → {_code(after.position)}"
    return f"### {_code(preview.stack)}: {where}"


def _refusals(preview: Preview) -> str:
    """What stops the update, first: there is no point in reading on."""
    blocking = [sentence for _, sentence, blocks in preview.violations if blocks]
    # A hook and a policy say the same of an illegal move; the policy's name says more.
    errors = [error for error in preview.errors if not any(_tail(error) in sentence for sentence in blocking)]
    lines = [f"- {_code(name)}: {_plain(text)}" for name, text, blocks in preview.violations if blocks]
    lines += [f"- {_plain(error)}" for error in errors]
    return "\n".join(["**Refused.** Nothing changes until this is mended:", "", *lines]) if lines else ""


def _tail(error: str) -> str:
    return error.split('" failed: ')[-1]


def _weights(preview: Preview) -> str:
    if preview.after is None:
        return ""
    rows = [row for flag in preview.after.flags if (row := _weight_row(preview.before, flag))]
    lines = []
    if rows:
        lines += ["| service | package before | after | also |", "| --- | ---: | ---: | --- |", *rows, ""]
    same = len(preview.after.flags) - len(rows)
    lines.append(f"{same} of {len(preview.after.flags)} services stay as they are.")
    lines += [f"- {what}: {old} → {new}" for what, old, new in _settings(preview.before, preview.after) if old != new]
    return "\n".join(lines)


def _settings(before: FlagSet | None, after: FlagSet) -> Iterator[tuple[str, str, str]]:
    """What a flag set says beside weights, before and after; nothing of a first one."""
    if before is None:
        return
    yield "open breakers", _names(before.hold) or "none", _names(after.hold) or "none"
    accepted = [_names(each.acknowledged) or "none" for each in (before, after)]
    yield "points of no return acknowledged for", accepted[0], accepted[1]
    yield "bucketing seed (**users change sides**)", _code(before.seed), _code(after.seed)
    yield "testers", str(len(before.testers)), str(len(after.testers))
    yield "heartbeat", f"{before.renew_s:g} s", f"{after.renew_s:g} s"
    yield "stale after", f"{before.max_age_s:g} s", f"{after.max_age_s:g} s"
    for flag in after.flags[:1]:  # the guardrails are the stack's, so every flag carries the same
        old = before.by_service.get(flag.service, flag)
        yield "rollback conditions", *_window(old.rollback, flag.rollback)


def _weight_row(before: FlagSet | None, flag: Flag) -> str:
    """A row for a service whose weight, stage or modes change; empty for any other."""
    old = before.by_service.get(flag.service) if before else None
    also = [] if old is None or old.stage == flag.stage else [f"{old.stage.value} → {flag.stage.value}"]
    modes = {} if old is None else old.modes
    switched = [name for name in sorted({*modes, *flag.modes}) if modes.get(name) != flag.modes.get(name)]
    also += [f"{name}: {modes.get(name, '–')} → {flag.modes.get(name, '–')}" for name in switched]
    weight = old.weight if old else 0
    if weight == flag.weight and not also:
        return ""
    after = f"{flag.weight} %" if weight == flag.weight else f"**{flag.weight} %**"
    return f"| {_plain(flag.service)} | {weight} % | {after} | {_plain('; '.join(also))} |"


def _changes(preview: Preview) -> str:
    """Alike changes on one line, what is taken away first."""
    if not preview.changes:
        return f"No other resource changes; {preview.unchanged} stay as they are."
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for change in preview.changes:
        alike = tuple(_difference(each) for each in change.differences)
        groups.setdefault((change.op, change.kind, alike), []).append(change.name)
    ordered = sorted(groups.items(), key=lambda group: (group[0][0] not in _LOUD, group[0][:2]))
    resources = "resource" if len(preview.changes) == 1 else "resources"
    lines = [f"**{len(preview.changes)} other {resources} would change**, {preview.unchanged} stay as they are:", ""]
    for (op, kind, differences), names in islice(ordered, _MOST_GROUPS):
        lines.append(f"- {f'**{op}**' if op in _LOUD else op} {_plain(kind)} {_names(sorted(names))}")
        lines += [f"  - {difference}" for difference in differences[:_MOST_DIFFERENCES]]
        if (left := len(differences) - _MOST_DIFFERENCES) > 0:
            lines.append(f"  - … and {left} more properties")
    if (left := len(ordered) - _MOST_GROUPS) > 0:
        lines.append(f"- … and {left} more kinds of change; `pulumi preview --diff` shows all")
    return "\n".join(lines)


def _policies(preview: Preview) -> str:
    lines = [f"- {_code(name)} advises: {_plain(text)}" for name, text, blocks in preview.violations if not blocks]
    lines += [f"- warning: {_plain(warning)}" for warning in preview.warnings]
    broken = len({name for name, _, _ in preview.violations})
    if preview.passed and not broken:
        lines.append(f"All {preview.passed} policies passed.")
    elif broken:
        lines.append(f"{preview.passed} policies passed, {broken} did not.")
    return "\n".join(lines)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(_code(name) for name in names[:_MOST_NAMES])
    left = len(names) - _MOST_NAMES
    return f"{shown} and {left} more" if left > 0 else shown


def _difference(difference: Difference) -> str:
    old, new = difference.old, difference.new
    if old is None or new is None:
        before, after = ("–" if side is None else _code(side) for side in (old, new))
    else:
        before, after = _window(old, new)
    return f"{_code(difference.path)}: {before} → {after}"


def _window(old: str, new: str) -> tuple[str, str]:
    """Both values as code; of long ones only the part that differs, and what stands around it."""
    if max(len(old), len(new)) <= 4 * _CONTEXT:
        return _code(old), _code(new)
    start = _alike(old, new)
    end = min(_alike(old[::-1], new[::-1]), len(old) - start, len(new) - start)
    head, tail = max(start - _CONTEXT, 0), max(end - _CONTEXT, 0)
    before, after = (f"{'…' * (head > 0)}{text[head : len(text) - tail]}{'…' * (tail > 0)}" for text in (old, new))
    return _code(before), _code(after)


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _code(text: str) -> str:
    """As code, whatever it holds: entities are never read as Markdown, and nobody is mentioned inside code."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"<code>{_plain(cut)}</code>"


def _plain(text: str) -> str:
    """Escaped for Markdown, HTML and tables, on one line."""
    return re.sub(r"[&<>\"'`*_~\[\]()|#@\\!$]", lambda found: f"&#{ord(found[0])};", " ".join(text.split()))
