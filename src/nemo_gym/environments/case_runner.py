"""Runs known cases and rows on an environment in a separate process, where alone its code is imported:
`python -m nemo_gym.environments.case_runner FILE` turns a `Trial` into its `Outcome`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.environments.base import Golden
from nemo_gym.environments.conformance.replay import Script, Stage, as_items, stage
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.support.module_programs import answer_request, run_module
from nemo_gym.wire import keys
from nemo_gym.wire.errors import RolloutError, TaskUnfit, UsageError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import check_params
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row

TRIAL_S: Final = 300.0
"""The most seconds for all cases and rows together."""
ROW_S: Final = 20.0
"""Seconds for one row; a verifier that takes longer says nothing about it."""


class Trial(msgspec.Struct, kw_only=True):
    """The environment, and the cases and rows to run on it."""

    environment: str
    """As `find_environment` takes it."""
    settings: dict[str, Any] = {}
    cases: list[Golden] = []
    rows: list[Row] = []


class Scored(msgspec.Struct, frozen=True):
    """The result of one case: a reward, or the error instead of it."""

    reward: float | None = None
    error: str = ""


class Outcome(msgspec.Struct):
    """The results of all cases and rows, in the order of the request."""

    scored: list[Scored] = []
    bad_rows: list[str] = []
    """For every row the reason why it does not fit; empty for a row that fits."""


async def try_out(trial: Trial, python: str = sys.executable) -> Outcome:
    """Try it in a process of its own.

    Args:
        python: the interpreter that has what the environment needs.

    Raises:
        GymError: the environment can't be made, its process ended early or ran out of time.
    """
    return await run_module(
        "nemo_gym.environments.case_runner",
        trial,
        Outcome,
        what=trial.environment,
        python=python,
        folder=Path.cwd(),
        seconds=TRIAL_S,
    )


async def _try(trial: Trial) -> Outcome:
    kind = find_environment(trial.environment)
    async with stage(lambda: kind(trial.settings), 0) as on:
        scored = [await _score(on, case, index) for index, case in enumerate(trial.cases)]
        bad_rows = [await _misfit(on.link, row) for row in trial.rows]
    return Outcome(scored, bad_rows)


async def _score(on: Stage, case: Golden, index: int) -> Scored:
    try:
        output = as_items(case.output, "output")
    except UsageError as error:
        return Scored(error=str(error))
    row = {**case.task, keys.TASK_INDEX: index, keys.ROLLOUT_INDEX: 0}
    trace = await on.play(Script(case.name, row, output, case.models))
    return Scored(trace.reward.value) if trace.reward else Scored(error=trace.error or "no reward")


async def _misfit(link: LocalEnvironment, row: Row) -> str:
    """The environment's own reason why a row does not fit; other failures say nothing about the row."""
    try:
        check_params(row.get(keys.PARAMS))
        async with asyncio.timeout(ROW_S), link.session(row) as session:
            if link.steps:
                await link.reset(session)
            else:
                await link.verify(session, Response.of([assistant("")]))
    except (UsageError, TaskUnfit) as error:
        return str(error)
    except RolloutError as error:
        return _invalid(error.body or "") if error.http_status == _UNPROCESSABLE else ""
    except TimeoutError:
        return ""
    return ""


def _invalid(body: str) -> str:
    """The message of FastAPI about an invalid body, on one line."""
    try:
        detail = msgspec.json.decode(body, type=_Refusal).detail
    except msgspec.DecodeError:
        return body[:200]
    return "; ".join(f"{'.'.join(map(str, one.loc[1:]))}: {one.msg}" for one in detail)


class _Problem(msgspec.Struct):
    loc: list[str | int]
    msg: str


class _Refusal(msgspec.Struct):
    detail: list[_Problem]


_UNPROCESSABLE: Final = 422


if __name__ == "__main__":
    answer_request(Trial, lambda trial: asyncio.run(_try(trial)))
