"""One run from plan to metrics, on files: interrupted at any instant, it can be taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from time import time
from typing import Any, Protocol, TypeAlias

from nemo_gym import __version__
from nemo_gym.agents.base import Agent
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.environments.base import Environment
from nemo_gym.environments.rewards import Rewards, reward_scale
from nemo_gym.runs.collect import innermost
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec, fitted
from nemo_gym.runs.environment_metrics import OwnMetrics
from nemo_gym.runs.journal import Journal, Listener
from nemo_gym.runs.ledger import Ledger, with_attempt
from nemo_gym.runs.manifest import Identity, Manifest, load_manifest
from nemo_gym.runs.paths import RunPaths, WriteFailed
from nemo_gym.runs.plan import OTHERS, PlanOptions, Twins, expand_counted, fitting, materialize
from nemo_gym.runs.pool import Line, WorkerPool
from nemo_gym.runs.progress import Progress
from nemo_gym.runs.remote_metrics import metrics_elsewhere
from nemo_gym.runs.report import Reading, RunReport
from nemo_gym.runs.result import Result
from nemo_gym.runs.resume import check_files, check_plan, grow, grown, refuse_changes
from nemo_gym.runs.task_sources import Source, digest_of, source_rows
from nemo_gym.runs.token_watch import TokenWatch
from nemo_gym.runs.worker import Orders, ServeLoopback, build_collector
from nemo_gym.sandbox.pool import shared_limit
from nemo_gym.stats.statistics import ClusteredMean
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode_row
from nemo_gym.wire.masking import remembered_secrets, without_secrets
from nemo_gym.wire.row_identity import journal_lines, whole_lines
from nemo_gym.wire.task import Row, named_agent


class Plan(Protocol):
    """What is to be run, row by row."""

    def lines(self) -> Iterator[bytes]:
        """Every row with its stamps, as a line."""
        ...

    def public(self) -> dict[str, Any]:
        """What is written down and compared on resume."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything a run needs to know."""

    environment: EnvironmentSpec
    model: ModelSpec
    output: Path
    agent: AgentSpec = field(default_factory=AgentSpec)
    agent_name: str = ""
    """The one agent that rows may name, and what those that name none are stamped with; empty takes rows of
    any agent and stamps the agent's own name."""
    input: Path | tuple[Source, ...] | None = None
    """Task file, or several; None takes the environment's own tasks."""
    plan: Plan | None = None
    """Rows that are stamped already; they are run as they are, in place of a plan made of `input`."""
    split: str = "train"
    limit: int | None = None
    num_repeats: int | Mapping[str, int] = 1
    """Rollouts per task; a map says it by agent, with `_default` for the others."""
    columns: Row = field(default_factory=dict[str, Any])
    """Laid over every row."""
    sampling: dict[str, Any] = field(default_factory=dict[str, Any])
    """Request parameters laid over every row's own: temperature, top_p, max_output_tokens, ..."""
    seed: int | None = None
    """Fixes the tasks, the sessions' random numbers and, where the endpoint can, sampling."""
    num_repeats_add_seed: bool = False
    """Sample every rollout with its repeat number as the seed."""
    concurrency: int | None = None
    """Rollouts in flight over all workers; None adapts to the endpoint."""
    max_sandboxes: int | None = None
    """Rollouts that may have sandboxes at the same time, over all workers; None is the pool's default."""
    workers: int = 1
    rollout_timeout: float | None = 3600.0
    """Seconds one rollout may take."""
    max_failures: int | None = None
    """Stop once more rollouts than this have failed."""
    capture: CaptureSettings | None = None
    """What of the model calls is kept; None is nothing."""
    resume: bool = False
    accept: frozenset[str] = frozenset()
    """Changes since the earlier run that resuming accepts: `environment` for the code of the environment."""
    write_metrics: bool = True

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the tasks come from."""
        return self.input if isinstance(self.input, tuple) else (Source(path=self.input),)


class Run:
    """A prepared run. `prepare` raises for every mistake that can be known beforehand, before any existing
    file is touched; `progress` can be watched while `collect` goes on.

    Args:
        listeners: are called with rows once they are on disk. One that raises, or takes longer than a minute,
            is not called again: the run goes on, and a note names it.
    """

    def __init__(
        self, job: Job, *, serve_loopback: ServeLoopback | None = None, listeners: Iterable[Listener] = ()
    ) -> None:
        self.job = job
        self._listeners = tuple(listeners)
        self._serve_loopback = serve_loopback
        self.paths = RunPaths.of(job.output)
        once = all(source.num_repeats == 1 for source in job.sources)
        self._repeats = job.num_repeats if once and isinstance(job.num_repeats, int) else None
        self.progress = Progress()
        self.notes: list[str] = []
        """Things the user should know, for instance a torn line that was cut off."""
        self._stop = asyncio.Event()
        self._reason = ""
        self._status = "complete"
        self._failed_in_a_row = 0

    def stop(self, reason: str, status: str = "stopped") -> None:
        """End the run early: what is in flight is dropped and stays pending."""
        if not self._stop.is_set():
            self._reason, self._status = without_secrets(reason), status
            self._stop.set()

    async def prepare(self) -> None:
        """Find the components, make sure the model answers, check the input, write or take up the plan.

        Raises:
            GymError: the model can't be reached.
            UsageError: something else asked for can't be done as written.
        """
        job = self.job
        environment, spec, agent = await fitted(job.environment, job.agent)
        self._environment = environment
        self._orders = self._orders_for(spec, agent)
        tokens = job.capture.tokens if job.capture else None
        self._watch = TokenWatch(tokens) if tokens and tokens.rebuild_response else None
        served = spec.about.rewards if spec.about else None
        self._scale = served.scale if served else reward_scale(environment)
        self.progress.mean = ClusteredMean(self._repeats, self._scale)
        identity = self._identity(environment)
        resuming = job.resume and self.paths.inputs.exists() and self.paths.manifest.exists()
        if not resuming:
            self._refuse_occupied()
        alone = self.job.workers == 1
        if not alone and any(one.starts_engine for one in (job.model, *spec.models.values())):
            raise UsageError(
                "several workers would each start an engine of their own; start it once with gym env start, "
                "and give its URL"
            ).about("workers", "model_url")
        collector = build_collector(self._orders, serve_loopback=self._serve_loopback if alone else None)
        try:
            await collector.check()
            if resuming:
                self._take_up(identity, self._planned(environment, collector.agent))
            else:
                self._plan_anew(identity, self._planned(environment, collector.agent))
        except BaseException:
            await collector.aclose()
            raise
        if self.job.workers > 1:
            await collector.aclose()
        else:
            self._collector = collector

    def _refuse_occupied(self) -> None:
        existing = self.paths.existing()
        if self.paths.rollouts.is_dir():
            raise UsageError(f"output {self.paths.rollouts}: expected a file, this is a folder").about(
                "output"
            )
        if existing and not self.job.resume:
            raise UsageError(f"{existing[0]} exists already: resume the run, or choose another output").about(
                "resume", "output"
            )
        if self.paths.rollouts.exists():
            missing = self.paths.manifest if self.paths.inputs.exists() else self.paths.inputs
            raise UsageError(
                f"can't resume: {missing} is missing; choose another output for a new run"
            ).about("output")
        if self.job.resume:
            self.notes.append(f"nothing to resume at {self.paths.rollouts}: this is a new run")

    def _planned(self, environment: Environment, agent: Agent) -> Iterator[tuple[Row, bytes]]:
        """The rows of the plan with their lines, made when they are asked for."""
        if self.job.plan is not None:
            return zip(repeat(dict[str, Any]()), self.job.plan.lines(), strict=False)
        return self._expanded(environment, agent)

    def _plan_anew(self, identity: Identity, rows: Iterator[tuple[Row, bytes]]) -> None:
        folder = self.paths.rollouts.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"output folder {folder} can't be made: {error.strerror}") from None
        source = str(self.job.input) if isinstance(self.job.input, Path) else "the input"
        requested = materialize(self.paths.inputs, rows, source)
        self._manifest = Manifest(identity, requested, __version__, time(), rewards=Rewards.of(self._scale))
        self._manifest.plan_sha256 = digest_of(self.paths.inputs)
        self._manifest.save(self.paths)
        self._ledger = Ledger()
        self._journal = Journal(self.paths.rollouts, self.paths.failures)
        self.progress.requested = requested

    def _expanded(self, environment: Environment, agent: Agent) -> Iterator[tuple[Row, bytes]]:
        """Every rollout of the tasks; afterwards it is noted which agents' repeats nobody needed."""
        job = self.job
        rows = source_rows(environment, job.sources, split=job.split, seed=job.seed or 0, limit=job.limit)
        options = PlanOptions(
            num_repeats=job.num_repeats,
            agent=job.agent_name or self._orders.agent.label,
            sampling=job.sampling,
            columns=job.columns,
            seed=job.seed,
            num_repeats_add_seed=job.num_repeats_add_seed,
        )
        named = {OTHERS, options.agent}
        if isinstance(job.num_repeats, Mapping):
            rows = _noting(rows, named)
        twins = Twins()
        yield from expand_counted(fitting(rows, agent, job.agent_name), options, twins=twins)
        if note := twins.note():
            self.notes.append(note)
        if isinstance(job.num_repeats, Mapping):
            unused = sorted(job.num_repeats.keys() - named)
            self.notes += [f"num_repeats: no task is for an agent {name!r}" for name in unused]

    def _take_up(self, identity: Identity, rows: Iterator[tuple[Row, bytes]]) -> None:
        paths = self.paths
        manifest = self._manifest = load_manifest(paths.manifest)
        before = manifest.identity
        accepted = refuse_changes(before, identity, accept=self.job.accept, output=paths.rollouts)
        # Locked before the ledger is read, so that no other run can add to the files in between.
        self._journal = Journal(paths.rollouts, paths.failures)
        try:
            if grown(before, identity):
                manifest.requested = grow(paths, (line for _, line in rows))
                manifest.plan_sha256 = digest_of(paths.inputs)
            else:
                check_plan(paths, manifest)
            self._ledger = Ledger.read(paths.rollouts, paths.failures, self._scale)
            left = check_files(paths, self._ledger, manifest.requested)
            manifest.identity, manifest.rewards = identity, Rewards.of(self._scale)
            manifest.accepted += accepted
            manifest.status, manifest.reason, manifest.ended_at = "running", "", None
            manifest.save(paths)
        except BaseException:
            self._journal.close()
            raise
        if self._journal.torn_bytes:
            self.notes.append(f"cut off {self._journal.torn_bytes} bytes of an unfinished line")
        self.notes += [f"accepted: {line}" for line in accepted]
        self._count(self._ledger)
        progress = self.progress
        self.notes.append(
            f"resuming: {progress.requested} asked for, {progress.scored} scored, "
            f"{progress.failed} failed so far, {left} to run"
        )

    async def collect(self) -> RunReport:
        """Run what is left of the plan and write the metrics.

        Raises:
            GymError: the model can't be reached, or the journal can't be written.
        """
        for listener in self._listeners:
            self._journal.subscribe(listener, failed=partial(self._note_listener, listener))
        async with self._watched(), self._journal as journal:
            await self._until_stopped(self._engine(journal))
        if journal.error is not None:
            self.stop(str(journal.error))
            self._count(Ledger.read(self.paths.rollouts, self.paths.failures, self._scale))
        progress, manifest = self.progress, self._manifest
        if progress.interrupted:
            self.stop(f"rollouts given up by a server that was being shut down: {progress.interrupted}")
        manifest.status, manifest.reason, manifest.ended_at = self._status, self._reason, time()
        manifest.counts = {
            "scored": progress.scored,
            "failed": progress.failed,
            "pending": progress.pending,
        }
        with self._noting_full_disk():
            manifest.save(self.paths)
        return await self._report()

    def _count(self, ledger: Ledger) -> None:
        """Have the progress say what is in the files."""
        progress = self.progress
        progress.requested = self._manifest.requested
        progress.scored = ledger.scored_count
        progress.mean = ledger.mean
        progress.failed_class = {key: entry.failure_class for key, entry in ledger.failed.items()}

    @contextmanager
    def _noting_full_disk(self) -> Generator[None, None, None]:
        """A file that can't be written any more is a note: what is in the journal stands."""
        try:
            yield
        except WriteFailed as error:
            self.notes.append(f"warning: {error}")

    @asynccontextmanager
    async def _watched(self) -> AsyncGenerator[None, None]:
        """Captured tokens are retired as rows are written."""
        if self._watch is None:
            yield
            return
        self._journal.subscribe(self._watch, failed=self._stop_for_tokens, patience=None)
        try:
            yield
        finally:
            await self._watch.aclose()

    def _stop_for_tokens(self, error: Exception) -> None:
        self.stop(f"captured tokens can't be retired: {error or type(error).__name__}")

    def _note_listener(self, listener: Listener, error: Exception) -> None:
        problem = f"{type(error).__name__}: {error}".removesuffix(": ")
        self.notes.append(
            f"warning: {type(listener).__name__} gets no more rows, {without_secrets(problem)}; "
            "the rows are in the files"
        )

    async def _report(self) -> RunReport:
        """What the run came to; servers are asked for their metrics unless the user wants it to end."""
        asks = self.job.write_metrics and self._status != "interrupted"
        orders = self._orders
        async with (
            metrics_elsewhere(orders.environment, orders.agent) if asks else nullcontext() as remote_metrics
        ):
            own = remote_metrics or OwnMetrics(self._environment)
            answer_key = self._environment.answer_key
            reading = Reading(self.paths.rollouts, answer_key=answer_key, own=own, scale=self._scale)
            if remote_metrics is not None:
                self._stop.clear()
                await self._until_stopped(remote_metrics.ask(reading.metrics.columns()))
                if remote_metrics.problems:
                    listed = "; ".join(
                        f"{agent}: {problem}" for agent, problem in remote_metrics.problems.items()
                    )
                    self.notes.append(f"warning: the metrics that only servers know are missing: {listed}")
            report = None
            with self._noting_full_disk():
                report = reading.report(write_metrics=self.job.write_metrics)
            return replace(report or reading.report(write_metrics=False), manifest=self._manifest)

    async def _until_stopped(self, engine: Coroutine[Any, Any, None]) -> None:
        """Drive the engine until it is done, fails, or `stop` is called."""
        work = asyncio.create_task(engine, name="collect")
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            work.cancel()
            (problem,) = await asyncio.gather(work, return_exceptions=True)
        if isinstance(problem, Exception):
            self.stop(str(innermost(problem)))

    async def _engine(self, journal: Journal) -> None:
        """Everything that is left of the plan, in this process or in workers."""
        watch = self._watch

        def settle(result: Result) -> None:
            if not result.pending:
                journal.append(result.line, failed=result.failure is not None)
            self.progress.add(result)
            self._judge(result)
            if watch is not None and result.failure is None and (reason := watch.judge(result.line)):
                self.stop(reason)

        if self.job.workers > 1:
            await WorkerPool(self.job.workers, self._orders).run(self._lines(), settle)
            return
        rows = self._rows()

        async def next_row() -> Row | None:
            return next(rows, None)

        async with aclosing(self._collector):
            await self._collector.run(next_row, lambda rollout: settle(Result.of(rollout)))

    def _lines(self) -> Iterator[Line]:
        """What is left of the plan, in order, stamped with earlier attempts."""
        ledger = self._ledger
        for row in journal_lines(self.paths.inputs, is_checked=True):
            task, rollout = row.stamp.task_index, row.stamp.rollout_index
            if ledger.wants(task, rollout):
                yield row.stamp, with_attempt(row.line, ledger.attempts(task, rollout))

    def _rows(self) -> Iterator[Row]:
        """The rows of `_lines`, each decoded once."""
        ledger = self._ledger
        for number, line in whole_lines(self.paths.inputs):
            row = decode_row(line, self.paths.inputs, number)
            task, rollout = row[keys.TASK_INDEX], row[keys.ROLLOUT_INDEX]
            if ledger.wants(task, rollout):
                if attempts := ledger.attempts(task, rollout):
                    row[keys.ATTEMPT_INDEX] = attempts
                yield row

    def _judge(self, result: Result) -> None:
        """Stop a run that has failed too often, or that has never worked."""
        progress, limit = self.progress, self.job.max_failures
        if limit is not None and progress.failed > limit:
            self.stop(f"more than {limit} rollouts failed; the last: {progress.last_error}")
        self._failed_in_a_row = 0 if result.failure is None else self._failed_in_a_row + 1
        if self._failed_in_a_row >= _HOPELESS and progress.finished == self._failed_in_a_row:
            self.stop(f"the first {_HOPELESS} rollouts all failed; the last: {progress.last_error}")

    def _orders_for(self, environment: EnvironmentSpec, agent: AgentSpec) -> Orders:
        job = self.job
        return Orders(
            environment=environment,
            model=job.model,
            agent=agent,
            concurrency=max(1, job.concurrency // job.workers) if job.concurrency else None,
            most=max(1, 4096 // job.workers),
            rollout_timeout=job.rollout_timeout,
            seed=job.seed or 0,
            capture=job.capture,
            remembered=remembered_secrets() if job.workers > 1 else [],
            max_sandboxes=shared_limit(job.max_sandboxes, job.workers),
        )

    def _identity(self, environment: Environment) -> Identity:
        job = self.job
        return Identity(
            environment=job.environment.public(environment),
            model=job.model.public(),
            agent=self._orders.agent.public(),
            sampling=job.sampling,
            inputs=self._inputs() if job.plan is None else job.plan.public(),
        )

    def _inputs(self) -> dict[str, Any]:
        job = self.job
        files = [source.public() for source in job.sources]
        own_names = {
            **(files[0] if len(files) == 1 else {"files": files}),
            "split": job.split,
            "limit": job.limit,
            "repeats": job.num_repeats,
            "seed": job.seed,
        }
        added = {"columns": job.columns, "count_seeds": job.num_repeats_add_seed}
        return own_names | {key: value for key, value in added.items() if value}


_Counted: TypeAlias = tuple[Row, int]
"""A task, and how often it counts."""


def _noting(rows: Iterable[_Counted], named: set[str]) -> Iterator[_Counted]:
    """The rows; the agents that they are for are added to `named`."""
    for row, times in rows:
        named.add(named_agent(row))
        yield row, times


_HOPELESS = 200
"""So many failures and not one success from the start, and the run is stopped."""
