"""Preflight findings as lines: what was checked, what was found, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.rollout.preflight import Finding


def render(findings: Sequence[Finding]) -> str:
    """One line a finding, the remedy behind those that do not hold, and the sum of it."""
    lines = [_line(each) for each in findings]
    bad = sum(not each.passed for each in findings)
    verdict = "GO" if not bad else f"NO-GO: {bad} of {len(findings)} do not hold"
    return "\n".join([*lines, "", verdict])


def _line(finding: Finding) -> str:
    mark = "✓" if finding.passed else "✗"
    remedy = f"  {finding.remedy}" if finding.remedy and not finding.passed else ""
    return f"{mark} {finding.area:9} {finding.name}: {finding.detail}{remedy}"
