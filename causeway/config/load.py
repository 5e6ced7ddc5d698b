"""Reading a stack's config: the stack file or what Pulumi hands the program, the included file, the JSON Schema.

Every error names the file, the line where it is known, and the path of the key.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import yaml

from causeway.config import rows, written
from causeway.config.build import build
from causeway.config.records import Config
from causeway.errors import ConfigError
from causeway.model.bulk import bulk

STACKS = Path("stacks")
#: From how many characters on a file is read row by row: below, that saves nobody any time.
_LARGE = 200_000
INCLUDE = "causeway:include"
#: The keys that a plan and its certificate follow from.
PLAN = ("causeway:phases", "causeway:matrix")
#: Where people paste addresses with tokens and passwords in them: what is wrong there is not repeated.
_SECRETIVE = "causeway:notify"
_NO_CHANNEL = "what stands there is no channel, and not shown"
#: Keys that move a stack; a file that several stacks share must not have them.
_PER_STACK = ("causeway:position", "causeway:hold", INCLUDE)


@dataclass(frozen=True)
class _Document:
    """A YAML file with the lines of its keys.

    `outline` are its nodes; those of a large file are without the rows of its matrix.
    """

    path: Path
    values: dict[str, Any]
    outline: yaml.Node | None = None
    text: str | None = None

    @cached_property
    def root(self) -> yaml.Node | None:
        """All of its nodes, for what is to be said of one of them."""
        return None if self.text is None else yaml.compose(self.text, _Loader)

    def line(self, keys: Sequence[object]) -> int | None:
        """The line on which the value at that path begins, as far as it exists."""
        node = self.root
        line = None
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                line = node.start_mark.line + 1
            else:
                break
        return line


def stack_file(stack: str, folder: Path = STACKS) -> Path:
    """Where a stack's config lies. Raises ConfigError where it does not."""
    path = folder / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        there = sorted(found.name.split(".")[1] for found in folder.glob("Pulumi.*.yaml"))
        raise ConfigError(
            f"there is no stack {stack}: {path} does not exist",
            "there is no plan to read",
            f"Stacks here: {', '.join(there)}." if there else "Run this in the folder that holds stacks/.",
        )
    return path


@bulk()
def from_file(
    path: Path,
    *,
    today: datetime.date | None = None,
    needs: Sequence[str] | None = None,
    anywhere: bool = False,
) -> Config:
    """Read any stack config file. Raises ConfigError where it does not say what it must.

    That is all that a stack needs, unless `needs` names fewer keys, for a plan to be judged on its own: it then stands
    at its first position, under the guardrails that `simulate` uses. `anywhere` accepts a position that the plan does
    not have (any more): a stack must be seen, and find its way back, from there as well.
    """
    document = _read(path)
    config = document.values.get("config")
    if not isinstance(config, dict):
        raise ConfigError(
            f"{path} has no `config:` at its top",
            "there is nothing to read",
            "A stack file is a mapping with the key `config`, as Pulumi writes it.",
        )
    if not anywhere:
        _only_pulumi_s_keys(document)
        _no_ambiguous_words(document)
    config = written.as_handed_over(config, written.at(document.outline, "config"))
    return _finish(config, document, _stack_name(path), today, needs, anywhere=anywhere)


def from_values(
    values: Mapping[str, Any], stack: str, *, folder: Path = STACKS, today: datetime.date | None = None
) -> Config:
    """The same from the values that Pulumi hands its program, as text; includes are read from `folder`."""
    path = folder / f"Pulumi.{stack}.yaml"
    return _finish(values, _Document(path, {}), stack, today)


def _no_ambiguous_words(document: _Document) -> None:
    """Names and seeds must be the same text to Pulumi as to this. Raises ConfigError on one that would not be."""
    named = {*_texts(), "causeway:testers"}
    if any(written.ambiguous(written.at(document.outline, "config"), named)):
        key, word = next(written.ambiguous(written.at(document.root, "config"), named))
        raise ConfigError(
            f"{document.path}:{word.start_mark.line + 1}: {key} has {word.value} without quotes",
            "Pulumi takes it for a time or a number and writes it in another way, so that other users would be chosen",
            f'Write "{word.value}".',
        )


@cache
def _texts() -> frozenset[str]:
    """The keys whose value is text, and not JSON."""
    own = _schema()["$defs"]["keys"]["properties"]
    return frozenset({"gcp:project", *(key for key, kind in own.items() if kind.get("type") == "string")})


def _only_pulumi_s_keys(document: _Document) -> None:
    """A key beside `config` that Pulumi does not know is one that was meant to stand inside. Raises ConfigError."""
    known = _schema()["properties"]
    for name in document.values:
        if name not in known:
            raise ConfigError(
                f"{document.path}:{document.line([name])}: there is no key {name} beside `config`",
                "it would be ignored in silence",
                f"Move it under `config`, or remove it. Pulumi's own are {', '.join(known)}.",
            )


def _stack_name(path: Path) -> str:
    parts = path.name.split(".")
    return parts[1] if len(parts) == 3 and parts[0] == "Pulumi" else path.stem


def _finish(
    values: Mapping[str, Any],
    document: _Document,
    stack: str,
    today: datetime.date | None,
    needs: Sequence[str] | None = None,
    *,
    anywhere: bool = False,
) -> Config:
    config = written.as_meant(values, _texts())
    _validate({"config": config}, "config", document, prefix=("config",))
    included: dict[str, Any] = {}
    if name := config.get(INCLUDE):
        shared = _read(document.path.parent / name)
        for key in _PER_STACK:
            if key in shared.values:
                raise ConfigError(
                    f"{shared.path}:{shared.line([key])}: {key} stands in a file that several stacks share",
                    "one change would move all of them",
                    f"Write it in {document.path} alone.",
                )
        _validate(shared.values, "shared", shared)
        included = shared.values
    merged = {**included, **config}
    missing = [key for key in needs or _schema()["$defs"]["config"]["required"] if key not in merged]
    if missing:
        raise ConfigError(
            f"{document.path} lacks {', '.join(missing)}",
            "no plan follows from it",
            f"Add {'them' if len(missing) > 1 else 'it'} there, or in a file that `{INCLUDE}` names.",
        )
    today = today or datetime.datetime.now(datetime.UTC).date()
    return build(merged, stack, document.path, today, anywhere=anywhere)


def _read(path: Path) -> _Document:
    try:
        text = path.read_text(encoding="utf-8")
        outline, values = _parsed_by_rows(text) or _parsed(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "there is no plan to read") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{where} is not YAML: {problem}", "there is no plan to read") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} is not a mapping", "there is no plan to read")
    return _Document(path, values, outline, text)


def _parsed(text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes, which know their lines, and the values made from them: the text is read once."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _parsed_by_rows(text: str) -> tuple[yaml.Node | None, Any] | None:
    """The same of a large file, each shape of its interactions once; None where that cannot be done.

    What is wrong with the text is for the parser to say, with its line.
    """
    if len(text) < _LARGE or (found := rows.split(text)) is None:
        return None
    try:
        outline, values = _parsed(found[0])
        body = values.get("config", values)
        interactions = body["causeway:matrix"]["interactions"]
        if interactions[0] != rows.ROWS:
            return None
        interactions[:1] = rows.read(found[1], lambda row: _parsed(row)[1])
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return outline, values


class _Loader(yaml.CSafeLoader):
    """Safe YAML with dates kept as text, as Pulumi hands them over, and double keys refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is not a word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return cast(dict[Any, Any], super().construct_mapping(node, deep=deep))


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _schema_path() -> Path:
    """The schema beside the stacks of this checkout, else the one this package was installed with."""
    return Path(__file__).resolve().parents[2] / "stacks" / "schema.json"


@cache
def _schema() -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(_schema_path().read_text(encoding="utf-8")))


def _wrapped(definition: str) -> dict[str, Any]:
    keys = "keys" if definition == "config" else definition
    return {"$ref": f"#/$defs/{keys}", "$defs": _schema()["$defs"]}


@cache
def _fast(definition: str) -> Any:
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(_wrapped(definition), validate_formats=True)


def _right(values: Mapping[str, Any], definition: str) -> bool:
    """Whether the fast validator finds nothing. It is strict; what it refuses is judged, and told, by the other one."""
    try:
        return bool(_fast(definition).is_valid(values))
    except (TypeError, ValueError):  # something that JSON does not have
        return False


@cache
def _validator(definition: str) -> Any:
    from jsonschema import Draft202012Validator, FormatChecker

    return Draft202012Validator(_wrapped(definition), format_checker=FormatChecker(["date"]))


def _validate(values: Mapping[str, Any], definition: str, document: _Document, prefix: tuple[str, ...] = ()) -> None:
    body = values["config"] if prefix else values
    if _right(body, definition):
        return
    from jsonschema.exceptions import best_match

    error = best_match(_validator(definition).iter_errors(body))
    if error is None:
        return
    keys = (*prefix, *error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        raise _unknown_key(error, document, keys)
    line = document.line(keys)
    where = f"{document.path}:{line}" if line else str(document.path)
    secret = next(iter(error.absolute_path), None) == _SECRETIVE
    raise ConfigError(
        f"{where}: {_dotted(error.absolute_path)}{_NO_CHANNEL if secret else error.message}",
        "an address here would be read by whoever reads the file" if secret else "the stack is left as it is",
        _expectation(error),
    )


def _unknown_key(error: Any, document: _Document, keys: Sequence[object]) -> ConfigError:
    """A key there is not, with its own line and the one that may have been meant."""
    known = list(error.schema.get("properties", {}))
    others = [re.compile(pattern) for pattern in error.schema.get("patternProperties", {})]
    unknown = (name for name in error.instance if name not in known and not any(p.search(str(name)) for p in others))
    name = next(unknown)
    line = document.line((*keys, name))
    near = get_close_matches(str(name), known, n=1)
    return ConfigError(
        f"{document.path}:{line}: {_dotted(error.absolute_path)}there is no key {name}"
        if line
        else f"{document.path}: {_dotted(error.absolute_path)}there is no key {name}",
        "it would be ignored in silence",
        f"Did you mean {near[0]}?" if near else f"Keys here: {', '.join(known)}." if known else "Remove it.",
    )


def _dotted(path: Sequence[object]) -> str:
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return f"{text}: " if text else ""


def _expectation(error: Any) -> str:
    description = error.schema.get("description") if isinstance(error.schema, dict) else None
    return f"Expected: {description}" if description else "stacks/schema.json says what may stand there."


def keys() -> tuple[str, ...]:
    """Every key of the namespace `causeway:`, without the namespace."""
    return tuple(key.removeprefix("causeway:") for key in _schema()["$defs"]["keys"]["properties"])
