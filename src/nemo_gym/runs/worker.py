"""A worker process: a collector that reads rows from stdin and writes results to stdout."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from nemo_gym.agents.model_access import ServedModel
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.capture.stores import FileCapture
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.environments.reward_terms import RewardTerms
from nemo_gym.models.base import Model
from nemo_gym.runs.capture_agent import CapturedAgent
from nemo_gym.runs.collect import Collector
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.limiter import Adaptive, Fixed
from nemo_gym.runs.loop import run_async
from nemo_gym.runs.result import Result
from nemo_gym.runs.turn_watch import keep_turns
from nemo_gym.sandbox.pool import named_pool
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.masking import remember_secrets
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row

LENGTH = struct.Struct("!I")
"""Every message is the length of its body in bytes, then the body. A worker gets `Orders` first, then rows as
JSON, and sends `Report`s. Orders and reports are MessagePack."""
LAST_S: Final = 3.0
"""Seconds that a worker has to close its sessions, once its parent is gone or sends SIGTERM."""


class Orders(msgspec.Struct):
    """The first message to a worker: what it runs, and how."""

    environment: EnvironmentSpec
    model: ModelSpec
    agent: AgentSpec
    concurrency: int | None
    rollout_timeout: float | None
    seed: int
    most: int = 4096
    """The upper end of adaptive concurrency."""
    capture: CaptureSettings | None = None
    """What of the model calls is kept; None is nothing."""
    max_sandboxes: int | None = None
    """How many rollouts of this worker may have sandboxes at the same time."""
    sandbox_provider: str | dict[str, Any] | None = None
    """The provider that makes the sandboxes; None is `local`."""
    terms: RewardTerms = RewardTerms()
    """The weights and shapes of the reward."""
    turns: str = ""
    """The folder in which the turns of unfinished rollouts are kept; empty keeps none."""
    secrets: list[str] = []
    """Texts that this worker masks in everything that it shows."""

    @property
    def first_in_flight(self) -> int:
        """How many rollouts this process runs at the same time when it begins."""
        return self.concurrency or min(16, self.most)


class Report(msgspec.Struct, array_like=True):
    """The result of one rollout, and how many rollouts the worker wants in flight."""

    result: Result | None
    limit: int
    problem: str = ""
    """The reason why the whole run can't go on; there is no result then."""


ServeLoopback = Callable[[Model, EnvironmentLink], tuple[ServedModel, EnvironmentLink]]
"""Serves a model and the tools of an environment on this machine, for agents that are programs."""


def build_collector(orders: Orders, *, serve_loopback: ServeLoopback | None = None) -> Collector:
    """The collector that carries out these orders; the caller closes it.

    Args:
        orders: what to build.
        serve_loopback: serves the model to an agent that calls it over HTTP; None where there is no server.

    Raises:
        UsageError: the parts don't fit together.
    """
    environment = orders.environment.build()
    resources = environment.resources
    if orders.environment.models:
        calls = orders.capture.calls if orders.capture else ""
        models = orders.environment.resources(FileCapture(Path(calls)) if calls else None).models
        resources = replace(resources, models=models)
    if orders.max_sandboxes is not None or orders.sandbox_provider:
        pool = named_pool(orders.sandbox_provider, orders.max_sandboxes)
        resources = replace(resources, sandboxes=pool)
    local = LocalEnvironment(environment, seed=orders.seed, resources=resources)
    link = orders.environment.link(local)
    if link is not local and orders.model.type == "oracle":
        raise UsageError("the oracle looks into the environment, which is at a URL here")
    agent = orders.agent.build()
    if orders.turns:
        keep_turns(agent, orders.turns)
    model = orders.model.build(local)
    if model.hides_tokens and orders.capture is not None and orders.capture.tokens is not None:
        raise UsageError(model.hides_tokens).about("model_type")
    if agent.needs_served_model:
        if serve_loopback is None:
            name = orders.agent.name
            raise UsageError(
                f"agent {name!r} needs the model behind a server of this process: use one worker"
            ).about("workers")
        model, link = serve_loopback(model, link)
    limiter = (
        Fixed(orders.concurrency)
        if orders.concurrency
        else Adaptive(lambda: model.pushbacks, start=orders.first_in_flight, most=orders.most)
    )
    if orders.capture is not None:
        agent = CapturedAgent(agent, orders.capture)
    timeout = orders.rollout_timeout
    return Collector(
        agent,
        link,
        model,
        limiter=limiter,
        rollout_timeout=timeout,
        resources=resources,
        terms=orders.terms or None,
        scale=orders.terms.scale_of(orders.environment.scale(environment)),
    )


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """The next message; an empty one means that no more will come.

    Raises:
        asyncio.IncompleteReadError: the other side is gone.
    """
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return await reader.readexactly(length)


def message(body: bytes) -> bytes:
    """A message ready to be written."""
    return LENGTH.pack(len(body)) + body


async def work() -> int:
    """Run the rows of the parent process until it sends no more, or is gone; the exit code."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    out = _take_stdout()
    orders = msgspec.msgpack.decode(await read_message(reader), type=Orders)
    remember_secrets(orders.secrets)
    collector = build_collector(orders)
    rows: asyncio.Queue[Row | None] = asyncio.Queue()

    def leave() -> None:
        """Drop the rollouts in flight and close everything, for as long as that may take."""
        loop.call_later(LAST_S, os._exit, 1)
        collection.cancel()

    async def feed() -> None:
        try:
            while body := await read_message(reader):
                rows.put_nowait(decode(body))
        except asyncio.IncompleteReadError:
            leave()
        rows.put_nowait(None)

    async def next_row() -> Row | None:
        row = await rows.get()
        if row is None:
            rows.put_nowait(None)
        return row

    def sink(rollout: Rollout) -> None:
        send(Report(Result.of(rollout), collector.limit))

    def send(report: Report) -> None:
        out.write(message(msgspec.msgpack.encode(report)))
        out.flush()

    collection = asyncio.create_task(collector.run(next_row, sink))
    loop.add_signal_handler(signal.SIGTERM, leave)
    async with aclosing(collector):
        feeder = asyncio.create_task(feed())
        try:
            with suppress(asyncio.CancelledError):
                await collection
        except UsageError as error:
            feeder.cancel()
            send(Report(None, 0, str(error)))
            return 1
    if collection.cancelled():
        return 1
    await feeder
    return 0


def main() -> None:
    """Entry point of `python -m nemo_gym.runs.worker`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(run_async(work()))


def _take_stdout() -> BinaryIO:
    """A file for the reports; what other code prints goes to standard error from now on."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(descriptor, "wb")


if __name__ == "__main__":
    main()
