"""Gives existing agents the tools in the answer to `/seed_session`.

A row need not list the tools of its environment. Existing agents read the row's request parameters only, so
the tools of the answer are added to these parameters during an agent's `/run`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

from aiohttp import ClientResponse
from pydantic import BaseModel

from nemo_gym.compat.handlers import object_in
from nemo_gym.wire import keys
from nemo_gym.wire.json_values import object_of, objects_of

SEED: Final = "/seed_session"

_params: ContextVar[BaseModel | None] = ContextVar("nemo_gym_run_without_tools", default=None)
"""The request parameters of the current `/run`, if its row does not mention tools."""


@contextmanager
def tools_of_session(body: BaseModel | None) -> Generator[None]:
    """Seeding inside this context adds its tools to the row, if the row does not mention tools."""
    params = getattr(body, keys.PARAMS, None)
    token = _params.set(params if _lacks_tools(params) else None)
    try:
        yield
    finally:
        _params.reset(token)


def seeding_row(row: Any) -> Any:
    """The row for the server, without the default empty list of tools."""
    fields = object_of(row)
    params = object_of(fields.get(keys.PARAMS))
    if _params.get() is None or params.get(_TOOLS) != []:
        return row
    return {**fields, keys.PARAMS: {name: value for name, value in params.items() if name != _TOOLS}}


async def take_tools(answer: ClientResponse) -> None:
    """Add the tools of the answer to seeding, if it has tools, to the row."""
    params = _params.get()
    if params is None or answer.status != 200:
        return
    offers = objects_of((object_in(await answer.read()) or {}).get(_TOOLS))
    if tools := [tool for tool in offers if _is_function(tool)]:
        cast("Any", params).tools = tools


_TOOLS: Final = "tools"


def _lacks_tools(params: Any) -> bool:
    return isinstance(params, BaseModel) and _TOOLS not in params.model_fields_set and hasattr(params, _TOOLS)


def _is_function(tool: Mapping[str, Any]) -> bool:
    return tool.get("type") == "function" and isinstance(tool.get("name"), str)
