"""Rollouts of `workplace_assistant` with everything that an export must keep: thoughts, words before calls,
several calls at once, arguments written with spaces, and characters that end a line elsewhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import nemo_gym
from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.models.scripted import as_response
from nemo_gym.runs.result import Result
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Rollout

REPEATS = 4
ODD = '\u2028\u2029\x85\x0b\x0c\t\\n "<b>" é 漢字 🙂 {{ x }} </s>'
"""Line ends of Unicode, quotes, tags and characters of several bytes."""

Piece = tuple[str, ...]
"""`think`, `say`, `call` or `result`, and the texts of it."""


class Worker(Model):
    """Does each task right in the first two repeats, and leaves the last call out in the others."""

    name = "worker"

    def for_session(self, session: Session) -> Model:
        return _Shift(session)

    async def responses(self, params: RequestParams) -> Response:
        raise NotImplementedError


class _Shift(Model):
    name = Worker.name

    def __init__(self, session: Session) -> None:
        self._repeat: int = session.row["_ng_rollout_index"]
        task: Any = session.task
        self._calls = [(call.name, call.arguments) for call in task.ground_truth]
        if self._repeat >= 2:
            self._calls = [("email_search_emails", '{"query": "nothing"}'), *self._calls[:-1]]
        self._answer = task.expected_text
        self._turn = 0

    async def responses(self, params: RequestParams) -> Response:
        self._turn += 1
        place = f"{self._turn}.{self._repeat}"
        thought = {"type": "summary_text", "text": f"\n Turn {place}: {ODD}"}
        items: list[Any] = [{"type": "reasoning", "id": f"rs_{place}", "summary": [thought]}]
        some, self._calls = self._calls[: self._repeat + 1], self._calls[self._repeat + 1 :]
        if not some:
            return as_response([*items, assistant(f"  Done {place}. {ODD}\n{self._answer or ''}")], self.name)
        if self._repeat % 2:
            items.append(assistant(f"I do {len(some)} things.\n\n{ODD}"))
        items += [_call(name, arguments, f"call_{place}_{n}") for n, (name, arguments) in enumerate(some)]
        return as_response(items, self.name)


def _call(name: str, arguments: str, call_id: str) -> Item:
    """A call as a model writes it: JSON with spaces."""
    return function_call(name, json.dumps(json.loads(arguments), ensure_ascii=False), call_id=call_id)


def write_workplace_run(folder: Path, tasks: int = 125) -> tuple[Path, list[Rollout]]:
    """The rollouts file of a run, and its rollouts in the order of tasks and repeats."""
    rollouts = asyncio.run(_collect(tasks))
    rollouts.sort(key=lambda one: (one.task_index, one.rollout_index))
    path = folder / "workplace.jsonl"
    path.write_bytes(b"".join(Result.of(one).line for one in rollouts))
    return path, rollouts


async def _collect(tasks: int) -> list[Rollout]:
    rollouts = nemo_gym.collect("workplace_assistant", Worker(), limit=tasks, num_repeats=REPEATS, seed=0)
    return [one async for one in rollouts]


def pieces(rollout: Rollout) -> list[Piece]:
    """What the model and the tools said, in turn."""
    assert rollout.response is not None
    return [_piece(item) for item in rollout.response.output]


def _piece(item: Any) -> Piece:
    match item["type"]:
        case "reasoning":
            return "think", item["summary"][0]["text"]
        case "message":
            return "say", item["content"][0]["text"]
        case "function_call":
            return "call", item["name"], item["arguments"], item["call_id"]
        case _:
            return "result", item["output"], item["call_id"]


def prompt_texts(rollout: Rollout) -> list[tuple[str, str]]:
    """The roles and texts of the task."""
    return [(item["role"], item["content"]) for item in rollout.row["responses_create_params"]["input"]]
