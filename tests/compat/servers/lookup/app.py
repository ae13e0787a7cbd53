from fastapi import FastAPI, Request
from nemo_gym.base_resources_server import (
    NEMO_GYM_MCP_METADATA_KEY,
    BaseResourcesServerConfig,
    BaseSeedSessionRequest,
    BaseSeedSessionResponse,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import SESSION_ID_KEY
from pydantic import BaseModel, Field


class LookupConfig(BaseResourcesServerConfig):
    table: dict[str, str] = Field(default_factory=lambda: {"h2o": "water"})


class LookupRequest(BaseModel):
    key: str = Field(description="What to look up.")


class LookupSeed(BaseSeedSessionRequest):
    allowed_tools: list[str] | None = None


class LookupServer(SimpleResourcesServer):
    config: LookupConfig
    used: dict[str, list[str]] = Field(default_factory=dict)

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/look_up")(self.look_up)
        app.post("/forget")(self.forget)
        return app

    async def seed_session(self, request: Request, body: LookupSeed) -> BaseSeedSessionResponse:
        self.used[request.session[SESSION_ID_KEY]] = []
        return BaseSeedSessionResponse()

    async def look_up(self, request: Request, body: LookupRequest) -> dict[str, str]:
        """Look a word up in the table."""
        self.used.setdefault(request.session[SESSION_ID_KEY], []).append(body.key)
        return {"found": self.config.table.get(body.key, "")}

    async def forget(self, request: Request) -> dict[str, bool]:
        """Forget what was looked up."""
        self.used[request.session[SESSION_ID_KEY]] = []
        return {"forgotten": True}

    def mcp_tools(self, harvested, catchall):
        return [tool for tool in harvested if tool.name != "forget"]

    def mcp_allowed_tools_for_session(self, seed_body):
        return seed_body.get("allowed_tools")

    async def verify(self, request: Request, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(
            **body.model_dump(), reward=float(len(self.used.pop(request.session[SESSION_ID_KEY], [])))
        )


METADATA_KEY = NEMO_GYM_MCP_METADATA_KEY

if __name__ == "__main__":
    LookupServer.run_webserver()
