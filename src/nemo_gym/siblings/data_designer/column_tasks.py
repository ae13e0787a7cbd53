"""What the columns `gym-verify` and `gym-rollout` compute, without Data Designer's classes."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Mapping as Fields
from contextlib import aclosing, suppress
from functools import cache
from typing import Any, Final, cast

import msgspec

from nemo_gym.assembly.collect import collect
from nemo_gym.assembly.model import model
from nemo_gym.environments.answer_verdict import answer_verdict, typed_columns
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.siblings.data_designer.columns import Unmappable, value_at
from nemo_gym.siblings.data_designer.mapping import Mapping, read_mapping
from nemo_gym.siblings.data_designer.presets import find_preset
from nemo_gym.siblings.data_designer.records import as_json
from nemo_gym.support.loop_thread import EXIT_S, LoopThread
from nemo_gym.wire import keys
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row

Cell = tuple[dict[str, Any] | None, str | None]
"""A column's value, and the text of its error column: one of them is null."""


def column_mapping(mapping: str | dict[str, Any], environment: str, settings: dict[str, Any]) -> Mapping:
    """The mapping of a column: the one of a preset, or its own.

    Raises:
        UsageError: there is no such preset, or it is no mapping.
    """
    of_preset = isinstance(mapping, str)
    found = find_preset(mapping).mapping if of_preset else read_mapping(mapping, "mapping")
    changes: dict[str, Any] = {}
    if environment:
        changes["environment"] = environment
    if settings:
        changes["settings"] = settings
    found = msgspec.structs.replace(found, **changes)
    if not found.environment:
        raise UsageError("mapping: name the environment")
    return found


async def verify_record(mapping: Mapping, answer: str, record: Row) -> Cell:
    """The verdict on the answer in a column. It never raises: a raise would drop the record.

    Args:
        answer: a column, or a path in one.
    """
    return await asyncio.wrap_future(_LOOP.submit(_verify(mapping, answer, record)))


async def roll_out_record(
    mapping: Mapping,
    record: Row,
    spec: ModelSpec,
    *,
    models: Fields[str, ModelSpec] | None = None,
    max_steps: int | None = None,
    most_seconds: float = 3600.0,
    sampling: Fields[str, Any] | None = None,
) -> tuple[Cell, list[dict[str, Any]] | None]:
    """A rollout of the task of a record, and its conversation as chat messages. It never raises.

    Args:
        models: the models that the environment asks, by the names it declares.
        sampling: request parameters of the model, such as `temperature`.
    """
    options: dict[str, Any] = {
        "models": dict(models or {}),
        "agent_settings": None if max_steps is None else {"max_steps": max_steps},
        "rollout_timeout": most_seconds,
        **(sampling or {}),
    }
    return await asyncio.wrap_future(_LOOP.submit(_roll_out(mapping, record, spec, options)))


def trace_of(rollout: Rollout) -> list[dict[str, Any]] | None:
    """The conversation of a rollout in the form of Data Designer's `__trace` columns."""
    if rollout.response is None:
        return None
    params = cast("RequestParams", rollout.row.get(keys.PARAMS) or {})
    items = [*input_items(params), *rollout.response.output]
    fields: dict[str, Any] = {"input": items, "tools": params.get("tools") or []}
    if params.get("instructions"):
        fields["instructions"] = params.get("instructions")
    messages = chat_request(cast("RequestParams", fields))["messages"]
    return [_trace_message(message) for message in messages]


def chat_model(endpoint: str, name: str, api_key: str) -> ModelSpec:
    """The model of a Data Designer provider."""
    return model(endpoint, name, type="chat", api_key=api_key)


async def _verify(mapping: Mapping, answer: str, record: Row) -> Cell:
    try:
        record = as_json(record)
        link = _link(mapping.environment, encode(mapping.settings), os.getpid())
        row = typed_columns(mapping.task(record), link.environment.Task)
        verdict = await answer_verdict(link, row, value_at(record, answer))
    except (GymError, Unmappable) as error:
        return None, without_secrets(str(error))
    except Exception as error:  # an author's environment may raise anything
        return None, without_secrets(f"{type(error).__name__}: {error}")
    if verdict.is_valid is None:
        return None, verdict.reason
    return cast("dict[str, Any]", msgspec.to_builtins(verdict)), None


async def _roll_out(
    mapping: Mapping, record: Row, spec: ModelSpec, options: dict[str, Any]
) -> tuple[Cell, list[dict[str, Any]] | None]:
    try:
        kind = find_environment(mapping.environment).Task
        row = typed_columns(mapping.task(as_json(record)), kind)
        rollouts = collect(
            mapping.environment, spec, [row], settings=mapping.settings, concurrency=1, **options
        )
        async with aclosing(rollouts):
            async for rollout in rollouts:
                return _rollout_cell(rollout), trace_of(rollout)
    except (GymError, Unmappable) as error:
        return (None, without_secrets(str(error))), None
    except Exception as error:  # as above
        return (None, without_secrets(f"{type(error).__name__}: {error}")), None
    return (None, "the rollout did not run"), None


def _rollout_cell(rollout: Rollout) -> Cell:
    if rollout.failure is not None or rollout.reward is None:
        return None, without_secrets(f"{getattr(rollout.failure, 'failure_class', '')}: {rollout.failure}")
    reason = rollout.details.get("reason")
    return {
        "reward": rollout.reward,
        "reward_components": dict(rollout.components) if rollout.components else None,
        "reason": reason if isinstance(reason, str) else None,
        "outcome": rollout.outcome,
        "answer": "" if rollout.response is None else rollout.response.final_text,
        "model_calls": rollout.timing.get("model_calls"),
    }, None


def _trace_message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if content is None or isinstance(content, str):
        content = [{"type": "text", "text": content or ""}]
    return {**message, "content": content}


_LOOP: Final = LoopThread("nemo-gym-columns")
"""Environments and their connections belong to a loop, but Data Designer may call a column from several."""


@cache
def _link(environment: str, settings: bytes, process: int) -> LocalEnvironment:
    """One environment object for all columns with these settings, in this process."""
    link = LocalEnvironment(build_environment(find_environment(environment), msgspec.json.decode(settings)))
    atexit.register(_close, link, process)
    return link


def _close(link: LocalEnvironment, process: int) -> None:
    if process == os.getpid():
        with suppress(TimeoutError):
            _LOOP.run(link.aclose(), within=EXIT_S)
