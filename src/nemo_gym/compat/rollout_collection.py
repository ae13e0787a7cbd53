"""Collects rollouts through servers that run already: batches for a trainer, or a whole file."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias, cast
from weakref import WeakKeyDictionary

from nemo_gym.assembly.arguments import Arguments
from nemo_gym.assembly.job import assembly_of_arguments
from nemo_gym.compat.agent_servers import AgentServers
from nemo_gym.compat.agent_servers import RolloutFailed as RolloutFailed
from nemo_gym.compat.captures import CapturedServers, configured_capture
from nemo_gym.compat.client import GlobalAIOHTTPAsyncClientConfig
from nemo_gym.compat.client_servers import ClientAgents, servers_of
from nemo_gym.compat.collection_config import RolloutCollectionConfig as RolloutCollectionConfig
from nemo_gym.compat.delivery import checked_result
from nemo_gym.compat.errors import InvalidInput
from nemo_gym.compat.global_config import (
    get_global_config_dict,
    get_server_token,
    settings,
)
from nemo_gym.compat.prompt import find_prompt
from nemo_gym.compat.server_utils import BaseServerConfig, ServerClient
from nemo_gym.compat.skills import load_skill_directory
from nemo_gym.compat.trajectory_records import attach_trajectory_record
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.environments.remote_placeholder import RemotePlaceholder
from nemo_gym.runs.ledger import max_attempts
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.plan import PlanOptions, expand
from nemo_gym.runs.run import Job, Run
from nemo_gym.runs.task_sources import source_rows
from nemo_gym.serving.checkouts import checkouts
from nemo_gym.serving.sockets import http_url, reachable
from nemo_gym.wire import keys
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.task import Row, named_agent
from nemo_gym.wire.token_packing import expand_row

NG_FAILURE_CLASS_KEY: Final = keys.FAILURE_CLASS
NG_NO_PERSIST_KEY: Final = keys.NO_PERSIST
NG_TERMINAL_KEY: Final = keys.FAILURE_TERMINAL
NG_JUDGE_ERROR_KEY: Final = keys.FAILURE_JUDGE_ERROR

_attach_trajectory_record: Final = attach_trajectory_record  # existing code imports it by this name

Finished: TypeAlias = tuple[Row, dict[str, Any]]
"""A row, the same object that the caller passed, and its result."""


class RolloutCollectionHelper:
    """Collects rollouts from agent servers. One helper may serve several batches and event loops at once."""

    def __init__(self) -> None:
        self._agents_of: WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[str, AgentServers | CapturedServers]
        ] = WeakKeyDictionary()

    def run_examples(
        self,
        examples: Iterable[Row],
        head_server_config: BaseServerConfig | None = None,
        semaphore: AbstractAsyncContextManager[Any] | None = None,
    ) -> Generator[Awaitable[Finished], None, None]:
        """Start a rollout of every row. Each awaitable returns the next rollout that ends, as (row, result).

        A result whose tokens can't be trained on has `mask_sample`, and the reason in
        `_ng_token_capture.masked`.

        Iterate inside an event loop. When the iteration ends early, the other rollouts are cancelled.

        Args:
            examples: rows, each with `agent_ref.name` and any other columns.
            head_server_config: the address of the head server; None takes it from the configuration.
            semaphore: limits the rollouts at the same time, in place of
                `global_aiohttp_connector_limit_per_host`.

        Raises:
            RolloutFailed: from an awaitable, for a rollout without a score; see its `status` and
                `response_content`.
            GymError: from an awaitable; the head server can't be reached, or has no such agent.
        """
        agents = self._agents(head_server_config)
        turn = semaphore or asyncio.Semaphore(_most_at_once())

        async def finish(row: Row) -> Finished:
            async with turn:
                result = await agents.result_of(row)
            try:
                return row, checked_result(result)
            except ValueError as error:
                raise RolloutFailed(f"agent {named_agent(row)!r}: {error}", 502, encode(result)) from None

        tasks = [asyncio.ensure_future(finish(row)) for row in examples]
        try:
            yield from asyncio.as_completed(tasks)
        except GeneratorExit:
            for task in tasks:
                task.cancel()
                task.add_done_callback(_ignore)
            raise

    async def run_from_config(self, config: RolloutCollectionConfig) -> list[dict[str, Any]]:
        """The scored rollouts of a file, in the order of task and repeat. Also writes the files of a run.

        Raises:
            GymError: the collection ended early; `resume_from_cache` continues it.
            InvalidInput: a setting or a row is wrong. No file has changed.
            UsageError: another part of the configuration is wrong.
        """
        client = self._own_client(None)
        job = _job(config, client)
        _check_rows(job)
        if not config.resume_from_cache and not job.output.is_dir():
            for path in RunPaths.of(job.output).existing():
                path.unlink()
        run = Run(job)
        await run.prepare()
        report = await run.collect()
        for note in run.notes:
            log.warning("%s: %s", job.output, note)
        manifest = report.manifest
        if manifest.status != "complete":
            raise GymError(f"{manifest.reason}; resume_from_cache continues the collection")
        log.info("%s: %s", job.output, manifest.counts)
        return sorted((expand_row(row) for _, row in read_rows(job.output)), key=_place)

    def setup_server_client(self, head_server_config: BaseServerConfig | None = None) -> ServerClient:
        """A client that calls the servers by their names. A subclass may return another client, which then
        makes every call of this helper.

        Raises:
            ConfigError: there is no head server.
        """
        return ServerClient.load_from_global_config(head_server_config)

    def _agents(self, head: BaseServerConfig | None) -> AgentServers | CapturedServers:
        agents = self._agents_of.setdefault(asyncio.get_running_loop(), {})
        url = _head_url(head)
        if url not in agents:
            client, capture = self._own_client(head), configured_capture()
            servers = AgentServers(url, get_server_token(), None if client is None else servers_of(client))
            agents[url] = CapturedServers(servers, capture) if capture else servers
        return agents[url]

    def _own_client(self, head: BaseServerConfig | None) -> ServerClient | None:
        """The client of a subclass or patch that replaces `setup_server_client`; None without one."""
        function = getattr(self.setup_server_client, "__func__", None)
        return None if function is _SETUP_SERVER_CLIENT else self.setup_server_client(head)


_SETUP_SERVER_CLIENT: Final = RolloutCollectionHelper.setup_server_client


async def collect_rollouts(config: RolloutCollectionConfig) -> object:
    """Collect with the driver of the configuration, or else with the built-in loop.

    Raises:
        InvalidInput: there is no such driver.
    """
    if not config.rollout_collection_driver:
        return await RolloutCollectionHelper().run_from_config(config)
    driver = _load(config.rollout_collection_driver)
    return await driver(config, get_global_config_dict())


def _load(reference: str) -> Callable[..., Awaitable[object]]:
    module, _, name = reference.partition(":")
    try:
        value = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(f"rollout_collection_driver {reference!r}: {error}") from None
    return cast("Callable[..., Awaitable[object]]", value)


def _get_max_rollout_attempts() -> int:  # pyright: ignore[reportUnusedFunction]  # existing code imports it
    return max_attempts()


def _job(config: RolloutCollectionConfig, client: ServerClient | None) -> Job:
    """The job of a collection: an assembly for servers that run already.

    Args:
        client: makes the calls, where a subclass of the helper has a client of its own.

    Raises:
        InvalidInput: a setting is wrong.
        MissingFile: there is no such prompt file.
    """
    if config.prompt_config:
        find_prompt(config.prompt_config)  # raises the types of errors that existing code expects
    arguments = Arguments(no_serve=True, head_url=_head_url(None), server_token=get_server_token())
    try:
        run_settings = RunSettings().over(config.model_dump())
        prompt_folders = [Path(), *checkouts()] if config.prompt_config else []
        job = assembly_of_arguments(arguments, run_settings, prompt_folders).job
    except ConfigError as error:
        raise InvalidInput(str(error)) from None
    skills = load_skill_directory(config.skills.path).model_dump() if config.skills else None
    job = replace(job, columns={keys.SKILLS_REF: skills} if skills else {}, capture=configured_capture())
    if client is None:
        return job
    return replace(job, agent=ClientAgents(job.agent.name, {"agent": config.agent_name or ""}, client=client))


def _check_rows(job: Job) -> None:
    rows = source_rows(RemotePlaceholder(), job.sources, split=job.split, seed=0, limit=job.limit)
    options = PlanOptions(
        num_repeats=job.num_repeats, agent=job.agent.label, num_repeats_add_seed=job.num_repeats_add_seed
    )
    try:
        for _ in expand(rows, options):
            pass
    except UsageError as error:
        raise InvalidInput(str(error)) from None


def _head_url(head: BaseServerConfig | None) -> str:
    head_config = head or ServerClient.load_head_server_config()
    return http_url(reachable(head_config.host), head_config.port)


def _most_at_once() -> int:
    limits = GlobalAIOHTTPAsyncClientConfig.model_validate(dict(settings()))
    return limits.global_aiohttp_connector_limit_per_host


def _place(row: Row) -> tuple[int, int]:
    return row[keys.TASK_INDEX], row[keys.ROLLOUT_INDEX]


def _ignore(task: asyncio.Future[Finished]) -> None:
    """Read the exception of a task for which no caller waits, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()


log: Final = logging.getLogger(__name__)
