"""One reading of what stands in a stack file, whether the file is read or Pulumi hands its values over.

Pulumi hands a plain value at the top over as text, however it was written, and `pulumi config set` writes it back as
text: `"true"`, `'["A"]'`, `"42"`. Unquoted dates and times it prints in a form of its own, at any depth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import yaml

#: How Pulumi prints an unquoted date or time, in what it hands its program and when it rewrites a stack file.
_PRINTED = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d\d)(\d\d) \S+")
_SHORTEST = len("2026-02-01 00:00:00 +0000 Z")
#: Where a time of the day is meant even if it is midnight.
_INSTANTS = frozenset({"from", "to"})
#: What YAML may take for a time if it stands without quotes; a day alone is read alike by everybody.
_TIME = re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
#: Numbers that Pulumi prints in another way than they are written; a plain whole number stays as it is.
_NUMBER = re.compile(r"[-+]?(0[xob][0-9a-f_]+|[0-9][0-9_]*(\.[0-9_]*)?(e[-+]?[0-9]+)?|\.[0-9_]+(e[-+]?[0-9]+)?)", re.I)
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_TRUTH = re.compile(r"true|false", re.I)
_NOTHING = ("", "~", "null", "Null", "NULL")


def as_meant(values: Mapping[str, Any], texts: Collection[str]) -> dict[str, Any]:
    """Values as they are meant: `texts` are the keys that hold text; what is text elsewhere is JSON if it can be."""
    return {key: _as_written(value if key in texts else _decoded(value), key) for key, value in values.items()}


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _as_written(value: Any, key: object = None) -> Any:
    """Times as a person wrote them: Pulumi reads `2026-02-01` as a time and prints it as one."""
    if isinstance(value, dict):
        return {name: _as_written(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_written(item, key) for item in value]
    if not (isinstance(value, str) and len(value) >= _SHORTEST and (printed := _PRINTED.fullmatch(value))):
        return value
    day, time, hours, minutes = printed.groups()
    if key not in _INSTANTS and (time, hours + minutes) == ("00:00:00", "+0000"):
        return day
    return f"{day}T{time}{hours}:{minutes}"


def as_handed_over(values: Mapping[str, Any], node: yaml.Node | None) -> dict[str, Any]:
    """The values of a file as Pulumi hands them over: a plain value at the top as text."""
    plain = {key.value: value for key, value in _pairs(node) if isinstance(value, yaml.ScalarNode)}
    return {key: _text(plain[key]) if key in plain else value for key, value in values.items()}


def _text(scalar: yaml.ScalarNode) -> str:
    text: str = scalar.value
    if not _bare(scalar):
        return text
    if text in _NOTHING:
        return ""
    return text.lower() if _TRUTH.fullmatch(text) else text


def ambiguous(node: yaml.Node | None, texts: Collection[str]) -> Iterator[tuple[str, yaml.ScalarNode]]:
    """The words under these keys, alone or in a list, that Pulumi would print in another way for want of quotes."""
    for key, value in _pairs(node):
        for word in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if key.value in texts and isinstance(word, yaml.ScalarNode) and _bare(word) and _reprinted(word.value):
                yield key.value, word


def _reprinted(text: str) -> bool:
    if _TIME.fullmatch(text):
        return not (_DAY.fullmatch(text) or _PRINTED.fullmatch(text))
    return bool(_NUMBER.fullmatch(text)) and not _WHOLE.fullmatch(text)


def _bare(scalar: yaml.ScalarNode) -> bool:
    return scalar.style not in ("'", '"', "|", ">")


def _pairs(node: yaml.Node | None) -> Sequence[tuple[yaml.ScalarNode, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def at(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The node under a key of a mapping."""
    return next((value for name, value in _pairs(node) if name.value == key), None)
