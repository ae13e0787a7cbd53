"""`Rollouts`: what a training loop collects with, built once for the whole training."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import fields
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from nemo_gym.agents.base import Agent
from nemo_gym.assembly.collect import SAMPLING, Bounds, Collection, open_collection
from nemo_gym.environments.base import Environment
from nemo_gym.models.base import Model
from nemo_gym.models.gated import Gate, GatedModel
from nemo_gym.models.policies.base import Policy
from nemo_gym.models.policies.model import PolicyModel
from nemo_gym.models.versioned import VersionedModel
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.runs.plan import PlanOptions, task_rows
from nemo_gym.support.loop_thread import LoopThread
from nemo_gym.training.collected import ROW_ID, CollectedRollout
from nemo_gym.training.flow import GroupFlow
from nemo_gym.training.trainers import trl
from nemo_gym.training.trainers.trl_environments import TrlEnvironments
from nemo_gym.wire import keys
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.json_values import content_text, objects_of
from nemo_gym.wire.params import FIELDS, RequestParams
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row, Task

T = TypeVar("T")
TaskLike = int | Task | Mapping[str, Any]
"""A row id, a row of `Rollouts.dataset`, a `Task`, or a task row."""


_OPTIONS: Final = inspect.signature(open_collection).parameters.keys() - {"around_model"}


class Rollouts:
    """Collects rollouts again and again with one environment, one agent and one model.

    Use it as a context manager: `with` in ordinary code, where it has an event loop in a thread of its own,
    or `async with`. A rollout that fails is in its place in the results, without a reward, and `untrainable`
    says so.

    Args:
        environment: as of `nemo_gym.collect`.
        policy: samples the tokens; its prompts begin with the ids of the rollout so far.
        model: a model as of `nemo_gym.collect`, in place of `policy`.
        max_steps: the most model calls of a rollout; None leaves it to the agent.
        max_tokens: the most tokens of an answer, where a task does not say it.
        template_arguments: further arguments of the chat template.
        concurrency: rollouts in flight.
        sampling: request parameters that win over every task's own, for instance `temperature=1.0`.
        options: further arguments of `nemo_gym.collect`: `models`, `seed`, `rollout_timeout` ...
    """

    def __init__(
        self,
        environment: Environment | type[Environment] | str,
        *,
        policy: Policy | None = None,
        model: Model | ModelSpec | str | None = None,
        settings: Mapping[str, Any] | None = None,
        agent: Agent | str | None = None,
        agent_settings: Mapping[str, Any] | None = None,
        max_steps: int | None = None,
        max_tokens: int = 1024,
        template_arguments: Mapping[str, Any] | None = None,
        concurrency: int = 512,
        sampling: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if (policy is None) == (model is None):
            raise UsageError("Rollouts: give a policy, or a model")
        if policy is not None and not isinstance(policy, Policy):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(
                f"Rollouts: policy: expected an object of a subclass of Policy, got {policy!r:.80}"
            )
        _check_options(options)
        _check_names("sampling", sampling or {}, SAMPLING)
        _check_least(max_steps=max_steps, max_tokens=max_tokens)
        self.policy = policy
        if policy is not None:
            model = PolicyModel(policy, max_tokens=max_tokens, template_arguments=template_arguments)
        steps = {} if max_steps is None else {"max_steps": max_steps}
        self._arguments: dict[str, Any] = {
            "environment": environment,
            "model": model,
            "settings": settings,
            "agent": agent,
            "agent_settings": {**(agent_settings or {}), **steps},
            "concurrency": concurrency,
            **options,
        }
        self._model_version: int | None = None
        self._seed: int | None = options.get("seed")
        self._sampling = dict(sampling or {})
        self._tasks: list[Row] = []
        self._numbers = count()
        self._open: _Open | None = None
        self._stack = AsyncExitStack()
        self._thread: LoopThread | None = None

    async def __aenter__(self) -> Self:
        gate = Gate()

        def around(model: Model) -> Model:
            return GatedModel(VersionedModel(model, lambda: self._model_version), gate)

        collection = await self._stack.enter_async_context(
            open_collection(**self._arguments, around_model=around)
        )
        self._open = _Open(collection, gate)
        self._stack.push_async_callback(self._open.aclose)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = None
        await self._stack.aclose()

    def __enter__(self) -> Self:
        self._thread = LoopThread("rollouts")
        try:
            return self._thread.run(self.__aenter__())
        except BaseException:
            self._thread.close()
            self._thread = None
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        assert thread is not None
        if thread.is_inherited:
            return  # the rollouts are those of the parent process
        try:
            thread.run(self.__aexit__(None, None, None))
        finally:
            thread.close()

    def dataset(self, split: str = "train", n: int | None = None) -> list[dict[str, Any]]:
        """Tasks of the environment as rows of a trainer's data set: `prompt`, chat messages, and `row_id`,
        which the first message has too, for trainers that hand on nothing but the prompt.

        Raises:
            UsageError: the environment has no such split.
        """
        rows: list[dict[str, Any]] = []
        for task in self.own_tasks(split, n):
            number = len(self._tasks)
            self._tasks.append(task)
            first, *rest = _messages(task)
            rows.append({"prompt": [{**first, ROW_ID: number}, *rest], ROW_ID: number})
        return rows

    async def collect(self, tasks: Iterable[TaskLike], *, repeats: int = 1) -> list[CollectedRollout]:
        """Every rollout of the tasks in input order, the repeats of each task together.

        A cancellation drops the rollouts: those that wait never start, the others are cancelled with their
        model calls, and their sessions are closed.
        """
        return list(await asyncio.gather(*self._submit(tasks, repeats)))

    def collect_sync(self, tasks: Iterable[TaskLike], *, repeats: int = 1) -> list[CollectedRollout]:
        """The same for ordinary code, inside of `with`."""
        return self._in_thread(self.collect(tasks, repeats=repeats))

    def start(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run work in the event loop of `with`, beside the caller, at the longest until the end of `with`."""
        return self._thread_for(work).submit(work)

    async def stream(
        self, tasks: Iterable[TaskLike], *, repeats: int = 1, in_order: bool = False
    ) -> AsyncGenerator[CollectedRollout, None]:
        """Every rollout of the tasks as it ends. The end of the iteration drops the others, as a cancellation
        of `collect` does; leave it early within `contextlib.aclosing` to have that happen at once.

        Args:
            in_order: give each one in its place in the input order, as soon as all before it have ended.
        """
        futures = self._submit(tasks, repeats)
        try:
            for finished in futures if in_order else asyncio.as_completed(futures):
                yield await finished
        finally:
            for future in futures:
                if not future.cancel() and not future.cancelled():
                    future.exception()  # seen, so that nobody logs it

    def stream_sync(
        self, tasks: Iterable[TaskLike], *, repeats: int = 1, in_order: bool = False
    ) -> Generator[CollectedRollout, None, None]:
        """The same for ordinary code, inside of `with`."""
        return self._each_in_thread(self.stream(tasks, repeats=repeats, in_order=in_order))

    async def groups(
        self, tasks: Iterable[TaskLike], *, repeats: int = 1, in_order: bool = False
    ) -> AsyncGenerator[list[CollectedRollout], None]:
        """The rollouts of each task together, in the order of their repeats, once the last one has ended. The
        end of the iteration drops the others, as that of `stream` does.

        Args:
            in_order: give the groups in the order of their tasks.
        """
        waiting: dict[int, list[CollectedRollout]] = {}
        async with aclosing(self.stream(tasks, repeats=repeats, in_order=in_order)) as rollouts:
            async for rollout in rollouts:
                group = waiting.setdefault(rollout.group, [])
                group.append(rollout)
                if len(group) == repeats:
                    yield sorted(waiting.pop(rollout.group), key=lambda one: one.rollout_index)

    def groups_sync(
        self, tasks: Iterable[TaskLike], *, repeats: int = 1, in_order: bool = False
    ) -> Generator[list[CollectedRollout], None, None]:
        """The same for ordinary code, inside of `with`."""
        return self._each_in_thread(self.groups(tasks, repeats=repeats, in_order=in_order))

    def flow(
        self, tasks: Iterable[TaskLike], *, repeats: int, in_flight: int, **options: Any
    ) -> GroupFlow[TaskLike]:
        """Groups for training steps, of which more are started than a step needs; `options` as of
        `GroupFlow`."""

        def collect(task: TaskLike) -> Coroutine[Any, Any, list[CollectedRollout]]:
            return self.collect([task], repeats=repeats)

        return GroupFlow(collect, tasks, in_flight=in_flight, version=lambda: self.version, **options)

    def trl_rollout_func(self) -> Callable[[list[Any], Any], dict[str, list[Any]]]:
        """The hook `GRPOTrainer(rollout_func=...)` of TRL (`training.trainers.trl`), for the time inside of
        `with`."""
        if self.policy is None:
            raise UsageError("TRL needs the tokens of a policy: Rollouts(..., policy=...)")
        return trl.rollout_func(self.collect_sync, min(self.policy.end_ids))

    def trl_environments(self, split: str = "train", n: int | None = None) -> TrlEnvironments:
        """The hook `GRPOTrainer(environment_factory=...)` of TRL (`training.trainers.trl_environments`), for
        the time inside of `with`. TRL samples by itself: no policy is needed, `model="none"` will do."""
        collector = self._opened().collection.collector
        environments = TrlEnvironments(self.dataset(split, n), self._row, collector, self._in_thread)
        self._stack.push_async_callback(environments.aclose)
        return environments

    @property
    def trl_reward(self) -> Callable[..., list[float | None]]:
        """The `reward_funcs` that goes with it."""
        return trl.reward

    @property
    def version(self) -> int:
        """The version of the weights; of a model the one of `set_version`, or 0."""
        return self.policy.version if self.policy else self._model_version or 0

    def set_version(self, version: int) -> None:
        """Say which weights a model has from now on, where its server takes them itself. Its tokens get this
        version.

        Raises:
            UsageError: a policy has a version of its own.
        """
        if self.policy is not None:
            raise UsageError("Rollouts: a policy's version changes with `update`")
        self._model_version = version

    async def pause(self, *, wait: bool = True) -> None:
        """Let no further model call begin until `resume`, for a weight update that can't happen in flight.

        Rollouts keep their sessions, and their time limits don't count the pause. An agent at a URL asks its
        model itself, so its calls go on.

        Args:
            wait: return when the model calls that run have ended; otherwise they run on. A cancellation of
                the wait resumes.
        """
        await self._opened().pause(wait=wait)

    def pause_sync(self, *, wait: bool = True) -> None:
        """The same for ordinary code, inside of `with`."""
        self._in_thread(self.pause(wait=wait))

    def resume(self) -> None:
        """Let model calls begin again. It may be called in `with` and in `async with`."""
        opened = self._opened()
        if self._thread is None:
            opened.resume()
        else:
            self.start(_call(opened.resume))

    async def update(self, weights: Any, version: int) -> None:
        """Give the policy new weights."""
        if self.policy is None:
            raise UsageError("Rollouts: a model's server takes its weights itself: call set_version then")
        await self.policy.update(weights, version)
        self.policy.version = version

    def update_sync(self, weights: Any, version: int) -> None:
        """The same for ordinary code, inside of `with`."""
        self._in_thread(self.update(weights, version))

    def check(self, tasks: Iterable[TaskLike]) -> None:
        """Check that tasks fit the environment and the agent.

        Raises:
            UsageError: one does not; the message has its number.
        """
        source = [_unstamped(self.task(one)) for one in tasks]
        self._opened().collection.plan(source, PlanOptions(), Bounds(split="train", seed=0, limit=None))

    def own_tasks(self, split: str = "train", n: int | None = None) -> list[Row]:
        """The first tasks of the environment itself.

        Raises:
            UsageError: it has no such split.
        """
        if n is not None and n < 0:
            raise UsageError(f"n: expected a number of tasks, got {n}")
        environment = self._opened().collection.environment
        return list(task_rows(environment, None, split=split, seed=self._seed or 0, limit=n))

    def task(self, one: TaskLike) -> Task | Row:
        """The task of a row id, of a row of `dataset`, or `one` itself.

        Raises:
            UsageError: there is no such row, or it is of another data set.
        """
        number = one.get(ROW_ID) if isinstance(one, Mapping) else one
        if not isinstance(number, int):
            if isinstance(one, Task | Mapping):
                return cast("Task | Row", one)
            raise UsageError(f"expected a row id, a row or a Task, got {one!r:.80}")
        if not 0 <= number < len(self._tasks):
            raise UsageError(f"there is no row {number}: dataset() has given {len(self._tasks)} rows")
        task = self._tasks[number]
        prompt = one.get("prompt") if isinstance(one, Mapping) else None
        if isinstance(prompt, list) and _texts(cast("object", prompt)) != _texts(_messages(task)):
            raise UsageError(
                f"row {number} has another prompt than here: it is of another data set, or was changed"
            )
        return task

    def _submit(self, tasks: Iterable[TaskLike], repeats: int) -> list[asyncio.Future[CollectedRollout]]:
        opened = self._opened()
        return [opened.submit(row) for row in self._rows(tasks, repeats)]

    def _rows(self, tasks: Iterable[TaskLike], repeats: int) -> list[Row]:
        _check_least(repeats=repeats)
        source = [_unstamped(self.task(one)) for one in tasks]
        options = PlanOptions(num_repeats=repeats, sampling=self._sampling, seed=self._seed)
        bounds = Bounds(split="train", seed=self._seed or 0, limit=None)
        rows = self._opened().collection.plan(source, options, bounds)
        return [{**row, keys.ROLLOUT_ID: f"t{next(self._numbers)}"} for row in rows]

    def _row(self, number: int, repeat: int) -> Row:
        """The row of one rollout that no request has."""
        (row,) = self._rows([number], 1)
        return {**row, keys.TASK_INDEX: number, keys.ROLLOUT_INDEX: repeat}

    def _in_thread(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread_for(work).run(work)

    def _thread_for(self, work: Coroutine[Any, Any, Any]) -> LoopThread:
        if self._thread is not None and not self._thread.is_inherited:
            return self._thread
        work.close()
        if self._thread is None:
            raise UsageError("Rollouts: this needs `with Rollouts(...)`, which has an event loop of its own")
        raise UsageError("Rollouts: it was opened in the parent process: open another one in this process")

    def _each_in_thread(self, source: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        async def following() -> list[T]:
            async for one in source:
                return [one]
            return []

        try:
            while one := self._in_thread(following()):
                yield one[0]
        finally:
            if self._thread is not None:
                self._in_thread(source.aclose())

    def _opened(self) -> _Open:
        if self._open is None:
            raise UsageError("Rollouts: use it inside of `with` or `async with`")
        return self._open


def _messages(task: Row) -> list[dict[str, Any]]:
    messages = chat_request(cast("RequestParams", task[keys.PARAMS]))["messages"]
    return messages or [{"role": "user", "content": ""}]


def _texts(messages: object) -> list[str]:
    return [content_text(message.get("content")) for message in objects_of(messages)]


def _check_names(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{where}: there is no {name!r}.{did_you_mean(name, known)}")


def _check_least(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise UsageError(f"{name}: expected at least 1, got {value}")


def _check_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name in FIELDS:
            raise UsageError(f"Rollouts: {name} is a request parameter: sampling={{{name!r}: {value!r:.40}}}")
    own = inspect.signature(Rollouts).parameters.keys() - {"options"}
    _check_names("Rollouts", options, _OPTIONS | own)


def _unstamped(task: Task | Row) -> Task | Row:
    """A row without an index: its place is its identity, also for a row that comes several times."""
    if isinstance(task, Task):
        return task
    return {name: value for name, value in task.items() if name != keys.TASK_INDEX}


class _Open:
    """The collector, which runs until it is closed, and the rollouts that callers wait for."""

    def __init__(self, collection: Collection, gate: Gate) -> None:
        self.collection = collection
        self._gate = gate
        self._rows: asyncio.Queue[Row] = asyncio.Queue()
        self._waiting: dict[str, asyncio.Future[CollectedRollout]] = {}
        self._run = asyncio.create_task(collection.collector.run(self._next, self._finish))
        self._run.add_done_callback(self._end)

    def submit(self, row: Row) -> asyncio.Future[CollectedRollout]:
        """The future of a row with an id of its own."""
        future = asyncio.get_running_loop().create_future()
        if self._run.done():
            future.set_exception(_error_of(self._run))
            return future
        self._waiting[row[keys.ROLLOUT_ID]] = future
        future.add_done_callback(partial(self._note_cancellation, row))
        self._rows.put_nowait(row)
        return future

    async def aclose(self) -> None:
        """Cancel the rollouts in flight and wait for the end of their sessions."""
        self._run.cancel()
        await asyncio.gather(self._run, return_exceptions=True)

    async def pause(self, *, wait: bool) -> None:
        """Hold the model calls back. A cancellation of the wait lets them go on."""
        self.collection.collector.pause_deadlines()
        try:
            await self._gate.close(wait=wait)
        except BaseException:
            self.resume()
            raise

    def resume(self) -> None:
        self._gate.open()
        self.collection.collector.resume_deadlines()

    def _note_cancellation(self, row: Row, future: asyncio.Future[CollectedRollout]) -> None:
        if future.cancelled():
            self.collection.collector.drop(row)

    async def _next(self) -> Row:
        while True:
            row = await self._rows.get()
            if not self._waiting[row[keys.ROLLOUT_ID]].cancelled():
                return row
            del self._waiting[row[keys.ROLLOUT_ID]]

    def _finish(self, rollout: Rollout) -> None:
        values = {one.name: getattr(rollout, one.name) for one in fields(rollout)}
        result = CollectedRollout(**values, group=rollout.task_index)
        future = self._waiting.pop(rollout.row[keys.ROLLOUT_ID])
        if not future.done():
            future.set_result(result)

    def _end(self, run: asyncio.Task[None]) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(_error_of(run))
        self._waiting.clear()


async def _call(function: Callable[[], object]) -> None:
    function()


def _error_of(run: asyncio.Task[None]) -> BaseException:
    error = None if run.cancelled() else run.exception()
    return error or UsageError("Rollouts: it is closed")
