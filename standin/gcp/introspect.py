"""Reads a resource's or function's schema out of the installed `pulumi_gcp` package.

Resource classes are found by token in the registry that `import pulumi_gcp` fills; a module is imported only when one
of its resources occurs (`pulumi_gcp.compute` alone takes two seconds).
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from pulumi import _types

from standin.gcp.schema import Schema, Type, UnknownToken

_SCALARS: dict[object, Type] = {str: "string", int: "integer", float: "number", bool: "boolean"}

_DEEPEST = 12
"""Nesting at which a type that contains itself is no longer followed."""


def introspect(token: str) -> Schema:
    """The schema of a resource (`gcp:firestore/document:Document`) or function (`gcp:projects/getProject:getProject`).

    Raises `UnknownToken`.
    """
    # A lower-case name does not tell: there is a resource `gcp:privilegedaccessmanager/entitlement:entitlement`.
    cls = _resource_class(token)
    return _resource(token, cls) if cls else _function(token)


def _resource(token: str, cls: type) -> Schema:
    module = sys.modules[cls.__module__]
    # Where the generator had to avoid a clash with another class, the arguments are called <X>InitArgs.
    arguments = getattr(module, f"{cls.__name__}InitArgs", None) or getattr(module, f"{cls.__name__}Args")
    outputs = {name: _type(hint) for name, hint in _types.resource_types(cls).items() if name not in ("id", "urn")}
    return Schema(token, _properties(arguments), outputs)


def _resource_class(token: str) -> type | None:
    import pulumi_gcp  # noqa: F401 - fills the registry
    from pulumi.runtime import rpc

    package_and_module = token.rsplit(":", 1)[0]
    for module in rpc._RESOURCE_MODULES.get(package_and_module, []):
        described: Mapping[str, Any] = module.mod_info  # type: ignore[attr-defined]
        if token in described["classes"]:
            found: type = getattr(import_module(described["fqn"]), described["classes"][token])
            return found
    return None


def _function(token: str) -> Schema:
    matched = re.fullmatch(r"gcp:(?:(\w+)/)?\w+:(\w+)", token)
    if not matched:
        raise UnknownToken(f"the installed pulumi_gcp has no resource or function {token}")
    module_name, name = matched.groups()
    try:
        module = import_module(f"pulumi_gcp.{module_name}" if module_name else "pulumi_gcp")
        function: Callable[..., Any] = getattr(module, _snake(name))
        result: type = getattr(module, f"{name[0].upper()}{name[1:]}Result")
    except (ImportError, AttributeError):
        raise UnknownToken(f"the installed pulumi_gcp has no resource or function {token}") from None
    # The SDK declares every input of a function optional, so which ones are required cannot be known from it.
    hints = typing.get_type_hints(function)
    parameters = [name for name in inspect.signature(function).parameters if name != "opts"]
    inputs = {_camel(name): {"type": _type(hints[name]), "required": False} for name in parameters}
    return Schema(token, inputs, {name: _type(hint) for name, hint in _types.output_type_types(result).items()})


def _properties(arguments: type, depth: int = 0) -> dict[str, dict[str, Any]]:
    """Input properties of an `…Args` class by wire name; required is what its constructor has no default for."""
    parameters = inspect.signature(arguments.__init__).parameters  # type: ignore[misc]
    types = _types.input_type_types(arguments)
    return {
        wire: {
            "type": _type(types[wire], depth + 1),
            "required": python in parameters and parameters[python].default is inspect.Parameter.empty,
        }
        for python, wire in _types.input_type_py_to_pulumi_names(arguments).items()
    }


def _type(hint: Any, depth: int = 0) -> Type:
    hint = _types.unwrap_type(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin = typing.get_origin(hint)
    if origin in (Sequence, list):
        return {"list": _type(typing.get_args(hint)[0], depth)}
    if origin in (Mapping, dict):
        return {"map": _type(typing.get_args(hint)[1], depth)}
    if inspect.isclass(hint) and depth < _DEEPEST:
        if _types.is_input_type(hint):
            return {"object": _properties(hint, depth)}
        if _types.is_output_type(hint):
            fields = _types.output_type_types(hint)
            return {"object": {name: {"type": _type(of, depth + 1), "required": False} for name, of in fields.items()}}
    return "any"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
