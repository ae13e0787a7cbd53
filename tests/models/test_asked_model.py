"""A model that an environment asks: its calls are counted, timed and recorded, its failure is a judge's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemo_gym.capture.stores import FileCapture, MemoryCapture
from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.session import CURRENT, Session
from nemo_gym.models.asked_model import CountedModel
from nemo_gym.models.base import Model
from nemo_gym.wire.errors import JudgeFailed, ModelDenied
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response, Usage
from nemo_gym.wire.rollout import Reward

ROW = {"responses_create_params": {"input": "x"}, "_ng_task_index": 3, "_ng_rollout_index": 1}
USAGE: Usage = {
    "input_tokens": 5,
    "input_tokens_details": {},
    "output_tokens": 2,
    "output_tokens_details": {},
    "total_tokens": 7,
}


class Judge(Model):
    name = "critic"
    closed = 0

    async def responses(self, params: RequestParams) -> Response:
        if params.get("max_output_tokens") == 1:
            raise ModelDenied("bad key", http_status=401, body="{}")
        await asyncio.sleep(0.001)
        return Response.of([assistant("yes")], usage=USAGE)

    async def aclose(self) -> None:
        self.closed += 1


class Essay(Environment):
    asks = ("judge",)

    async def verify(self, task: Any, response: Response, session: Session) -> float:
        judge = self.models["judge"]
        answers = await asyncio.gather(judge.text("a"), judge.text("b"))
        if session.row.get("denied"):
            await judge.text("c", max_output_tokens=1)
        return float(answers == ["yes", "yes"])


def link(**options: Any) -> LocalEnvironment:
    models = {"judge": CountedModel("judge", Judge(), owned=True, **options)}
    return LocalEnvironment(Essay(), resources=Resources(models=models))


async def verified(where: LocalEnvironment, **columns: Any) -> tuple[Session, Reward]:
    async with where.session({**ROW, **columns}) as session:
        return session, await where.verify(session, Response.of([]))


async def test_the_calls_of_a_session_are_counted_in_its_reward() -> None:
    where = link()
    rewards = await asyncio.gather(*(verified(where) for _ in range(20)))
    for _, reward in rewards:
        usage: Any = reward.details["ng_asked_models"]
        assert usage["judge"].pop("seconds") >= 0.002
        assert usage["judge"].pop("answers") == ["yes", "yes"]
        assert usage["judge"] == {"calls": 2, "failed": 0, "input_tokens": 10, "output_tokens": 4}


async def test_a_failure_is_a_failed_judge_with_what_the_endpoint_said() -> None:
    where = link()
    async with where.session({**ROW, "denied": True}) as session:
        with pytest.raises(JudgeFailed, match=r"ModelDenied: bad key \(asked as 'judge'\)") as caught:
            await where.verify(session, Response.of([]))
    assert (caught.value.http_status, caught.value.body) == (401, "{}")
    assert not caught.value.terminal
    usage = session.columns["ng_asked_models"]["judge"]
    assert (usage["calls"], usage["failed"]) == (3, 1)
    assert usage["answers"] == ["yes", "yes", ""]


async def test_an_environment_that_asks_nothing_has_no_column() -> None:
    class Plain(Environment):
        def verify(self, task: Any, response: Response, session: Session) -> float:
            return 1.0

    _, reward = await verified(LocalEnvironment(Plain()))
    assert reward.details == {}


async def test_calls_are_recorded_for_the_rollout_and_marked() -> None:
    store = MemoryCapture()
    await verified(link(recorder=store))
    calls = (await store.read("3-1")).calls
    assert [(call.asked_as, call.model_ref, call.status_code) for call in calls] == [
        ("judge", "critic", 200)
    ] * 2


async def test_what_a_file_holds_of_a_judge_is_no_call_of_the_agent(tmp_path: Any) -> None:
    store = FileCapture(tmp_path)
    await verified(link(recorder=store))
    assert (await store.read("3-1")).calls == []
    lines, incomplete = await store.lines("3-1")
    assert ([line["asked_as"] for line in lines], incomplete) == (["judge", "judge"], False)


async def test_a_call_outside_of_any_session_is_answered_and_counted_nowhere() -> None:
    CURRENT.set(None)
    assert await CountedModel("judge", Judge(), owned=False).text("x") == "yes"


async def test_only_an_owned_model_is_closed() -> None:
    judge = Judge()
    await CountedModel("judge", judge, owned=False).aclose()
    assert judge.closed == 0
    await CountedModel("judge", judge, owned=True).aclose()
    assert judge.closed == 1
