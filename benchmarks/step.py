"""What one step costs, split into Pulumi and ours, on the real engine with policies; soaks counted apart.

.venv/bin/python -m benchmarks.step [--quick]
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from standin.stage import stage

#: Ours may take this share of a step.
LIMIT = 0.15
TARGET, QUICK_TARGET = "low/CVAnalyzer/100", "low/CVAnalyzer/25"


def steps(target: str) -> list[dict[str, Any]]:
    """The facts that the journal has of each step to a position, walked under load."""
    with tempfile.TemporaryDirectory(prefix="causeway-step-") as folder, stage(Path(folder), rate=80.0) as made:
        made.apply()
        made.type("causeway", "run", "--to", target, "--stack", made.stack)
        records = json.loads(made.type("causeway", "log", "--json", "--stack", made.stack))
    return [record["facts"] for record in records if "ours_s" in record["facts"]]


def main() -> int:
    """Print the medians beside the limit; 0 if it is met."""
    found = steps(QUICK_TARGET if "--quick" in sys.argv else TARGET)
    pulumi = statistics.median(each["pulumi_s"] for each in found)
    ours = statistics.median(each["ours_s"] for each in found)
    soak = statistics.median(each["soak_s"] for each in found)
    share = sum(each["ours_s"] for each in found) / sum(each["ours_s"] + each["pulumi_s"] for each in found)
    print(f"{len(found)} steps: median {pulumi:.2f} s Pulumi, {ours:.2f} s ours; {soak:.1f} s soak counted apart")
    print(f"ours is {share:.1%} of a step (limit {LIMIT:.0%})")
    return 0 if share <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
