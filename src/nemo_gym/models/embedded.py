"""A small instruction-tuned model that runs in this process: it needs no server, key or download."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from time import time
from typing import Any, Final, cast

from nemo_gym.models import chatml
from nemo_gym.models.base import Model
from nemo_gym.models.llamacpp import Completion, Engine, faster_weights, find_weights
from nemo_gym.models.remote import context_overflow, json_object
from nemo_gym.wire.errors import ModelError, ModelRejected
from nemo_gym.wire.items import Item, Json, assistant
from nemo_gym.wire.params import FunctionTool, RequestParams, input_items
from nemo_gym.wire.response import Response, Usage

_IM_START: Final = 1
_IM_END: Final = 2
DEFAULT_MAX_TOKENS: Final = 256


class EmbeddedModel(Model):
    """SmolLM2-135M-Instruct on the CPU by llama.cpp, with token ids and log-probabilities.

    A request with a seed (or temperature 0) repeats to the last bit, for which it shares no computed prompt
    with others. Neighbours change nothing either, save that two prompts which start at the same moment and
    differ by exactly one token in length may round differently. Log-probabilities are those of temperature 1
    before any grammar.

    Args:
        n_parallel: requests decoded side by side; more wait in line. Each slot takes 50 MB of memory.
        context: tokens of prompt and answer together.
        threads: of the CPU; all of them by default.

    Raises:
        UsageError: the packages are not installed, and how to install them.
    """

    name = "SmolLM2-135M-Instruct"

    def __init__(self, *, n_parallel: int = 16, context: int = 2048, threads: int | None = None) -> None:
        self.n_parallel = n_parallel
        self.context = context
        self.threads = threads or os.cpu_count() or 1
        self._shipped = find_weights()
        self._loading = threading.Lock()
        self._engine: Engine | None = None
        self._closed = False
        self._pool = ThreadPoolExecutor(n_parallel, thread_name_prefix="embedded-model")

    async def responses(self, params: RequestParams) -> Response:
        return await self._in_thread(self._respond, params)

    async def check(self) -> None:
        """Load the weights now rather than at the first call."""
        await self._in_thread(self._loaded)

    def close(self) -> None:
        """Release threads and memory, from outside of an event loop."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    async def aclose(self) -> None:
        self._closed = True
        await asyncio.to_thread(self.close)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        if self._closed:
            raise ModelError("the embedded model is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def _loaded(self) -> Engine:
        with self._loading:
            if self._engine is None:
                weights = faster_weights(self._shipped)
                self._engine = self._load(weights)
            return self._engine

    def _load(self, weights: Any) -> Engine:
        settings = {"slots": self.n_parallel, "context": self.context, "threads": self.threads}
        try:
            return Engine(weights, **settings)
        except ModelError:
            if weights == self._shipped:
                raise
            weights.unlink(missing_ok=True)
            return Engine(self._shipped, **settings)

    def _respond(self, params: RequestParams) -> Response:
        engine = self._loaded()
        tools = chatml.offered_tools(params)
        prompt = _prompt_ids(engine, chatml.turns_of(params, tools))
        room = self.context - len(prompt)
        if room < 1:
            return context_overflow(self.name)
        request = _sampling(params)
        request["prompt"] = prompt
        request["max_tokens"] = min(params.get("max_output_tokens") or DEFAULT_MAX_TOKENS, room)
        if grammar := _grammar(params, tools):
            request["grammar"] = grammar
        return self._response(engine.complete(request), prompt, tools)

    def _response(self, made: Completion, prompt: list[int], tools: list[FunctionTool]) -> Response:
        suffix = uuid.uuid4().hex
        cut_off = made.stop_type == "limit"
        call = chatml.read_call(made.content, tools, call_id=f"call_{suffix}") if tools else None
        if call is not None:
            call["id"] = f"fc_{suffix}"
            call["status"] = "completed"
            cut_off = False
        message = assistant(made.content, id=f"msg_{suffix}")
        message["status"] = "incomplete" if cut_off else "completed"
        item: Item = call or message
        log_probs = made.log_probs
        if log_probs is not None:
            item["prompt_token_ids"] = prompt
            item["generation_token_ids"] = made.tokens
            item["generation_log_probs"] = log_probs
        usage: Usage = {
            "input_tokens": len(prompt),
            "input_tokens_details": {"cached_tokens": made.cached},
            "output_tokens": len(made.tokens),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": len(prompt) + len(made.tokens),
        }
        incomplete = "max_output_tokens" if cut_off else None
        return Response.of(
            [item],
            model=self.name,
            id=f"resp_{suffix}",
            created_at=time(),
            usage=usage,
            incomplete=incomplete,
        )


def _prompt_ids(engine: Engine, turns: list[chatml.Turn]) -> list[int]:
    """The prompt in ChatML, an opened assistant turn at its end; sampled ids stay as they were sampled."""
    newline = engine.tokenize("\n")
    ids: list[int] = []
    for turn in turns:
        ids.append(_IM_START)
        if turn.sampled is None:
            ids += engine.tokenize(f"{turn.role}\n{turn.text}")
        else:
            ids += engine.tokenize("assistant\n")
            ids += turn.sampled
        if ids[-1] != _IM_END:
            ids.append(_IM_END)
        ids += newline
    return [*ids, _IM_START, *engine.tokenize("assistant\n")]


def _sampling(params: RequestParams) -> dict[str, Any]:
    metadata = params.get("metadata")
    seed = json_object(metadata, "extra_body").get("seed") if metadata else None
    if seed is not None and not isinstance(seed, int):
        raise ModelRejected(f"seed: expected an integer, got {seed!r}")
    temperature = _or(params.get("temperature"), 1.0)
    request = {
        "temperature": temperature,
        "top_p": _or(params.get("top_p"), 1.0),
        "top_k": 0,
        "min_p": 0.0,
        "cache_prompt": seed is None and temperature > 0,
    }
    if seed is not None:
        request["seed"] = seed % _SEEDS
    return request


_SEEDS: Final = 2**32 - 1
"""llama.cpp reads 2^32 - 1 as "any seed"."""


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _grammar(params: RequestParams, tools: list[FunctionTool]) -> str | None:
    if tools:
        free = params.get("tool_choice") in (None, "auto")
        answered = any(item.get("type") == "function_call_output" for item in input_items(params))
        return chatml.tool_grammar(tools, or_text=free and answered)
    form = cast("dict[str, Json]", (params.get("text") or {}).get("format") or {})
    match form.get("type"):
        case "json_schema":
            return chatml.schema_grammar(form.get("schema") or {"type": "object"})
        case "json_object":
            return chatml.schema_grammar({"type": "object"})
        case _:
            return None
