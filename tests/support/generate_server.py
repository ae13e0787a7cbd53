"""vLLM's token route for tests: `POST /inference/v1/generate`, and the routes that trainers ask beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any

from tests.support.json_server import json_server


class Engine:
    """Answers by a function of the prompt's text, with a log-probability that names the token and its place.

    Args:
        answer: the text of an answer, without the token that ends it; an exception is a status 500.
    """

    def __init__(self, tokenizer: Any, answer: Callable[[str], str]) -> None:
        self.tokenizer = tokenizer
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.answers: list[list[int]] = []
        self.headers: list[str | None] = []
        self.finished: list[str] = []
        self._lock = threading.Lock()

    def generate(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["token_ids"]
        text = self.answer(self.tokenizer.decode(prompt, skip_special_tokens=False))
        ids = self.tokenizer.encode(f"{text}<|im_end|>", add_special_tokens=False)
        limit = body["sampling_params"].get("max_tokens") or len(ids)
        finish, ids = "length" if limit < len(ids) else "stop", ids[:limit]
        with self._lock:
            self.requests.append(body)
            self.answers.append(ids)
        content = [
            {"token": f"token_id:{token}", "logprob": logprob(len(prompt) + place, token)}
            for place, token in enumerate(ids)
        ]
        choice = {"index": 0, "token_ids": ids, "finish_reason": finish, "logprobs": {"content": content}}
        return {"request_id": f"r{len(self.requests)}", "choices": [choice]}

    def route(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        path, _, query = path.partition("?")
        match path:
            case "/finish_session":
                self.finished.append(query.removeprefix("session_id="))
                return {}
            case "/inference/v1/generate":
                return self.generate(body)
            case "/detokenize":
                return {"prompt": self.tokenizer.decode(body["tokens"], skip_special_tokens=True)}
            case "/v1/models":
                return {"data": []}
            case _:
                return None


def logprob(place: int, token: int) -> float:
    """The log-probability of a token at a place of the whole sequence; a 32-bit float holds it exactly."""
    return -(place * 256 + token + 1) / 65536


@contextmanager
def serving(engine: Engine) -> Iterator[str]:
    """Serve an engine; yields its URL."""

    def answer(path: str, body: dict[str, Any] | None, headers: Message) -> tuple[int, Any]:
        if body is not None:
            engine.headers.append(headers["X-Session-ID"])
        try:
            value = engine.route(path, body or {})
        except Exception as error:
            return 500, {"error": {"message": str(error)}}
        return (404, {}) if value is None else (200, value)

    with json_server(answer) as url:
        yield url
