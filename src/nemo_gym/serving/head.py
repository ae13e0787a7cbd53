"""The head server: which servers there are and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import time
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request

from nemo_gym.config.tree import Tree, to_yaml
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.health import ask_all
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.sockets import http_url, reachable
from nemo_gym.wire.masking import mask

HEAD: Final = "head_server"
"""The head server's key in the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One server, under the field names of the original package."""

    process_name: str
    """Name of the instance."""
    server_type: str
    name: str
    """Name of the implementation."""
    dir_path: str | None
    entrypoint: str
    host: str
    port: int
    pid: int
    start_time: float
    """Unix time, seconds."""

    @property
    def url(self) -> str:
        return http_url(self.host, self.port)

    def row(self) -> dict[str, Any]:
        """As `/server_instances` shows it, but for the status."""
        return {
            "process_name": self.process_name,
            "server_type": self.server_type,
            "name": self.name,
            "dir_path": self.dir_path,
            "entrypoint": self.entrypoint,
            "host": self.host,
            "port": self.port,
            "url": self.url,
            "pid": self.pid,
            "config_path": self.process_name,
            "start_time": self.start_time,
            "uptime_seconds": time() - self.start_time,
        }


def head_app(tree: Tree, running: Callable[[], Sequence[Running]], options: AppOptions) -> Starlette:
    """The head server's app.

    Args:
        tree: the merged configuration with all addresses filled in. It is shown with its secrets masked:
            what clients need of it is names and addresses.
        running: the servers at the moment; each is asked for its health whenever the list is.
    """
    shown = to_yaml(mask(tree))

    async def config(_: Request) -> JsonResponse:
        return JsonResponse(shown)

    async def instances(_: Request) -> JsonResponse:
        servers = running()
        urls = {one.process_name: http_url(reachable(one.host), one.port) for one in servers}
        status = await ask_all(urls, options.token)
        return JsonResponse([{**one.row(), "status": status[one.process_name]} for one in servers])

    routes = [
        ApiRoute(
            "/global_config_dict_yaml",
            config,
            method="GET",
            summary="The merged configuration as YAML in a JSON string, secrets masked.",
            answer={"type": "string"},
        ),
        ApiRoute(
            "/server_instances",
            instances,
            method="GET",
            summary="The servers that were started, and whether each answers.",
            answer={"type": "array", "items": {"type": "object"}},
        ),
    ]
    return base_app(f"HeadServer___{HEAD}", routes, options, about={"kind": "head"})
