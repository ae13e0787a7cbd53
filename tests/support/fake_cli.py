#!/usr/bin/env python3
"""Stands for `mini`, `claude`, `codex` and `opencode`, by the name it is started under.

Like each of them it takes the flags and variables that make it work unattended, speaks its own dialect over
HTTP to the base URL it was given, streamed where the real one streams, and runs the commands that the model
calls for until the model calls for none. Anything it was not given as the real one needs it is exit code 2.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def main() -> None:
    args = sys.argv[1:]
    match Path(sys.argv[0]).name:
        case "mini":
            need("--agent-class=default" in args, "the agent that asks no questions")
            need(os.environ["MSWEA_CONFIGURED"] == "true", "to be configured")
            prompt = f"Please solve this issue: {option(args, '--task')}"
            model = option(args, "--model").removeprefix("openai/")
            key = os.environ["OPENAI_API_KEY"]
            steps = next(int(word.rpartition("=")[2]) for word in args if "agent.step_limit=" in word)
            chat(os.environ["OPENAI_BASE_URL"], key, model, prompt, steps, stream=False)
        case "claude":
            need("--print" in args and "--output-format=stream-json" in args, "to print events")
            need("--dangerously-skip-permissions" in args, "nobody to be asked")
            need(sys.stdin is not None, "the prompt")
            turns = int(option(args, "--max-turns"))
            base, key = os.environ["ANTHROPIC_BASE_URL"], os.environ["ANTHROPIC_API_KEY"]
            messages(base, key, option(args, "--model"), sys.stdin.read(), turns)
        case "codex":
            need(args[0] == "exec" and args[-1] == "-" and "--json" in args, "exec --json -")
            config = (Path(os.environ["CODEX_HOME"]) / "config.toml").read_text()
            (base,) = re.findall(r'base_url = "(.*)"', config)
            (name,) = re.findall(r'env_key = "(.*)"', config)
            need('wire_api = "responses"' in config, "the Responses dialect")
            responses(base, os.environ[name], option(args, "--model"), sys.stdin.read())
        case "opencode":
            need(args[0] == "run" and "--auto" in args, "run --auto")
            folder = Path(os.environ["XDG_CONFIG_HOME"])
            options = json.loads((folder / "opencode" / "opencode.json").read_text())["provider"]["gym"]
            model = option(args, "--model").removeprefix("gym/")
            need(model in options["models"], f"model {model} in the configuration")
            at = options["options"]
            chat(at["baseURL"], at["apiKey"], model, sys.stdin.read(), 50, stream=True)
        case name:
            need(False, f"a known name, not {name}")


def chat(base: str, key: str, model: str, prompt: str, steps: int, *, stream: bool) -> None:
    history: list[dict[str, Any]] = [
        {"role": "system", "content": "Use bash."},
        {"role": "user", "content": prompt},
    ]
    function = {"name": "bash", "parameters": {"type": "object", "properties": {"command": {}}}}
    for _ in range(steps):
        tools = [{"type": "function", "function": function}]
        body = {"model": model, "messages": history, "tools": tools, "stream": stream}
        answer = post(f"{base}/chat/completions", {"authorization": f"Bearer {key}"}, body)
        message = chat_message(answer) if stream else answer["choices"][0]["message"]
        history.append(message)
        calls = message.get("tool_calls") or []
        for call in calls:
            # As JavaScript does: read and written anew, so spaces between the tokens of JSON are lost.
            arguments = json.loads(call["function"]["arguments"])
            call["function"]["arguments"] = json.dumps(arguments, separators=(",", ":"))
            output = run(arguments["command"])
            history.append({"role": "tool", "tool_call_id": call["id"], "content": output})
        if not calls:
            return


def chat_message(events: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    calls: dict[int, dict[str, Any]] = {}
    for event in events:
        for choice in event["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(
                    part["index"], {"type": "function", "function": {"name": "", "arguments": ""}}
                )
                call["id"] = part.get("id") or call["id"]
                call["function"]["name"] += part["function"].get("name") or ""
                call["function"]["arguments"] += part["function"].get("arguments") or ""
    return message | ({"tool_calls": list(calls.values())} if calls else {})


def messages(base: str, key: str, model: str, prompt: str, turns: int) -> None:
    history: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    tools = [{"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {}}}}]
    for _ in range(turns):
        body = {"model": model, "max_tokens": 8000, "system": [{"type": "text", "text": "Use Bash."}]}
        body |= {"messages": history, "tools": tools, "stream": True}
        content = message_content(post(f"{base}/v1/messages?beta=true", headers, body))
        history.append({"role": "assistant", "content": content})
        results = [
            {"type": "tool_result", "tool_use_id": part["id"], "content": run(part["input"]["command"])}
            for part in content
            if part["type"] == "tool_use"
        ]
        if not results:
            return
        history.append({"role": "user", "content": results})
    sys.exit(1)


def message_content(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for event in events:
        match event:
            case {"type": "content_block_start", "content_block": block}:
                content.append({**block, "input": ""} if block["type"] == "tool_use" else block)
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}:
                content[-1]["text"] += text
            case {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": text}}:
                content[-1]["input"] += text
            case {"type": "content_block_stop"} if content[-1]["type"] == "tool_use":
                content[-1]["input"] = json.loads(content[-1]["input"] or "{}")
            case _:
                pass
    return content


def responses(base: str, key: str, model: str, prompt: str) -> None:
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}
    ]
    function = {"type": "function", "name": "exec_command", "parameters": {"type": "object"}, "strict": False}
    while True:
        body = {"model": model, "instructions": "Use exec_command.", "input": items, "tools": [function]}
        body |= {"stream": True, "store": False}
        events = post(f"{base}/responses", {"authorization": f"Bearer {key}"}, body)
        need(events[-1]["type"] == "response.completed", f"a whole answer: {events[-1]}")
        output = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        items += output
        calls = [item for item in output if item["type"] == "function_call"]
        for call in calls:
            text = run(json.loads(call["arguments"])["cmd"])
            items.append({"type": "function_call_output", "call_id": call["call_id"], "output": text})
        if not calls:
            return


def post(url: str, headers: dict[str, str], body: dict[str, Any]) -> Any:
    """The JSON answer, or the data of every event of a stream."""
    request = urllib.request.Request(url, json.dumps(body).encode())
    for name, value in {"content-type": "application/json", **headers}.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        print(f"API error {error.code}: {error.read().decode()}", file=sys.stderr)
        sys.exit(7)
    if not body["stream"]:
        return json.loads(text)
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in data if line != "[DONE]"]


def run(command: str) -> str:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    print(json.dumps({"command": command, "exit_code": done.returncode}))
    return done.stdout + done.stderr


def option(args: list[str], name: str) -> str:
    found = [word.partition("=")[2] for word in args if word.startswith(f"{name}=")]
    need(bool(found), name)
    return found[0]


def need(given: bool, what: str) -> None:
    if not given:
        print(f"{sys.argv[0]} needs {what}; it has {sys.argv[1:]}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
