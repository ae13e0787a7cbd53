"""Runs that are killed, starved and lied to, with real processes on loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO, StartEndpoint, read_rows, write_echo_tasks

Gym = Callable[..., "subprocess.CompletedProcess[str]"]


def identities(path: Path) -> Counter[tuple[int, int]]:
    return Counter((row["_ng_task_index"], row["_ng_rollout_index"]) for row in read_rows(path))


def everything(tasks: int, repeats: int) -> Counter[tuple[int, int]]:
    return Counter((task, repeat) for task in range(tasks) for repeat in range(repeats))


def start(words: list[object], limit_file_bytes: int | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nemo_gym", *map(str, words)]
    if limit_file_bytes is not None:
        command = ["prlimit", f"--fsize={limit_file_bytes}", *command]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def written(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def await_that(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something is so."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.01)


def test_killed_at_twenty_random_moments_every_rollout_is_there_exactly_once(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym
) -> None:
    tasks, repeats = 300, 8
    rng = random.Random(20)
    out = tmp_path / "out.jsonl"
    url = start_endpoint(delay=0.03)
    write_echo_tasks(tmp_path / "tasks.jsonl", tasks)
    words = [
        *("run", ECHO, "-i", tmp_path / "tasks.jsonl", "-o", out, "--model-url", url, "-m", "m"),
        *("--num-repeats", repeats, "--concurrency", 8, "--resume"),
    ]

    seen_partial = 0
    for kill in range(20):
        before = written(out)
        process = start(words)
        if (
            kill % 4 == 0
        ):  # anywhere in its start; the others while rows are written, however slow this machine
            time.sleep(rng.uniform(0.1, 0.9))
        else:
            await_that(lambda size=before, run=process: written(out) > size or run.poll() is not None)
            time.sleep(rng.uniform(0.0, 0.3))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if out.exists():
            seen_partial += 0 < len(out.read_bytes().splitlines()) < tasks * repeats
            if kill % 2:
                with out.open("ab") as file:
                    file.write(b'{"_ng_task_index": 3, "_ng_rollout_index": 1, "torn')
    done = gym(*words)

    assert done.returncode == 0, done.stderr
    assert identities(out) == everything(tasks, repeats)
    assert seen_partial >= 5


def test_a_full_disk_stops_the_run_and_resuming_finishes_it(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym
) -> None:
    """A file size limit stands in for the disk: part of a write succeeds, the rest fails."""
    out = tmp_path / "out.jsonl"
    write_echo_tasks(tmp_path / "tasks.jsonl", 200)
    words: list[object] = [
        *("run", ECHO, "-i", tmp_path / "tasks.jsonl", "-o", out, "--concurrency", 16),
        *("--model-url", start_endpoint(delay=0.02), "-m", "m", "--resume"),
    ]

    process = start(words, limit_file_bytes=100_000)
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 1
    assert b"can't be written: File too large" in errors
    assert b"--resume" in errors
    assert b"Traceback" not in errors
    assert 0 < len(read_rows(out)) < 200
    counts = json.loads((tmp_path / "out_manifest.json").read_text())["counts"]
    assert counts["scored"] == len(read_rows(out)), "the manifest counts what is on the disk"
    assert counts["scored"] + counts["pending"] == 200

    done = gym(*words)

    assert done.returncode == 0, done.stderr
    assert identities(out) == everything(200, 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_endpoint_that_fails_a_third_of_the_time_costs_nothing_but_time(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym, workers: int
) -> None:
    out = tmp_path / "out.jsonl"
    url = start_endpoint(fault_share=1 / 3, delay=0.002)
    write_echo_tasks(tmp_path / "tasks.jsonl", 60, right_every=3)

    done = gym(
        *("run", ECHO, "-i", tmp_path / "tasks.jsonl", "-o", out, "--num-repeats", 4, "--json"),
        *("--model-url", url, "-m", "m", "--model-timeout", 3, "--concurrency", 48, "--workers", workers),
    )

    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)["summary"]
    failed = sum(summary["failed"].values())
    rows = read_rows(out)
    assert summary["requested"] == 240
    assert summary["scored"] + failed == 240
    assert summary["pending"] == 0
    assert failed <= 12
    assert len(rows) == summary["scored"]
    assert sum(row["reward"] for row in rows) / len(rows) == pytest.approx(summary["mean_reward"])
    assert all(row["reward"] == (row["_ng_task_index"] % 3 == 0) for row in rows)


def test_failures_are_kept_apart_retried_on_resume_and_given_up_after_three(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym
) -> None:
    out, failures = tmp_path / "out.jsonl", tmp_path / "out_failures.jsonl"
    write_echo_tasks(tmp_path / "tasks.jsonl", 5)
    broken = ["--model-url", start_endpoint(fault_share=1, faults="401"), "-m", "m"]
    words = ["run", ECHO, "-i", tmp_path / "tasks.jsonl", "-o", out, "--resume", *broken]

    statuses = [gym(*words).returncode for _ in range(4)]

    assert statuses == [1, 1, 1, 1]
    assert read_rows(out) == []
    attempts = Counter(row.get("_ng_attempt_index", 0) for row in read_rows(failures))
    assert attempts == {0: 5, 1: 5, 2: 5}
    assert {row["_ng_failure_class"] for row in read_rows(failures)} == {"model_denied"}
    assert {row["_ng_failure_http_status"] for row in read_rows(failures)} == {401}
    assert not any("reward" in row for row in read_rows(failures))


def test_a_refused_request_is_terminal_and_not_tried_again(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym
) -> None:
    out = tmp_path / "out.jsonl"
    write_echo_tasks(tmp_path / "tasks.jsonl", 4)
    url = start_endpoint(fault_share=1, faults="400")
    words = [
        "run",
        ECHO,
        "-i",
        tmp_path / "tasks.jsonl",
        "-o",
        out,
        "--resume",
        "--model-url",
        url,
        "-m",
        "m",
    ]

    gym(*words)
    gym(*words)

    rows = read_rows(tmp_path / "out_failures.jsonl")
    assert len(rows) == 4
    assert all(row["_ng_failure_terminal"] for row in rows)


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym
) -> None:
    out = tmp_path / "out.jsonl"
    write_echo_tasks(tmp_path / "tasks.jsonl", 200)
    url = start_endpoint(gate=tmp_path / "gate", gate_after=40)
    words: list[object] = [
        *("run", ECHO, "-i", tmp_path / "tasks.jsonl", "-o", out),
        *("--model-url", url, "-m", "m", "--concurrency", 4, "--resume"),
    ]
    process = start(words)
    await_that(lambda: written(out) > 0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 130
    assert b"--resume goes on from here" in errors
    manifest: dict[str, Any] = json.loads((tmp_path / "out_manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert manifest["counts"]["scored"] == len(read_rows(out))
    assert sum(manifest["counts"].values()) == 200

    (tmp_path / "gate").touch()
    assert gym(*words).returncode == 0
    assert identities(out) == everything(200, 1)


def test_a_killed_worker_is_replaced_and_its_rollouts_are_run_again(
    tmp_path: Path, start_endpoint: StartEndpoint
) -> None:
    out = tmp_path / "out.jsonl"
    write_echo_tasks(tmp_path / "tasks.jsonl", 150)
    url = start_endpoint(gate=tmp_path / "gate", gate_after=40)
    process = start(
        [
            *("run", ECHO, "-i", tmp_path / "tasks.jsonl", "-o", out, "--workers", 2),
            *("--model-url", url, "-m", "m", "--concurrency", 8),
        ]
    )
    await_that(lambda: written(out) > 0)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    (tmp_path / "gate").touch()
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 0, errors
    assert identities(out) == everything(150, 1)


def test_a_run_that_never_works_stops_and_what_is_left_stays_pending(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym
) -> None:
    write_echo_tasks(tmp_path / "tasks.jsonl", 2000)
    url = start_endpoint(fault_share=1, faults="401")

    done = gym(
        *("run", ECHO, "-i", tmp_path / "tasks.jsonl", "-o", tmp_path / "out.jsonl"),
        *("--model-url", url, "-m", "m", "--concurrency", 4, "--json"),
    )

    assert done.returncode == 1
    assert "all failed; the last: the API key was refused" in done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == "stopped"
    assert report["summary"]["pending"] > 1000


def test_max_failures_stops_the_run(tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym) -> None:
    write_echo_tasks(tmp_path / "tasks.jsonl", 300)
    url = start_endpoint(fault_share=0.5, faults="400")

    done = gym(
        *("run", ECHO, "-i", tmp_path / "tasks.jsonl", "-o", tmp_path / "out.jsonl", "--max-failures", 10),
        *("--model-url", url, "-m", "m", "--concurrency", 2),
    )

    assert done.returncode == 1
    assert "more than 10 rollouts failed" in done.stderr
