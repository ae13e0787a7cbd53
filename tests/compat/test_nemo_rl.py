"""NeMo RL's use of the package (CONTRACT 11.2, 11.3), call for call, against a token-returning endpoint."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from nemo_gym.global_config import get_global_config_dict, maybe_get_global_config_dict
from nemo_gym.rollout_collection import RolloutFailed
from nemo_gym.server_utils import ServerClient, get_global_aiohttp_client, get_response_json
from omegaconf import DictConfig

from nemo_gym.cli import GlobalConfigDictParserConfig, RunHelper
from nemo_gym.environments.environment_info import library
from nemo_gym.training import sequences
from tests.compat.trainer import Actor, free_port, is_free, message_log
from tests.conftest import StartEndpoint
from tests.support.programs import FORK, run_program

MULTI_STEP = "resources_servers/example_multi_step/configs/example_multi_step.yaml"
AGENT = "example_multi_step_simple_agent"

Start = Callable[..., Actor]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start actors; whatever a test does, they are shut down."""
    actors: list[Actor] = []

    def started(*arguments: Any, **settings: Any) -> Actor:
        actors.append(Actor(*arguments, **settings))
        return actors[-1]

    yield started
    for actor in actors:
        actor.rh.shutdown()


def rows(count: int, *, first: int = 0, agent: str = AGENT) -> list[dict[str, Any]]:
    """Rows as the trainer makes them: numbered, each for an agent."""
    lines = (library()["example_multi_step"] / "data" / "example.jsonl").read_text().splitlines()
    return [
        {**json.loads(lines[number % len(lines)]), "agent_ref": {"name": agent}, "_rowidx": first + number}
        for number in range(count)
    ]


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


@pytest.mark.parametrize("engine", ["vllm", "message"])
def test_multi_turn_rollouts_are_contiguous_token_sequences(
    start: Start, start_endpoint: StartEndpoint, engine: str
) -> None:
    actor = start([start_endpoint("token_server.py", engine=engine)], MULTI_STEP)
    results = asyncio.run(actor.run_rollouts(rows(5)))
    assert sorted(results) == [0, 1, 2, 3, 4]
    for result in results.values():
        messages = message_log(result)
        assert len(messages) >= 10
        assert result["reward"] == 1.0
    actor.rh.poll()


def test_a_server_that_retokenises_past_turns_gives_masked_samples_that_end_no_training(
    start: Start, start_endpoint: StartEndpoint
) -> None:
    actor = start([start_endpoint("token_server.py", splice=0)], MULTI_STEP)
    result = asyncio.run(actor.run_rollouts(rows(1)))[0]
    assert result["mask_sample"] is True
    assert result["_ng_token_capture"]["masked"] == "tokens_not_contiguous"
    assert "the prompt must begin with the" in result["_ng_token_capture"]["detail"]
    assert len(message_log(result)) == 2  # what the first call saw and sampled
    assert sequences(result)[0].mask == "tokens_not_contiguous"


def test_the_components_of_a_reward_sum_up(
    start: Start, start_endpoint: StartEndpoint, tmp_path: Path
) -> None:
    environment = tmp_path / "parts.py"
    environment.write_text(PARTS)
    actor = start([start_endpoint("token_server.py")], environment=str(environment))
    ref = {"name": "parts_simple_agent"}
    row = {"responses_create_params": {"input": "say yes"}, "agent_ref": ref, "_rowidx": 0}
    result = asyncio.run(actor.run_rollouts([row]))[0]
    assert message_log(result)
    assert result["reward_components"] == {"said": 1.0, "short": 0.5}


def test_train_and_validation_batches_go_on_side_by_side(start: Start, start_endpoint: StartEndpoint) -> None:
    actor = start([start_endpoint("token_server.py")], MULTI_STEP)

    async def step() -> list[dict[int, dict[str, Any]]]:
        batches = [actor.run_rollouts(rows(8, first=100 * batch)) for batch in range(4)]
        return await asyncio.gather(*batches)

    validation: list[dict[int, dict[str, Any]]] = []
    thread = threading.Thread(target=lambda: validation.append(asyncio.run(actor.run_rollouts(rows(8)))))
    thread.start()
    training = asyncio.run(step())
    thread.join()
    for batch, results in enumerate(training):
        assert sorted(results) == [100 * batch + number for number in range(8)]
    assert sorted(validation[0]) == list(range(8))
    assert all(message_log(result) for results in (*training, *validation) for result in results.values())


def test_every_turn_of_a_rollout_goes_to_the_same_replica(
    start: Start, start_endpoint: StartEndpoint
) -> None:
    urls = [start_endpoint("token_server.py") for _ in range(2)]
    actor = start(urls, MULTI_STEP)
    asyncio.run(actor.run_rollouts(rows(10)))
    for url in urls:
        requests = _requests_of(url)
        assert requests, "a replica was never asked"
        # Whoever had the first turn of a rollout had its last.
        assert sum(map(_is_first, requests)) == sum(map(_is_last, requests))


def test_an_agent_that_fails_raises_what_the_trainer_classifies(
    start: Start, start_endpoint: StartEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "responses_api_agents" / "brittle_agent"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(BRITTLE_AGENT)
    monkeypatch.setenv("NEMO_GYM_EXTRA_ROOTS", str(tmp_path))
    brittle = {"brittle": {"responses_api_agents": {"brittle_agent": {"entrypoint": "app.py"}}}}
    before = children()
    actor = start([start_endpoint("token_server.py")], MULTI_STEP, **brittle)
    batch = [*rows(2), *rows(1, first=2, agent="brittle")]

    async def outcomes() -> list[Any]:
        examples = actor.rch.run_examples(examples=batch, head_server_config=actor.head)
        return await asyncio.gather(*examples, return_exceptions=True)

    found = asyncio.run(outcomes())
    (failure,) = [one for one in found if isinstance(one, Exception)]
    assert failure.status == 500
    assert isinstance(failure.response_content, bytes)
    assert b"no luck today" in failure.response_content
    again = pickle.loads(pickle.dumps(failure))
    assert (str(again), again.status) == (str(failure), 500)
    assert all(message_log(result) for _, result in (one for one in found if one is not failure))
    actor.rh.shutdown()
    assert len(children() - before) == 1  # the endpoint


def test_a_rollout_without_a_score_is_no_reward(start: Start, start_endpoint: StartEndpoint) -> None:
    actor = start([start_endpoint("endpoint.py", faults=400, fault_share=1)], MULTI_STEP)
    with pytest.raises(RolloutFailed) as caught:
        asyncio.run(actor.run_rollouts(rows(1)))
    assert caught.value.status == 400
    assert json.loads(caught.value.response_content)["_ng_failure_class"] == "model_rejected"


def test_a_trainer_that_stops_listening_is_rid_of_the_rest(
    start: Start, start_endpoint: StartEndpoint
) -> None:
    actor = start([start_endpoint("token_server.py")], MULTI_STEP)

    async def first_only() -> None:
        examples = actor.rch.run_examples(examples=rows(20), head_server_config=actor.head)
        await next(examples)
        examples.close()
        async with asyncio.timeout(60):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)

    asyncio.run(first_only())


def test_a_row_for_an_unknown_agent_is_told_the_known_ones(
    start: Start, start_endpoint: StartEndpoint
) -> None:
    actor = start([start_endpoint("token_server.py")], MULTI_STEP)
    with pytest.raises(Exception, match=f"Did you mean '{AGENT}'"):
        asyncio.run(actor.run_rollouts(rows(1, agent="example_multi_step_simple_agents")))


def test_shutdown_leaves_no_thread_no_port_and_can_be_followed_by_a_start(
    start: Start, start_endpoint: StartEndpoint
) -> None:
    url = start_endpoint("token_server.py")
    threads = set(threading.enumerate())
    actor = start([url], MULTI_STEP)
    config = get_global_config_dict()
    ports = [actor.port, *(one["port"] for one in _addresses(config))]
    assert not any(map(is_free, ports))
    actor.rh.shutdown()
    actor.rh.shutdown()
    assert all(map(is_free, ports))
    assert set(threading.enumerate()) <= threads
    assert maybe_get_global_config_dict() is None
    with pytest.raises(Exception, match="no head server"):
        asyncio.run(actor.run_rollouts(rows(1)))
    results = asyncio.run(start([url], MULTI_STEP).run_rollouts(rows(1)))
    assert message_log(results[0])


def test_servers_are_started_from_a_thread_whose_loop_runs(
    start: Start, start_endpoint: StartEndpoint
) -> None:
    url = start_endpoint("token_server.py")

    async def actor_method() -> dict[int, dict[str, Any]]:
        actor = start([url], MULTI_STEP)
        return await actor.run_rollouts(rows(2))

    results: list[dict[int, dict[str, Any]]] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(actor_method())))
    thread.start()
    thread.join()
    assert all(message_log(result) for result in results[0].values())


def test_a_forked_child_leaves_the_servers_of_its_parent_alone(start_endpoint: StartEndpoint) -> None:
    code = f"""
import asyncio
from tests.compat.test_nemo_rl import MULTI_STEP, Actor, rows

actor = Actor([{start_endpoint("token_server.py")!r}], MULTI_STEP)
in_child(lambda: actor.rh.shutdown() is None)
if not (pid := os.fork()):
    signal.alarm(60)
    sys.exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
actor.rh.poll()
print(len(asyncio.run(actor.run_rollouts(rows(2)))))
"""
    assert run_program(FORK + code)[:2] == (0, "2\n")


def test_servers_that_others_can_reach_want_a_token(start: Start, start_endpoint: StartEndpoint) -> None:
    actor = start([start_endpoint("token_server.py")], MULTI_STEP)
    with pytest.raises(urllib.error.HTTPError) as stranger:
        urllib.request.urlopen(f"http://127.0.0.1:{actor.port}/global_config_dict_yaml")
    with stranger.value as refusal:
        assert refusal.code == 401
    client = actor.rch.setup_server_client(actor.head)
    assert AGENT in client.global_config_dict
    assert asyncio.run(_asked(client)) == {"status": "ok"}


def test_a_server_that_ends_is_noticed_by_poll(
    start: Start, start_endpoint: StartEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "responses_api_agents" / "mortal_agent"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(MORTAL_AGENT)
    monkeypatch.setenv("NEMO_GYM_EXTRA_ROOTS", str(tmp_path))
    mortal = {"mortal": {"responses_api_agents": {"mortal_agent": {"entrypoint": "app.py"}}}}
    actor = start([start_endpoint("token_server.py")], MULTI_STEP, **mortal)
    actor.rh.poll()
    with pytest.raises(RolloutFailed) as caught:
        asyncio.run(actor.run_rollouts(rows(1, agent="mortal")))
    assert caught.value.status == 503
    with pytest.raises(RuntimeError, match="mortal ended with exit code 7"):
        _poll_for_a_while(actor.rh)


@pytest.mark.parametrize(("settings", "processes"), [({}, 1), ({"share": True}, 0)])
def test_a_program_that_could_share_the_trainers_process_does_so_only_when_asked(
    start: Start,
    start_endpoint: StartEndpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    processes: int,
) -> None:
    folder = tmp_path / "responses_api_agents" / "brittle_agent"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(BRITTLE_AGENT)
    monkeypatch.setenv("NEMO_GYM_EXTRA_ROOTS", str(tmp_path))
    block = {"entrypoint": "app.py", **settings}
    brittle = {"brittle": {"responses_api_agents": {"brittle_agent": block}}}
    url = start_endpoint("token_server.py")
    before = children()
    actor = start([url], MULTI_STEP, **brittle)
    own = children() - before
    assert len(own) == processes
    for process in own:
        os.kill(process, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="brittle ended with exit code -9"):
            _poll_for_a_while(actor.rh)
    assert message_log(asyncio.run(actor.run_rollouts(rows(1)))[0])


def test_a_start_that_fails_leaves_nothing(start: Start) -> None:
    threads, before = set(threading.enumerate()), children()
    port = free_port()
    config = {
        "config_paths": [MULTI_STEP, "responses_api_models/vllm_model/configs/vllm_model.yaml"],
        "policy_model_name": "policy",
        "policy_base_url": f"http://127.0.0.1:{free_port()}/v1",
        "model_endpoint_readiness_timeout_seconds": 0.2,
        "head_server": {"port": port},
    }
    chosen = GlobalConfigDictParserConfig(
        initial_global_config_dict=DictConfig(config), skip_load_from_cli=True, skip_load_from_dotenv=True
    )
    with pytest.raises(Exception, match="no model endpoint"):
        RunHelper().start(chosen)
    assert set(threading.enumerate()) <= threads
    assert children() == before
    assert is_free(port)


async def _asked(client: ServerClient) -> Any:
    async with get_global_aiohttp_client():
        found = await get_response_json(await client.get("example_multi_step", "/"))
    await asyncio.sleep(0)  # connections end in the loop's next turn
    return found


def _poll_for_a_while(helper: RunHelper) -> None:
    for _ in range(3000):
        helper.poll()
        sleep(0.02)


def _requests_of(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["requests"]


def _is_first(request: dict[str, Any]) -> bool:
    return all(message["role"] != "assistant" for message in request["messages"])


def _is_last(request: dict[str, Any]) -> bool:
    calls = [call for message in request["messages"] for call in message.get("tool_calls") or ()]
    return bool(calls) and calls[-1]["function"]["name"] == "extract_synonym_values"


def _addresses(config: DictConfig) -> Iterator[Any]:
    for value in config.values():
        for kind in ("resources_servers", "responses_api_agents", "responses_api_models"):
            if isinstance(value, DictConfig) and kind in value:
                yield from value[kind].values()


PARTS = """
from nemo_gym import Environment, Reward, Task


class Parts(Environment):
    '''Reward what was said and how shortly.'''

    def verify(self, task, response, session):
        parts = {"said": float("yes" in response.output_text), "short": 0.5}
        return Reward(sum(parts.values()), components=parts)
"""

BRITTLE_AGENT = """
from nemo_gym.base_responses_api_agent import BaseResponsesAPIAgentConfig, SimpleResponsesAPIAgent
from nemo_gym.base_resources_server import BaseRunRequest, BaseVerifyResponse
from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming


class BrittleAgent(SimpleResponsesAPIAgent):
    config: BaseResponsesAPIAgentConfig

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming) -> NeMoGymResponse:
        raise NotImplementedError

    async def run(self, body: BaseRunRequest) -> BaseVerifyResponse:
        raise RuntimeError("no luck today")


if __name__ == "__main__":
    BrittleAgent.run_webserver()
"""

MORTAL_AGENT = BRITTLE_AGENT.replace('raise RuntimeError("no luck today")', "__import__('os')._exit(7)")
