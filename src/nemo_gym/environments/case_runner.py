"""Runs known cases and rows on an environment in a separate process, because its code is not trusted here:
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
"""The most seconds of all cases and rows together."""
ROW_S: Final = 20.0
"""The most seconds of one row; the check of a row ends without a result after that time."""


class Trial(msgspec.Struct, kw_only=True):
    """The environment, and the cases and rows to run on it."""

    environment: str
    """A reference for `find_environment`."""
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
    """For each row the reason why it does not fit; empty for a row that fits."""


async def try_out(trial: Trial, python: str = sys.executable) -> Outcome:
    """Run a trial in its own process.

    Args:
        python: the interpreter that has the packages of the environment.

    Raises:
        GymError: the environment can't be built, or its process ended early or ran out of time.
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
        scores = [await _score(on, case, index) for index, case in enumerate(trial.cases)]
        bad_rows = [await _row_problem(on.link, row) for row in trial.rows]
    return Outcome(scores, bad_rows)


async def _score(on: Stage, case: Golden, index: int) -> Scored:
    try:
        output = as_items(case.output, "output")
    except UsageError as error:
        return Scored(error=str(error))
    row = {**case.task, keys.TASK_INDEX: index, keys.ROLLOUT_INDEX: 0}
    trace = await on.play(Script(case.name, row, output, case.models))
    return Scored(trace.reward.value) if trace.reward else Scored(error=trace.error or "no reward")


async def _row_problem(link: LocalEnvironment, row: Row) -> str:
    """The environment's reason why a row does not fit; empty if it fits, or if the run fails otherwise."""
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
        return _invalid_body(error.body or "") if error.http_status == _UNPROCESSABLE else ""
    except TimeoutError:
        return ""
    return ""


def _invalid_body(body: str) -> str:
    """FastAPI's message about an invalid body, on one line."""
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
