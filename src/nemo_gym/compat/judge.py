"""Calls a judge model. A call that fails is not a wrong answer."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from nemo_gym.compat.handlers import request_body, value_of
from nemo_gym.compat.server_utils import ServerClient, get_response_json, raise_for_status
from nemo_gym.wire import keys

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

JUDGE_FAILED = "judge_failed"


class JudgeError(Exception):
    """The judge call failed, so the answer has no score."""


async def call_judge(
    server_client: ServerClient, *, server_name: str, url_path: str, json: Any, response_model: type[M]
) -> M:
    """A judge model's answer.

    Raises:
        JudgeError: the call failed, or the answer is not a `response_model`.
    """

    async def ask() -> M:
        response = await server_client.post(server_name=server_name, url_path=url_path, json=json)
        await raise_for_status(response)
        return response_model.model_validate(await get_response_json(response))

    return await reraise_judge_errors(ask())


async def reraise_judge_errors(call: Awaitable[R]) -> R:
    """The result of a judge call by any client.

    Raises:
        JudgeError: the call raised an exception.
    """
    try:
        return await call
    except JudgeError:
        raise
    except Exception as error:
        raise JudgeError(f"{type(error).__name__}: {error}") from error


def judge_failsafe(verify: Callable[..., Any]) -> Callable[..., Any]:
    """`verify`, except that a failed judge call becomes a row of the failures file, not an error or a reward
    of zero."""

    @functools.wraps(verify)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return await value_of(verify(*args, **kwargs))
        except JudgeError as error:
            body = request_body(args, kwargs)
            row = body.model_dump(mode="json") if body is not None else {}
            failure = {
                keys.REWARD: 0.0,
                keys.FAILURE_CLASS: JUDGE_FAILED,
                keys.FAILURE_JUDGE_ERROR: str(error),
            }
            return JSONResponse(row | failure)

    return guarded
