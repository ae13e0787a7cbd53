"""Infers a workload's integration profile from its configuration and source code, without importing any."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nemo_gym.agents.registry import AGENTS, ALIASES
from nemo_gym.config.implementations import implementation_folder
from nemo_gym.config.instances import Instance
from nemo_gym.config.manifest import DRIVEN, Profile
from nemo_gym.config.resolve import Config
from nemo_gym.support.modules import parse_file

_PROGRAMS: Final = frozenset({"command", "presets", "remote_agent", "remote_run"})
"""Modules of the agents whose loop is in another program."""


def infer_profile(config: Config, agent: Instance | None, roots: Sequence[Path]) -> Profile:
    """The integration profile of a workload.

    A driver makes all rollouts. Without one, an agent of the user owns the loop when its `responses` does
    more than raise, and a built-in agent owns it unless it only calls another program."""
    if agent is None or config.tree.get("rollout_collection_driver"):
        return DRIVEN
    folder = implementation_folder(agent, roots)
    if folder is not None:
        return "custom-gym-agent-loop" if _has_loop(folder / agent.entrypoint) else "external-agent-loop"
    name = ALIASES.get(agent.implementation, agent.implementation)
    return "external-agent-loop" if AGENTS[name].partition(":")[0] in _PROGRAMS else "custom-gym-verifier"


def takes_any_server(file: Path) -> bool:
    """Whether an agent's code declares a setting `resources_server`, so that it acts in any of them."""
    tree = parse_file(file)
    return any(
        isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "resources_server"
        for node in ast.walk(tree or ast.Module([], []))
    )


def prepare_problem(script: Path) -> str | None:
    """The problem of a benchmark's `prepare(**arguments) -> Path`; None when there is none."""
    tree = parse_file(script)
    if tree is None:
        return "can't be read as Python" if script.is_file() else "there is no such file"
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    prepare = next((node for node in functions if node.name == "prepare"), None)
    if prepare is None:
        return "has no function prepare()"
    if isinstance(prepare, ast.AsyncFunctionDef):
        return f"line {prepare.lineno}: prepare() must not be async"
    arguments = prepare.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = [argument.arg for argument in positional[: len(positional) - len(arguments.defaults)]]
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    required += [argument.arg for argument, default in pairs if default is None]
    if required:
        return f"line {prepare.lineno}: prepare() needs arguments, give {', '.join(required)} a default"
    result = ast.unparse(prepare.returns) if prepare.returns else "Path"
    if result.strip("'\"").rpartition(".")[2] != "Path":
        return f"line {prepare.lineno}: prepare() must return the Path that it wrote, not {result}"
    return None


def _has_loop(file: Path) -> bool:
    tree = parse_file(file)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)] if tree else []
    methods = [
        node
        for one in classes
        for node in one.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "responses"
    ]
    return any(not _only_raises(method) for method in methods)


def _only_raises(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    body = method.body[1:] if ast.get_docstring(method) is not None else method.body
    return all(isinstance(statement, ast.Raise | ast.Pass) for statement in body)
