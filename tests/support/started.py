"""`gym env start` in tests: its processes are found by the runtime folder in their environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.forked import FORKS

PATIENCE_S = 120.0

COUNTER = """
import os
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig, BaseVerifyRequest, BaseVerifyResponse, SimpleResourcesServer,
)

class CountConfig(BaseResourcesServerConfig):
    bonus: float = 0.0
    api_key: str = ""

class CountVerify(BaseVerifyRequest):
    expected: int

class CountServer(SimpleResourcesServer):
    config: CountConfig

    async def verify(self, body: CountVerify) -> BaseVerifyResponse:
        right = body.response.output_text == str(body.expected)
        return BaseVerifyResponse(**body.model_dump(), reward=right + self.config.bonus)

if __name__ == "__main__":
    print("settings", CountServer.load_config_from_global_config().api_key, os.getcwd())
    CountServer.run_webserver()
"""
"""A server as people write it for the original package."""


class Gym:
    """The `gym` command with a runtime folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runtime = folder / "run"
        self.runtime.mkdir(mode=0o700)
        self.env = {**os.environ, "XDG_RUNTIME_DIR": str(self.runtime)}

    def __call__(self, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in a fork of a process that has imported it."""
        return FORKS.run(words, cwd=self.folder, environ={**self.env, **env}, timeout=3 * PATIENCE_S)

    def start(self, *words: object, **env: str) -> str:
        """Start servers in the background; what was printed."""
        made = self("env", "start", *words, "--port", 0, "--detach", **env)
        assert made.returncode == 0, made.stderr
        return made.stdout

    @contextmanager
    def foreground(self, *words: object, **env: str) -> Generator[subprocess.Popen[str]]:
        """Servers in the foreground, up to the line that says that they are ready."""
        with subprocess.Popen(
            self._argv(("env", "start", *words, "--port", 0)),
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                said = ""
                while "servers ready" not in said:
                    assert process.stdout is not None
                    line = process.stdout.readline()
                    assert line, said
                    said += line
                yield process
            finally:
                process.kill()

    def servers(self) -> dict[str, dict[str, Any]]:
        """What `gym env status` knows, by the name of the instance."""
        listed = json.loads(self("env", "status", "--json").stdout)["servers"]
        return {server["process_name"]: server for server in listed}

    def script(self, text: str) -> str:
        """A scripted model's reference."""
        path = self.folder / "script.py"
        path.write_text(text)
        return f"{path}:answer"

    def program(self, name: str, text: str = COUNTER) -> str:
        """A user's own resources server; the path of its configuration."""
        folder = self.folder / "resources_servers" / name
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(text)
        config = self.folder / f"{name}.yaml"
        block = {"entrypoint": "app.py", "domain": "math"}
        config.write_text(json.dumps({name: {"resources_servers": {name: block}}}))
        return str(config)

    @property
    def logs(self) -> str:
        """Everything that was logged."""
        return "".join(path.read_text() for path in self.runtime.rglob("*.log"))

    def processes(self) -> dict[int, str]:
        """The processes that came of this object, zombies left out: their arguments by id."""
        mark = f"XDG_RUNTIME_DIR={self.runtime}\0".encode()
        found: dict[int, str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def clean(self) -> None:
        """Kill whatever a failed test left."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def _argv(self, words: tuple[object, ...]) -> list[str]:
        return [sys.executable, "-m", "nemo_gym", *map(str, words)]


def until(happened: Callable[[], object]) -> bool:
    """Whether it happens within some seconds."""
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.02)
    return True
