"""A user's own collection driver, run as a separate process beside the servers."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import msgspec

from nemo_gym.assembly.job import Assembly
from nemo_gym.assembly.messages import Write
from nemo_gym.runs.loop import ending_signals
from nemo_gym.runs.output import show_output
from nemo_gym.runs.paths import whole_file
from nemo_gym.runs.run import Job
from nemo_gym.runs.task_sources import source_rows
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode


async def run_driver(assembly: Assembly, output: TextIO, warn: Write) -> int:
    """Run the driver while the servers of the assembly are open; its exit code.

    The tasks are written to `<output without suffix>/preprocessed_datasets/<split>.jsonl` first.

    Args:
        output: where the driver's output goes.

    Raises:
        UsageError: the libraries of existing code are missing, or a task doesn't fit.
        GymError: a server did not start.
    """
    if missing := [name for name in ("pydantic", "fastapi", "omegaconf") if not find_spec(name)]:
        raise UsageError(f"{', '.join(missing)} can't be imported: pip install 'nemo-gym[compat]'")
    job = assembly.job
    request = {
        "driver": assembly.settings.rollout_collection_driver,
        "config": _config(job, _write_tasks(job)),
        "tree": dict(assembly.tree),
        "token": str(job.agent.transient.get("token") or job.agent.arguments.get("token") or ""),
    }
    body = msgspec.json.encode(request)
    async with assembly.around or nullcontext(), show_output(output, sys.stderr) as (stdout, stderr):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nemo_gym.compat.driver"),
            stdin=PIPE,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            loop.add_signal_handler(number, process.terminate)
        try:
            await _hand_over(process, body)
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    code = process.returncode or 0
    if code < 0:
        warn(f"signal {-code} ended the driver")
        return 128 - code
    return code


async def _hand_over(process: Process, request: bytes) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(request)
        await process.stdin.drain()
    process.stdin.close()


def _write_tasks(job: Job) -> Path:
    folder = job.output.with_suffix("") / "preprocessed_datasets"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{job.split}.jsonl"
    rows = source_rows(
        job.environment.build(), job.sources, split=job.split, seed=job.seed or 0, limit=job.limit
    )
    with whole_file(path) as file:
        file.writelines((encode({**row, **job.columns}) + b"\n") * times for row, times in rows)
    return path


def _config(job: Job, source: Path) -> Mapping[str, Any]:
    """The fields of a `RolloutCollectionConfig`."""
    return {
        "input_jsonl_fpath": str(source),
        "output_jsonl_fpath": str(job.output),
        "agent_name": job.agent.arguments.get("agent") or None,
        "num_repeats": job.num_repeats,
        "num_repeats_add_seed": job.num_repeats_add_seed,
        "num_samples_in_parallel": job.concurrency,
        "responses_create_params": job.sampling,
        "resume_from_cache": job.resume,
        "disable_aggregation": job.disable_aggregation,
    }
