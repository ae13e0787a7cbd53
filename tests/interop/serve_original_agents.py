"""Run by the original package's own Python: its agent, once for each environment at the head server --head.

Prints the agents' URLs by environment as a line of JSON when they are up, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import AsyncExitStack
from socket import socket
from urllib.parse import urlsplit

import uvicorn
from nemo_gym.config_types import BaseServerConfig
from nemo_gym.server_utils import GlobalAIOHTTPAsyncClientConfig, ServerClient, set_global_aiohttp_client
from omegaconf import DictConfig
from responses_api_agents.simple_agent.app import SimpleAgent, SimpleAgentConfig


def agent(environment: str, port: int, client: ServerClient) -> SimpleAgent:
    """An agent that acts in an environment, entered in the client's configuration, for it calls itself."""
    name = f"{environment}_original"
    block = {
        "host": "127.0.0.1",
        "port": port,
        "entrypoint": "app.py",
        "resources_server": {"type": "resources_servers", "name": environment},
        "model_server": {"type": "responses_api_models", "name": "policy_model"},
    }
    client.global_config_dict[name] = {"responses_api_agents": {"simple_agent": block}}
    return SimpleAgent(config=SimpleAgentConfig(name=name, **block), server_client=client)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", required=True)
    head = urlsplit(parser.parse_args().head)
    config = BaseServerConfig(host=head.hostname, port=head.port)
    client = ServerClient.load_from_global_config(config)
    environments = [
        name
        for name, block in client.global_config_dict.items()
        if isinstance(block, DictConfig) and "resources_servers" in block
    ]
    set_global_aiohttp_client(GlobalAIOHTTPAsyncClientConfig())
    urls: dict[str, str] = {}
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as serving:
        servers: list[uvicorn.Server] = []
        for environment in environments:
            bound = stack.enter_context(socket())
            bound.bind(("127.0.0.1", 0))
            urls[environment] = f"http://127.0.0.1:{bound.getsockname()[1]}"
            app = agent(environment, bound.getsockname()[1], client).setup_webserver()
            servers.append(uvicorn.Server(uvicorn.Config(app, log_level="warning")))
            serving.create_task(servers[-1].serve([bound]))
        while not all(server.started for server in servers):
            await asyncio.sleep(0.02)
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        for server in servers:
            server.should_exit = True


if __name__ == "__main__":
    asyncio.run(main())
