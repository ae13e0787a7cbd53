"""The route that scores answers in tables: the remote validator of NeMo Data Designer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from nemo_gym.environments.answer_verdict import Verdict, answer_verdict
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.bodies import read_object
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.json_values import objects
from nemo_gym.wire.task import Row

PATH: Final = "/data_designer/validate"
ANSWER: Final = "answer"
"""The column of the answer, and the query parameter that names another one."""
TASK: Final = "task"
"""The query parameter that names a column with whole task rows, as JSON."""
_AT_ONCE: Final = 16
"""Rows of one request that are verified at the same time."""


def answer_route(link_of: Callable[[Request], EnvironmentLink], typed: Callable[[Row], Row]) -> Route:
    """`POST {"data": [row...]}` is answered with `{"data": [{"is_valid": ..., "reward": ...}...]}`.

    A row has the fields of a task as columns, and its answer in `answer`. The query names other columns:
    `?answer=solution&expected_answer=final_number`. The route is no tool, so `/openapi.json` leaves it out.

    Args:
        link_of: the environment, for the caller of a request.
        typed: makes a task row of columns, which may have objects as JSON text.
    """

    async def verdict(link: EnvironmentLink, record: Row, names: Mapping[str, str]) -> Verdict:
        try:
            row, answer = _row_and_answer(record, names)
        except UsageError as error:
            return Verdict(is_valid=None, reason=str(error))
        return await answer_verdict(link, typed(row), answer)

    async def validate(request: Request) -> JsonResponse:
        body = await read_object(request)
        try:
            records = objects(body.get("data"), "data")
        except UsageError as error:
            raise InvalidBody.of(error) from None
        names = dict(request.query_params)
        link = link_of(request)
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def judge(record: Row) -> dict[str, Any]:
            async with at_once:
                return msgspec.to_builtins(await verdict(link, record, names))

        return JsonResponse({"data": await asyncio.gather(*map(judge, records))})

    return Route(PATH, validate, methods=["POST"])


def _row_and_answer(record: Row, names: Mapping[str, str]) -> tuple[Row, Any]:
    columns = {ANSWER: ANSWER, **names}
    for field, column in columns.items():
        if column not in record:
            raise UsageError(f"there is no column {column!r} for {field}.{did_you_mean(column, record)}")
    row = {name: value for name, value in record.items() if name not in columns.values()}
    if TASK in names:
        row = {**row, **_task(record[names[TASK]])}
    row |= {field: record[column] for field, column in names.items() if field not in (ANSWER, TASK)}
    return row, record[columns[ANSWER]]


def _task(value: Any) -> Row:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise UsageError(f"the task is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError("the task is not a JSON object")
    return value  # type: ignore[return-value]
