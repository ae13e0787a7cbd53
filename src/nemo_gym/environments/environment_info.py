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


@cache
def library() -> Mapping[str, Path]:
    """The folder of each environment that comes with this package, by name."""
    paths = sorted(PACKAGE.glob("library/*/*/environment.py"), key=lambda path: path.parent.name)
    return {path.parent.name: path.parent for path in paths}


def environment_info(kind: type[Environment]) -> EnvironmentInfo:
    """The catalogue entry of a class."""
    tools: dict[str, None] = {}
    for parent in reversed(kind.__mro__):
        tools |= {name: None for name, value in vars(parent).items() if hasattr(value, "__gym_tool__")}
    own = [parent for parent in kind.__mro__ if parent not in Environment.__mro__ + StepEnvironment.__mro__]
    doc = next((parent.__doc__ for parent in own if parent.__doc__), "")
    return EnvironmentInfo(
        name=kind.name(),
        description=_first_line(doc),
        domain=kind.domain,
        kind="steps" if issubclass(kind, StepEnvironment) else "tools",
        source=_source(kind),
        tools=tuple(tools),
    )


def read_info(name: str, path: Path, source: str, *, whole: bool = False) -> EnvironmentInfo | None:
    """The catalogue entry by reading the file; None when it shows no environment, or more than one.

    What a class has from a base in another file is not seen; `whole` asks for None then.
    """
    tree = parse_file(path)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)} if tree else {}
    classes_here: list[tuple[ast.ClassDef, Literal["tools", "steps"]]] = [
        (node, kind)
        for node in classes.values()
        if not node.name.startswith("_") and (kind := _kind_of(node, classes))
    ]
    if len(classes_here) != 1:
        return None
    node, kind = classes_here[0]
    lineage = _lineage(node, classes)
    bases = {_last_name(base) for parent in lineage for base in parent.bases}
    if whole and not bases <= {"Environment", "StepEnvironment", *classes}:
        return None
    doc = next((text for parent in lineage if (text := ast.get_docstring(parent))), "")
    domain = next((text for parent in lineage if (text := _constant(parent, "domain"))), "other")
    tools = {tool: None for parent in reversed(lineage) for tool in _tools_in(parent)}
    return EnvironmentInfo(name, _first_line(doc), domain, kind, source, tuple(tools))


def _lineage(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[ast.ClassDef]:
    lineage = [node]
    for base in (_last_name(base) for base in node.bases):
        parent = classes.get(base)
        if parent is not None and parent not in lineage and parent.lineno < node.lineno:
            lineage += [one for one in _lineage(parent, classes) if one not in lineage]
    return lineage


def _kind_of(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Literal["tools", "steps"] | None:
    bases = {_last_name(base) for parent in _lineage(node, classes) for base in parent.bases}
    if "StepEnvironment" in bases:
        return "steps"
    return "tools" if "Environment" in bases else None


def _constant(node: ast.ClassDef, name: str) -> str:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Constant(value=str(text))):
                pass
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.Constant(value=str(text))):
                pass
            case _:
                continue
        if target == name:
            return text
    return ""


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
