"""An MCP server to connect to: over standard streams, or with `--http` on a free port that it prints."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

arguments = argparse.ArgumentParser()
arguments.add_argument("--http", action="store_true")
arguments.add_argument("--greeting", action="store_true", help="with a tool named `greet` too")
arguments.add_argument("--silent", action="store_true", help="read and never answer")
arguments.add_argument("--stubborn", action="store_true", help="outlive the end of its input, and SIGTERM")
arguments.add_argument(
    "--child", default="", help="start a process in a group of its own; its pid goes to this file"
)
options = arguments.parse_args()

server = MCPServer("notes")
notes: list[str] = []


@server.tool()
def write(text: str) -> list[str]:
    """Write a note down; all there are so far."""
    notes.append(text)
    return notes


@server.tool(name="who.am.i")
def who_am_i() -> dict[str, str | int]:
    """The process and what its environment says."""
    return {
        "pid": os.getpid(),
        "colour": os.environ.get("COLOUR", ""),
        "secret": os.environ.get("SECRET", ""),
    }


@server.tool()
def refuse() -> str:
    """Never works."""
    raise ToolError("the ink is dry")


@server.tool()
async def die() -> str:
    """Ends the process."""
    print("out of paper", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
def sleep(seconds: float) -> str:
    """Takes its time."""
    time.sleep(seconds)
    return "awake"


if options.greeting:
    server.add_tool(lambda name: f"Good day {name}", name="greet", description="Say hello.")
if options.child:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with open(options.child, "w") as file:
        file.write(str(child.pid))
if options.stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if options.silent:
    sys.stdin.read()
elif options.http:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(listener.getsockname()[1], flush=True)
    app = server.streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
else:
    server.run("stdio")
if options.stubborn:
    time.sleep(600)
