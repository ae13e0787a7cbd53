"""Our tasks as NeMo Evaluator reads them, and its results as our runs."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import nemo_gym as gym
from nemo_gym import Environment, Response, Session, StepEnvironment, tool
from nemo_gym.environments.base import Step
from nemo_gym.environments.discovery import library
from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.runs.store import RunStore
from nemo_gym.serving.sockets import bind
from nemo_gym.siblings.evaluator.gateway import gateway_app, gateway_host
from nemo_gym.siblings.evaluator.harness import scores_of
from nemo_gym.siblings.evaluator.results import import_results
from nemo_gym.siblings.evaluator.tasks import INDEX, EvaluatorTasks, TaskSource
from nemo_gym.support.modules import PACKAGE
from nemo_gym.wire.errors import DataError, GymError, TaskUnfit, UsageError
from nemo_gym.wire.items import user
from tests.serving.loopback import served

Gym = Callable[..., "subprocess.CompletedProcess[str]"]
FRAMEWORK = PACKAGE.parent / "core_evals" / "nemo_gym" / "framework.yml"


class Tools(Environment):
    """Has a tool."""

    @tool
    async def look(self, session: Session) -> str:
        """Look."""
        return "sunny"

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return 1.0


class Steps(StepEnvironment):
    """Has steps."""

    def reset(self, task: Any, session: Session) -> str:
        return "begin"

    def step(self, action: Response, session: Session) -> Step:
        return Step(reward=1.0, terminated=True)


def mcqa_rows(count: int = 8) -> list[dict[str, Any]]:
    """Questions whose scores need a list of objects and the metadata; the even ones have the answer B."""
    options = [{letter: f"{letter.lower()} of {letter}"} for letter in "ABCD"]
    return [
        {
            "task_id": f"q{number}",
            "responses_create_params": {"input": [user(f"say \\boxed{{B}} for question {number}")]},
            "options": options,
            "expected_answer": "B" if number % 2 == 0 else "C",
            "verifier_metadata": {"number": number},
            "category": "even" if number % 2 == 0 else "odd",
        }
        for number in range(count)
    ]


def answer_of(text: str) -> str:
    """The model of these tests: right about every other question."""
    return text.removeprefix("say ").partition(" for")[0]


@pytest.fixture
def tasks_file(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in mcqa_rows()))
    return path


async def own_rewards(source: TaskSource, repeats: int = 1) -> dict[int, float]:
    """The rewards of our own evaluation."""
    model = ScriptedModel(lambda params: answer_of(params["input"][-1]["content"]))
    rollouts = gym.collect(
        source.environment, model, source.input or None, limit=source.limit, num_repeats=repeats
    )
    return {one.task_index: float(one.reward or 0.0) async for one in rollouts}


@asynccontextmanager
async def gateway(source: TaskSource) -> AsyncGenerator[httpx.AsyncClient]:
    async with served(gateway_app(EvaluatorTasks(source))) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


class TestGateway:
    async def test_the_rewards_are_those_of_our_own_evaluation(self, tasks_file: Path) -> None:
        source = TaskSource(environment="mcqa", input=str(tasks_file))
        rewards: dict[int, float] = {}
        async with gateway(source) as client:
            assert (await client.get("/health")).json()["status"] == "ok"
            size = (await client.get("/dataset_size")).json()["size"]
            for number in range(size):
                seed = (await client.post("/seed_session", json={"idx": number})).json()
                answer = answer_of(seed["messages"][-1]["content"])
                body = {"response": answer, "expected": seed["expected_answer"], "metadata": seed["metadata"]}
                verdict = (await client.post("/verify", json=body)).json()
                rewards[number] = verdict["reward"]
                assert verdict["extracted_answer"] == "B"
                assert verdict["scoring_details"]["method"] == "nemo_gym:mcqa"
        assert rewards == await own_rewards(source)
        assert sum(rewards.values()) == len(rewards) / 2

    async def test_a_task_has_its_prompt_its_answer_and_every_column(self, tasks_file: Path) -> None:
        async with gateway(TaskSource(environment="mcqa", input=str(tasks_file))) as client:
            seed = (await client.post("/seed_session", json={"idx": 3})).json()
        row = mcqa_rows()[3]
        params = row.pop("responses_create_params")
        assert seed["prompt"] == params["input"][0]["content"]
        assert seed["messages"] == [{"role": "user", "content": seed["prompt"]}]
        assert seed["expected_answer"] == "C"
        assert seed["metadata"] == {**row, INDEX: 3}

    async def test_evaluator_finds_no_tool_in_the_openapi_document(self, tasks_file: Path) -> None:
        async with gateway(TaskSource(environment="mcqa", input=str(tasks_file))) as client:
            document = (await client.get("/openapi.json")).json()
        assert [path for path, methods in document["paths"].items() if "post" in methods] == []

    async def test_idle_connections_stay_open_for_two_minutes(
        self, tasks_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seconds: list[int] = []

        class Config(uvicorn.Config):
            def __init__(self, app: Any, **settings: Any) -> None:
                seconds.append(settings["timeout_keep_alive"])
                super().__init__(app, **settings)

        monkeypatch.setattr(uvicorn, "Config", Config)
        host, listener = gateway_host(), bind("127.0.0.1", 0, "the gateway")
        tasks = EvaluatorTasks(TaskSource(environment="mcqa", input=str(tasks_file)))
        await host.serve("evaluator", gateway_app(tasks), listener)
        async with httpx.AsyncClient() as client:
            port = listener.getsockname()[1]
            assert (await client.get(f"http://127.0.0.1:{port}/dataset_size")).json() == {"size": 8}
        await host.stop(["evaluator"], grace_s=0.0)
        assert seconds == [120]

    async def test_a_wrong_request_is_refused_with_a_line(self, tasks_file: Path) -> None:
        async with gateway(TaskSource(environment="mcqa", input=str(tasks_file), limit=2)) as client:
            beyond = await client.post("/seed_session", json={"idx": 2})
            unnamed = await client.post("/verify", json={"response": "x", "expected": "", "metadata": {}})
            formless = await client.post("/verify", json={"response": {"output": []}})
        assert (beyond.status_code, "there is no task 2" in beyond.text) == (400, True)
        assert (unnamed.status_code, f"metadata.{INDEX}: required" in unnamed.text) == (422, True)
        assert formless.status_code == 422

    async def test_an_answer_without_a_score_is_an_error_and_no_reward_of_0(self) -> None:
        async with gateway(TaskSource(environment=f"{__file__}:Tools", input=_tools_file())) as client:
            seed = (await client.post("/seed_session", json={"idx": 0})).json()
            body = {"response": "x", "expected": "", "metadata": seed["metadata"]}
            verdict = await client.post("/verify", json=body)
        assert verdict.status_code == 502
        assert "gym_delegation" in verdict.text


def _tools_file() -> str:
    return str(Path(__file__).parent / "data" / "one_task.jsonl")


class TestTasks:
    async def test_steps_are_no_answer_as_text(self) -> None:
        async with EvaluatorTasks(TaskSource(environment=f"{__file__}:Steps", input=_tools_file())) as tasks:
            assert tasks.seed(0).prompt == "hi"
            with pytest.raises(TaskUnfit, match="not one answer: use Evaluator's solver gym_delegation"):
                await tasks.verify(0, "hello")

    async def test_an_answer_as_text_can_not_call_tools(self) -> None:
        async with EvaluatorTasks(TaskSource(environment=f"{__file__}:Tools", input=_tools_file())) as tasks:
            with pytest.raises(TaskUnfit, match="the task has tools"):
                await tasks.verify(0, "hello")

    async def test_a_judge_that_is_missing_is_named_before_the_first_task(self) -> None:
        with pytest.raises(UsageError, match="judge"):
            async with EvaluatorTasks(TaskSource(environment="rubric", limit=1)):
                pass

    async def test_generated_tasks_are_those_of_our_own_run(self) -> None:
        source = TaskSource(environment="word_problems", limit=5, seed=7)
        async with EvaluatorTasks(source) as tasks:
            prompts = [tasks.seed(number).prompt for number in range(5)]
        model = ScriptedModel(lambda _: "x")
        rollouts = [one async for one in gym.collect("word_problems", model, limit=5, seed=7)]
        own = {one.task_index: one.row["responses_create_params"]["input"][-1]["content"] for one in rollouts}
        assert prompts == [own[number] for number in range(5)]


class TestCommand:
    def test_the_gateway_is_served_by_a_command_until_it_is_stopped(self, tasks_file: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "nemo_gym",
            "serve",
            "evaluator",
            "mcqa",
            "--port",
            "0",
            "-i",
            tasks_file,
        ]
        with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line.startswith("8 tasks of mcqa ready: benchmark gym://127.0.0.1:")
            url = line.rpartition("gym://")[2]
            assert httpx.get(f"http://{url}/dataset_size").json() == {"size": 8}
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0

    def test_the_plugin_is_where_the_command_says(self, gym: Gym) -> None:
        path = Path(gym("evaluator", "plugin").stdout.strip())
        assert "_registry.register" in path.read_text()


RESULT = {
    "problem_idx": 0,
    "repeat": 0,
    "reward": 1.0,
    "scorer_rewards": {},
    "prompt": "2 + 2?",
    "model_response": "4",
    "extracted_answer": "4",
    "expected_answer": "4",
    "scoring_details": {"method": "exact_match", "correct": True},
    "metadata": {"category": "sums"},
    "tokens": 7,
    "latency_ms": 250.0,
    "trajectory": [{"step_id": 1, "source": "agent", "message": "4"}],
}


def write_results(folder: Path, *results: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.jsonl").write_text("".join(json.dumps({**RESULT, **one}) + "\n" for one in results))
    scores = {"pass@1": {"value": 0.5}, "summary": {"n": 2}}
    (folder / "eval-1.json").write_text(json.dumps({"benchmark": {"name": "x", "scores": scores}}))
    return folder


class TestImport:
    async def test_results_become_rollouts_with_our_metrics(self, tmp_path: Path) -> None:
        folder = write_results(tmp_path / "in", {}, {"problem_idx": 1, "reward": 0.0, "model_response": "5"})
        imported = await import_results(tmp_path / "in", tmp_path / "out" / "run.jsonl")
        assert imported.reported == {"pass@1": 0.5}
        summary = imported.report.summary
        assert (summary.requested, summary.scored, summary.mean_reward) == (2, 2, 0.5)
        first, second = RunStore(tmp_path / "out" / "run.jsonl").rollouts()
        assert first.response is not None
        assert first.response.final_text == "4"
        assert first.row["responses_create_params"] == {"input": [user("2 + 2?")]}
        assert (first.row["category"], first.row["extracted_answer"], first.row["tokens"]) == ("sums", "4", 7)
        assert first.row["evaluator_trajectory"] == RESULT["trajectory"]
        assert (first.reward, second.reward, first.timing) == (1.0, 0.0, {"total_s": 0.25})
        assert folder.exists()

    async def test_what_evaluator_could_not_score_is_a_failure(self, tmp_path: Path) -> None:
        errors = {
            number: {"error": "no answer", "error_category": category}
            for number, category in enumerate(("infra_error", "system", "graceful"), start=1)
        }
        results = [{"problem_idx": n, "reward": 0.0, "scoring_details": error} for n, error in errors.items()]
        write_results(tmp_path, {}, *results)
        output = tmp_path / "run.jsonl"
        summary = (await import_results(tmp_path, output)).report.summary
        assert (summary.scored, summary.failed) == (2, {"run_error": 1, "verifier_error": 1})
        assert [one.outcome for one in RunStore(output).rollouts()] == ["completed", "truncated"]

    async def test_samples_of_the_earlier_version_become_rollouts(self, tmp_path: Path) -> None:
        folder = tmp_path / "nemo-evaluator-per-sample-outputs"
        folder.mkdir()
        sample = {"num_generated_tokens": 3, "num_prompt_tokens": 5, "query": "2 + 2?", "ground_truth": "4"}
        lines = [
            {"id": "a", "generation": "thinking", "score": None, **sample},
            {"id": "a", "generation": "4", "score": 1, **sample},
            {"id": "a", "generation": "5", "score": 0, **sample},
            {"id": "b", "generation": {"text": "4"}, "score": 1, **sample},
        ]
        (folder / "task.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        score = {"value": 0.75, "stats": {}}
        report = {"tasks": {"sums": {"metrics": {"accuracy": {"scores": {"micro": score}}}}}}
        (tmp_path / "results.yml").write_text(yaml.safe_dump({"results": report}))
        imported = await import_results(tmp_path, tmp_path / "run.jsonl")
        rollouts = list(RunStore(tmp_path / "run.jsonl").rollouts())
        places = [(one.task_index, one.rollout_index, one.reward) for one in rollouts]
        assert places == [(0, 0, 1.0), (0, 1, 0.0), (1, 0, 1.0)]
        assert imported.reported == {"sums/accuracy/micro": 0.75}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("results: [", r"results\.yml:2:1: did not find expected"),
            ("results: {}\nresults: {}", r"results\.yml:2:1: found duplicate key 'results'"),
            ("- 1", r"results\.yml: expected a mapping at the top, got a list"),
        ],
    )
    async def test_scores_that_can_not_be_read_are_one_error_before_anything_is_written(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        folder = tmp_path / "in" / "nemo-evaluator-per-sample-outputs"
        folder.mkdir(parents=True)
        (folder / "task.jsonl").write_text(json.dumps({"id": "a", "generation": "4", "score": 1}) + "\n")
        (tmp_path / "in" / "results.yml").write_text(text)
        with pytest.raises(UsageError, match=message):
            await import_results(tmp_path / "in", tmp_path / "run.jsonl")
        assert not list(tmp_path.glob("run*"))

    @pytest.mark.parametrize("content", [b"{", b'{"a": "\xff"}', b"[" * 100_000])
    async def test_a_bundle_that_is_no_json_is_one_error(self, tmp_path: Path, content: bytes) -> None:
        write_results(tmp_path / "in", {})
        (bundle,) = (tmp_path / "in").glob("eval-*.json")
        bundle.write_bytes(content)
        with pytest.raises(UsageError, match=r"eval-\S*\.json: not valid JSON: "):
            await import_results(tmp_path / "in", tmp_path / "run.jsonl")
        assert not list(tmp_path.glob("run*"))

    async def test_a_wrong_line_and_several_benchmarks_are_named(self, tmp_path: Path) -> None:
        write_results(tmp_path / "a", {"reward": "high"})
        write_results(tmp_path / "b", {})
        with pytest.raises(UsageError, match="results of several benchmarks"):
            await import_results(tmp_path, tmp_path / "run.jsonl")
        with pytest.raises(DataError, match=r"results\.jsonl:1: .*reward"):
            await import_results(tmp_path / "a", tmp_path / "run.jsonl")
        with pytest.raises(UsageError, match=r"no results\.jsonl"):
            await import_results(tmp_path / "empty", tmp_path / "run.jsonl")

    @pytest.mark.parametrize(
        ("results", "problem"),
        [([], "there is no result in it"), ([{}, {}], "task 0, repeat 0 is there 2 times")],
    )
    async def test_results_that_are_no_run_leave_no_file(
        self, tmp_path: Path, results: list[dict[str, Any]], problem: str
    ) -> None:
        write_results(tmp_path / "in", *results)
        with pytest.raises(GymError, match=problem):
            await import_results(tmp_path / "in", tmp_path / "out" / "run.jsonl")
        assert not (tmp_path / "out").exists()

    async def test_a_missing_answer_is_an_empty_one(self, tmp_path: Path) -> None:
        write_results(tmp_path / "in", {"model_response": None, "reward": 0.0})
        await import_results(tmp_path / "in", tmp_path / "run.jsonl")
        (rollout,) = RunStore(tmp_path / "run.jsonl").rollouts()
        assert (rollout.reward, rollout.response and rollout.response.output) == (0.0, [])

    def test_the_command_prints_both_scores(self, gym: Gym, tmp_path: Path) -> None:
        write_results(tmp_path / "in", {}, {"problem_idx": 1, "reward": 0.0})
        done = gym("evaluator", "import", tmp_path / "in", "-o", tmp_path / "run.jsonl")
        assert "Evaluator reports pass@1 0.5" in done.stdout
        again = gym("evaluator", "import", tmp_path / "in", "-o", tmp_path / "run.jsonl")
        assert (again.returncode, "exists already" in again.stderr) == (2, True)


class TestHarness:
    def test_the_scores_of_a_run_are_those_of_its_report(
        self, gym: Gym, tmp_path: Path, tasks_file: Path
    ) -> None:
        program = tmp_path / "model.py"
        program.write_text(
            "def play(params):\n"
            "    return params['input'][-1]['content'].removeprefix('say ').partition(' for')[0]\n"
        )
        model = ("--model-type", "scripted", "-m", f"{program}:play", "--num-repeats", "2")
        done = gym("run", "mcqa", "-i", tasks_file, "-o", tmp_path / "rollouts.jsonl", *model)
        assert done.returncode == 0, done.stderr
        metrics = scores_of(tmp_path)["tasks"]["mcqa"]["metrics"]
        values = {name: next(iter(one["scores"].values()))["value"] for name, one in metrics.items()}
        assert values == {"reward": 0.5, "pass_at_1": 0.5, "pass_at_2": 0.5, "failed": 0.0}
        assert metrics["reward"]["scores"]["mean"]["stats"]["count"] == 16

    def test_a_run_without_a_score_is_no_result(self, gym: Gym, tmp_path: Path, tasks_file: Path) -> None:
        program = tmp_path / "model.py"
        program.write_text("def play(params):\n    raise ValueError('no answer')\n")
        model = ("--model-type", "scripted", "-m", f"{program}:play")
        gym("run", "mcqa", "-i", tasks_file, "-o", tmp_path / "rollouts.jsonl", *model)
        with pytest.raises(UsageError, match=r"rollouts\.jsonl: no rollout was scored \(.* 8\)"):
            scores_of(tmp_path)

    def test_the_framework_file_has_every_benchmark(self) -> None:
        framework = yaml.safe_load(FRAMEWORK.read_text())
        types = [one["defaults"]["config"]["type"] for one in framework["evaluations"]]
        folders = (PACKAGE / "library" / "benchmarks").glob("*/config.yaml")
        assert types == ["environment", *sorted(path.parent.name for path in folders)]
        assert framework["evaluations"][0]["defaults"]["config"]["params"]["task"] in library()


class Proxy:
    """The adapter proxy of Evaluator: sessions in the path, a budget of calls for each, and only POST."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.calls: dict[str, int] = {}
        self.paths: set[str] = set()
        routes = [Route("/s/{session}/{rest:path}", self.post, methods=["POST"])]
        self.app = Starlette(routes=routes)

    async def post(self, request: Request) -> JSONResponse:
        session = request.path_params["session"]
        assert set(session) <= set("0123456789abcdef")
        self.paths.add(request.path_params["rest"])
        count = self.calls[session] = self.calls.get(session, 0) + 1
        if count > self.budget:
            message = f"Turn budget exhausted: {count}/{self.budget} turns used."
            error = {"message": message, "type": "invalid_request_error", "code": "session_budget_exhausted"}
            return JSONResponse({"error": error}, 429)
        function = {"name": "look", "arguments": "{}"}
        call = {"id": f"call_{count}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
        return JSONResponse({"object": "chat.completion", "model": "m", "choices": [choice]})


class TestAdapterProxy:
    async def test_an_exhausted_budget_ends_the_rollout_and_is_not_asked_again(self) -> None:
        proxy = Proxy(budget=3)
        rows: list[Any] = [{"responses_create_params": {"input": [user("hi")]}} for _ in range(4)]
        async with served(proxy.app) as url:
            model = ModelSpec("evaluator_proxy", "m", url)
            rollouts = [one async for one in gym.collect(Tools(), model, rows)]
        assert [(one.outcome, one.reward) for one in rollouts] == [("session_budget_exhausted", 1.0)] * 4
        assert sorted(proxy.calls.values()) == [4] * 4
        assert proxy.paths == {"chat/completions"}

    async def test_a_url_with_a_session_keeps_it_also_with_another_type(self) -> None:
        proxy = Proxy(budget=0)
        async with served(proxy.app) as url:
            for type in ("evaluator_proxy", "chat"):
                async with endpoint_model(type, [f"{url}/s/1f2e"], "m") as model:
                    await model.check()
                    response = await model.for_session_id("one").responses({"input": "hi"})
                    assert response.data["incomplete_details"]["detail"] == "session_budget_exhausted"
        assert proxy.calls == {"1f2e": 2}

    async def test_an_ordinary_429_is_tried_again(self) -> None:
        answers = iter([429, 200])

        async def answer(_: Request) -> JSONResponse:
            status = next(answers)
            if status == 429:
                return JSONResponse({"error": {"message": "slow down"}}, 429, {"retry-after-ms": "1"})
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
            return JSONResponse({"choices": [choice]})

        app = Starlette(routes=[Route("/{rest:path}", answer, methods=["POST"])])
        async with served(app) as url, endpoint_model("evaluator_proxy", [url], "m") as model:
            assert (await asyncio.wait_for(model.responses({"input": "x"}), 60)).output_text == "hi"
