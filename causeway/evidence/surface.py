"""A Python module's public surface as protocols, so that two versions compare by structure and not by name.

From the source alone; nothing is imported or run. Every class becomes a protocol of its public members (attributes as
read-only properties), an enum the literals of its members, and what a caller of the module can reach, constructors as
`new_<Class>`, one protocol. What has no types, or is made by something this does not read, is named in `unclear`: a
comparison would find it compatible with everything.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from causeway.errors import ConfigError

SURFACE = "CausewaySurface"
_HEADER = "from __future__ import annotations\nfrom typing import Literal, Protocol\n"
#: Decorators that leave a signature as it is written, or that the generated protocol repeats.
_REPEATED = {"property", "staticmethod", "classmethod", "overload"}
_PLAIN = _REPEATED | {"abstractmethod", "override", "final"}
_ENUMS = {"Enum", "StrEnum", "IntEnum", "Flag", "IntFlag"}
_EMPTY_BASES = {"object", "ABC", "Protocol", "NamedTuple"}
_UNCOMPARED = {"__init__", "__new__", "__post_init__", "__repr__", "__str__", "__eq__", "__hash__", "__slots__"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Surface:
    """The generated module, and what in the original it cannot speak for."""

    source: str
    unclear: tuple[str, ...]


def surface(source: str, where: str) -> Surface:
    """The surface of a module. Raises ConfigError where the source is no Python."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"{where} is not Python: {error}", "nothing was compared") from None
    return _Reader(module).read()


class _Reader:
    """One pass over a module; `unclear` fills on the way."""

    def __init__(self, module: ast.Module) -> None:
        self._body = module.body
        self._classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
        self._exported = _all(module)
        self._in_annotations = {name for hint in _annotations(module) for name in _names(hint)}
        self._unclear: list[str] = []

    def read(self) -> Surface:
        types: list[ast.stmt] = []
        members: list[ast.stmt] = []
        for node in self._body:
            types += self._types(node)
            members += self._members(node)
        if not members:
            self._unclear.append("it offers nothing that is defined in its own file")
        types.append(_protocol(SURFACE, [], members))
        text = ast.unparse(ast.fix_missing_locations(ast.Module(types, [])))
        return Surface(f"{_HEADER}{text}\n", tuple(dict.fromkeys(self._unclear)))

    def _types(self, node: ast.stmt) -> Iterator[ast.stmt]:
        """What annotations may mention: imports, aliases, and every class as its protocol."""
        match node:
            case ast.ImportFrom(module="__future__"):
                pass
            case ast.Import() | ast.ImportFrom() | ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield node
            case ast.Assign(targets=[ast.Name(id=name)]) if name in self._in_annotations:
                yield node
            case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
                yield node
            case ast.ClassDef() if _bases(node) & _ENUMS:
                yield _alias(node.name, [f"{node.name}.{name}={value}" for name, value in _enum(node)])
            case ast.ClassDef() if "TypedDict" in _bases(node):
                yield node
            case ast.ClassDef():
                yield self._class(node)
            case _:
                pass

    def _members(self, node: ast.stmt) -> Iterator[ast.stmt]:
        """What a caller of the module can reach by name."""
        match node:
            case ast.ClassDef() if self._public(node.name) and _bases(node) & _ENUMS:
                for name, value in _enum(node):
                    literal = ast.parse(f"Literal[{f'{node.name}.{name}={value}'!r}]", mode="eval").body
                    yield _property(f"{node.name}_{name}", literal)
            case ast.ClassDef() if self._public(node.name) and not _bases(node) & {"TypedDict", "Protocol"}:
                yield from self._constructor(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if self._public(node.name):
                yield from self._method(node, node.name, bound=False)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=hint) if self._public(name):
                if _names(hint) != {"TypeAlias"}:
                    yield self._attribute(name, name, hint)
            case ast.Assign(targets=[ast.Name(id=name)]) if self._public(name) and name not in self._in_annotations:
                self._unclear.append(f"{name} has no annotation")
            case _:
                pass

    # --- classes ---

    def _class(self, node: ast.ClassDef) -> ast.ClassDef:
        local = []
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in self._classes:
                local.append(base)
            elif not _known_base(base):
                self._unclear.append(f"{node.name} inherits from {ast.unparse(base)}, which stands elsewhere")
        for decorator in node.decorator_list:
            if _called(decorator) not in ("dataclass", "final", "runtime_checkable"):
                self._unclear.append(f"{node.name} is decorated with {ast.unparse(decorator)}")
        return _protocol(node.name, local, list(self._class_members(node)))

    def _class_members(self, node: ast.ClassDef) -> Iterator[ast.stmt]:
        for child in node.body:
            match child:
                case ast.FunctionDef(name="__init__"):
                    yield from self._instance_attributes(node.name, child)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if _is_public(name):
                    yield from self._method(child, f"{node.name}.{name}", bound=True)
                case ast.AnnAssign(target=ast.Name(id=name), annotation=hint) if _is_public(name):
                    yield self._attribute(name, f"{node.name}.{name}", hint)
                case ast.Assign(targets=[ast.Name(id=name)]) if _is_public(name):
                    self._unclear.append(f"{node.name}.{name} has no annotation")
                case _:
                    pass

    def _instance_attributes(self, owner: str, init: ast.FunctionDef) -> Iterator[ast.stmt]:
        hints = {each.arg: each.annotation for each in (*init.args.args, *init.args.kwonlyargs)}
        for node in ast.walk(init):
            match node:
                case ast.AnnAssign(target=ast.Attribute(ast.Name("self"), name), annotation=hint):
                    found: ast.expr | None = hint
                case ast.Assign(targets=[ast.Attribute(ast.Name("self"), name)], value=ast.Name(id=source)):
                    found = hints.get(source)
                case ast.Assign(targets=[ast.Attribute(ast.Name("self"), name)]):
                    found = None
                case _:
                    continue
            if _is_public(name) and found is None:
                self._unclear.append(f"{owner}.{name} has no annotation")
            elif _is_public(name) and found is not None:
                yield self._attribute(name, f"{owner}.{name}", found)

    def _constructor(self, node: ast.ClassDef) -> Iterator[ast.stmt]:
        made = ast.FunctionDef(f"new_{node.name}", self._init(node), [], [], ast.Name(node.name))
        yield from self._method(made, f"{node.name}()", bound=True)

    def _init(self, node: ast.ClassDef) -> ast.arguments:
        """What the constructor takes: its own `__init__`, its fields, or its base's."""
        init = next((each for each in node.body if isinstance(each, Function) and each.name == "__init__"), None)
        base = next((self._classes[name] for name in _bases(node) if name in self._classes), None)
        if init is not None:
            return init.args
        if "NamedTuple" in _bases(node) or any(_called(each) == "dataclass" for each in node.decorator_list):
            if base is not None:
                self._unclear.append(f"{node.name}() takes fields of a base as well")
            return _fields(node)
        return self._init(base) if base is not None else _arguments([ast.arg("self")])

    # --- functions and attributes ---

    def _method(self, node: Function, name: str, *, bound: bool) -> Iterator[ast.stmt]:
        """The signature alone. A function of the module becomes a method of its surface."""
        decorators = [_called(each) for each in node.decorator_list]
        if {"setter", "deleter"} & set(decorators):
            return
        self._unclear += [f"{name} is decorated with {each}" for each in decorators if each not in _PLAIN]
        static = not bound or "staticmethod" in decorators
        args = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        rest = [each for each in (node.args.vararg, node.args.kwarg) if each is not None]
        for each in (*(args if static else args[1:]), *rest):
            self._typed(f"{name}: {each.arg}", each.annotation)
        self._typed(f"{name}: what it returns", node.returns)
        arguments = ast.arguments(
            posonlyargs=node.args.posonlyargs,
            args=node.args.args if bound else [ast.arg("self"), *node.args.args],
            vararg=node.args.vararg,
            kwonlyargs=node.args.kwonlyargs,
            kw_defaults=[each and ast.Constant(...) for each in node.args.kw_defaults],
            kwarg=node.args.kwarg,
            defaults=[ast.Constant(...) for _ in node.args.defaults],
        )
        if not bound and node.args.posonlyargs:
            arguments.posonlyargs, arguments.args = [ast.arg("self"), *node.args.posonlyargs], node.args.args
        kept = [each for each in node.decorator_list if _called(each) in _REPEATED]
        yields = any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(node))
        kind = ast.FunctionDef if yields else type(node)
        yield kind(node.name, arguments, [ast.Expr(ast.Constant(...))], kept, node.returns)
        if not {"overload", "property"} & set(decorators):
            yield _parameter_names(node.name, arguments)

    def _attribute(self, name: str, full_name: str, hint: ast.expr) -> ast.stmt:
        self._typed(full_name, hint)
        return _property(name, hint)

    def _typed(self, name: str, hint: ast.expr | None) -> None:
        if hint is None:
            self._unclear.append(f"{name} has no annotation")
        elif "Any" in _names(hint):
            self._unclear.append(f"{name} is Any")

    def _public(self, name: str) -> bool:
        return name in self._exported if self._exported is not None else not name.startswith("_")


# --- reading ------------------------------------------------------------------------------------------------------


def _all(module: ast.Module) -> set[str] | None:
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name("__all__")], value=ast.List(elts) | ast.Tuple(elts)):
                return {each.value for each in elts if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return None


def _annotations(module: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(module):
        for hint in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(hint, ast.expr):
                yield hint


def _names(hint: ast.expr) -> set[str]:
    """The names in an annotation, also in one that is written as a string."""
    found = set()
    for node in ast.walk(hint):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                found.add(name)
            case ast.Constant(value=str(text)):
                try:
                    found |= _names(ast.parse(text, mode="eval").body)
                except SyntaxError:
                    continue  # a literal's own text
    return found


def _bases(node: ast.ClassDef) -> set[str]:
    return {name for base in node.bases if (name := _called(base))}


def _called(node: ast.expr) -> str:
    """The last name of `a.b.name` or `name(…)`; what has none is called as it is written."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=func):
            return _called(func)
        case _:
            return ast.unparse(node)


def _known_base(base: ast.expr) -> bool:
    name = _called(base)
    found = getattr(builtins, name, None)
    return name in _EMPTY_BASES or (isinstance(found, type) and issubclass(found, BaseException))


def _enum(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for child in node.body:
        match child:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not name.startswith("_"):
                yield name, ast.unparse(value)


def _is_public(name: str) -> bool:
    dunder = name.startswith("__") and name.endswith("__")
    return name not in _UNCOMPARED and (dunder or not name.startswith("_"))


# --- writing ------------------------------------------------------------------------------------------------------


def _protocol(name: str, bases: Iterable[ast.expr], members: list[ast.stmt]) -> ast.ClassDef:
    return ast.ClassDef(name, [*bases, ast.Name("Protocol")], [], members or [ast.Pass()], [])


def _property(name: str, hint: ast.expr) -> ast.stmt:
    body: list[ast.stmt] = [ast.Expr(ast.Constant(...))]
    return ast.FunctionDef(name, _arguments([ast.arg("self")]), body, [ast.Name("property")], hint)


def _parameter_names(name: str, arguments: ast.arguments) -> ast.stmt:
    """A method that takes the names a caller may use: mypy ignores them when it compares methods of protocols."""
    placed = [f"{each.arg}@{place}" for place, each in enumerate(arguments.args)]
    literals = ", ".join(repr(text) for text in (*placed[1:], *(each.arg for each in arguments.kwonlyargs), "*"))
    return ast.parse(f"def names_of_{name}(self, name: Literal[{literals}], /) -> None: ...").body[0]


def _alias(name: str, literals: list[str]) -> ast.stmt:
    return ast.parse(f"{name} = Literal[{', '.join(map(repr, literals))}]").body[0]


def _arguments(args: list[ast.arg], defaults: int = 0) -> ast.arguments:
    return ast.arguments(
        posonlyargs=[],
        args=args,
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[ast.Constant(...) for _ in range(defaults)],
    )


def _fields(node: ast.ClassDef) -> ast.arguments:
    """What the constructor of a dataclass or named tuple takes."""
    own = [each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]
    own = [each for each in own if "ClassVar" not in _names(each.annotation) and not _not_init(each.value)]
    args = [ast.arg(each.target.id, each.annotation) for each in own if isinstance(each.target, ast.Name)]
    kw_only = any("kw_only=True" in ast.unparse(each).replace(" ", "") for each in node.decorator_list)
    if not kw_only:
        return _arguments([ast.arg("self"), *args], sum(each.value is not None for each in own))
    made = _arguments([ast.arg("self")])
    made.kwonlyargs, made.kw_defaults = args, [each.value and ast.Constant(...) for each in own]
    return made


def _not_init(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and "init=False" in ast.unparse(value).replace(" ", "")
