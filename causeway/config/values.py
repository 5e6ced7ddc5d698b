"""Values as config has them, with the file for messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from causeway.errors import ConfigError

Values = Mapping[str, Any]
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(duration: str) -> float:
    """`3s`, `500ms`, `7d` in seconds."""
    number, unit = re.fullmatch(r"([0-9.]+)([a-z]+)", duration).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


class Keys:
    """Values of the namespace `causeway:`, with the file for messages."""

    def __init__(self, values: Values, path: Path) -> None:
        self._values = values
        self.path = path

    def __call__(self, name: str, *default: Any) -> Any:
        found = self._values.get(f"causeway:{name}")
        return found if found is not None or not default else default[0]

    def unknown(self, name: str, where: str, known: Iterable[str]) -> ConfigError:
        near = get_close_matches(name, list(known), n=1)
        return ConfigError(
            f"{self.path}: {where} names {name}, which is neither a service nor a dependency of causeway:matrix",
            "the plan would leave it out",
            f"Did you mean {near[0]}?" if near else "Add it there, or remove the name here.",
        )
