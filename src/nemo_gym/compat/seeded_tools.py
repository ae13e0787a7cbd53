"""Tools that a resources server offers when a session begins, for existing agents that know those of the row
alone.

A row need not list the tools of its environment: the answer to `/seed_session` does, and what this package's
agents do with it is done here for an agent's `/run`: the tools join the row's request parameters, from which
the agent takes them for its model calls.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

import msgspec
from aiohttp import ClientResponse
from pydantic import BaseModel

from nemo_gym.wire import keys
from nemo_gym.wire.json_values import object_of, objects_of
from nemo_gym.wire.jsonl import decode

SEED: Final = "/seed_session"

_params: ContextVar[BaseModel | None] = ContextVar("nemo_gym_run_without_tools", default=None)
"""The request parameters of the running `/run`, when its row says nothing of tools."""


@contextmanager
def tools_of_session(body: BaseModel | None) -> Generator[None]:
    """Whatever the code inside seeds gives its tools to this row, if it says nothing of tools itself."""
    params = getattr(body, keys.PARAMS, None)
    token = _params.set(params if _says_nothing(params) else None)
    try:
        yield
    finally:
        _params.reset(token)


def seeding_row(row: Any) -> Any:
    """The row for the server, without the empty list of tools of a row that has none."""
    fields = object_of(row)
    params = object_of(fields.get(keys.PARAMS))
    if _params.get() is None or params.get(_TOOLS) != []:
        return row
    return {**fields, keys.PARAMS: {name: value for name, value in params.items() if name != _TOOLS}}


async def take_tools(answer: ClientResponse) -> None:
    """Give the row the tools that the answer to seeding offers; one without any changes nothing."""
    params = _params.get()
    if params is None or answer.status != 200:
        return
    try:
        offered: Any = object_of(decode(await answer.read())).get(_TOOLS)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    tools = [tool for tool in objects_of(offered) if _is_function(tool)]
    if tools:
        cast("Any", params).tools = tools


_TOOLS: Final = "tools"


def _says_nothing(params: Any) -> bool:
    return isinstance(params, BaseModel) and _TOOLS not in params.model_fields_set and hasattr(params, _TOOLS)


def _is_function(tool: Mapping[str, Any]) -> bool:
    return tool.get("type") == "function" and isinstance(tool.get("name"), str)
