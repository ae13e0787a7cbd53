import json
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)

TOOLS = {
    "add": lambda a, b: a + b,
    "join": lambda words, by=" ": by.join(words),
}


class DispatchConfig(BaseResourcesServerConfig):
    pass


class DispatchServer(SimpleResourcesServer):
    config: DispatchConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/{tool_name}")(self.dispatch)
        return app

    async def dispatch(self, tool_name: str, request: Request) -> PlainTextResponse:
        if tool_name not in TOOLS:
            raise HTTPException(status_code=404, detail=f"no tool {tool_name}")
        arguments: dict[str, Any] = await request.json()
        try:
            result = TOOLS[tool_name](**arguments)
        except TypeError as error:
            return PlainTextResponse(f"bad arguments: {error}", status_code=400)
        return PlainTextResponse(json.dumps(result))

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        outputs = [item.output for item in body.response.output if item.type == "function_call_output"]
        return BaseVerifyResponse(**body.model_dump(), reward=float(len(outputs)))


if __name__ == "__main__":
    DispatchServer.run_webserver()
