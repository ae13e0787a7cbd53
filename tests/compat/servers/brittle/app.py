from fastapi import FastAPI, HTTPException, Request
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.config_types import ResourcesServerRef
from nemo_gym.server_utils import get_response_json, raise_for_status
from pydantic import BaseModel


class BrittleConfig(BaseResourcesServerConfig):
    backend: ResourcesServerRef


class Work(BaseModel):
    load: int


class BrittleServer(SimpleResourcesServer):
    config: BrittleConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/lift")(self.lift)
        app.post("/delegate")(self.delegate)
        app.post("/refuse")(self.refuse)
        return app

    async def lift(self, request: Request, body: Work) -> dict[str, int]:
        if body.load > 10:
            raise ValueError(f"{body.load} is too much")
        return {"lifted": body.load}

    async def delegate(self, body: Work) -> dict[str, int]:
        answer = await self.server_client.post(
            server_name=self.config.backend.name, url_path="/lift", json=body
        )
        await raise_for_status(answer)
        return await get_response_json(answer)

    async def refuse(self) -> None:
        raise HTTPException(status_code=403, detail="not you")

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        raise RuntimeError("never scored")


if __name__ == "__main__":
    BrittleServer.run_webserver()
