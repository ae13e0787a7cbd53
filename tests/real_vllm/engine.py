"""The real vLLM on the CPU, serving the embedded model's weights: `make test-vllm`.

Not collected by a plain `pytest`: installing vLLM takes minutes and gigabytes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from nemo_gym.models.vllm import VllmModel, VllmSettings
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.run import Job, Run
from nemo_gym.wire.items import TOKEN_FIELDS, user
from tests.conftest import read_rows
from tests.support.token_evidence import continues

HOME = Path(__file__).parents[2] / ".venv-vllm"
PATIENCE = 300.0
"""Seconds that the engine may take to start."""
SPLICED = {"return_token_id_information": True, "splice_sampled_ids": True}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running vLLM."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "log"
    command = [
        str(HOME / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(HOME / "model"), "--served-model-name", "smollm2", "--dtype", "float32",
        "--chat-template", str(Path(__file__).with_name("chat_template.jinja")),
        "--max-model-len", "2048", "--max-num-seqs", "16", "--enforce-eager", "--enable-scale-out",
        "--enable-auto-tool-choice", "--tool-call-parser", "hermes",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    settings = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
            start_new_session=True,
        )
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(url):
                return
        except URLError:
            time.sleep(0.5)
    pytest.fail("vLLM did not start:\n" + "\n".join(log.read_text().splitlines()[-20:]))


async def converse(url: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of three turns, sampled at temperature 1."""
    async with VllmModel(url, "smollm2", VllmSettings(**settings)) as model:
        items: list[Any] = [user("What is the capital of France?")]
        answers: list[Any] = []
        for question in ("And of Spain?", "Tell me a story about a cat named Zyx.", ""):
            params: Any = {"input": items, "max_output_tokens": 60, "temperature": 1.0}
            response = await model.responses(params)
            answers += response.output
            items = [*items, *response.output, user(question)]
    return answers


@pytest.mark.parametrize(
    "settings",
    [
        {"return_token_id_information": True},
        {"return_token_id_information": True, "request_prompt_and_generation_token_ids": True},
        SPLICED,
    ],
)
async def test_every_call_carries_its_tokens(engine: str, settings: dict[str, Any]) -> None:
    for answer in await converse(engine, settings):
        prompt, sampled, log_probs = (answer[name] for name in TOKEN_FIELDS)
        assert prompt[0] == 1
        assert len(sampled) == len(log_probs) > 0
        assert all(log_prob <= 0 for log_prob in log_probs)


async def test_spliced_turns_are_contiguous(engine: str) -> None:
    answers = await converse(engine, SPLICED)
    assert all(continues(before, after) for before, after in pairwise(answers))


async def test_a_prompt_that_does_not_fit_is_an_incomplete_answer(engine: str) -> None:
    async with VllmModel(engine, "smollm2", VllmSettings(**SPLICED)) as model:
        response = await model.responses({"input": "hello " * 3000})
    assert response.data["incomplete_details"]["detail"] == "context_overflow"


async def test_a_tool_rollout_through_the_collector_is_contiguous(engine: str, tmp_path: Path) -> None:
    job = Job(
        environment=EnvironmentSpec("example_multi_step"),
        model=ModelSpec(type="vllm", name="smollm2", url=engine, settings=SPLICED),
        output=tmp_path / "run.jsonl",
        agent=AgentSpec("", {"max_steps": 4}),
        split="example",
        limit=4,
        sampling={"tool_choice": "required", "temperature": 1.0, "max_output_tokens": 120},
    )
    run = Run(job)
    await run.prepare()
    await run.collect()
    rows = read_rows(job.output)
    assert len(rows) == 4
    traces = [
        [item for item in row["response"]["output"] if item.get("generation_token_ids")] for row in rows
    ]
    assert max(map(len, traces)) > 1
    assert all(continues(before, after) for trace in traces for before, after in pairwise(trace))
