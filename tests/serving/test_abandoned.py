"""What a rollout has under way ends with it, however many servers lie between it and the engine."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from loopback import served

from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.remote_placeholder import RemotePlaceholder
from nemo_gym.models.chat import ChatModel
from nemo_gym.models.no_model import NoModel
from nemo_gym.models.responses import ResponsesModel
from nemo_gym.runs.collect import attempt
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.support.time_limit import TimeLimit
from tests.support.virtual_time import run_out_of_time

ROW = {"responses_create_params": {"input": "Anything?"}, "expected_answer": "No."}


async def test_a_rollout_past_its_deadline_frees_the_engine():
    asked, freed = asyncio.Event(), asyncio.Event()

    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        freed.set()
        writer.close()

    async with await asyncio.start_server(engine, "127.0.0.1", 0) as server:
        thinking = ChatModel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", "m")
        async with served(model_app(thinking, name="policy", options=AppOptions())) as model_url:
            model = ResponsesModel(f"{model_url}/v1", "m")
            link = LocalEnvironment(find_environment("string_match")())
            async with served(agent_app(ToolLoop(), link, model, "a", AppOptions())) as agent_url:
                agent = RemoteRun(url=agent_url)
                place = LocalEnvironment(RemotePlaceholder())
                rollout = await run_out_of_time(
                    attempt(agent, ROW, place, NoModel(), limit=TimeLimit(60.0)), once=asked.is_set
                )
                async with asyncio.timeout(60):
                    await freed.wait()
                await agent.aclose()
            await model.aclose()
        await thinking.aclose()

    assert asked.is_set()
    assert rollout.failure is not None
    assert rollout.failure.failure_class == "rollout_timeout"
