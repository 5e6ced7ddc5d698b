"""Run the benchmarks, one process each: `python -m benchmarks [name …] [--quick]`.

A benchmark is a module here with `main()`, which prints its figures beside their limits and returns 0 if all are met.
`--quick` is handed to those that know it. Ends with 1 if any has missed a limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Each in turn; a summary at the end."""
    there = {
        path.stem: path.read_text() for path in sorted(Path(__file__).parent.glob("*.py")) if path.stem != "__main__"
    }
    benchmarks = {name: text for name, text in there.items() if "\ndef main(" in text}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(benchmarks)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, where a benchmark knows how")
    options = parser.parse_args()
    unknown = set(options.names) - set(benchmarks)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(benchmarks)}")
    codes = {}
    for name in options.names or benchmarks:
        print(f"\n== {name}", flush=True)
        quick = ["--quick"] if options.quick and "--quick" in benchmarks[name] else []
        codes[name] = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *quick]).returncode
    print()
    for name, code in codes.items():
        print(f"{'met' if code == 0 else f'NOT MET (exit code {code})'}: {name}")
    return int(any(codes.values()))


if __name__ == "__main__":
    sys.exit(main())
