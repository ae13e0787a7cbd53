"""vLLM started here: a fake `vllm` on the PATH has its arguments, its routes and its ways to fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.models.local_vllm import EngineModel, engine_of, serve_arguments
from nemo_gym.wire.errors import ModelUnreachable, UsageError
from nemo_gym.wire.items import user
from tests.conftest import SUPPORT

PARAMS: Any = {"input": [user("say hi")]}


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`vllm` on the PATH; the file that tells how it was started."""
    program = tmp_path / "vllm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {SUPPORT / "fake_vllm.py"} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_VLLM_SEEN", str(tmp_path / "seen.json"))
    return tmp_path / "seen.json"


@asynccontextmanager
async def local(type: str = "local_vllm", **settings: Any) -> AsyncIterator[EngineModel]:
    async with endpoint_model(type, [], "org/policy", settings=settings) as model:
        engine = engine_of(model)
        assert engine is not None
        yield engine


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def dies(pid: int) -> bool:
    give_up = time.monotonic() + 60
    while alive(pid) and time.monotonic() < give_up:
        time.sleep(0.02)
    return not alive(pid)


def requests_to(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(url.removesuffix("/v1")) as answer:
        return json.load(answer)["requests"]


async def test_it_is_started_used_and_gone(seen: Path) -> None:
    async with local(return_token_id_information=True) as model:
        response = await model.responses(PARAMS)
        pid = json.loads(seen.read_text())["pid"]
        assert alive(pid)
    assert response.output_text == "hi"
    assert "generation_token_ids" in response.output[-1]
    assert not alive(pid)


async def test_options_and_variables_reach_it_and_our_own_key_does_not(
    seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEMO_GYM_MODEL_API_KEY", "sesame")
    options = {"tensor_parallel_size": 2, "trust_remote_code": True, "seed": None}
    async with local(vllm_serve_kwargs=options, vllm_serve_env_vars={"EXTRA": "1"}, hf_home="/hf") as model:
        await model.check()
        port = model.access["base_url"][0].removeprefix("http://127.0.0.1:").removesuffix("/v1")
    report = json.loads(seen.read_text())
    assert report["argv"][:2] == ["serve", "org/policy"]
    assert report["argv"][2:] == [
        "--disable-log-stats",
        "--host=127.0.0.1",
        f"--port={port}",
        "--tensor-parallel-size=2",
        "--trust-remote-code",
    ]
    assert report["env"] == {
        "HF_HOME": "/hf",
        "VLLM_API_KEY": None,
        "EXTRA": "1",
        "NEMO_GYM_MODEL_API_KEY": None,
    }


def test_options_are_written_as_vllm_reads_them() -> None:
    options = {"a_b": False, "c": {"x": 1}, "d": ["p", "q"], "e": 0.9, "f": None}
    assert serve_arguments(options, stats=True) == ["--no-a-b", '--c={"x":1}', "--d", "p", "q", "--e=0.9"]


async def test_a_key_goes_to_the_engine_by_its_environment(seen: Path) -> None:
    async with endpoint_model("local_vllm", [], "org/policy", api_key="s3cret") as model:
        await model.check()
    report = json.loads(seen.read_text())
    assert report["env"]["VLLM_API_KEY"] == "s3cret"
    assert "s3cret" not in str(report["argv"])


async def test_a_start_that_fails_is_told_with_the_last_output(
    seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VLLM", "broken")
    async with local() as model:
        for ask in (model.check, lambda: model.responses(PARAMS)):
            with pytest.raises(ModelUnreachable, match=r"exit code 1(?s:.*)no kernel image"):
                await ask()


async def test_a_start_that_takes_too_long_is_ended(seen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_VLLM", "slow")
    async with local(ready_s=1.0) as model:
        with pytest.raises(ModelUnreachable, match=r"not ready after 1 s(?s:.*)loading weights"):
            await model.check()
        pid = json.loads(seen.read_text())["pid"]
        assert dies(pid)


async def test_an_engine_that_dies_says_what_it_died_of(seen: Path) -> None:
    async with local() as model:
        with pytest.raises(ModelUnreachable, match=r"exit code 3(?s:.*)CUDA error"):
            await model.responses({"input": [user("say die")]})


def test_it_does_not_outlive_a_killed_owner(seen: Path, tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(
        "import asyncio, os, signal\n"
        "from nemo_gym.models.endpoints import endpoint_model\n"
        "async def main():\n"
        "    await endpoint_model('local_vllm', [], 'm').check()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, str(script)], check=False)
    pid = json.loads(seen.read_text())["pid"]
    assert dies(pid)


async def test_without_vllm_there_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"no program 'vllm-of-nowhere' here: pip install vllm"):
        endpoint_model("local_vllm", [], "m", settings={"vllm_program": "vllm-of-nowhere"})


async def test_with_a_url_nothing_is_started(seen: Path) -> None:
    async with endpoint_model("local_vllm", ["http://localhost:1"], "m") as model:
        assert engine_of(model) is None
    assert not seen.exists()


class TestGenrm:
    METADATA = {"response_1": "A", "response_2": "B", "principle": "be brief"}

    @pytest.mark.parametrize("principle", [True, False])
    async def test_the_answers_and_the_principle_are_messages_in_roles_of_their_own(
        self, start_endpoint: Any, principle: bool
    ) -> None:
        url = start_endpoint("token_server.py")
        settings = {"supports_principle_role": principle}
        async with endpoint_model("genrm", [url], "judge", settings=settings) as model:
            await model.responses({**PARAMS, "metadata": self.METADATA})
        (request,) = requests_to(url)
        said = [(message["role"], message["content"]) for message in request["messages"]]
        roles = [("response_1", "A"), ("response_2", "B")]
        assert said == [("user", "say hi"), *([("principle", "be brief")] if principle else []), *roles]
        assert "metadata" not in request

    def test_it_needs_the_chat_route(self) -> None:
        with pytest.raises(UsageError, match="need the chat route"):
            endpoint_model("genrm", ["http://localhost:1"], "m", settings={"is_responses_native": True})

    async def test_it_starts_its_engine_too(self, seen: Path) -> None:
        async with local("genrm") as model:
            assert (await model.responses(PARAMS)).output_text == "hi"
