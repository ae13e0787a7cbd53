"""Whole files collected from running servers under the original names, and benchmark files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nemo_gym.benchmarks import BenchmarkConfig
from nemo_gym.config_types import ConfigError
from nemo_gym.global_config import (
    GlobalConfigDictParser,
    GlobalConfigDictParserConfig,
    find_open_port,
    get_global_config_dict,
    set_global_config_dict,
)
from nemo_gym.path_utils import failures_path_for
from nemo_gym.rollout_collection import (
    RolloutCollectionConfig,
    RolloutCollectionHelper,
    _get_max_rollout_attempts,
    collect_rollouts,
)
from omegaconf import DictConfig

from nemo_gym.environments.environment_info import library
from tests.compat.trainer import Actor
from tests.conftest import StartEndpoint, read_rows

MULTI_STEP = "resources_servers/example_multi_step/configs/example_multi_step.yaml"
AGENT = "example_multi_step_simple_agent"
INPUT = str(library()["example_multi_step"] / "data" / "example.jsonl")


@pytest.fixture
def running(start_endpoint: StartEndpoint) -> Iterator[Actor]:
    """Servers of this process."""
    actor = Actor([start_endpoint("token_server.py")], MULTI_STEP)
    yield actor
    actor.rh.shutdown()


@pytest.fixture(autouse=True)
def _no_configuration() -> Iterator[None]:
    yield
    set_global_config_dict(None)


def collected(output: Path, **settings: Any) -> list[dict[str, Any]]:
    given = {"input_jsonl_fpath": INPUT, "output_jsonl_fpath": str(output), "agent_name": AGENT, **settings}
    config = RolloutCollectionConfig.model_validate(given)
    return asyncio.run(RolloutCollectionHelper().run_from_config(config))


def keys_of(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(row["_ng_task_index"], row["_ng_rollout_index"]) for row in rows]


@pytest.mark.usefixtures("running")
def test_a_file_is_collected_in_order_and_its_files_are_written(tmp_path: Path) -> None:
    output = tmp_path / "run.jsonl"
    repeats = {AGENT: 2, "_default": 1}
    results = collected(output, limit=3, num_repeats=repeats, responses_create_params={"temperature": 0.7})
    assert keys_of(results) == [(task, repeat) for task in range(3) for repeat in range(2)]
    assert {row["responses_create_params"]["temperature"] for row in results} == {0.7}
    assert {row["reward"] for row in results} == {1.0}
    assert sorted(keys_of(read_rows(output))) == keys_of(results)
    (metrics,) = json.loads((tmp_path / "run_aggregate_metrics.json").read_text())
    assert metrics["agent_metrics"]["mean/reward"] == 1.0
    assert not read_rows(failures_path_for(output))


@pytest.mark.usefixtures("running")
def test_a_second_collection_replaces_the_first_unless_it_resumes(tmp_path: Path) -> None:
    output = tmp_path / "run.jsonl"
    first = collected(output, limit=2)
    output.write_text("".join(output.read_text().splitlines(keepends=True)[:1]))
    assert keys_of(collected(output, limit=2, resume_from_cache=True)) == keys_of(first)
    assert keys_of(collected(output, limit=1)) == [(0, 0)]


@pytest.mark.usefixtures("running")
def test_repeats_are_seeded_when_asked(tmp_path: Path) -> None:
    collected(tmp_path / "run.jsonl", limit=1, num_repeats=2, num_repeats_add_seed=True)
    rows = read_rows(tmp_path / "run_materialized_inputs.jsonl")
    extras = [json.loads(row["responses_create_params"]["metadata"]["extra_body"]) for row in rows]
    assert extras == [{"seed": 0}, {"seed": 1}]
    assert keys_of(rows) == [(0, 0), (0, 1)]


def test_a_driver_takes_the_place_of_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_driver.py").write_text(
        "async def drive(config, settings):\n    return config.limit, settings['answer']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    set_global_config_dict(DictConfig({"answer": 42}))
    given = {"input_jsonl_fpath": INPUT, "output_jsonl_fpath": "out.jsonl", "limit": 3}
    driver = {"rollout_collection_driver": "my_driver:drive"}
    assert asyncio.run(collect_rollouts(RolloutCollectionConfig(**given, **driver))) == (3, 42)
    driver = {"rollout_collection_driver": "my_driver:steer"}
    with pytest.raises(ValueError, match="my_driver:steer"):
        asyncio.run(collect_rollouts(RolloutCollectionConfig(**given, **driver)))


def test_agents_that_the_map_of_repeats_leaves_out_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"nothing of agent '{AGENT}'"):
        collected(tmp_path / "run.jsonl", num_repeats={"another": 3})


@pytest.mark.parametrize("repeats", [0, {"a": 0}])
def test_fewer_than_one_repeat_is_refused(repeats: object) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        RolloutCollectionConfig.model_validate(
            {"input_jsonl_fpath": "a", "output_jsonl_fpath": "b.jsonl", "num_repeats": repeats}
        )


def test_attempts_come_from_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _get_max_rollout_attempts() == 3
    monkeypatch.setenv("NEMO_GYM_MAX_ROLLOUT_ATTEMPTS", "5")
    assert _get_max_rollout_attempts() == 5


def test_the_configuration_of_a_process_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["trainer.py", "--lr=1", f"+config_paths=[{MULTI_STEP}]", "+port_range_low=12000"]
    monkeypatch.setattr("sys.argv", words)
    chosen = GlobalConfigDictParserConfig(
        skip_load_from_dotenv=True,
        initial_global_config_dict=GlobalConfigDictParserConfig.NO_MODEL_GLOBAL_CONFIG_DICT,
    )
    parsed = get_global_config_dict(global_config_dict_parser_config=chosen)
    assert parsed.port_range_low == 12000
    assert AGENT in parsed
    assert get_global_config_dict() is parsed
    assert 12000 <= find_open_port() <= 20000


def test_included_files_are_loaded_alone() -> None:
    files, trees = GlobalConfigDictParser().load_extra_config_paths([MULTI_STEP])
    assert files == [MULTI_STEP]
    assert AGENT in trees[0]


BENCHMARK = """
config_paths: [resources_servers/mcqa/configs/mcqa.yaml]
mcqa_simple_agent:
  responses_api_agents:
    simple_agent:
      datasets:
      - {name: quiz, type: benchmark, jsonl_fpath: quiz.jsonl, prepare_script: prepare.py, num_repeats: 4}
"""


def test_a_benchmark_is_the_one_data_set_of_its_type(tmp_path: Path) -> None:
    path = tmp_path / "quiz.yaml"
    path.write_text(BENCHMARK)
    found = BenchmarkConfig.from_config_path(path)
    assert found is not None
    assert (found.name, found.agent_name, found.num_repeats) == ("quiz", "mcqa_simple_agent", 4)
    path.write_text(BENCHMARK + BENCHMARK.splitlines(keepends=True)[-1])
    with pytest.raises(ConfigError, match="found 2"):
        BenchmarkConfig.from_config_path(path)
    path.write_text("config_paths: [resources_servers/mcqa/configs/mcqa.yaml]\n")
    assert BenchmarkConfig.from_config_path(path) is None


def test_a_benchmark_is_read_though_values_that_a_run_needs_are_open(tmp_path: Path) -> None:
    """As lists of benchmarks need it."""
    path = tmp_path / "quiz.yaml"
    path.write_text(
        f"{BENCHMARK}      grader: ['${{grader.url}}', '${{grader_key}}', '${{grader.again}}']\n"
        "      limits: ['???', {seconds: '???'}]\n"
    )
    benchmark = BenchmarkConfig.from_config_path(path, strict=False)
    assert benchmark is not None
    assert benchmark.name == "quiz"
    with pytest.raises(ConfigError, match="2 values must be given"):
        BenchmarkConfig.from_config_path(path)
    path.write_text(f"{BENCHMARK}  responses_api_models: []\n")
    with pytest.raises(ConfigError):
        BenchmarkConfig.from_config_path(path, strict=False)


ROWS = [
    {"responses_create_params": {"input": text}, "agent_ref": {"name": "mine"}} for text in ("good", "bad")
]


class Answer:
    """What is read of an aiohttp response."""

    def __init__(self, body: Any, status: int = 200) -> None:
        self.status = status
        self._body = json.dumps(body).encode()

    async def read(self) -> bytes:
        return self._body


class OwnClient:
    """A client that reaches an agent in a way of its own; the failing rollout has details of its own."""

    def __init__(self, config: Any = None) -> None:
        if config is not None:
            self.global_config_dict = config

    async def post(self, server_name: str, url_path: str, json: Any, **_: Any) -> Answer:
        assert server_name == "mine"
        if url_path != "/run":
            return Answer({}, 404)
        part = {"type": "output_text", "text": "said", "annotations": []}
        message = {"type": "message", "id": "m", "role": "assistant", "content": [part]}
        result = {**json, "reward": 1.0, "response": {"output": [message]}}
        if json["responses_create_params"]["input"] == "bad":
            result |= {"_ng_failure_class": "broken", "error": "HTTP 500", "place": "far away"}
        return Answer(result)


@pytest.fixture(params=[{}, {"mine": {"responses_api_agents": {"a": {}}}, "limit": 3}], ids=["bare", "named"])
def helper(request: pytest.FixtureRequest) -> RolloutCollectionHelper:
    class Helper(RolloutCollectionHelper):
        def setup_server_client(self, *args: Any, **kwargs: Any) -> Any:
            return OwnClient(DictConfig(request.param) if request.param else None)

    return Helper()


def test_a_client_of_the_helpers_own_makes_its_calls(tmp_path: Path, helper: RolloutCollectionHelper) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    given = {
        "input_jsonl_fpath": str(tmp_path / "rows.jsonl"),
        "output_jsonl_fpath": str(tmp_path / "o.jsonl"),
    }
    scored = asyncio.run(helper.run_from_config(RolloutCollectionConfig.model_validate(given)))
    assert [row["reward"] for row in scored] == [1.0]
    [failed] = read_rows(failures_path_for(tmp_path / "o.jsonl"))
    assert (failed["_ng_failure_class"], failed["error"], failed["place"]) == (
        "broken",
        "HTTP 500",
        "far away",
    )
    assert "reward" not in failed


def test_batches_are_asked_through_it_too(helper: RolloutCollectionHelper) -> None:
    async def batch() -> list[Any]:
        return [await one for one in helper.run_examples(ROWS[:1])]

    [(row, result)] = asyncio.run(batch())
    assert row is ROWS[0]
    assert result["reward"] == 1.0


def test_a_client_that_was_patched_in_is_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RolloutCollectionHelper, "setup_server_client", lambda *_: OwnClient())
    test_batches_are_asked_through_it_too(RolloutCollectionHelper())
