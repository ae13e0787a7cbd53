"""A token-returning model server for tests, in a process of its own: real HTTP, vLLM's extensions, and the
splicing of sampled ids that a trainer's generation server does (CONTRACT 11.4).

Its tokenizer has one id for every byte, word of `WORDS` and mark of its template. Words are only found where
the server tokenises a text, never in what it samples, which is bytes: so re-tokenising a sampled answer gives
other ids than were sampled, as a real tokenizer now and then does.

The policy looks up the value of every synonym by the tools of `example_multi_step`, one call a turn with a
thought before it, then hands all values in. Asked to `call N times`, it calls the first tool that often and
says that it is done. Without tools, or when it is asked to `say X`, it says X.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Any

BYTES = 256
START, END, THINK, UNTHINK = 256, 257, 258, 259
MARKS = {"<|start|>": START, "<|end|>": END, "<think>": THINK, "</think>": UNTHINK}
WORDS = {word: 260 + place for place, word in enumerate(("synonym", "value", "get_", "the", "assistant"))}
PIECES = MARKS | WORDS
PATTERN = re.compile("|".join(map(re.escape, PIECES)))
CONTEXT = 8192


def tokenize(text: str, *, words: bool = True) -> list[int]:
    """The ids of a text; the marks are always found, the words only when asked."""
    ids: list[int] = []
    start = 0
    for found in PATTERN.finditer(text):
        if found.group() in WORDS and not words:
            continue
        ids += text[start : found.start()].encode()
        ids.append(PIECES[found.group()])
        start = found.end()
    return [*ids, *text[start:].encode()]


def render(messages: list[dict[str, Any]], tools: list[Any], *, prompt: bool) -> str:
    """The conversation as the template writes it; `prompt` opens the assistant's turn."""
    text = f"<|start|>system\n{json.dumps(tools)}<|end|>\n" if tools else ""
    for message in messages:
        text += f"<|start|>{message['role']}\n{said(message)}<|end|>\n"
    return text + "<|start|>assistant\n" if prompt else text


def said(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    thought = message.get("reasoning") or message.get("reasoning_content")
    text = f"<think>{thought}</think>{content}" if thought else content
    for call in message.get("tool_calls") or ():
        function = call["function"]
        # Another spacing than the policy's: what a template makes of a call is not what was sampled.
        text += json.dumps({"name": function["name"], "arguments": json.loads(function["arguments"])})
    return text


def prompt_ids(messages: list[dict[str, Any]], tools: list[Any], prefix: list[int] | None) -> list[int]:
    """The prompt's ids, with `prefix` in place of what the template makes of the turns that it covers."""
    whole = tokenize(render(messages, tools, prompt=True))
    if prefix is None:
        return whole
    last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
    covered = tokenize(render(messages[: last + 1], tools, prompt=False))
    after_end = max(place for place, token in enumerate(covered) if token == END) + 1
    return [*prefix, *whole[after_end:]]


def sampled_prefix(messages: list[dict[str, Any]]) -> list[int] | None:
    for message in reversed(messages):
        if message.get("role") == "assistant":
            if message.get("generation_token_ids") is None:
                return None
            return message["prompt_token_ids"] + message["generation_token_ids"]
    return None


def answer(messages: list[dict[str, Any]], tools: list[Any]) -> tuple[str, str, dict[str, Any] | None]:
    """(thought, text, tool call) of the policy."""
    asked = next(said(message) for message in reversed(messages) if message["role"] == "user")
    if not tools or asked.startswith("say "):
        return "", asked.removeprefix("say "), None
    if wanted := re.search(r"call (\d+) times", asked):
        return calling(tools, int(wanted[1]), sum(message["role"] == "tool" for message in messages))
    results = [said(message) for message in messages if message["role"] == "tool"]
    synonyms = asked.partition(": ")[2].partition(". ")[0].split(", ")
    if len(results) < len(synonyms):
        synonym = synonyms[len(results)]
        return f"now the value of {synonym}", "", call("get_synonym_value", {"synonym": synonym}, results)
    if len(results) == len(synonyms):
        values = [int(result) for result in results]
        return "all there", "", call("extract_synonym_values", {"synonym_values": values}, results)
    return "", "All values are handed in.", None


def calling(tools: list[Any], wanted: int, done: int) -> tuple[str, str, dict[str, Any] | None]:
    if done >= wanted:
        return "", "Done.", None
    name = tools[0]["function"]["name"]
    argument = "cmd" if name == "exec_command" else "command"
    return f"call {done + 1}", "", call(name, {argument: f"echo {done}"}, [None] * done)


def call(name: str, arguments: dict[str, Any], results: list[Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments, separators=(",", ":"))}
    return {"id": f"call_{len(results)}", "type": "function", "function": function}


class Server:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.requests: list[dict[str, Any]] = []
        self.tokenized = 0

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        messages, tools = body["messages"], body.get("tools") or []
        prefix = sampled_prefix(messages) if self.given.splice else None
        prompt = prompt_ids(messages, tools, prefix)
        if len(prompt) >= self.given.context:
            raise TooLong(
                f"This model's maximum context length is {self.given.context} tokens. However, you requested "
                f"{len(prompt)} tokens in the messages."
            )
        message, sampled, finish = self.sample(messages, tools, body.get("max_tokens") or CONTEXT)
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish}
        completion: dict[str, Any] = {
            "id": f"chatcmpl-{len(self.requests)}",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": {
                "prompt_tokens": len(prompt),
                "completion_tokens": len(sampled),
                "total_tokens": len(prompt) + len(sampled),
            },
        }
        getattr(self, f"put_{self.given.engine}")(body, completion, choice, prompt, sampled)
        return completion

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        """The text route: the policy says what the last `say X` of the prompt wants."""
        prompt = tokenize(body["prompt"])
        if len(prompt) >= self.given.context:
            raise TooLong(f"This model's maximum context length is {self.given.context} tokens.")
        text = re.findall(r"say (.*?)(?:<\||\n|$)", body["prompt"])[-1]
        sampled = [*tokenize(text, words=False), END][: body.get("max_tokens") or CONTEXT]
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
        if sampled[-1] != END:
            choice |= {"text": bytes(sampled).decode(errors="replace"), "finish_reason": "length"}
        if body.get("logprobs") is not None:
            named = body.get("return_tokens_as_token_ids")
            tokens = [f"token_id:{token}" if named else str(token) for token in sampled]
            choice["logprobs"] = {"tokens": tokens, "token_logprobs": [log_prob(id) for id in sampled]}
        if body.get("return_token_ids"):
            choice |= {"token_ids": sampled, "prompt_token_ids": prompt}
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(sampled)}
        head = {"id": f"cmpl-{len(self.requests)}", "object": "text_completion", "created": 1}
        return {**head, "model": body["model"], "choices": [choice], "usage": usage}

    def sample(
        self, messages: list[dict[str, Any]], tools: list[Any], limit: int
    ) -> tuple[dict[str, Any], list[int], str]:
        """(message, sampled ids, finish reason) of the policy."""
        thought, text, tool_call = answer(messages, tools)
        written = (f"<think>{thought}</think>" if thought else "") + text
        if tool_call:
            written += json.dumps(tool_call["function"], separators=(",", ":"))
        sampled = [*tokenize(written, words=False), END]
        finish = "tool_calls" if tool_call else "stop"
        if len(sampled) > limit:
            sampled, tool_call, finish = sampled[:limit], None, "length"
            text = bytes(token for token in sampled if token < BYTES).decode(errors="replace")
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if thought:
            message["reasoning"] = thought
        if tool_call:
            message["tool_calls"] = [tool_call]
        return message, sampled, finish

    def generate(self, body: dict[str, Any]) -> dict[str, Any]:
        """vLLM's token route; `chat` is what our own render route put there."""
        chat = body["chat"]
        _, sampled, finish = self.sample(chat["messages"], chat.get("tools") or [], CONTEXT)
        content = [{"token_id": token, "logprob": log_prob(token)} for token in sampled]
        choice = {"index": 0, "token_ids": sampled, "logprobs": {"content": content}}
        stopped = "length" if finish == "length" else "stop"
        usage = {"prompt_tokens": len(body["token_ids"]), "completion_tokens": len(sampled)}
        return {"choices": [{**choice, "finish_reason": stopped, "stop_reason": None}], "usage": usage}

    def derender(self, body: dict[str, Any]) -> dict[str, Any]:
        chat, (choice,) = body["chat_request"], body["generate_response"]["choices"]
        message, sampled, finish = self.sample(chat["messages"], chat.get("tools") or [], CONTEXT)
        assert [*choice["token_ids"], END] == sampled
        assert len(choice["logprobs"]["content"]) == len(choice["token_ids"])
        answer = {"index": 0, "message": message, "finish_reason": finish}
        return {"id": "derendered", "model": body["model"], "choices": [answer]}

    def put_vllm(self, body: Any, completion: Any, choice: Any, prompt: Any, sampled: Any) -> None:
        if body.get("logprobs"):
            named = body.get("return_tokens_as_token_ids")
            tokens = [f"token_id:{token}" if named else str(token) for token in sampled]
            content = [
                {"token": token, "logprob": log_prob(id)} for token, id in zip(tokens, sampled, strict=True)
            ]
            choice["logprobs"] = {"content": content}
        if body.get("return_token_ids"):
            completion["prompt_token_ids"] = prompt
            choice["token_ids"] = sampled

    def put_sglang(
        self, body: dict[str, Any], completion: Any, choice: Any, prompt: Any, sampled: Any
    ) -> None:
        if body.get("return_meta_info"):
            pairs = [[log_prob(token), token, None] for token in sampled]
            choice["meta_info"] = {"output_token_logprobs": pairs}
        if body.get("return_prompt_token_ids"):
            choice["prompt_token_ids"] = prompt

    def put_message(
        self, body: dict[str, Any], completion: Any, choice: Any, prompt: Any, sampled: Any
    ) -> None:
        choice["message"] |= {
            "prompt_token_ids": prompt,
            "generation_token_ids": sampled,
            "generation_log_probs": [log_prob(token) for token in sampled],
        }

    def put_none(self, *_: Any) -> None:
        pass

    def route(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/tokenize":
            self.tokenized += 1
            if "prompt" in body:
                return {"tokens": tokenize(body["prompt"])}
            prefix = body.get("required_prefix_token_ids") if self.given.splice else None
            messages, tools = body["messages"], body.get("tools") or []
            if body.get("add_generation_prompt", True):
                ids = prompt_ids(messages, tools, prefix)
            else:
                ids = tokenize(render(messages, tools, prompt=False))
            return {"tokens": ids, "count": len(ids), "max_model_len": self.given.context}
        if path.endswith("/render"):
            return {"token_ids": prompt_ids(body["messages"], body.get("tools") or [], None), "chat": body}
        if path == "/inference/v1/generate":
            return self.generate(body)
        if path.endswith("/derender"):
            return self.derender(body)
        self.requests.append(body)
        return self.chat(body) if "messages" in body else self.completion(body)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split(" ", 2)
                length = re.search(r"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length.group(1)) if length else 0)
                status, value = 200, {}
                try:
                    if method == "GET":
                        value = {"requests": self.requests, "tokenized": self.tokenized}
                    else:
                        value = self.route(path, json.loads(body))
                except TooLong as error:
                    status, value = 400, {"error": {"message": str(error)}}
                data = json.dumps(value).encode()
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class TooLong(Exception):
    pass


def log_prob(token: int) -> float:
    """Some number that names the token."""
    return -(token + 1) / 1024


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--engine", choices=("vllm", "sglang", "message", "none"), default="vllm")
    parser.add_argument("--splice", type=int, default=1, help="0 re-tokenises past turns")
    parser.add_argument("--context", type=int, default=CONTEXT)
    server = Server(parser.parse_args())
    listener = await asyncio.start_server(server.serve, "127.0.0.1", server.given.port)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
