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
    """A server to connect to: a program that speaks MCP over its standard streams, or a URL.

    Raises:
        UsageError: it has neither a command nor a URL, or both.
    """

    command: Sequence[str] = ()
    """The program and its arguments; never a shell line."""
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables added to PATH, HOME and the like; the program gets no others from this process."""
    folder: str | Path | None = None
    """The program's working directory."""
    url: str = ""
    """Of a server that speaks streamable HTTP."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent with every request to the URL."""
    name: str = ""
    """How errors call it; by default the program's or the host's name."""
    tools: Collection[str] | None = None
    """The only ones of its tools to offer; None for all."""
    prefix: str = ""
    """Put before the names of its tools, where two servers have the same."""
    start_timeout_s: float = 30.0
    """The most seconds until it has listed its tools."""

    def __post_init__(self) -> None:
        if isinstance(self.command, str):
            raise UsageError(f"MCP server {self.command!r}: command is a list, the program and its arguments")
        if bool(self.command) == bool(self.url):
            raise UsageError("an MCP server has either a command or a url")

    @property
    def label(self) -> str:
        """What to call it in a message."""
        return self.name or (Path(self.command[0]).name if self.command else urlsplit(self.url).netloc)


def check_sdk(environment: str) -> None:
    """Check that MCP servers can be used.

    Raises:
        UsageError: the SDK is not installed.
    """
    if importlib.util.find_spec("mcp") is None:
        raise UsageError(f"environment {environment} uses MCP servers: pip install 'nemo-gym[mcp]'")


class McpTools:
    """The tools that one session has from MCP servers. `aclose` must follow `connect`, however it ended."""

    def __init__(self) -> None:
        self.schemas: list[FunctionTool] = []
        """The tools in the form that the model gets."""
        self._connections: list[_Connection] = []
        self._homes: dict[str, tuple[_Connection, str]] = {}

    async def connect(self, servers: Iterable[McpServer], taken: Iterable[str]) -> None:
        """Connect to every server and learn its tools.

        Args:
            taken: names of tools that the session has already.

        Raises:
            EnvironmentFault: one can't be reached or started, or two tools have the same name.
        """
        self._connections = [_Connection(server) for server in servers]
        listings = await asyncio.gather(*(connection.open() for connection in self._connections))
        owners = dict.fromkeys(taken, "the environment itself")
        for connection, tools in zip(self._connections, listings, strict=True):
            for tool in _selected(tools, connection.server):
                name = _fitting(connection.server.prefix + tool.name)
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
        """Run a tool; whatever goes wrong is text for the model."""
        try:
            values = decode(arguments or "{}")
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return tool_error(f"Invalid arguments for {name}: {error}")
        if not isinstance(values, dict):
            return tool_error(f"Invalid arguments for {name}: expected an object")
        connection, own_name = self._homes[name]
        return await connection.call(own_name, cast("dict[str, Any]", values))

    async def aclose(self) -> None:
        """End every connection, and with it the programs; a cancellation has to wait for that."""
        for connection in self._connections:
            connection.end()
        ended = [asyncio.ensure_future(connection.ended()) for connection in self._connections]
        cancelled: asyncio.CancelledError | None = None
        while pending := [one for one in ended if not one.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled


class _Connection:
    """One connection, entered and left by a task of its own, as the SDK's task groups need it."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self._mark = f"{_MARK}={uuid4().hex}"
        self._said: Output | None = None
        self._over = asyncio.Event()
        self._ready: asyncio.Future[tuple[Client, list[types.Tool]]] = (
            asyncio.get_running_loop().create_future()
        )
        self._owner = asyncio.create_task(self._own())

    async def open(self) -> list[types.Tool]:
        """The server's tools.

        Raises:
            EnvironmentFault: it can't be reached or started.
        """
        await asyncio.wait({self._ready, self._owner}, return_when=asyncio.FIRST_COMPLETED)
        if self._ready.done():
            return self._ready.result()[1]
        raise EnvironmentFault(f"MCP server {self.server.label} {self._why_it_ended()}")

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        calling = asyncio.ensure_future(self._ready.result()[0].call_tool(name, arguments))
        try:
            await asyncio.wait({calling, self._owner}, return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return _text(calling.result())
            return tool_error(f"MCP server {self.server.label} {self._why_it_ended()}")
        except Exception as error:
            return tool_error(f"MCP server {self.server.label}: {_plain(error)}{self._last_words()}")
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)

    def end(self) -> None:
        """Ask the connection to close."""
        self._over.set()
        if not self._ready.done():
            self._owner.cancel()

    async def ended(self) -> None:
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
        """What the SDK's client connects through; it enters and leaves it itself."""
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
        started = StdioServerParameters(
            command=program, args=arguments, env={**server.env, mark: id}, cwd=server.folder
        )
        with await Output.pipe(2 * _LAST_WORDS) as output:
            self._said = output
            yield stdio_client(started, errlog=cast("Any", output.end))

    def _why_it_ended(self) -> str:
        error = None if self._owner.cancelled() else self._owner.exception()
        if isinstance(error, TimeoutError):
            return f"did not tell its tools within {self.server.start_timeout_s:g} s{self._last_words()}"
        return f"is gone: {_plain(error) if error else 'the connection was closed'}{self._last_words()}"

    def _last_words(self) -> str:
        words = self._said.text.strip()[-_LAST_WORDS:] if self._said is not None else ""
        return f"; it last said: {words}" if words else ""


_MARK: Final = "NEMO_GYM_MCP_CONNECTION"
"""Environment variable by which a program and all that it starts are found when the connection ends."""
_LAST_WORDS: Final = 500
"""Characters of what a program printed to its standard error that are repeated in messages."""
_LONGEST: Final = 1_000_000
"""Characters of a result that reach the model."""
_PAGES: Final = 100
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")
_slots: Final = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]()


def _starting_slots() -> asyncio.Semaphore:
    """Programs start a few at a time, lest hundreds of rollouts starve one another past the time limit."""
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


def _selected(tools: list[types.Tool], server: McpServer) -> list[types.Tool]:
    if server.tools is None:
        return tools
    names = {tool.name for tool in tools}
    for name in server.tools:
        if name not in names:
            raise EnvironmentFault(
                f"MCP server {server.label} has no tool {name!r}.{did_you_mean(name, names)}"
            )
    return [tool for tool in tools if tool.name in server.tools]


def _fitting(name: str) -> str:
    """The name with the characters that model APIs accept."""
    return _UNFIT.sub("_", name)[:64]


def _schema(name: str, tool: types.Tool) -> FunctionTool:
    return {
        "type": "function",
        "name": name,
        "description": tool.description or tool.title or "",
        "parameters": tool.input_schema,
        "strict": False,
    }


def _text(result: types.CallToolResult) -> str:
    parts = [_shown(block) for block in result.content]
    if not parts and result.structured_content is not None:
        parts = [encode(result.structured_content).decode()]
    text = "\n".join(parts)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}\n(cut: {len(text)} characters)"
    return tool_error(text) if result.is_error else text


def _shown(block: types.ContentBlock) -> str:
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
    """The first cause of what task groups raised, in words."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return str(error) if isinstance(error, EnvironmentFault) else f"{type(error).__name__}: {error}"
