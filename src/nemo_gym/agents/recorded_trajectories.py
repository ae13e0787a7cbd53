"""The agent that repeats the trajectories of an earlier run, so that they are scored again."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Final

from nemo_gym.agents.base import Agent
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.wire import keys
from nemo_gym.wire.errors import RolloutError, UsageError
from nemo_gym.wire.jsonl import decode, open_regular
from nemo_gym.wire.rollout import Reward, Rollout, keep_partial
from nemo_gym.wire.row_identity import keyed_lines, line_at
from nemo_gym.wire.row_index import RowIndex
from nemo_gym.wire.task import Row
from nemo_gym.wire.token_packing import expand_row
from nemo_gym.wire.validation import read_response


class RecordedTrajectories(Agent):
    """Takes the trajectory of an earlier run, without a model or a tool, and lets the environment score it.

    Columns that the earlier run added to the row (`ng_...`, `_ng_...`, `mask_sample`) stay there.

    Args:
        rollouts: the file with the trajectories of that run.
        failed_as: repeats only the failures of this class, from a failures file. By default failures are left
            out.
    """

    def __init__(self, *, rollouts: str, failed_as: str = "") -> None:
        self._path = Path(rollouts)
        self._failed_as = failed_as or None

    async def check(self) -> None:
        if not self._index:
            what = f"failures of class {self._failed_as}" if self._failed_as else "rollouts"
            raise UsageError(f"{self._path}: there are no {what}")

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        earlier = self._earlier_row(row)
        try:
            response = read_response(expand_row(earlier).get(keys.RESPONSE))
        except ValueError as error:
            raise RolloutError(f"{self._path}: the recorded response can't be used: {error}") from None
        began = monotonic()
        try:
            async with environment.session(row) as session:
                reward: Reward = await environment.verify(session, response)
        except BaseException as error:
            keep_partial(error, row, response)
            raise
        notes = {name: value for name, value in earlier.items() if name not in row and _is_note(name)}
        params = earlier.get(keys.PARAMS)
        if isinstance(params, dict):  # These hold the environment's tools, which the planned row lacks.
            notes[keys.PARAMS] = params
        outcome = earlier.get(keys.OUTCOME)
        return Rollout.scored(
            {**row, **notes},
            response,
            reward,
            outcome=outcome if isinstance(outcome, str) and not self._failed_as else "completed",
            timing={"verify_s": monotonic() - began},
        )

    def _earlier_row(self, row: Row) -> Row:
        """The row of the earlier run with the same identity.

        Raises:
            RolloutError: there is none.
        """
        place = self._index.find(row[keys.TASK_INDEX], row[keys.ROLLOUT_INDEX])
        if place is None:
            raise RolloutError(f"{self._path} has no such rollout")
        with open_regular(self._path) as file:
            return decode(line_at(file, place.offset))

    @cached_property
    def _index(self) -> RowIndex:
        """The place of each rollout in the file; of several failures, the last."""
        rows = keyed_lines(self._path)
        return RowIndex((row, 0) for row in rows if row.stamp.failure_class == self._failed_as)


def _is_note(name: str) -> bool:
    return name in _NOTES or (name.startswith(("ng_", keys.PREFIX)) and name not in keys.RESULT_KEYS)


_NOTES: Final = keys.CAPTURE_KEYS | {keys.AGENT_OBSERVATIONS, keys.PROMPT_CONFIG_USED, keys.SKILLS_REF}
