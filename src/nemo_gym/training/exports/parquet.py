"""Rollouts as columns of one schema, whatever an environment's rows have."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from nemo_gym.training.exports.conversation import Message
from nemo_gym.training.exports.formats import origin
from nemo_gym.training.exports.selection import Example
from nemo_gym.training.sequences import TokenSequence, sequences
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import count_of, object_of
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Usage

ROWS_AT_A_TIME = 1_000


def column_values(example: Example, run: str) -> dict[str, Any]:
    """One rollout as values of the schema's columns. What has no column of its own is JSON text in `task`."""
    columns = origin(example, run)
    main = sequences(example.rollout)[0]
    usage = example.rollout.response.usage if example.rollout.response is not None else None
    return {
        "run": run,
        "agent": columns["agent"],
        "model": columns["model"],
        "task_index": columns["task_index"],
        "rollout_index": columns["rollout_index"],
        "reward": columns["reward"],
        "reward_components": [
            {"name": name, "value": value} for name, value in columns.get("reward_components", {}).items()
        ],
        "outcome": columns["outcome"],
        "prompt": [_message(one) for one in example.conversation.prompt],
        "completion": [_message(one) for one in example.conversation.completion],
        "tools": encode(example.conversation.tools).decode(),
        "task": encode(example.rollout.row).decode(),
        "input_tokens": _count(usage, "input_tokens"),
        "output_tokens": _count(usage, "output_tokens"),
        **_tokens(main),
    }


def write_parquet(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows of `column_values`; returns their number.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        pa: Any = import_module("pyarrow")
        writer_of: Any = import_module("pyarrow.parquet").ParquetWriter
    except ImportError:
        raise UsageError("parquet needs pyarrow: pip install 'nemo-gym[training]'") from None
    schema = _schema(pa)
    count = 0
    source = iter(rows)
    with writer_of(path, schema, compression="zstd") as writer:
        while some := list(islice(source, ROWS_AT_A_TIME)):
            writer.write_table(pa.Table.from_pylist(some, schema))
            count += len(some)
    return count


def _schema(pa: Any) -> Any:
    text, ids = pa.string(), pa.list_(pa.int32())
    call = pa.struct([(name, text) for name in ("id", "name", "arguments")])
    message = pa.struct(
        [
            *((name, text) for name in ("role", "content", "reasoning_content", "tool_call_id")),
            ("tool_calls", pa.list_(call)),
        ]
    )
    columns = {
        "run": text,
        "agent": text,
        "model": text,
        "task_index": pa.int64(),
        "rollout_index": pa.int32(),
        "reward": pa.float64(),
        "reward_components": pa.list_(pa.struct([("name", text), ("value", pa.float64())])),
        "outcome": text,
        "prompt": pa.list_(message),
        "completion": pa.list_(message),
        "tools": text,
        "task": text,
        "input_tokens": pa.int64(),
        "output_tokens": pa.int64(),
        "prompt_ids": ids,
        "completion_ids": ids,
        "loss_mask": pa.list_(pa.bool_()),
        "logprobs": pa.list_(pa.float32()),
        "versions": ids,
        "mask": text,
    }
    return pa.schema(list(columns.items()))


def _count(usage: Usage | None, name: str) -> int | None:
    count = count_of(object_of(usage).get(name))
    return count if count is not None and count < 1 << 63 else None


def _message(message: Message) -> dict[str, Any]:
    calls = message.get("tool_calls")
    return {
        "role": message["role"],
        "content": message["content"],
        "reasoning_content": message.get("reasoning_content"),
        "tool_call_id": message.get("tool_call_id"),
        "tool_calls": calls and [{"id": call["id"], **call["function"]} for call in calls],
    }


def _tokens(main: TokenSequence) -> dict[str, Any]:
    if main.mask == "no_tokens":
        return {"mask": main.mask}
    return {
        "prompt_ids": main.prompt_ids.tolist(),
        "completion_ids": main.completion_ids.tolist(),
        "loss_mask": main.loss_mask.tolist(),
        "logprobs": main.logprobs.tolist(),
        "versions": main.versions.tolist(),
        "mask": main.mask,
    }
