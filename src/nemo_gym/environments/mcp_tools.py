"""MCP servers as tools of an environment, with one connection for each open session."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit
from uuid import uuid4
from weakref import WeakKeyDictionary

import msgspec

from nemo_gym.environments.tool import tool_error
from nemo_gym.support.process_output import Output
from nemo_gym.support.processes import kill_carriers
from nemo_gym.transport.proxies import proxy_of
from nemo_gym.wire.errors import EnvironmentFault, UsageError, did_you_mean
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.params import FunctionTool

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """An MCP server: a program that uses its standard streams, or a URL.

    Raises:
        UsageError: it has neither a command nor a URL, or both.
    """

    command: Sequence[str] = ()
    """The program and its arguments; no shell reads them."""
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The program's variables in addition to PATH, HOME and the like; it gets no others of this process."""
    folder: str | Path | None = None
    """The program's working directory."""
    url: str = ""
    """The URL of a server that uses streamable HTTP."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent with every request to the URL."""
    name: str = ""
    """Its name in errors; by default the name of the program or the host."""
    tools: Collection[str] | None = None
    """The names of the tools to offer; None offers all."""
    prefix: str = ""
    """A text before the names of its tools, for servers with equal names."""
    start_timeout_s: float = 30.0
    """The most seconds until it has listed its tools."""

    def __post_init__(self) -> None:
        if isinstance(self.command, str):
            raise UsageError(f"MCP server {self.command!r}: command is a list, the program and its arguments")
        if bool(self.command) == bool(self.url):
            raise UsageError("an MCP server has either a command or a url")

    @property
    def label(self) -> str:
        """Its name in messages."""
        return self.name or (Path(self.command[0]).name if self.command else urlsplit(self.url).netloc)


def check_sdk(environment: str) -> None:
    """Check that the MCP SDK is installed.

    Raises:
        UsageError: the SDK is not installed.
    """
    if importlib.util.find_spec("mcp") is None:
        raise UsageError(f"environment {environment} uses MCP servers: pip install 'nemo-gym[mcp]'")


class McpTools:
    """The tools of one session's MCP servers. `aclose` must follow `connect`, even after an error."""

    def __init__(self) -> None:
        self.schemas: list[FunctionTool] = []
        """The schemas of the tools, for the model."""
        self._connections: list[_Connection] = []
        self._homes: dict[str, tuple[_Connection, str]] = {}

    async def connect(self, servers: Iterable[McpServer], own_names: Iterable[str]) -> None:
        """Connect to every server and list its tools.

        Args:
            own_names: names of the tools that the session has already.

        Raises:
            EnvironmentFault: a server can't be reached or started, or two tools have the same name.
        """
        self._connections = [_Connection(server) for server in servers]
        listings = await asyncio.gather(*(connection.open() for connection in self._connections))
        owners = dict.fromkeys(own_names, "the environment itself")
        for connection, tools in zip(self._connections, listings, strict=True):
            for tool in _select(tools, connection.server):
                name = _valid_name(connection.server.prefix + tool.name)
                label = connection.server.label
                if name in owners:
                    raise EnvironmentFault(
                        f"tool {name!r} is offered by {owners[name]} and by MCP server {label}: "
                        "choose with McpServer(tools=[...]) or rename with McpServer(prefix=...)"
                    )
                owners[name] = f"MCP server {label}"
                self._homes[name] = connection, tool.name
                self.schemas.append(_schema(name, tool))

    def __contains__(self, name: str) -> bool:
        return name in self._homes

    async def call(self, name: str, arguments: str) -> str:
        """Run a tool; an error becomes a text for the model."""
        try:
            values = decode(arguments or "{}")
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return tool_error(f"Invalid arguments for {name}: {error}")
        if not isinstance(values, dict):
            return tool_error(f"Invalid arguments for {name}: expected an object")
        connection, own_name = self._homes[name]
        return await connection.call(own_name, cast("dict[str, Any]", values))

    async def aclose(self) -> None:
        """End every connection and its program. A cancellation waits until that has happened."""
        for connection in self._connections:
            connection.end()
        waits = [asyncio.ensure_future(connection.wait()) for connection in self._connections]
        cancellation: asyncio.CancelledError | None = None
        while pending := [wait for wait in waits if not wait.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as error:
                cancellation = error
        if cancellation is not None:
            raise cancellation


class _Connection:
    """One connection. One task opens and closes it, because the SDK's task groups require the same task."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self._mark = f"{_MARK}={uuid4().hex}"
        self._output: Output | None = None
        self._over = asyncio.Event()
        self._ready: asyncio.Future[tuple[Client, list[types.Tool]]] = (
            asyncio.get_running_loop().create_future()
        )
        self._owner = asyncio.create_task(self._own())

    async def open(self) -> list[types.Tool]:
        """The server's tools.

        Raises:
            EnvironmentFault: the server can't be reached or started.
        """
        await asyncio.wait({self._ready, self._owner}, return_when=asyncio.FIRST_COMPLETED)
        if self._ready.done():
            return self._ready.result()[1]
        raise EnvironmentFault(f"MCP server {self.server.label} {self._end_message()}")

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        calling = asyncio.ensure_future(self._ready.result()[0].call_tool(name, arguments))
        try:
            await asyncio.wait({calling, self._owner}, return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return _text(calling.result())
            return tool_error(f"MCP server {self.server.label} {self._end_message()}")
        except Exception as error:
            return tool_error(f"MCP server {self.server.label}: {_plain(error)}{self._last_words()}")
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)

    def end(self) -> None:
        """Let the connection close."""
        self._over.set()
        if not self._ready.done():
            self._owner.cancel()

    async def wait(self) -> None:
        """Wait until the connection has closed."""
        await asyncio.gather(self._owner, return_exceptions=True)
        if self.server.command:
            await asyncio.to_thread(kill_carriers, self._mark)

    async def _own(self) -> None:
        from mcp.client import Client

        async with AsyncExitStack() as stack:
            slot = _starting_slots() if self.server.command else nullcontext()
            async with slot, asyncio.timeout(self.server.start_timeout_s):
                transport = await stack.enter_async_context(self._transport())
                client = await stack.enter_async_context(Client(transport))
                tools = await _all_tools(client)
            self._ready.set_result((client, tools))
            await self._over.wait()

    @asynccontextmanager
    async def _transport(self) -> AsyncGenerator[Any]:
        """The transport for the SDK's client, which opens and closes it."""
        from mcp.client.stdio import StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client

        server = self.server
        if server.url:
            import httpx2

            patience = httpx2.Timeout(30.0, read=None)
            direct = None if proxy_of(server.url) else {"http://": None, "https://": None}
            async with httpx2.AsyncClient(
                headers=dict(server.headers), timeout=patience, mounts=direct
            ) as http:
                yield streamable_http_client(server.url, http_client=http)
            return
        mark, _, id = self._mark.partition("=")
        program, *arguments = server.command
        parameters = StdioServerParameters(
            command=program, args=arguments, env={**server.env, mark: id}, cwd=server.folder
        )
        with await Output.pipe(2 * _LAST_WORDS) as output:
            self._output = output
            yield stdio_client(parameters, errlog=cast("Any", output.end))

    def _end_message(self) -> str:
        error = None if self._owner.cancelled() else self._owner.exception()
        if isinstance(error, TimeoutError):
            return f"did not list its tools within {self.server.start_timeout_s:g} s{self._last_words()}"
        return f"is gone: {_plain(error) if error else 'the connection was closed'}{self._last_words()}"

    def _last_words(self) -> str:
        words = self._output.text.strip()[-_LAST_WORDS:] if self._output is not None else ""
        return f"; it last said: {words}" if words else ""


_MARK: Final = "NEMO_GYM_MCP_CONNECTION"
"""The environment variable that marks a program and its child processes, to end them with the connection."""
_LAST_WORDS: Final = 500
"""The most characters of a program's standard error in messages."""
_MAX_RESULT: Final = 1_000_000
"""The most characters of a result that the model gets."""
_PAGES: Final = 100
_INVALID: Final = re.compile(r"[^A-Za-z0-9_-]")
_slots: Final = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]()


def _starting_slots() -> asyncio.Semaphore:
    """A limit on how many programs start at once, so that many rollouts don't delay each other too much."""
    return _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(2 * (os.cpu_count() or 1)))


async def _all_tools(client: Client) -> list[types.Tool]:
    tools: list[types.Tool] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            return tools
    raise EnvironmentFault(f"it has more than {_PAGES} pages of tools")


def _select(tools: list[types.Tool], server: McpServer) -> list[types.Tool]:
    if server.tools is None:
        return tools
    names = {tool.name for tool in tools}
    for name in server.tools:
        if name not in names:
            raise EnvironmentFault(
                f"MCP server {server.label} has no tool {name!r}.{did_you_mean(name, names)}"
            )
    return [tool for tool in tools if tool.name in server.tools]


def _valid_name(name: str) -> str:
    """The name, with only characters that model APIs accept."""
    return _INVALID.sub("_", name)[:64]


def _schema(name: str, tool: types.Tool) -> FunctionTool:
    return {
        "type": "function",
        "name": name,
        "description": tool.description or tool.title or "",
        "parameters": tool.input_schema,
        "strict": False,
    }


def _text(result: types.CallToolResult) -> str:
    parts = [_block_text(block) for block in result.content]
    if not parts and result.structured_content is not None:
        parts = [encode(result.structured_content).decode()]
    text = "\n".join(parts)
    if len(text) > _MAX_RESULT:
        text = f"{text[:_MAX_RESULT]}\n(cut: {len(text)} characters)"
    return tool_error(text) if result.is_error else text


def _block_text(block: types.ContentBlock) -> str:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return f"({block.mime_type}, which can't be shown here)"
        case "resource_link":
            return str(block.uri)
        case "resource":
            return getattr(block.resource, "text", f"({block.resource.uri}, which is not text)")


def _plain(error: BaseException) -> str:
    """The message of the first cause of a task group's exception."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return str(error) if isinstance(error, EnvironmentFault) else f"{type(error).__name__}: {error}"
