"""The models that an environment asks: by declared names, each missing one a clear error."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.environments.base import Environment
from nemo_gym.environments.conformance.stand_in import NO_ANSWER, StandIn, answer_as, stand_ins
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.resources import AskedModel, Resources
from nemo_gym.environments.session import Session
from nemo_gym.wire.errors import JudgeFailed, UsageError, VerifierFault
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

ROW = {"responses_create_params": {"input": "x"}}


class Essay(Environment):
    asks = ("judge",)
    wanted = "judge"

    async def verify(self, task: Any, response: Response, session: Session) -> float:
        return float(await self.models[self.wanted].text("good?") == "yes")


class Keeping(AskedModel):
    """Keeps what it is asked."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.requests: list[RequestParams] = []
        self.closed = 0

    async def responses(self, params: RequestParams) -> Response:
        self.requests.append(params)
        return Response.of([assistant(self.answer)])

    async def aclose(self) -> None:
        self.closed += 1


async def verify(environment: Environment, **models: AskedModel) -> float:
    link = LocalEnvironment(environment, resources=Resources(models=models))
    async with link.session(ROW) as session:
        reward = await link.verify(session, Response.of([]))
    await link.aclose()
    return reward.value


async def test_text_is_one_prompt_in_and_the_answer_without_its_reasoning_out() -> None:
    judge = Keeping("<think>hm, no</think>\n yes \n")
    assert await judge.text("good?", instructions="Be strict.", temperature=0.0) == "yes"
    (request,) = judge.requests
    assert [(item["role"], item["content"]) for item in request["input"]] == [  # type: ignore[index]
        ("system", "Be strict."),
        ("user", "good?"),
    ]
    assert request["temperature"] == 0.0


async def test_the_models_are_supplied_and_closed_with_the_link() -> None:
    judge = Keeping("yes")
    assert await verify(Essay(), judge=judge) == 1.0
    assert judge.closed == 1


async def test_a_name_that_is_not_declared_is_one_clear_error() -> None:
    environment = Essay()
    environment.wanted = "jugde"
    with pytest.raises(VerifierFault, match=r"essay asks no model 'jugde'\. Did you mean 'judge'\?"):
        await verify(environment, judge=Keeping("yes"))
    with pytest.raises(UsageError, match="It declares none"):
        Environment().models["judge"]


def test_a_model_that_nobody_supplied_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match="essay asks the model 'judge', which nobody supplied"):
        Essay().models["judge"]
    assert dict(Essay().models) == {}


async def test_a_tool_that_asks_a_model_which_fails_ends_the_rollout() -> None:
    class Failing(AskedModel):
        async def responses(self, params: RequestParams) -> Response:
            raise JudgeFailed("gone")

    class Asking(Essay):
        async def call_tool(self, call: Any, session: Session) -> str:
            return await self.models["judge"].text("good?")

    link = LocalEnvironment(Asking(), resources=Resources(models={"judge": Failing()}))
    async with link.session(ROW) as session:
        with pytest.raises(JudgeFailed, match="gone"):
            await link.call(
                session, {"type": "function_call", "name": "a", "arguments": "{}", "call_id": "c"}
            )


async def test_a_stand_in_says_what_a_case_sets_call_by_call_and_otherwise_nothing() -> None:
    judge = stand_ins(["judge"]).models["judge"]
    assert isinstance(judge, StandIn)
    assert await judge.text("x") == NO_ANSWER
    answer_as({"judge": ["yes", "no"]})
    assert [await judge.text("x") for _ in range(3)] == ["yes", "no", "yes"]
    answer_as({"judge": "maybe"})
    assert [await judge.text("x") for _ in range(2)] == ["maybe", "maybe"]
    answer_as({})
    assert await judge.text("x") == NO_ANSWER
