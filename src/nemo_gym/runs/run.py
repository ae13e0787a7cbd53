"""One run from plan to metrics, on files. It can be interrupted at any instant and resumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import time
from typing import Any, Protocol

from nemo_gym import __version__
from nemo_gym.agents.base import Agent
from nemo_gym.agents.turns import TurnFolder
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.environments.base import Environment
from nemo_gym.environments.reward_terms import RewardTerms
from nemo_gym.environments.rewards import Rewards
from nemo_gym.runs.cohort_rows import check_cohorts
from nemo_gym.runs.collect import innermost
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec, resolve_specs
from nemo_gym.runs.environment_metrics import OwnMetrics
from nemo_gym.runs.journal import Journal, Listener
from nemo_gym.runs.ledger import Ledger, with_attempt
from nemo_gym.runs.manifest import Identity, Manifest, load_manifest
from nemo_gym.runs.paths import RunPaths, WriteFailed
from nemo_gym.runs.plan import OTHERS, PlanOptions, Twins, check_rows, expand, materialize
from nemo_gym.runs.pool import Line, WorkerPool
from nemo_gym.runs.progress import Progress
from nemo_gym.runs.remote_metrics import metrics_elsewhere
from nemo_gym.runs.report import RunReader, RunReport
from nemo_gym.runs.result import Result
from nemo_gym.runs.resume import check_files, check_plan, grow, is_extension, refuse_changes
from nemo_gym.runs.task_sources import Source, digest_of, source_rows
from nemo_gym.runs.token_watch import TokenWatch
from nemo_gym.runs.turn_watch import TurnWatch, turn_notes
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
    """The rows to run."""

    def lines(self) -> Iterator[bytes]:
        """Every row with its stamps, as a line."""
        ...

    def public(self) -> dict[str, Any]:
        """What the manifest holds of it; compared on resume."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything a run needs to know."""

    environment: EnvironmentSpec
    model: ModelSpec
    output: Path
    agent: AgentSpec = field(default_factory=AgentSpec)
    agent_name: str = ""
    """The only agent that rows may name, and the stamp of rows that name none. Empty takes rows of any agent
    and stamps the name of `agent`."""
    input: Path | tuple[Source, ...] | None = None
    """Task file, or several; None takes the environment's own tasks."""
    plan: Plan | None = None
    """Rows that have their stamps; they are run as they are, instead of those of `input`."""
    split: str = "train"
    limit: int | None = None
    num_repeats: int | Mapping[str, int] = 1
    """Rollouts per task, or by agent with `_default` for the others."""
    columns: Row = field(default_factory=dict[str, Any])
    """Columns that replace those of every row."""
    sampling: dict[str, Any] = field(default_factory=dict[str, Any])
    """Request parameters that replace those of every row: temperature, top_p, max_output_tokens, ..."""
    seed: int | None = None
    """Fixes the tasks, the random numbers of sessions and, where the endpoint supports it, sampling."""
    num_repeats_add_seed: bool = False
    """Sample every rollout with its repeat number as the seed."""
    concurrency: int | None = None
    """Rollouts in flight over all workers; None adapts to the endpoint."""
    max_sandboxes: int | None = None
    """Rollouts that may have sandboxes at the same time, over all workers; None is the pool's default."""
    sandbox_provider: str | dict[str, Any] | None = None
    """The name of the provider that makes the sandboxes; None is `local`."""
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
    terms: RewardTerms = field(default_factory=RewardTerms)
    """The weights and shapes of the reward."""
    disable_aggregation: bool = False
    """Write no metrics file."""
    journal_turns: bool = False
    """Keep each turn of unfinished rollouts on disk, so that a killed rollout goes on after its last turn."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the tasks come from."""
        return self.input if isinstance(self.input, tuple) else (Source(path=self.input),)


class Run:
    """A run: `prepare`, then `collect`; `progress` can be watched meanwhile.

    Args:
        listeners: called with rows once they are on disk. One that raises, or takes longer than a minute, is
            not called again: the run goes on, and a note names it.
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
        """What the user should know, for instance that a torn line was cut off."""
        self._stop = asyncio.Event()
        self._reason = ""
        self._status = "complete"
        self._failed_in_a_row = 0

    def stop(self, reason: str, status: str = "stopped") -> None:
        """End the run early. Rollouts in flight are dropped and stay pending."""
        if not self._stop.is_set():
            self._reason, self._status = without_secrets(reason), status
            self._stop.set()

    async def prepare(self) -> None:
        """Build the components, check that the model answers, check the input, write the plan or resume it.
        Every mistake that can be found early raises here, before a file is changed.

        Raises:
            GymError: the model can't be reached.
            UsageError: something in the job is wrong.
        """
        job = self.job
        environment, spec, agent = await resolve_specs(job.environment, job.agent)
        self._environment = environment
        self._orders = self._orders_for(spec, agent)
        tokens = job.capture.tokens if job.capture else None
        self._watch = TokenWatch(tokens) if tokens and tokens.rebuild_response else None
        self._scale = job.terms.scale_of(spec.scale(environment))
        self.progress.mean = ClusteredMean(self._repeats, self._scale)
        identity = self._identity(environment)
        resuming = job.resume and self.paths.inputs.exists() and self.paths.manifest.exists()
        if not resuming:
            self._refuse_occupied()
        alone = job.workers == 1
        if not alone and any(one.starts_engine for one in (job.model, *spec.models.values())):
            raise UsageError(
                "several workers would each start an engine of their own; start it once with gym env start, "
                "and give its URL"
            ).about("workers", "model_url")
        collector = build_collector(self._orders, serve_loopback=self._serve_loopback if alone else None)
        try:
            await collector.check()
            if job.journal_turns:
                self.notes += turn_notes(collector.agent, environment, job.capture)
            rows = self._plan_rows(environment, collector.agent)
            if resuming:
                self._resume(identity, rows)
            else:
                self._begin(identity, rows)
        except BaseException:
            await collector.aclose()
            raise
        if alone:
            self._collector = collector
        else:
            await collector.aclose()

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

    def _plan_rows(self, environment: Environment, agent: Agent) -> Iterator[bytes]:
        """The lines of the plan, lazily."""
        return self._task_rows(environment, agent) if self.job.plan is None else self.job.plan.lines()

    def _begin(self, identity: Identity, lines: Iterator[bytes]) -> None:
        folder = self.paths.rollouts.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"output folder {folder} can't be made: {error.strerror}") from None
        source = "the input"
        if isinstance(self.job.input, Path):
            source = str(self.job.input)
        elif self.job.input is None and self.job.plan is None:
            source = f"the split {self.job.split!r} of the environment"
        requested = materialize(self.paths.inputs, lines, source)
        self._manifest = Manifest(identity, requested, __version__, time(), rewards=Rewards.of(self._scale))
        self._manifest.plan_sha256 = digest_of(self.paths.inputs)
        self._manifest.save(self.paths)
        self._ledger = Ledger()
        self._journal = Journal(self.paths.rollouts, self.paths.failures)
        TurnFolder(self.paths.turns).clear()
        self.progress.requested = requested

    def _task_rows(self, environment: Environment, agent: Agent) -> Iterator[bytes]:
        """The line of every rollout. At the end, notes name the agents in `num_repeats` without a task."""
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
        names = {OTHERS, options.agent}
        if isinstance(job.num_repeats, Mapping):
            rows = _collect_names(rows, names)
        if not job.environment.url:
            orders = self._orders
            rows = check_cohorts(
                rows, environment, num_repeats=job.num_repeats, in_flight=orders.first_in_flight
            )
        twins = Twins()
        for _, line in expand(check_rows(rows, agent, job.agent_name), options, twins=twins):
            yield line
        if note := twins.note():
            self.notes.append(note)
        if isinstance(job.num_repeats, Mapping):
            unused = sorted(job.num_repeats.keys() - names)
            self.notes += [f"num_repeats: no task is for an agent {name!r}" for name in unused]

    def _resume(self, identity: Identity, lines: Iterator[bytes]) -> None:
        paths = self.paths
        manifest = self._manifest = load_manifest(paths.manifest)
        before = manifest.identity
        accepted = refuse_changes(before, identity, accept=self.job.accept, output=paths.rollouts)
        # Locked before the ledger is read, so that no other run can add to the files in between.
        self._journal = Journal(paths.rollouts, paths.failures)
        try:
            if is_extension(before, identity):
                manifest.requested = grow(paths, lines)
                manifest.plan_sha256 = digest_of(paths.inputs)
            else:
                check_plan(paths, manifest)
            self._ledger = Ledger.read(paths.rollouts, paths.failures, self._scale)
            remaining = check_files(paths, self._ledger, manifest.requested)
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
            f"{progress.failed} failed so far, {remaining} to run"
        )

    async def collect(self) -> RunReport:
        """Run the rest of the plan and write the metrics.

        Raises:
            GymError: the model can't be reached, or the journal can't be written.
        """
        turns = TurnFolder(self.paths.turns)
        for listener in (*self._listeners, *([TurnWatch(turns)] if self.job.journal_turns else [])):
            self._journal.subscribe(listener, on_failure=partial(self._note_listener, listener))
        async with self._watched(), self._journal as journal:
            await self._until_stopped(self._engine(journal))
        if journal.error is not None:
            self.stop(str(journal.error))
            self._count(Ledger.read(self.paths.rollouts, self.paths.failures, self._scale))
        progress, manifest = self.progress, self._manifest
        if not progress.pending:
            turns.clear()
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
        """Set the progress to what is in the files."""
        progress = self.progress
        progress.requested = self._manifest.requested
        progress.scored = ledger.scored_count
        progress.mean = ledger.mean
        progress.failed_class = {key: entry.failure_class for key, entry in ledger.failed.items()}

    @contextmanager
    def _noting_full_disk(self) -> Generator[None, None, None]:
        """Make a note of a file that can't be written; the rows in the journal are safe."""
        try:
            yield
        except WriteFailed as error:
            self.notes.append(f"warning: {error}")

    @asynccontextmanager
    async def _watched(self) -> AsyncGenerator[None, None]:
        """Retire captured tokens as rows are written."""
        if self._watch is None:
            yield
            return
        self._journal.subscribe(self._watch, on_failure=self._stop_for_tokens, patience=None)
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
        """The report of the run. Servers are asked for their metrics unless the user interrupted the run."""
        asks = not self.job.disable_aggregation and self._status != "interrupted"
        orders = self._orders
        async with (
            metrics_elsewhere(orders.environment, orders.agent) if asks else nullcontext() as remote_metrics
        ):
            own = remote_metrics or OwnMetrics(self._environment)
            answer_key = self._environment.answer_key
            reader = RunReader(self.paths.rollouts, answer_key=answer_key, own=own, scale=self._scale)
            if remote_metrics is not None:
                self._stop.clear()
                await self._until_stopped(remote_metrics.ask(reader.metrics.columns()))
                if remote_metrics.problems:
                    listed = "; ".join(
                        f"{agent}: {problem}" for agent, problem in remote_metrics.problems.items()
                    )
                    self.notes.append(f"warning: the metrics that only servers know are missing: {listed}")
            with self._noting_full_disk():
                if not self.job.disable_aggregation:
                    reader.write_metrics()
            return replace(reader.report(), manifest=self._manifest)

    async def _until_stopped(self, engine: Coroutine[Any, Any, None]) -> None:
        """Run the engine until it ends, fails, or `stop` is called."""
        work = asyncio.create_task(engine, name="collect")
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            work.cancel()
            (problem,) = await asyncio.gather(work, return_exceptions=True)
        if isinstance(problem, Exception):
            self.stop(str(innermost(problem)))

    async def _engine(self, journal: Journal) -> None:
        """Run the rest of the plan, in this process or in workers."""
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
        """The rest of the plan in order, each row with the number of its earlier attempts."""
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
        """Stop a run in which too many rollouts failed, or in which none has worked."""
        progress, limit = self.progress, self.job.max_failures
        if limit is not None and progress.failed > limit:
            self.stop(f"more than {limit} rollouts failed; the last: {progress.last_error}")
        self._failed_in_a_row = 0 if result.failure is None else self._failed_in_a_row + 1
        if self._failed_in_a_row >= _HOPELESS and progress.finished == self._failed_in_a_row:
            self.stop(f"the first {_HOPELESS} rollouts all failed; the last: {progress.last_error}")

    def _orders_for(self, environment: EnvironmentSpec, agent: AgentSpec) -> Orders:
        job = self.job
        return Orders(
            environment=environment.shared_by(job.workers),
            model=job.model.shared_by(job.workers),
            agent=agent,
            concurrency=max(1, job.concurrency // job.workers) if job.concurrency else None,
            most=max(1, 4096 // job.workers),
            rollout_timeout=job.rollout_timeout,
            seed=job.seed or 0,
            capture=job.capture,
            secrets=remembered_secrets() if job.workers > 1 else [],
            max_sandboxes=shared_limit(job.max_sandboxes, job.workers),
            sandbox_provider=job.sandbox_provider,
            terms=job.terms,
            turns=str(self.paths.turns.absolute()) if job.journal_turns else "",
        )

    def _identity(self, environment: Environment) -> Identity:
        job = self.job
        return Identity(
            environment=job.environment.public(environment),
            model=job.model.public(),
            agent=self._orders.agent.public(),
            sampling=job.sampling,
            inputs=self._inputs() if job.plan is None else job.plan.public(),
            reward=job.terms.public(),
        )

    def _inputs(self) -> dict[str, Any]:
        job = self.job
        files = [source.public() for source in job.sources]
        always = {
            **(files[0] if len(files) == 1 else {"files": files}),
            "split": job.split,
            "limit": job.limit,
            "repeats": job.num_repeats,
            "seed": job.seed,
        }
        where_set = {"columns": job.columns, "count_seeds": job.num_repeats_add_seed}
        return always | {key: value for key, value in where_set.items() if value}


def _collect_names(rows: Iterable[tuple[Row, int]], names: set[str]) -> Iterator[tuple[Row, int]]:
    """The rows; the names of their agents are added to `names`."""
    for row, times in rows:
        names.add(named_agent(row))
        yield row, times


_HOPELESS = 200
"""A run is stopped that begins with so many failures."""
