"""An agent server as people write it for the original package, around a black box: a loop that speaks Chat
Completions to a base URL, and neither sees nor sends token ids."""

from __future__ import annotations

APP = """
import json

import httpx
from fastapi import Body, Request
from nemo_gym.base_resources_server import BaseRunRequest, BaseVerifyResponse
from nemo_gym.base_responses_api_agent import BaseResponsesAPIAgentConfig, SimpleResponsesAPIAgent
from nemo_gym.config_types import ModelServerRef, ResourcesServerRef
from nemo_gym.server_utils import get_response_json, raise_for_status
from pydantic import ConfigDict


class BoxConfig(BaseResponsesAPIAgentConfig):
    resources_server: ResourcesServerRef
    model_server: ModelServerRef
    sub_agent: bool = False


class Row(BaseRunRequest):
    model_config = ConfigDict(extra="allow")


class Result(BaseVerifyResponse):
    model_config = ConfigDict(extra="allow")


TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("get_synonym_value", "extract_synonym_values")
]


class Box(SimpleResponsesAPIAgent):
    config: BoxConfig

    async def responses(self, request: Request, body=Body()):
        raise NotImplementedError

    async def run(self, request: Request, body: Row) -> Result:
        row = body.model_dump()
        seeded = await self.post("/seed_session", row, request.cookies)
        cookies = seeded.cookies
        url = self.resolve_model_base_url(self.config.model_server.name, self.rollout_id_from_run(body))
        messages = [{"role": "user", "content": row["responses_create_params"]["input"][0]["content"]}]
        items = []
        async with httpx.AsyncClient(timeout=60) as client:

            async def ask(messages, tools):
                asked = {"model": "m", "messages": messages, **({"tools": tools} if tools else {})}
                answer = await client.post(f"{url}/chat/completions", json=asked)
                assert answer.status_code == 200, answer.text
                message = answer.json()["choices"][0]["message"]
                return {key: message[key] for key in ("role", "content", "tool_calls") if message.get(key)}

            if self.config.sub_agent:
                await ask([{"role": "user", "content": "say a title"}], [])
            while True:
                message = await ask(messages, TOOLS)
                messages.append(message)
                if not message.get("tool_calls"):
                    break
                for call in message["tool_calls"]:
                    name, arguments = call["function"]["name"], call["function"]["arguments"]
                    called = await self.post("/" + name, json.loads(arguments), cookies)
                    cookies = called.cookies
                    output = (await called.read()).decode()
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": output})
                    items.append(
                        {"type": "function_call", "call_id": call["id"], "name": name, "arguments": arguments}
                    )
                    items.append({"type": "function_call_output", "call_id": call["id"], "output": output})
        text = {"type": "output_text", "text": message["content"], "annotations": []}
        said = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
        response = {
            "id": "box", "created_at": 0, "model": "m", "object": "response", "output": [*items, said],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        }
        verified = await self.post("/verify", {**row, "response": response}, cookies)
        return Result.model_validate(await get_response_json(verified))

    async def post(self, path, body, cookies):
        answer = await self.server_client.post(
            server_name=self.config.resources_server.name, url_path=path, json=body, cookies=cookies
        )
        await raise_for_status(answer)
        return answer


if __name__ == "__main__":
    Box.run_webserver()
"""
