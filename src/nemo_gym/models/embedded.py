"""A small instruction-tuned model that runs in this process: it needs no server, key or download."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time
from typing import Any, Final, cast

from nemo_gym.models import chatml
from nemo_gym.models.base import Model
from nemo_gym.models.llamacpp import Completion, Engine, faster_weights, find_weights
from nemo_gym.models.remote import context_overflow, request_seed
from nemo_gym.wire.errors import ModelError
from nemo_gym.wire.items import Item, Json, assistant
from nemo_gym.wire.params import FunctionTool, RequestParams, input_items
from nemo_gym.wire.response import Response, Usage

_IM_START: Final = 1
_IM_END: Final = 2
DEFAULT_MAX_TOKENS: Final = 256


class EmbeddedModel(Model):
    """SmolLM2-135M-Instruct on the CPU, run by llama.cpp, with token ids and log-probabilities.

    A request with a seed (or temperature 0) gets the same answer every time, to the last bit; for that, it
    does not reuse the computed prompts of other requests. Requests that run at the same time do not change
    its answer, with one exception: two prompts that start at the same moment and differ by exactly one token
    in length may be rounded differently. Log-probabilities are those of temperature 1 before any grammar.

    Args:
        n_parallel: how many requests are decoded at once; the others wait. Each takes 50 MB of memory.
        context: the most tokens of prompt and answer together.
        threads: how many CPU threads to use; all by default.

    Raises:
        UsageError: a package is not installed; the message says how to install it.
    """

    name = "SmolLM2-135M-Instruct"

    def __init__(self, *, n_parallel: int = 16, context: int = 2048, threads: int | None = None) -> None:
        self.n_parallel = n_parallel
        self.context = context
        self.threads = threads or os.cpu_count() or 1
        self._weights = find_weights()
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._closed = False
        self._pool = ThreadPoolExecutor(n_parallel, thread_name_prefix="embedded-model")

    async def responses(self, params: RequestParams) -> Response:
        return await self._in_thread(self._respond, params)

    async def check(self) -> None:
        """Load the weights now rather than at the first call."""
        await self._in_thread(self._load_engine)

    def close(self) -> None:
        """Release threads and memory. Call it outside of an event loop."""
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

    def _load_engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = self._new_engine(faster_weights(self._weights))
            return self._engine

    def _new_engine(self, weights: Path) -> Engine:
        settings = {"slots": self.n_parallel, "context": self.context, "threads": self.threads}
        try:
            return Engine(weights, **settings)
        except ModelError:
            if weights == self._weights:
                raise
            weights.unlink(missing_ok=True)
            return Engine(self._weights, **settings)

    def _respond(self, params: RequestParams) -> Response:
        engine = self._load_engine()
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

    def _response(self, completion: Completion, prompt: list[int], tools: list[FunctionTool]) -> Response:
        suffix = uuid.uuid4().hex
        cut_off = completion.stop_type == "limit"
        call = chatml.read_call(completion.content, tools, call_id=f"call_{suffix}") if tools else None
        if call is not None:
            call["id"] = f"fc_{suffix}"
            call["status"] = "completed"
            cut_off = False
        message = assistant(completion.content, id=f"msg_{suffix}")
        message["status"] = "incomplete" if cut_off else "completed"
        item: Item = call or message
        log_probs = completion.log_probs
        if log_probs is not None:
            item["prompt_token_ids"] = prompt
            item["generation_token_ids"] = completion.tokens
            item["generation_log_probs"] = log_probs
        usage: Usage = {
            "input_tokens": len(prompt),
            "input_tokens_details": {"cached_tokens": completion.reused_tokens},
            "output_tokens": len(completion.tokens),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": len(prompt) + len(completion.tokens),
        }
        return Response.of(
            [item],
            model=self.name,
            id=f"resp_{suffix}",
            created_at=time(),
            usage=usage,
            incomplete="max_output_tokens" if cut_off else None,
        )


def _prompt_ids(engine: Engine, turns: list[chatml.Turn]) -> list[int]:
    """The prompt in ChatML, with the start of an assistant turn at its end. Sampled ids are not changed."""
    newline = engine.tokenize("\n")
    ids: list[int] = []
    for turn in turns:
        ids.append(_IM_START)
        if turn.token_ids is None:
            ids += engine.tokenize(f"{turn.role}\n{turn.text}")
        else:
            ids += engine.tokenize("assistant\n")
            ids += turn.token_ids
        if ids[-1] != _IM_END:
            ids.append(_IM_END)
        ids += newline
    return [*ids, _IM_START, *engine.tokenize("assistant\n")]


def _sampling(params: RequestParams) -> dict[str, Any]:
    seed = request_seed(params)
    temperature, top_p = params.get("temperature"), params.get("top_p")
    temperature = 1.0 if temperature is None else temperature
    request = {
        "temperature": temperature,
        "top_p": 1.0 if top_p is None else top_p,
        "top_k": 0,
        "min_p": 0.0,
        "cache_prompt": seed is None and temperature > 0,
    }
    if seed is not None:
        request["seed"] = seed % _SEEDS
    return request


_SEEDS: Final = 2**32 - 1
"""llama.cpp reads 2^32 - 1 as "any seed"."""


def _grammar(params: RequestParams, tools: list[FunctionTool]) -> str | None:
    if tools:
        free = params.get("tool_choice") in (None, "auto")
        has_output = any(item.get("type") == "function_call_output" for item in input_items(params))
        return chatml.tool_grammar(tools, or_text=free and has_output)
    form = cast("dict[str, Json]", (params.get("text") or {}).get("format") or {})
    match form.get("type"):
        case "json_schema":
            return chatml.schema_grammar(form.get("schema") or {"type": "object"})
        case "json_object":
            return chatml.schema_grammar({"type": "object"})
        case _:
            return None
