import asyncio
import re
from typing import Any

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.config_types import ModelServerRef
from nemo_gym.openai_utils import (
    NeMoGymEasyInputMessage,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.server_utils import get_response_json, raise_for_status
from pydantic import PrivateAttr

TEMPLATE = "Topic: {topic}\nEssay: {essay}\nAnswer GOOD or BAD."


class EssayJudgeConfig(BaseResourcesServerConfig):
    judge_model_server: ModelServerRef
    judge_responses_create_params: NeMoGymResponseCreateParamsNonStreaming
    judge_endpoint_max_concurrency: int = 4


class EssayVerifyRequest(BaseVerifyRequest):
    topic: str


class EssayVerifyResponse(BaseVerifyResponse):
    topic: str
    verdict: str | None
    judge_usage: int | None


class EssayJudgeServer(SimpleResourcesServer):
    config: EssayJudgeConfig
    _slots: asyncio.Semaphore = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        self._slots = asyncio.Semaphore(self.config.judge_endpoint_max_concurrency)

    async def verify(self, body: EssayVerifyRequest) -> EssayVerifyResponse:
        asked = self.config.judge_responses_create_params.model_copy(deep=True)
        prompt = TEMPLATE.format(topic=body.topic, essay=body.response.output_text)
        asked.input = [NeMoGymEasyInputMessage(role="user", content=prompt)]
        async with self._slots:
            answer = await self.server_client.post(
                server_name=self.config.judge_model_server.name, url_path="/v1/responses", json=asked
            )
        await raise_for_status(answer)
        judged = NeMoGymResponse.model_validate(await get_response_json(answer))
        found = re.search(r"GOOD|BAD", judged.output_text)
        verdict = found[0] if found else None
        return EssayVerifyResponse(
            **body.model_dump(),
            reward=float(verdict == "GOOD"),
            verdict=verdict,
            judge_usage=judged.usage.total_tokens if judged.usage else None,
        )


if __name__ == "__main__":
    EssayJudgeServer.run_webserver()
