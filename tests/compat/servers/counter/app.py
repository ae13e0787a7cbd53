from typing import Any

from fastapi import FastAPI, Request
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import SESSION_ID_KEY
from pydantic import BaseModel, Field


class CounterConfig(BaseResourcesServerConfig):
    pass


class SeedRequest(BaseSeedSessionRequest):
    start: int = 0


class AddRequest(BaseModel):
    amount: int


class CountVerifyRequest(BaseVerifyRequest):
    target: int


class CounterServer(SimpleResourcesServer):
    config: CounterConfig
    counts: dict[str, int] = Field(default_factory=dict)

    def model_post_init(self, context: Any) -> None:
        self.counts.clear()

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/add")(self.add)
        app.post("/read")(self.read)
        return app

    async def seed_session(self, request: Request, body: SeedRequest) -> BaseSeedSessionResponse:
        self.counts[request.session[SESSION_ID_KEY]] = body.start
        return BaseSeedSessionResponse()

    async def add(self, request: Request, body: AddRequest) -> dict[str, int]:
        session_id = request.session[SESSION_ID_KEY]
        self.counts[session_id] = self.counts.get(session_id, 0) + body.amount
        return {"count": self.counts[session_id]}

    async def read(self, request: Request) -> dict[str, int]:
        return {"count": self.counts.get(request.session[SESSION_ID_KEY], 0)}

    async def verify(self, request: Request, body: CountVerifyRequest) -> BaseVerifyResponse:
        count = self.counts.pop(request.session[SESSION_ID_KEY], 0)
        return BaseVerifyResponse(**body.model_dump(), reward=1.0 if count == body.target else 0.0)


if __name__ == "__main__":
    CounterServer.run_webserver()
