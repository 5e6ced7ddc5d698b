"""What the fast validator lets pass, the one that words the errors lets pass as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from causeway.config.load import _right, _validator

GOOD = {"consumer": "A", "provider": "B", "evidence": {"package->legacy": {"verified": "tests", "date": "2025-08-20"}}}
WRONG: list[Any] = [
    {**GOOD, "kind": True},
    {**GOOD, "kind": "sate"},
    {**GOOD, "consumer": "not a name!"},
    {**GOOD, "consumer": "A\n"},
    {**GOOD, "consumer": "A" * 64},
    {**GOOD, "consumer": 1},
    {**GOOD, 1: "a key that JSON does not have"},
    {**GOOD, "lines": 10**400},
    {**GOOD, "lines": float("nan")},
    {"consumer": "A"},
    {**GOOD, "evidence": {"package->legacy": {"verified": ""}}},
    {**GOOD, "evidence": {"package->legacy": {"verified": "tests", "incompatible": "it breaks"}}},
    {**GOOD, "evidence": {"package->legacy": {"verified": "tests", "date": "2025-02-30"}}},
    {**GOOD, "evidence": {"package->legacy": {"verified": "tests", "date": "20 August"}}},
    "A -> B",
    None,
]


def body(*rows: Any, **keys: Any) -> dict[str, Any]:
    services = {name: {"strategy": "direct"} for name in "AB"}
    more = {f"causeway:{key}": value for key, value in keys.items()}
    return {"causeway:matrix": {"services": services, "interactions": list(rows)}, **more}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda row: str(row)[:60])
def test_what_is_wrong_is_found(wrong: Any) -> None:
    """Prevents: a row is taken for right because another program reads the schema in another way."""
    assert not _right(body(GOOD, wrong, GOOD), "config")


@pytest.mark.parametrize(
    "keys", [{"ladder": [50, 50]}, {"ladder": [True]}, {"soak": {"minimum": "0s"}}, {"testers": "a"}, {"nonsense": 1}]
)
def test_what_is_wrong_beside_the_matrix_is_found(keys: dict[str, Any]) -> None:
    assert not _right(body(GOOD, **keys), "config")
    assert not _validator("config").is_valid(body(GOOD, **keys))


def test_what_is_right_needs_no_second_opinion() -> None:
    """Prevents: every command loads a validator that has nothing to say (a tenth of a second)."""
    assert _right(body(GOOD, ladder=[50.0, 100]), "config")
    code = (
        "import sys; from pathlib import Path; from causeway.config import from_file\n"
        "from_file(Path('stacks/Pulumi.local.yaml'))\n"
        "sys.exit('jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0
