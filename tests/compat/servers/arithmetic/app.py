import os

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import is_nemo_gym_fastapi_entrypoint


class ArithmeticConfig(BaseResourcesServerConfig):
    num_workers: int | None = 2
    slack: float = 0.0


class ArithmeticVerifyRequest(BaseVerifyRequest):
    expected: float


class ArithmeticVerifyResponse(BaseVerifyResponse):
    parsed: float | None
    process: int


class ArithmeticServer(SimpleResourcesServer):
    config: ArithmeticConfig

    async def verify(self, body: ArithmeticVerifyRequest) -> ArithmeticVerifyResponse:
        try:
            parsed = float(body.response.output_text)
        except ValueError:
            parsed = None
        right = parsed is not None and abs(parsed - body.expected) <= self.config.slack
        return ArithmeticVerifyResponse(
            **body.model_dump(), reward=float(right), parsed=parsed, process=os.getpid()
        )


if __name__ == "__main__":
    ArithmeticServer.run_webserver()
elif is_nemo_gym_fastapi_entrypoint(__file__):
    app = ArithmeticServer.run_webserver()
