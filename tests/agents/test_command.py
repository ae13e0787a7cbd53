"""A program as the agent: what it is given, how it ends, and what is left of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_gym import Environment, Response, Rollout, Session, Task, ask, collect
from nemo_gym.agents.command import Command, task_text
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.runs.collect import attempt
from nemo_gym.serving.loopback_model import LoopbackModel
from nemo_gym.support.time_limit import TimeLimit
from nemo_gym.wire.errors import AgentFault, ModelUnreachable, RolloutError, UsageError
from nemo_gym.wire.params import RequestParams
from tests.support.processes import until_dead
from tests.support.virtual_time import run_out_of_time

CLIENT = """
import json, os, sys, time, urllib.request
def ask(text, base=sys.argv[1], key=os.environ["KEY"]):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    headers = {"authorization": "Bearer " + key, "content-type": "application/json"}
    answer = urllib.request.urlopen(urllib.request.Request(base + "/chat/completions", body, headers))
    return json.load(answer)["choices"][0]["message"]["content"]
"""


class Folder(Environment):
    """Says what the program left in its folder."""

    def seed(self, task: Task, session: Session) -> None:
        if self.prepared is not None:
            self.prepared.mkdir()
            (self.prepared / "given.txt").write_text("given")
            session.state["workdir"] = str(self.prepared)

        if self.mcp:
            session.state["mcp"] = self.mcp

    prepared: Path | None = None
    mcp: dict[str, str] = {}
    prompt: Any = "Do it {prompt} {workdir}; rm -rf $HOME"

    def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
        return [Task(responses_create_params={**ask(self.prompt)})]

    def verify(self, task: Task, response: Response, session: Session) -> float:
        self.found = {path.name: path.read_text() for path in Path(session.state["workdir"]).iterdir()}
        self.answer = response.final_text
        return 1.0


def program(code: str, *more: str, **options: Any) -> Command:
    argv = [sys.executable, "-I", "-c", CLIENT + code, "{openai_base_url}", *more]
    return Command(argv=argv, env={"KEY": "{api_key}", **options.pop("env", {})}, **options)


async def play(agent: Command, environment: Environment, model: Model | None = None) -> Rollout:
    async with LoopbackModel(model or ScriptedModel(lambda _: "yes")) as served:
        (rollout,) = [rollout async for rollout in collect(environment, served, agent=agent)]
    return rollout


async def failure(agent: Command, model: Model | None = None) -> RolloutError:
    rollout = await play(agent, Folder(), model)
    assert rollout.failure is not None
    assert rollout.reward is None
    return rollout.failure


async def test_the_program_works_in_the_folder_that_the_environment_made(tmp_path: Path) -> None:
    environment = Folder()
    environment.prepared = tmp_path / "repo"
    rollout = await play(program("open('said.txt', 'w').write(ask('Well?'))"), environment)
    assert rollout.failure is None
    assert environment.found == {"given.txt": "given", "said.txt": "yes"}
    assert environment.answer == "yes"


async def test_without_one_it_works_in_a_fresh_folder_that_is_gone_afterwards() -> None:
    environment = Folder()
    code = "ask('Well?'); open('where.txt', 'w').write(os.getcwd() + ' ' + os.environ['HOME'])"
    await play(program(code), environment)
    folder, home = environment.found["where.txt"].split()
    assert folder != home
    assert not Path(folder).exists()
    assert not Path(home).exists()


async def test_what_is_filled_in_is_never_filled_in_again_nor_read_by_a_shell() -> None:
    environment = Folder()
    code = (
        "texts = [sys.argv[2], sys.stdin.read(), open(os.environ['P']).read()]\n"
        "ask('x'); open('said.txt', 'w').write('|'.join(texts))"
    )
    agent = program(code, "{prompt}", stdin="{prompt}", env={"P": "{prompt_file}"})
    assert (await play(agent, environment)).failure is None
    assert environment.found["said.txt"] == "|".join([environment.prompt] * 3)


async def test_a_tools_server_s_tokens_are_handed_over() -> None:
    environment = Folder()
    environment.mcp = {"url": "http://tools/mcp", "token": "session", "bearer": "server"}
    agent = program(
        "ask('x'); open('said.txt', 'w').write(os.environ['M'])", env={"M": "{mcp_url} {mcp_token} {token}"}
    )
    await play(agent, environment)
    assert environment.found["said.txt"] == "http://tools/mcp session server"


async def test_files_are_laid_out_in_its_home() -> None:
    environment = Folder()
    code = "ask('x'); open('said.txt', 'w').write(open(os.environ['HOME'] + '/.tool/config.json').read())"
    agent = program(code, files={".tool/config.json": '{"id": "{rollout_id}", "limits": {}}'})
    await play(agent, environment)
    assert environment.found["said.txt"] == '{"id": "0-0", "limits": {}}'


async def test_a_program_that_fails_is_an_agent_error_with_its_last_words_and_what_it_had_done() -> None:
    rollout = await play(program("print('out', ask('x')); sys.exit('went wrong')"), Folder())
    assert rollout.failure is not None
    assert rollout.failure.failure_class == "agent_error"
    assert "exited with 1" in str(rollout.failure)
    assert "out yes" in str(rollout.failure)
    assert "went wrong" in str(rollout.failure)
    assert rollout.response is not None
    assert rollout.response.final_text == "yes"


async def test_an_exit_code_that_means_finished_is_scored() -> None:
    rollout = await play(program("ask('x'); sys.exit(3)", ok_exit_codes=[0, 3]), Folder())
    assert rollout.reward == 1.0
    assert rollout.details["finished_naturally"] is False


async def test_a_program_that_never_asks_the_model_is_no_attempt() -> None:
    error = await failure(program("print('hello')"))
    assert error.failure_class == "agent_error"
    assert "never got an answer from the model: hello" in str(error)


async def test_a_program_out_of_time_is_a_timeout_and_leaves_nothing_running(tmp_path: Path) -> None:
    code = (
        "import subprocess\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "child = subprocess.Popen(sleep, start_new_session=True)\n"
        f"ask(str(child.pid)); open({str(tmp_path / 'answered')!r}, 'x'); time.sleep(600)"
    )
    asked: list[RequestParams] = []

    def note(params: RequestParams) -> str:
        asked.append(params)
        return "yes"

    playing = play(program(code, timeout=60), Folder(), ScriptedModel(note))
    rollout = await run_out_of_time(playing, once=(tmp_path / "answered").exists)
    assert rollout.failure is not None
    assert rollout.failure.failure_class == "timeout_exceeded"
    assert rollout.response is not None
    assert rollout.response.final_text == "yes"
    first: Any = asked[0]["input"][0]
    pid = int(first["content"] if isinstance(first["content"], str) else first["content"][0]["text"])
    assert await until_dead(pid)


async def test_a_program_that_gave_up_because_the_model_failed_is_the_models_failure() -> None:
    def fail(params: RequestParams) -> str:
        raise ModelUnreachable("nobody there")

    error = await failure(program("ask('x')"), ScriptedModel(fail))
    assert error.failure_class == "model_error"
    assert "nobody there" in str(error)


async def test_a_program_whose_last_question_was_refused_is_no_finished_attempt() -> None:
    code = "import urllib.error\nask('x')\ntry:\n    ask(7)\nexcept urllib.error.HTTPError:\n    sys.exit(0)"
    error = await failure(program(code))
    assert error.failure_class == "agent_error"
    assert "a model call that failed (422)" in str(error)


def test_what_is_wrong_with_a_command_is_said_before_a_run() -> None:
    with pytest.raises(UsageError, match="no program 'no_such_program'"):
        Command(argv=["no_such_program"])
    with pytest.raises(UsageError, match=r"nothing is known as \{promt\}. Did you mean 'prompt'"):
        Command(argv=[sys.executable, "{promt}"])
    with pytest.raises(UsageError, match="expected a path below HOME"):
        Command(argv=[sys.executable], files={"../x": ""})
    with pytest.raises(UsageError, match="needs argv"):
        Command(argv=[])


async def test_a_model_without_a_door_is_a_clear_failure() -> None:
    agent = program("ask('x')")
    row = {"responses_create_params": ask("x"), "_ng_task_index": 0, "_ng_rollout_index": 0}
    model = ScriptedModel(lambda _: "yes")
    rollout = await attempt(agent, row, LocalEnvironment(Folder()), model, limit=TimeLimit(None))
    assert "nemo_gym.serving.loopback_model" in str(rollout.failure)


def test_the_task_is_all_its_messages_as_text() -> None:
    params: RequestParams = {**ask("Do it.", instructions="Be quick."), "instructions": "First."}
    assert task_text(params) == "First.\n\nBe quick.\n\nDo it."


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "x"}]},
        {"type": "message", "role": "assistant", "content": "I said"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
    ],
)
def test_what_a_program_cannot_be_given_is_refused(item: Any) -> None:
    with pytest.raises(AgentFault, match=r"input\[0\]: a program can be given"):
        task_text({"input": [item]})
