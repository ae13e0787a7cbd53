"""A model that is a Python function."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

from nemo_gym.models.base import Model
from nemo_gym.support.modules import load_file
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.items import Item, assistant, check_items
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response

Answer: TypeAlias = str | list[Item] | Response
Script: TypeAlias = Callable[[RequestParams], Answer | Awaitable[Answer]]


class ScriptedModel(Model):
    """Answers with the result of a function of the request: text, items, or a whole Response.

    Args:
        script: the function, sync or async, or its place as `path.py:function`.

    Raises:
        UsageError: there is no such file or function.
    """

    name = "scripted"

    def __init__(self, script: Script | str) -> None:
        self._script = _load(script) if isinstance(script, str) else script

    async def responses(self, params: RequestParams) -> Response:
        answer = self._script({**params, "input": input_items(params)})
        return as_response(await answer if inspect.isawaitable(answer) else answer, self.name)


def as_response(answer: object, model: str) -> Response:
    """Convert an answer of text, items or a Response to a Response.

    Raises:
        UsageError: the answer is none of these, or its items are not well formed.
    """
    match answer:
        case Response():
            return answer
        case str():
            return Response.of([assistant(answer)], model=model)
        case list():
            items = copy.deepcopy(cast("list[Any]", answer))
            return Response.of(check_items(items, f"answer of the {model} model"), model=model)
        case _:
            kind = type(answer).__name__
            raise UsageError(f"the {model} model answered {kind}, not text, a list of items or a Response")


def _load(reference: str) -> Script:
    file, _, name = reference.rpartition(":")
    path = Path(file)
    if not file or path.suffix != ".py":
        raise UsageError(f"{reference!r}: expected path.py:function")
    if not path.is_file():
        raise UsageError(f"{file}: no such file")
    module = load_file(path)
    function = getattr(module, name, None)
    if not callable(function):
        names = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise UsageError(f"{file}: no function {name!r}.{did_you_mean(name, names)}")
    return cast("Script", function)
