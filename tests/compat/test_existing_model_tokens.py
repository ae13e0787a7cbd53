"""Existing model servers keep the tokens of their calls, in whatever dialect they are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from unittest.mock import MagicMock

import pytest
from fastapi import Body
from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.server_utils import ServerClient
from nemo_gym.token_id_capture import CaptureContext, current_capture_context
from omegaconf import OmegaConf
from starlette.testclient import TestClient

from nemo_gym.capture.token_files import TokenFiles

Json = Annotated[dict[str, Any], Body()]

TOKENS = {"prompt_token_ids": [1, 2], "generation_token_ids": [3], "generation_log_probs": [-0.5]}
PART = {"type": "output_text", "text": "hi", "annotations": []}
ITEM = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [PART]}
REPLY = {
    "id": "resp_1", "created_at": 1.0, "model": "m", "object": "response", "parallel_tool_calls": True,
    "tool_choice": "auto", "tools": [], "output": [{**ITEM, **TOKENS}],
}  # fmt: skip
COMPLETION = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi", **TOKENS}}
    ],
}  # fmt: skip
USER = [{"role": "user", "content": "hello"}]
TAGGED = "/ng-rollout/0-0/training-token-capture"


seen: list[CaptureContext | None] = []
"""What the server knew of the capture of each call."""


class Server(SimpleResponsesAPIModel):
    async def responses(self, body: Json) -> Any:  # type: ignore[override]
        seen.append(current_capture_context())
        return REPLY if body["input"] != "nothing" else {**REPLY, "output": [ITEM]}

    async def chat_completions(self, body: Json) -> Any:  # type: ignore[override]
        return COMPLETION


def serve(folder: Path, **block: Any) -> TestClient:
    client = MagicMock(spec=ServerClient)
    capture = {"enabled": True, "dir": str(folder), **block}
    client.global_config_dict = OmegaConf.create({"token_id_capture": capture})
    config = BaseResponsesAPIModelConfig(name="policy", host="", port=0, entrypoint="")
    return TestClient(Server(config=config, server_client=client).setup_webserver())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "hello"}),
        ("/v1/responses", {"input": "hello", "stream": True}),
        ("/v1/chat/completions", {"model": "m", "messages": USER}),
        ("/v1/chat/completions", {"model": "m", "messages": USER, "stream": True}),
        ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": USER}),
    ],
)
def test_every_dialect_is_kept_once_with_what_was_asked(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    with serve(tmp_path) as client:
        assert client.post(TAGGED + path, json=body).status_code == 200
    snapshot = TokenFiles(tmp_path).freeze("0-0")
    (entry,) = snapshot.entries
    assert (entry.prompt_token_ids, entry.generation_token_ids, entry.model) == ([1, 2], [3], "m")
    assert "prompt_token_ids" not in entry.output_items[0]
    assert "hello" in str(entry.request["input"])
    assert not snapshot.incomplete


def test_only_calls_that_are_to_be_captured_are(tmp_path: Path) -> None:
    with serve(tmp_path) as client:
        client.post("/v1/responses", json={"input": "hello"})
        client.post("/ng-rollout/0-1/v1/responses", json={"input": "hello"})
    assert list(tmp_path.iterdir()) == []
    with serve(tmp_path, all_agents=True) as client:
        client.post("/ng-rollout/0-1/v1/responses", json={"input": "hello"})
    assert len(TokenFiles(tmp_path).freeze("0-1").entries) == 1


def test_an_answer_without_tokens_is_known_to_be_missing(tmp_path: Path) -> None:
    with serve(tmp_path) as client:
        assert client.post(TAGGED + "/v1/responses", json={"input": "nothing"}).status_code == 200
    assert TokenFiles(tmp_path).freeze("0-0").incomplete


def test_a_server_knows_which_call_is_captured(tmp_path: Path) -> None:
    seen.clear()
    with serve(tmp_path) as client:
        client.post(TAGGED + "/v1/responses", json={"input": "hello"})
        client.post("/ng-rollout/0-1/v1/responses", json={"input": "hello"})
    (entry,) = TokenFiles(tmp_path).freeze("0-0").entries
    assert seen == [CaptureContext("0-0", entry.model_call_id), None]
    assert current_capture_context() is None
