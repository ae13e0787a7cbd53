"""The tools of an environment as an MCP server over standard input and output.

Data Designer keeps one connection for all records, so every call gets a fresh session of its own: no record
sees what the calls of another one have changed. The messages are those of
https://modelcontextprotocol.io/specification/2025-06-18, one JSON object on each line.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from nemo_gym import __version__
from nemo_gym.environments.base import Environment
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.task_source import own_tasks
from nemo_gym.environments.tool import is_tool_error
from nemo_gym.runs.loop import run_async
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.items import function_call
from nemo_gym.wire.json_values import object_of
from nemo_gym.wire.jsonl import decode, encode, read_rows
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.task import Row, task_from_row

PREFIX: Final = "gym-"
"""A provider of this name in a configuration, and then the name of an environment, has its tools."""
_VERSION: Final = "2025-06-18"
_NO_METHOD, _INVALID, _NOT_JSON = -32601, -32602, -32700


def serve_tools(environment: str, settings: dict[str, Any], tasks: Path | None = None) -> None:
    """Answer the messages on standard input until it ends.

    Args:
        tasks: a file whose first task every session has; by default an empty one, or if that does not fit the
            first of the environment's own.

    Raises:
        UsageError: there is no such environment, it has no tools, or no task for a session.
    """
    kind = build_environment(find_environment(environment), settings)
    link = LocalEnvironment(kind)
    if not link.tools:
        raise UsageError(f"environment {environment} has no tools")
    row = _first_task(kind) if tasks is None else next((row for _, row in read_rows(tasks)), None)
    if row is None:
        raise UsageError(f"environment {environment} needs a task for its tools: give a file of tasks")
    run_async(_Server(link, row).serve())


def provider_of(name: str) -> dict[str, Any] | None:
    """The provider that a name such as `gym-workplace_assistant` stands for; None for another name."""
    if not name.startswith(PREFIX):
        return None
    command = "import sys; from nemo_gym.cli.main import main; sys.exit(main())"
    arguments = ["-c", command, "data-designer", "tools", name.removeprefix(PREFIX)]
    return {"provider_type": "stdio", "name": name, "command": sys.executable, "args": arguments}


def _first_task(environment: Environment) -> Row | None:
    """A task for the sessions: an empty one if that fits, else the first of the environment's own."""
    try:
        task_from_row({}, environment.Task)
    except UsageError:
        for split in ("example", "train", "validation", "test"):
            with suppress(UsageError):
                return next(own_tasks(environment, split, 0, 1))
        return None
    return {}


@dataclass(frozen=True, slots=True)
class _Server:
    link: LocalEnvironment
    row: Row
    """The task of every session."""

    async def serve(self) -> None:
        try:
            while line := await asyncio.to_thread(sys.stdin.buffer.readline):
                if line.isspace():
                    continue
                if (answer := await self._answer(line)) is not None:
                    sys.stdout.buffer.write(encode({"jsonrpc": "2.0", **answer}) + b"\n")
                    sys.stdout.buffer.flush()
        finally:
            await self.link.aclose()

    async def _answer(self, line: bytes) -> dict[str, Any] | None:
        try:
            message: Any = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return {"id": None, "error": {"code": _NOT_JSON, "message": str(error)}}
        match message:
            case {"id": id, "method": str(method)}:
                fields: Any = cast("dict[str, Any]", message).get("params")
                try:
                    return {"id": id, "result": await self._result(method, object_of(fields))}
                except UsageError as error:
                    return {"id": id, "error": {"code": _INVALID, "message": str(error)}}
                except LookupError:
                    return {"id": id, "error": {"code": _NO_METHOD, "message": f"no method {method!r}"}}
            case _:
                return None  # a notification

    async def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "initialize":
                return {
                    "protocolVersion": params.get("protocolVersion", _VERSION),
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": self.link.environment.name(), "version": __version__},
                }
            case "ping":
                return {}
            case "tools/list":
                return {"tools": [_tool(tool) for tool in self.link.tools]}
            case "tools/call":
                return await self._call(params)
            case _:
                raise LookupError(method)

    async def _call(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params.get("name")
        if not isinstance(name, str):
            raise UsageError("tools/call: the name of the tool is missing")
        arguments = encode(params.get("arguments") or {}).decode()
        try:
            async with self.link.session(self.row) as session:
                text = await self.link.call(session, function_call(name, arguments, call_id=""))
        except GymError as error:
            return {"content": [{"type": "text", "text": without_secrets(str(error))}], "isError": True}
        return {"content": [{"type": "text", "text": text}], "isError": is_tool_error(text)}


def _tool(tool: Any) -> dict[str, Any]:
    return {
        "name": tool["name"],
        "description": tool.get("description") or "",
        "inputSchema": tool.get("parameters") or {"type": "object"},
    }
