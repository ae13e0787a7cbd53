"""`EnvironmentInfo`: the catalogue entry of an environment, read from its class or its source file."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.environments.tool import tool_methods
from nemo_gym.support.modules import FILE_MODULE, PACKAGE, parse_file


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """A catalogue entry."""

    name: str
    description: str
    domain: str
    kind: Literal["tools", "steps"]
    source: str
    """`built-in`, the installed package's module, or the file."""
    tools: tuple[str, ...]
    asks: tuple[str, ...] = ()
    """The models that it asks, such as a judge."""
    generates: bool = False
    """Whether it makes tasks of its own."""


@cache
def library() -> Mapping[str, Path]:
    """The folder of each built-in environment, by name."""
    paths = sorted(PACKAGE.glob("library/*/*/environment.py"), key=lambda path: path.parent.name)
    return {path.parent.name: path.parent for path in paths}


def environment_info(kind: type[Environment]) -> EnvironmentInfo:
    """The catalogue entry of a class."""
    own = [parent for parent in kind.__mro__ if parent not in Environment.__mro__ + StepEnvironment.__mro__]
    doc = next((parent.__doc__ for parent in own if parent.__doc__), "")
    return EnvironmentInfo(
        name=kind.name(),
        description=_first_line(doc),
        domain=kind.domain,
        kind="steps" if issubclass(kind, StepEnvironment) else "tools",
        source=_source(kind),
        tools=tuple(tool_methods(kind)),
        asks=tuple(kind.asks),
        generates=any("tasks" in vars(parent) for parent in own),
    )


def read_info(name: str, path: Path, source: str, *, whole: bool = False) -> EnvironmentInfo | None:
    """The catalogue entry from the text of a file; None when the file has no environment, or several.

    A base class in another file is not read; with `whole` the result is None then.
    """
    tree = parse_file(path)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)} if tree else {}
    environments: list[tuple[list[ast.ClassDef], set[str]]] = []
    for node in classes.values():
        lineage = _lineage(node, classes)
        bases = {_last_name(base) for parent in lineage for base in parent.bases}
        if not node.name.startswith("_") and bases & {"Environment", "StepEnvironment"}:
            environments.append((lineage, bases))
    if len(environments) != 1:
        return None
    ((lineage, bases),) = environments
    if whole and not bases <= {"Environment", "StepEnvironment", *classes}:
        return None
    doc = next((text for parent in lineage if (text := ast.get_docstring(parent))), "")
    domain = next((text for parent in lineage if (text := _constant(parent, "domain"))), "other")
    tools = {tool: None for parent in reversed(lineage) for tool in _tools_in(parent)}
    kind = "steps" if "StepEnvironment" in bases else "tools"
    asks = next((names for parent in lineage if (names := _texts(_value(parent, "asks")))), ())
    generates = any("tasks" in _functions_in(parent) for parent in lineage)
    return EnvironmentInfo(name, _first_line(doc), domain, kind, source, tuple(tools), asks, generates)


def _lineage(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[ast.ClassDef]:
    lineage = [node]
    for base in (_last_name(base) for base in node.bases):
        parent = classes.get(base)
        if parent is not None and parent not in lineage and parent.lineno < node.lineno:
            lineage += [one for one in _lineage(parent, classes) if one not in lineage]
    return lineage


def _constant(node: ast.ClassDef, name: str) -> str:
    """The text that a class assigns to a name; empty without one."""
    value = _value(node, name)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _value(node: ast.ClassDef, name: str) -> ast.expr | None:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                return value
            case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name:
                return value
            case _:
                continue
    return None


def _texts(value: ast.expr | None) -> tuple[str, ...]:
    """The texts of a tuple or list of constants."""
    each = value.elts if isinstance(value, ast.Tuple | ast.List) else ()
    return tuple(one.value for one in each if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _functions_in(node: ast.ClassDef) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {member.name for member in node.body if isinstance(member, functions)}


def _tools_in(node: ast.ClassDef) -> list[str]:
    return [
        member.name
        for member in node.body
        if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any(_last_name(decorator) == "tool" for decorator in member.decorator_list)
    ]


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _first_line(doc: str | None) -> str:
    return inspect.cleandoc(doc).partition("\n")[0] if doc else ""


def _source(kind: type[Environment]) -> str:
    module = kind.__module__
    if module.startswith("nemo_gym.library."):
        return "built-in"
    return inspect.getfile(kind) if module.startswith(FILE_MODULE) else module
