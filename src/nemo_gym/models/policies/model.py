"""A `Policy` as a model that agents can ask."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import time
from typing import Any, cast
from weakref import WeakKeyDictionary

from nemo_gym.models.base import Model
from nemo_gym.models.policies.answers import answer_items
from nemo_gym.models.policies.base import Policy, Sampled, Sampling
from nemo_gym.models.policies.prompts import Prompts
from nemo_gym.models.remote import context_overflow, request_seed
from nemo_gym.wire.errors import ModelError
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response, Usage


class PolicyModel(Model):
    """Asks a policy. Requests that wait at the same time are sampled as one batch, unless the policy takes
    each prompt as it comes (`Policy.sample`).

    Args:
        max_tokens: the most tokens of an answer, where a request does not say it.
        template_arguments: further arguments of the chat template.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        max_tokens: int = 1024,
        template_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.policy = policy
        self.name = policy.name
        self._max_tokens = max_tokens
        self._prompts = Prompts(policy, template_arguments)

    async def responses(self, params: RequestParams) -> Response:
        prompt = self._prompts.ids(params)
        most = params.get("max_output_tokens") or self._max_tokens
        if self.policy.context is not None:
            most = min(most, self.policy.context - len(prompt))
        if most < 1:
            return context_overflow(self.name)
        temperature, top_p = params.get("temperature"), params.get("top_p")
        sampling = Sampling(
            temperature=1.0 if temperature is None else temperature,
            top_p=1.0 if top_p is None else top_p,
            max_tokens=most,
            seed=request_seed(params),
        )
        return self._response(params, prompt, await self._sample(prompt, sampling))

    async def _sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        if not self.policy.samples_singly:
            return await _batches_of(self.policy).sample(prompt, sampling)
        version = self.policy.version
        try:
            return _versioned(await self.policy.sample(prompt, sampling), version)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise ModelError("the policy cancelled its sample") from None
        except Exception as error:
            raise _model_error(error) from error

    def _response(self, params: RequestParams, prompt: list[int], sampled: Sampled) -> Response:
        ids = [int(token) for token in sampled.ids]
        if len(ids) != len(sampled.logprobs):
            raise ModelError(
                f"the policy sampled {len(ids)} tokens with {len(sampled.logprobs)} log-probabilities"
            )
        items = answer_items(
            self._prompts.text(ids), id=uuid.uuid4().hex, has_tools=bool(params.get("tools"))
        )
        versions = sampled.version
        cast("dict[str, Any]", items[-1]).update(
            prompt_token_ids=prompt,
            generation_token_ids=ids,
            generation_log_probs=[float(value) for value in sampled.logprobs],
            weight_version=versions if isinstance(versions, int) else list(versions or ()),
        )
        usage: Usage = {
            "input_tokens": len(prompt),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": len(ids),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": len(prompt) + len(ids),
        }
        incomplete = None if sampled.ended else "max_output_tokens"
        return Response.of(
            items,
            model=self.name,
            id=f"resp_{uuid.uuid4().hex}",
            created_at=time(),
            usage=usage,
            incomplete=incomplete,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    prompt: list[int]
    sampling: Sampling
    answer: asyncio.Future[Sampled]


class _Batches:
    """Collects requests into batches of one sampling. While a batch runs, the next one fills.

    All models of one policy have the same batches in an event loop, so that several environments fill them
    together.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._waiting: deque[_Request] = deque()
        self._active = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        request = _Request(prompt, sampling, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._active < self._policy.batches_in_flight:
            self._active += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await request.answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._let_others_join()
                if batch := self._next():
                    await self._generate(batch)
        finally:
            self._active -= 1

    async def _let_others_join(self) -> None:
        """Wait while each turn of the event loop brings more requests, up to a whole batch."""
        count = 0
        while count < len(self._waiting) < self._policy.max_batch:
            count = len(self._waiting)
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    def _next(self) -> list[_Request]:
        """The requests with the sampling of the one that has waited longest."""
        waiting = [request for request in self._waiting if not request.answer.done()]
        if not waiting:
            self._waiting.clear()
            return []
        batch = [one for one in waiting if one.sampling == waiting[0].sampling][: self._policy.max_batch]
        chosen = set(batch)
        self._waiting = deque(one for one in waiting if one not in chosen)
        return batch

    async def _generate(self, batch: list[_Request]) -> None:
        version = self._policy.version
        prompts = [one.prompt for one in batch]
        failure: ModelError
        try:
            work = asyncio.ensure_future(self._policy.generate(prompts, batch[0].sampling))
            _cancel_when_unwanted(work, [one.answer for one in batch])
            answers = [_versioned(answer, version) for answer in await work]
            if len(answers) != len(batch):
                raise ModelError(f"the policy gave {len(answers)} answers to {len(batch)} prompts")
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                for one in batch:
                    one.answer.cancel()
                raise
            failure = ModelError("the policy cancelled its batch")
        except Exception as error:
            failure = _model_error(error)
        else:
            for one, answer in zip(batch, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)
            return
        for one in batch:
            if not one.answer.done():
                one.answer.set_exception(failure)


def _cancel_when_unwanted(work: asyncio.Future[Any], answers: list[asyncio.Future[Sampled]]) -> None:
    """Cancel the work of a batch once every answer of it has been cancelled."""
    wanted = len(answers)

    def note(_: asyncio.Future[Sampled]) -> None:
        nonlocal wanted
        wanted -= 1
        if wanted == 0:
            work.cancel()

    for answer in answers:
        answer.add_done_callback(note)


def _versioned(sampled: Sampled, version: int) -> Sampled:
    """The answer with the version of the policy when its sampling began, if it has none of its own."""
    if not isinstance(sampled, Sampled):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ModelError(
            f"the policy returned {type(sampled).__name__}, expected Sampled(ids, logprobs, ended)"
        )
    return replace(sampled, version=version) if sampled.version is None else sampled


def _model_error(error: Exception) -> ModelError:
    if isinstance(error, ModelError):
        return error
    failure = ModelError(f"the policy failed: {error!r}")
    failure.__cause__ = error
    return failure


def _batches_of(policy: Policy) -> _Batches:
    loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Batches]
    loops = vars(policy).setdefault("_batches_of_loops", WeakKeyDictionary())
    loop = asyncio.get_running_loop()
    if (batches := loops.get(loop)) is None:
        batches = loops[loop] = _Batches(policy)
    return batches


_TURNS = 3
"""Turns of the event loop from the end of one model call to the start of the next one of the same agent."""
