"""TRL's asynchronous GRPO trainer: the worker that gives it samples, and the transfer of its weights.

`AsyncGRPOTrainer(rollout_worker=AsyncWorker(...), weight_transfer=PolicyWeights(...))` takes one sample after
another from the worker's queue while the policy goes on, and sends its weights every few steps. It does not
see groups, so the worker computes the advantages.
"""

from __future__ import annotations

import asyncio
import queue
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

import numpy as np
import numpy.typing as npt

from nemo_gym.models.policies.base import Policy
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.flow import Group
from nemo_gym.training.rollouts import Rollouts, TaskLike
from nemo_gym.training.sequences import TokenSequence
from nemo_gym.wire import keys
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item

Advantages = Callable[[Sequence[float]], Sequence[float]]


def standard_advantages(rewards: Sequence[float]) -> list[float]:
    """The rewards of a group as distances from their mean, in standard deviations."""
    values = np.array(rewards, np.float64)
    return ((values - values.mean()) / (values.std() + 1e-8)).tolist()


@dataclass(slots=True, kw_only=True)
class Sample:
    """What the trainer reads, with the fields of TRL's `RolloutSample`. L is the number of all tokens."""

    prompt: list[dict[str, Any]]
    """Chat messages, for logs only."""
    completion: list[dict[str, Any]]
    input_ids: npt.NDArray[np.int64]
    """[L], prompt and completion, as the policy saw and sampled them."""
    completion_mask: npt.NDArray[np.int64]
    """[L], 1 for the tokens that are trained on."""
    old_log_probs: npt.NDArray[np.float32]
    """[L], the policy's log-probabilities at sampling time; 0 where it did not sample."""
    advantage: float
    model_version: int
    """The oldest version of the policy among the tokens that are trained on."""
    group_id: int
    metrics: dict[str, float]
    enqueued_at: float | None = None
    """Unix time."""


class AsyncWorker:
    """The argument `rollout_worker`: collects groups in the event loop of an open `Rollouts`.

    A rollout that can't be trained on is left out of its group, and the trainer's logs have the number of
    each reason (`rollout/untrainable_REASON_total`).

    Args:
        rollouts: inside of its `with`.
        tasks: the tasks in their order, for instance an endless iterator; training ends with an error when
            they end before it.
        repeats: rollouts per task.
        in_flight: groups that run or are ready at the same time.
        buffer_size: samples that may wait for the trainer. While so many wait, no further group starts.
        advantages: those of a group, from the rewards of its rollouts.
        max_age: a group is waited for once so many later ones have been delivered; None is `in_flight`.
        options: further ones of `GroupFlow`: `filters`, `max_staleness`.
    """

    def __init__(
        self,
        rollouts: Rollouts,
        tasks: Iterable[TaskLike],
        *,
        repeats: int,
        in_flight: int = 16,
        buffer_size: int = 128,
        advantages: Advantages = standard_advantages,
        max_age: int | None = None,
        **options: Any,
    ) -> None:
        self._rollouts, self._policy = rollouts, _policy_of(rollouts)
        self._advantages = advantages
        max_age = in_flight if max_age is None else max_age
        self._flow = rollouts.flow(tasks, repeats=repeats, in_flight=in_flight, max_age=max_age, **options)
        self._untrainable: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last = 0.0
        self.rollout_buffer: queue.Queue[Sample] = _Buffer(buffer_size)
        """Samples for the trainer."""
        self.metrics_queue: queue.Queue[dict[str, float]] = queue.Queue()
        """Counts for the trainer's logs."""

    @property
    def counts(self) -> Counter[str]:
        """Rollouts that were left out and groups, by the names that the trainer's logs have."""
        rollouts = {f"rollout/untrainable_{reason}_total": n for reason, n in self._untrainable.items()}
        groups = {f"rollout/groups_{reason}_total": n for reason, n in self._flow.counts.items()}
        return Counter(rollouts | groups)

    def start(self) -> None:
        """Begin to collect."""
        self._last = monotonic()
        self._task = self._rollouts.start(self._spawn()).result()

    def stop(self) -> None:
        """Stop to collect. Rollouts that still run end at the latest with the `with` of the `Rollouts`."""
        task, self._task = self._task, None
        if task is not None:
            self._rollouts.start(_cancelled(task)).result()

    def update_model_version(self, model_version: int) -> None:
        """Later tokens are of this version."""
        self._policy.version = model_version

    def check_health(self, stale_after_s: float) -> None:
        """Check that samples still come; the trainer calls it while its queue is empty.

        Raises:
            RuntimeError: none comes any more, or none came for so many seconds.
        """
        if self._task is None or self._task.done():
            if not self.rollout_buffer.empty():
                return
            error = self._task.exception() if self._task and not self._task.cancelled() else None
            reason = (
                "it has failed" if error else "the tasks have ended" if self._task else "it was not started"
            )
            raise RuntimeError(f"AsyncWorker: no sample comes any more: {reason}") from error
        if (seconds := monotonic() - self._last) > stale_after_s:
            raise RuntimeError(
                f"AsyncWorker: no sample for {seconds:.0f} seconds; so far: {dict(self.counts)}"
            )

    async def _spawn(self) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        return asyncio.create_task(self._run(lambda: loop.call_soon_threadsafe(self._room.set)))

    async def _run(self, when_taken: Callable[[], object]) -> None:
        buffer = self.rollout_buffer
        assert isinstance(buffer, _Buffer)
        buffer.when_taken = when_taken
        try:
            while groups := await self._flow.take(1):
                for sample in self._samples(groups[0]):
                    await self._put(sample)
                self._report()
        finally:
            buffer.when_taken = None
            await self._flow.aclose()

    async def _put(self, sample: Sample) -> None:
        while True:
            self._room.clear()
            sample.enqueued_at = time()
            try:
                self.rollout_buffer.put_nowait(sample)
            except queue.Full:
                await self._room.wait()
            else:
                self._last = monotonic()
                return

    def _samples(self, group: Group[Any]) -> Iterator[Sample]:
        scored: list[tuple[CollectedRollout, float, list[TokenSequence]]] = []
        for rollout in group.rollouts:
            sequences = [one for one in rollout.sequences if one.mask is None and one.loss_mask.any()]
            if rollout.untrainable is None and sequences and rollout.reward is not None:
                scored.append((rollout, rollout.reward, sequences))
            else:
                self._untrainable[rollout.untrainable or "no_tokens"] += 1
        if not scored:
            return
        rewards = [reward for _, reward, _ in scored]
        spread = float(np.std(rewards))
        for (rollout, reward, sequences), advantage in zip(scored, self._advantages(rewards), strict=True):
            parts = {f"rewards/{name}": value for name, value in (rollout.components or {}).items()}
            metrics = {"reward": reward, "reward_std": spread, **parts}
            for sequence in sequences:
                yield _sample(rollout, sequence, float(advantage), group.number, metrics)

    def _report(self) -> None:
        counts = self.counts
        self.metrics_queue.put({name: float(count) for name, count in (counts - self._reported).items()})
        self._reported = counts


class PolicyWeights:
    """The argument `weight_transfer`: gives the trainer's weights to the policy of an open `Rollouts`.

    Args:
        rollouts: inside of its `with`; its policy takes weights by `update`.
    """

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts
        self._version = 0
        _policy_of(rollouts)

    def send_weights(self, iterator: Iterator[tuple[str, Any]]) -> None:
        """Give the policy all tensors by name. The first version is 1, as in the trainer."""
        self._version += 1
        weights: Mapping[str, Any] = dict(iterator)
        self._rollouts.start(self._rollouts.update(weights, self._version)).result()

    def init_weight_transfer(self) -> None:
        """There is nothing to connect."""

    def pause(self) -> None:
        """`Policy.update` itself waits for the batch that runs."""

    def resume(self) -> None:
        """See `pause`."""

    def destroy(self) -> None:
        """There is nothing to release."""


class _Buffer(queue.Queue[Sample]):
    """A queue that says when an item was taken."""

    when_taken: Callable[[], object] | None = None

    def _get(self) -> Sample:
        sample = super()._get()
        if self.when_taken is not None:
            self.when_taken()
        return sample


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _policy_of(rollouts: Rollouts) -> Policy:
    if rollouts.policy is None:
        raise UsageError("TRL needs the tokens of a policy: Rollouts(..., policy=...)")
    return rollouts.policy


def _sample(
    rollout: CollectedRollout,
    sequence: TokenSequence,
    advantage: float,
    group: int,
    metrics: Mapping[str, float],
) -> Sample:
    before = np.zeros(len(sequence.prompt_ids))
    return Sample(
        prompt=chat_request(rollout.row[keys.PARAMS])["messages"],
        completion=_messages(rollout.response.output if rollout.response else []),
        input_ids=sequence.ids.astype(np.int64),
        completion_mask=np.concatenate((before, sequence.loss_mask)).astype(np.int64),
        old_log_probs=np.concatenate((before, sequence.logprobs)).astype(np.float32),
        advantage=advantage,
        model_version=int(sequence.versions[sequence.loss_mask].min()),
        group_id=group,
        metrics=dict(metrics),
    )


def _messages(items: list[Item]) -> list[dict[str, Any]]:
    return chat_request({"input": items})["messages"]
