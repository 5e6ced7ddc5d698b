"""Preflight findings as lines: what was checked, what was found, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.rollout.preflight import Finding, go


def render(findings: Sequence[Finding]) -> str:
    """One line a finding, the remedy behind those that do not hold, and the sum of it."""
    lines = [_line(each) for each in findings]
    bad = sum(each.passed is False for each in findings)
    verdict = "GO" if go(findings) else f"NO-GO: {bad} of {len(findings)} do not hold"
    unchecked = sum(each.passed is None for each in findings)
    verdict += f"; {unchecked} not checked" if unchecked else ""
    return "\n".join([*lines, "", verdict])


def _line(finding: Finding) -> str:
    mark = {True: "✓", False: "✗", None: "–"}[finding.passed]
    remedy = f"  {finding.remedy}" if finding.remedy and not finding.passed else ""
    return f"{mark} {finding.area:9} {finding.name}: {finding.detail}{remedy}"
