"""The comment on a pull request, from events that the real engine wrote, and from hostile ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway import flags
from causeway.flags import Flag, FlagSet
from causeway.model.stage import Stage
from causeway.report.preview import comment, read

DATA = Path(__file__).parents[1] / "data" / "preview"


def events(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["step", "skipped", "mixed"])
def test_what_the_engine_said_reads_as_the_golden_comment(name: str) -> None:
    """One step; a step too far, refused by hook and policy; a step together with guardrails, a channel, a schedule."""
    golden = DATA / f"{name}.md"
    assert comment(events(name), "local") == golden.read_text(), f"if this is meant, write it to {golden}"


def test_a_refusal_is_said_once_though_hook_and_policy_both_refuse() -> None:
    assert comment(events("skipped"), "local").count("2 steps ahead") == 1


def step(
    op: str, kind: str, name: str, old: dict[str, Any] | None, new: dict[str, Any] | None, custom: bool = True
) -> dict[str, Any]:
    urn = f"urn:pulumi:local::causeway::{kind}::{name}"
    states = {side: {"custom": custom, "inputs": inputs} if inputs is not None else None for side, inputs in
              (("old", old), ("new", new))}  # fmt: skip
    return {"resourcePreEvent": {"metadata": {"op": op, "urn": urn, "type": kind, **states}}}


def flag_set(op: str, old: FlagSet | None, new: FlagSet | None) -> dict[str, Any]:
    def inputs(found: FlagSet | None) -> dict[str, Any] | None:
        if found is None:
            return None
        return {"collection": "flags", "fields": json.dumps({"definition": {"stringValue": flags.build(found)}})}

    return step(op, "gcp:firestore/document:Document", "flags-document", inputs(old), inputs(new))


def one_flag(weight: int, **changes: Any) -> FlagSet:
    modes = changes.pop("modes", {})
    return FlagSet("local", f"low/A/{weight}", "seed", (Flag("A", weight, Stage.IN_PROGRESS, modes=modes),), **changes)


def test_modes_and_breakers_show_beside_the_weight() -> None:
    text = comment(
        [flag_set("update", one_flag(10), one_flag(0, modes={"writes": "both"}, hold=("A",)))],
        "local",
    )
    assert "| A | 10 % | **0 %** | writes: – → both |" in text
    assert "open breakers: none → <code>A</code>" in text


def test_another_seed_is_said_loudly() -> None:
    """Prevents a one-word change of config that would send users from side to side from passing unseen."""
    old = one_flag(10)
    text = comment([flag_set("update", old, FlagSet("local", old.position, "other", old.flags))], "local")
    assert "**users change sides**): <code>seed</code> → <code>other</code>" in text


def test_a_removed_flag_set_is_no_quiet_preview() -> None:
    assert "all traffic falls back to legacy" in comment([flag_set("delete", one_flag(10), None)], "local")


def test_a_first_flag_set_says_where_the_stack_starts() -> None:
    assert "starts at <code>low/A/0</code>" in comment([flag_set("create", None, one_flag(0))], "local")


def test_what_takes_away_comes_first_and_a_replacement_counts_once() -> None:
    kind = "gcp:storage/bucket:Bucket"
    text = comment(
        [
            step("create", kind, "new", None, {}),
            step("create-replacement", kind, "moved", {"location": "EU"}, {"location": "US"}),
            step("replace", kind, "moved", {"location": "EU"}, {"location": "US"}),
            step("delete-replaced", kind, "moved", {"location": "EU"}, None),
            step("delete", kind, "gone", {}, None),
        ],
        "local",
    )
    listed = [line for line in text.splitlines() if line.startswith("- ")]
    assert listed == [
        "- **delete** Bucket <code>gone</code>",
        "- **replace** Bucket <code>moved</code>",
        "- create Bucket <code>new</code>",
    ]
    assert "<code>location</code>: <code>EU</code> → <code>US</code>" in text


def test_components_and_providers_are_no_resources_of_the_cloud() -> None:
    found = read(
        [
            step("create", "causeway:components:Records", "records", None, {}, custom=False),
            step("create", "pulumi:providers:gcp", "default", None, {}),
        ],
        "local",
    )
    assert found.changes == ()


def test_of_long_values_only_what_differs_is_shown() -> None:
    old, new = "a" * 500 + "5 %" + "b" * 500, "a" * 500 + "4 %" + "b" * 500
    text = comment([step("update", "k:k:K", "n", {"p": old}, {"p": new})], "local")
    assert f"<code>…{'a' * 20}5 %{'b' * 18}…</code>" in text
    assert "a" * 21 not in text


def test_a_thousand_changes_still_fit_into_one_comment() -> None:
    many = [
        step("update", f"k:k:K{n}", f"n{n}", {"p": "#" * 900}, {"#" * m: "#" * 900 for m in range(1, 50)})
        for n in range(1000)
    ]
    refusals = [
        {"policyEvent": {"policyName": "p", "message": "#" * 900, "enforcementLevel": "mandatory"}} for _ in range(100)
    ]
    text = comment([*refusals, *many], "local")
    assert len(text) < 65_536
    assert text.endswith("… and more; `pulumi preview --diff` shows all\n")


@given(st.text(max_size=300))
def test_nothing_in_an_event_becomes_markup(hostile: str) -> None:
    """Prevents a value from mentioning people, adding links or images, or breaking out of its table cell."""
    text = comment(
        [
            step("update", "k:k:K", hostile, {"p": hostile}, {"p": hostile + "!"}),
            {"policyEvent": {"policyName": hostile, "message": hostile, "enforcementLevel": "mandatory"}},
            {"diagnosticEvent": {"severity": "error", "message": hostile}},
        ],
        hostile,
    )
    calm = text
    for ours in ("<code>", "</code>", "**Refused.**", "**1 other resource would change**", "### ", "`pulumi preview"):
        calm = calm.replace(ours, "")
    calm = calm.replace("&#", "")
    assert not set("<>`*[]|@#!$\\") & set(calm)
    assert "_" not in calm


def test_an_update_log_with_nothing_in_it_is_a_calm_comment() -> None:
    assert comment([], "local") == (
        "### <code>local</code>: traffic stays as it is\n\nNo other resource changes; 0 stay as they are.\n"
    )
