"""The tools of an environment as an MCP server over standard input and output.

Data Designer keeps one connection for all records, so every call gets a fresh session of its own: no record
sees what the calls of another one have changed. The messages are those of
https://modelcontextprotocol.io/specification/2025-06-18, one JSON object on each line.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final, cast

import msgspec

from nemo_gym import __version__
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.tool import is_tool_error
from nemo_gym.runs.loop import run_async
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.items import function_call
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.masking import without_secrets

PREFIX: Final = "gym-"
"""A provider of this name in a configuration, and then the name of an environment, has its tools."""
_VERSION: Final = "2025-06-18"
_NO_METHOD, _INVALID, _NOT_JSON = -32601, -32602, -32700


def serve_tools(environment: str, settings: dict[str, Any]) -> None:
    """Answer the messages on standard input until it ends.

    Raises:
        UsageError: there is no such environment, or it has no tools.
    """
    link = LocalEnvironment(build_environment(find_environment(environment), settings))
    if not link.tools:
        raise UsageError(f"environment {environment} has no tools")
    run_async(_serve(link))


def provider_of(name: str) -> dict[str, Any] | None:
    """The provider that a name such as `gym-workplace_assistant` stands for; None for another name."""
    if not name.startswith(PREFIX):
        return None
    command = "import sys; from nemo_gym.cli.main import main; sys.exit(main())"
    arguments = ["-c", command, "data-designer", "tools", name.removeprefix(PREFIX)]
    return {"provider_type": "stdio", "name": name, "command": sys.executable, "args": arguments}


async def _serve(link: LocalEnvironment) -> None:
    try:
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            if line.isspace():
                continue
            if (answer := await _answer(link, line)) is not None:
                sys.stdout.buffer.write(encode({"jsonrpc": "2.0", **answer}) + b"\n")
                sys.stdout.buffer.flush()
    finally:
        await link.aclose()


async def _answer(link: LocalEnvironment, line: bytes) -> dict[str, Any] | None:
    try:
        message: Any = decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return {"id": None, "error": {"code": _NOT_JSON, "message": str(error)}}
    match message:
        case {"id": id, "method": str(method)}:
            fields: Any = cast("dict[str, Any]", message).get("params")
            try:
                return {"id": id, "result": await _result(link, method, fields or {})}
            except UsageError as error:
                return {"id": id, "error": {"code": _INVALID, "message": str(error)}}
            except LookupError:
                return {"id": id, "error": {"code": _NO_METHOD, "message": f"no method {method!r}"}}
        case _:
            return None  # a notification


async def _result(link: LocalEnvironment, method: str, params: Any) -> dict[str, Any]:
    match method:
        case "initialize":
            return {
                "protocolVersion": params.get("protocolVersion", _VERSION),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": link.environment.name(), "version": __version__},
            }
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [_tool(tool) for tool in link.tools]}
        case "tools/call":
            return await _call(link, params)
        case _:
            raise LookupError(method)


async def _call(link: LocalEnvironment, params: Any) -> dict[str, Any]:
    match params:
        case {"name": str(name)}:
            arguments = encode(params.get("arguments") or {}).decode()
        case _:
            raise UsageError("tools/call: the name of the tool is missing")
    try:
        async with link.session({}) as session:
            text = await link.call(session, function_call(name, arguments, call_id=""))
    except GymError as error:
        return {"content": [{"type": "text", "text": without_secrets(str(error))}], "isError": True}
    return {"content": [{"type": "text", "text": text}], "isError": is_tool_error(text)}


def _tool(tool: Any) -> dict[str, Any]:
    return {
        "name": tool["name"],
        "description": tool.get("description") or "",
        "inputSchema": tool.get("parameters") or {"type": "object"},
    }
