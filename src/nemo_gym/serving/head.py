"""The head server, which lists the other servers and their addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import time
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request

from nemo_gym.config.tree import Tree, to_yaml
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.health import check_all
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.sockets import http_url, reachable
from nemo_gym.wire.masking import mask

HEAD: Final = "head_server"
"""The head server's key in the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInstance:
    """One server, with the field names of the original package."""

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
        """The entry in `/server_instances`, without the status."""
        times = {"uptime_seconds": time() - self.start_time}
        return {**asdict(self), "url": self.url, "config_path": self.process_name, **times}


def head_app(tree: Tree, running: Callable[[], Sequence[ServerInstance]], options: AppOptions) -> Starlette:
    """The head server's app.

    Args:
        tree: the merged configuration with all addresses. Its secrets are masked: clients need only names
            and addresses.
        running: returns the servers; each request for the list also checks their health.
    """
    public_tree = to_yaml(mask(tree))

    async def config(_: Request) -> JsonResponse:
        return JsonResponse(public_tree)

    async def instances(_: Request) -> JsonResponse:
        servers = running()
        urls = {one.process_name: http_url(reachable(one.host), one.port) for one in servers}
        status = await check_all(urls, options.token)
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
