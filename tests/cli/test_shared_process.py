"""Server programs with `share: true`, which `gym env start` serves in its own process; real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.started import COUNTER, Gym, until

SECRET = "sk-very-secret-0123456789"
SHARED = COUNTER.replace('    print("settings"', '    # print("settings"')
ANSWER: dict[str, Any] = {
    "id": "r", "created_at": 0, "model": "m", "object": "response", "parallel_tool_calls": True,
    "tool_choice": "auto", "tools": [],
    "output": [{"id": "m", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "7", "annotations": []}]}],
}  # fmt: skip
ROW = {"responses_create_params": {"input": "how many?"}, "response": ANSWER, "expected": 7}
B = "def answer(params): return '7'"


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    yield program
    program.clean()


def ask(url: str) -> httpx.Response:
    return httpx.get(url, timeout=60)


def configured(gym: Gym, **blocks: dict[str, Any]) -> Path:
    """A configuration of resources servers that share a process, by the name of the instance."""
    common = {"entrypoint": "app.py", "domain": "math", "share": True}
    tree = {
        name: {"resources_servers": {block.pop("of", name): {**common, **block}}}
        for name, block in blocks.items()
    }
    path = gym.folder / "all.json"
    path.write_text(json.dumps(tree))
    return path


def reward(gym: Gym, name: str) -> float:
    answer = httpx.post(f"{gym.servers()[name]['url']}/verify", json=ROW, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["reward"]


def test_programs_share_the_process_and_have_settings_of_their_own(gym: Gym) -> None:
    gym.program("first", SHARED)
    gym.program("second", SHARED)
    gym.start("--config", configured(gym, first={"bonus": 1.0}, second={}, again={"of": "first"}))
    assert [reward(gym, name) for name in ("first", "second", "again")] == [2.0, 1.0, 1.0]
    assert len(gym.processes()) == 1
    assert len({one["pid"] for one in gym.servers().values()}) == 1
    assert gym("env", "stop").returncode == 0
    assert gym.processes() == {}


def test_each_gets_the_modules_that_lie_beside_it(gym: Gym) -> None:
    text = "from utils import BONUS\n" + SHARED.replace("self.config.bonus", "BONUS")
    for name, bonus in (("first", 10), ("second", 20)):
        gym.program(name, text)
        (gym.folder / "resources_servers" / name / "utils.py").write_text(f"BONUS = {bonus}\n")
    gym.start("--config", configured(gym, first={}, second={}))
    assert [reward(gym, name) for name in ("first", "second")] == [11.0, 21.0]
    assert len(gym.processes()) == 2
    assert "runs in a process of its own: its module utils has the name of another" in gym.logs


@pytest.mark.parametrize("share", [None, False])
def test_a_program_has_a_process_of_its_own_unless_it_is_to_share(gym: Gym, share: bool | None) -> None:
    gym.program("first", SHARED)
    gym.start("--config", configured(gym, first={"share": share}))
    assert reward(gym, "first") == 1.0
    assert len(gym.processes()) == 2
    assert "process of its own" not in gym.logs


@pytest.mark.parametrize(
    "line",
    ["raise RuntimeError('no weights')", "class CountConfig: pass"],
    ids=["raises here", "does not fit"],
)
def test_a_program_that_cannot_share_says_so_and_is_started_alone(gym: Gym, line: str) -> None:
    text = SHARED.replace(
        "class CountVerify(", f"import sys\nif 'uvicorn.server' in sys.modules: {line}\nclass CountVerify("
    )
    gym.program("alone", text)
    made = gym("env", "start", "--config", configured(gym, alone={}), "--port", 0, "--detach")
    assert gym.logs.count("alone runs in a process of its own: in this one it fails: ") == 1
    assert made.returncode == 1
    assert "alone did not start" in made.stderr


def test_a_file_with_two_servers_is_started_alone(gym: Gym) -> None:
    other = "class Other(SimpleResourcesServer):\n    pass\n\nif __name__"
    gym.program("alone", SHARED.replace("if __name__", other))
    gym.start("--config", configured(gym, alone={}))
    assert reward(gym, "alone") == 1.0
    why = "it must define one server class of this package, and defines CountServer, Other"
    assert f"alone runs in a process of its own: {why}" in gym.logs


def test_a_class_that_forbids_other_settings_can_share(gym: Gym) -> None:
    gym.program("first", SHARED.replace("    bonus", "    model_config = {'extra': 'forbid'}\n    bonus"))
    gym.start("--config", configured(gym, first={}))
    assert reward(gym, "first") == 1.0
    assert len(gym.processes()) == 1


def test_more_workers_need_processes_of_their_own(gym: Gym) -> None:
    several = (
        "from nemo_gym.server_utils import is_nemo_gym_fastapi_entrypoint\n"
        "if is_nemo_gym_fastapi_entrypoint(__file__):\n"
        "    app = CountServer.run_webserver()\n"
    )
    gym.program("first", SHARED + several)
    gym.start("--config", configured(gym, first={"num_workers": 2}))
    assert reward(gym, "first") == 1.0
    assert "first runs in a process of its own: num_workers is 2" in gym.logs


def test_isolated_each_has_a_process(gym: Gym) -> None:
    gym.program("first", SHARED)
    gym.start("--config", configured(gym, first={}), "--isolate")
    assert reward(gym, "first") == 1.0
    assert len(gym.processes()) == 2
    assert gym("env", "stop").returncode == 0
    gym.start("--config", configured(gym, first={}), "+isolate=true")
    assert len(gym.processes()) == 2


def test_lifespans_begin_and_end_and_what_is_printed_goes_to_its_log(gym: Gym) -> None:
    text = SHARED.replace(
        "    async def verify(",
        """    def setup_webserver(self):
        from contextlib import asynccontextmanager
        app = super().setup_webserver()
        @asynccontextmanager
        async def lifespan(app):
            print("begun with", self.config.api_key)
            yield {"extra": 3}
            print("ended")
        app.router.lifespan_context = lifespan
        @app.get("/extra")
        async def extra(request: Request) -> int:
            return request.state.extra
        return app

    async def verify(""",
    )
    gym.program("living", "from fastapi import Request\n" + text)
    gym.start("--config", configured(gym, living={"api_key": SECRET}))
    assert len(gym.processes()) == 1
    assert ask(f"{gym.servers()['living']['url']}/extra").json() == 3
    assert gym("env", "stop").returncode == 0
    (log,) = gym.runtime.rglob("living.log")
    assert log.read_text() == "begun with ****\nended\n"
    assert SECRET not in gym.logs


def test_a_lifespan_that_fails_names_the_server(gym: Gym) -> None:
    text = SHARED.replace(
        "    async def verify(",
        """    def setup_webserver(self):
        from contextlib import asynccontextmanager
        app = super().setup_webserver()
        @asynccontextmanager
        async def lifespan(app):
            raise RuntimeError("no weights")
            yield
        app.router.lifespan_context = lifespan
        return app

    async def verify(""",
    )
    gym.program("living", text)
    failed = gym("env", "start", "--config", configured(gym, living={}), "--port", 0)
    assert failed.returncode == 1
    assert "living did not start" in failed.stderr
    assert "its lifespan raised RuntimeError: no weights" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_settings_that_do_not_fit_name_the_server(gym: Gym) -> None:
    gym.program("first", SHARED)
    failed = gym("env", "start", "--config", configured(gym, first={"bonus": "much"}), "--port", 0)
    assert failed.returncode == 1
    assert "first did not start" in failed.stderr
    assert "settings of first: bonus: Input should be a valid number" in failed.stderr


def test_a_token_is_asked_for_and_our_agent_acts_on_it_without_sockets(gym: Gym) -> None:
    text = SHARED.replace(
        "    async def verify(",
        """    def setup_webserver(self):
        from contextlib import asynccontextmanager
        app = super().setup_webserver()
        @asynccontextmanager
        async def lifespan(app):
            yield {"known": True}
        app.router.lifespan_context = lifespan
        @app.middleware("http")
        async def needs_its_lifespan(request, call_next):
            assert request.url.path == "/" or request.state.known
            return await call_next(request)
        return app

    async def verify(""",
    )
    gym.program("first", text)
    tree = json.loads(configured(gym, first={}).read_text())
    agent = {
        "entrypoint": "app.py",
        "resources_server": {"type": "resources_servers", "name": "first"},
        "model_server": {"type": "responses_api_models", "name": "policy_model"},
    }
    model = {"entrypoint": "app.py", "name": gym.script(B)}
    tree |= {
        "acting": {"responses_api_agents": {"simple_agent": agent}},
        "policy_model": {"responses_api_models": {"scripted": model}},
    }
    path = gym.folder / "agent.json"
    path.write_text(json.dumps(tree))
    token = "x" * 16
    gym.start("--config", path, "--host", "0.0.0.0", "--token-env", "GYM_TOKEN", GYM_TOKEN=token)
    authorization = {"authorization": f"Bearer {token}"}
    port = gym.servers()["acting"]["port"]
    row = {"responses_create_params": {"input": "how many?"}, "expected": 7}
    result = httpx.post(f"http://127.0.0.1:{port}/run", json=row, headers=authorization, timeout=60)
    assert result.json()["reward"] == 1.0
    port = gym.servers()["first"]["port"]
    assert httpx.post(f"http://127.0.0.2:{port}/seed_session", json={}).status_code == 401
    assert len(gym.processes()) == 1


def test_the_description_is_a_page_and_a_profile_is_written_when_asked_for(gym: Gym) -> None:
    gym.program("first", SHARED)
    config = configured(gym, first={})
    profiles = gym.folder / "profiles"
    words = ("profiling_enabled=true", f"profiling_results_dirpath={profiles}")
    gym.start("--config", config, "--environment", "mcqa", "--model-type", "random", *words)
    for name in ("first", "mcqa", "policy_model"):
        url = gym.servers()[name]["url"]
        page = ask(f"{url}/docs")
        assert page.headers["content-type"].startswith("text/html")
        assert "http" not in page.text.replace("application/http", "").replace("_http", "").split("<h1>")[0]
        answer = ask(f"{url}/stats")
        assert (answer.status_code, answer.content) == (200, b"")
    assert until(lambda: (profiles / "servers.prof").exists())
    assert "cumulative" in (profiles / "servers.log").read_text()
    assert gym("env", "stop").returncode == 0
    gym.start("--config", config, "--isolate", *words)
    assert ask(f"{gym.servers()['first']['url']}/stats").status_code == 200
    assert (profiles / "first.prof").exists()
    assert gym("env", "stop").returncode == 0
    gym.start("--config", config)
    assert ask(f"{gym.servers()['first']['url']}/stats").status_code == 404
