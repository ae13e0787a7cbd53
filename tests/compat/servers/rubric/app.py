from fastapi import Request
from nemo_gym.base_resources_server import (
    BaseMultiRewardVerifyResponse,
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    ReverifyMode,
    SimpleResourcesServer,
)
from nemo_gym.config_types import ModelServerRef
from nemo_gym.judge import call_judge
from nemo_gym.openai_utils import NeMoGymResponse


class RubricConfig(BaseResourcesServerConfig):
    REVERIFY_MODE = ReverifyMode.STATELESS

    judge_model_server: ModelServerRef


class RubricVerifyRequest(BaseVerifyRequest):
    rubric: list[str]


class RubricVerifyResponse(RubricVerifyRequest, BaseMultiRewardVerifyResponse):
    pass


class RubricServer(SimpleResourcesServer):
    config: RubricConfig

    async def verify(self, request: Request, body: RubricVerifyRequest) -> RubricVerifyResponse:
        parts: dict[str, float] = {}
        for criterion in body.rubric:
            judged = await call_judge(
                self.server_client,
                server_name=self.config.judge_model_server.name,
                url_path="/v1/responses",
                json={"input": f"{criterion}? {body.response.output_text}"},
                response_model=NeMoGymResponse,
            )
            parts[criterion] = float("yes" in judged.output_text) / len(body.rubric)
        return RubricVerifyResponse(**body.model_dump(), reward=sum(parts.values()), reward_components=parts)


if __name__ == "__main__":
    RubricServer.run_webserver()
