"""Judge calls, whose failure is not a wrong answer."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from nemo_gym.compat.server_utils import ServerClient, get_response_json, raise_for_status
from nemo_gym.wire import keys

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

JUDGE_FAILED = "judge_failed"
JUDGE_ERROR_KEY = "_ng_failure_judge_error"


class JudgeError(Exception):
    """The judge could not be asked: nothing is known about the answer."""


async def call_judge(
    server_client: ServerClient, *, server_name: str, url_path: str, json: Any, response_model: type[M]
) -> M:
    """A judge model's answer.

    Raises:
        JudgeError: it could not be asked, or what came back is not a `response_model`.
    """

    async def ask() -> M:
        response = await server_client.post(server_name=server_name, url_path=url_path, json=json)
        await raise_for_status(response)
        return response_model.model_validate(await get_response_json(response))

    return await reraise_judge_errors(ask())


async def reraise_judge_errors(call: Awaitable[R]) -> R:
    """The result of a judge call made with any client.

    Raises:
        JudgeError: the call raised anything.
    """
    try:
        return await call
    except JudgeError:
        raise
    except Exception as error:
        raise JudgeError(f"{type(error).__name__}: {error}") from error


def judge_failsafe(verify: Callable[..., Any]) -> Callable[..., Any]:
    """`verify`, except that a failed judge call becomes a row of the failures file, not an error or a zero
    that counts."""

    @functools.wraps(verify)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            result = verify(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result
        except JudgeError as error:
            body = next((value for value in (*args, *kwargs.values()) if isinstance(value, BaseModel)), None)
            row = body.model_dump(mode="json") if body is not None else {}
            failure = {keys.REWARD: 0.0, keys.FAILURE_CLASS: JUDGE_FAILED, JUDGE_ERROR_KEY: str(error)}
            return JSONResponse(row | failure)

    return guarded
