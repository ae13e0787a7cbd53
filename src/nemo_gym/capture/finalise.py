"""Builds the training columns of a row from the captured tokens of a finished rollout."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from nemo_gym.capture.row_columns import tree_columns
from nemo_gym.capture.settings import Strategy
from nemo_gym.capture.tokens import Snapshot, TokenSource, await_call, captured_of
from nemo_gym.wire import keys
from nemo_gym.wire.call_tree import Branch, call_tree, separate_calls
from nemo_gym.wire.items import message_text
from nemo_gym.wire.json_values import object_of, objects_of
from nemo_gym.wire.model_call import Captured
from nemo_gym.wire.params import input_items
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row


class Retirable(msgspec.Struct, frozen=True):
    """The fields of `_ng_token_capture` that are needed once the row is on disk."""

    rollout_id: str = ""
    snapshot_id: str = ""
    version: int = 0
    masked: str | None = None
    """Why the rollout must not be trained on."""


class Finaliser:
    """Rebuilds rollouts from their captured tokens."""

    def __init__(self, source: TokenSource, strategy: Strategy = "prefix_merging") -> None:
        self._source = source
        self._strategy: Strategy = strategy

    async def finish(
        self, row: Row, rollout_id: str, response: Response, agent_columns: Mapping[str, Any]
    ) -> tuple[Response, dict[str, Any]]:
        """The response with the main branch as its output, and the training columns.

        Without captured calls the response stays as it is. After an error the rollout is kept, but masked
        with the reason.

        Args:
            row: as it was dispatched; the text of its task decides which branch is the main one.
            response: the agent's response.
            agent_columns: the columns that the agent added.
        """
        if keys.TOKEN_CAPTURE in agent_columns:  # its served model has done this already
            return response, {}
        try:
            data = await await_call(self._source.freeze, rollout_id)
            snapshot = msgspec.convert(data, Snapshot, from_attributes=True)
            captured = captured_of(snapshot)
            branches = await asyncio.to_thread(self._branches, row, captured)
        except Exception as error:
            log.exception("rollout %s: its tokens can't be rebuilt", rollout_id)
            why = {"rollout_id": rollout_id, "masked": "source_failed", "detail": str(error)[:500]}
            return response, {keys.TOKEN_CAPTURE: why, keys.MASK_SAMPLE: True}
        columns = tree_columns(row, rollout_id, captured, branches, strategy=self._strategy)
        columns[keys.TOKEN_CAPTURE] |= {"snapshot_id": snapshot.snapshot_id, "version": snapshot.version}
        columns[keys.TRAJECTORY] = _join_trajectories(
            object_of(agent_columns.get(keys.TRAJECTORY)), columns[keys.TRAJECTORY]
        )
        if branches:
            response = Response({**response.data, "output": branches[0].trainable_items})
        return response, columns

    async def retire(self, ended: Retirable) -> None:
        """Let the store delete a rollout whose row is on disk. An error of the store is logged."""
        if not ended.snapshot_id:
            return
        snapshot = Snapshot(ended.rollout_id, (), False, ended.snapshot_id, ended.version)
        try:
            await await_call(self._source.drop, snapshot)
        except Exception:
            log.exception("rollout %s: its tokens can't be dropped", ended.rollout_id)

    async def aclose(self) -> None:
        """Close the store."""
        await await_call(self._source.close)

    def _branches(self, row: Row, captured: Captured) -> Sequence[Branch]:
        if self._strategy == "per_request":
            return separate_calls(captured)
        return call_tree(captured, prompt=_prompt(row))


def retirable(columns: Mapping[str, Any]) -> Retirable:
    """The snapshot to retire when these columns are on disk."""
    return msgspec.convert(columns.get(keys.TOKEN_CAPTURE) or {}, Retirable)


log: Final = logging.getLogger(__name__)


def _prompt(row: Row) -> str:
    """The text of the task's last user message."""
    items = input_items(row[keys.PARAMS])
    messages = [item for item in items if item["type"] == "message" and item["role"] == "user"]
    return message_text(messages[-1]) if messages else ""


def _join_trajectories(agent_columns: dict[str, Any], captured: dict[str, Any]) -> dict[str, Any]:
    """The agent's trajectory with the captured branches added; without one, the captured trajectory."""
    if not agent_columns:
        return captured
    ids = {each.get("invocation_id") for each in objects_of(agent_columns.get("invocations"))}
    others = [each for each in captured["invocations"] if each["invocation_id"] not in ids]
    own = cast("list[Any]", agent_columns.get("invocations") or [])
    return {**agent_columns, "invocations": [*own, *others]}
