"""Run by the original package's own Python: its head server, and for each of three environments its
resources server and its agent, all with one model server in front of the endpoint at --model-url.

Prints a line of JSON when everything is up, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from nemo_gym.cli.env import RunHelper
from nemo_gym.global_config import GlobalConfigDictParserConfig, get_global_config_dict
from omegaconf import DictConfig, OmegaConf

ENVIRONMENTS = {"mcqa": "knowledge", "example_session_state_mgmt": "agent", "example_multi_step": "agent"}


def configuration(out: Path, model_url: str) -> dict[str, Any]:
    """Every server under its name; each finds this script's own environment as its virtual environment."""
    servers = [f"resources_servers/{name}" for name in ENVIRONMENTS]
    for server in (*servers, "responses_api_agents/simple_agent", "responses_api_models/openai_model"):
        folder = out / "environments" / server
        folder.mkdir(parents=True)
        (folder / ".venv").symlink_to(sys.prefix)
    model = {
        "entrypoint": "app.py",
        "openai_base_url": model_url,
        "openai_api_key": "not-a-key",
        "openai_model": "script",
    }
    config: dict[str, Any] = {
        "head_server": {"host": "127.0.0.1", "port": free_port()},
        "uv_venv_dir": str(out / "environments"),
        "skip_venv_if_present": True,
        "policy_model": {"responses_api_models": {"openai_model": model}},
    }
    for name, domain in ENVIRONMENTS.items():
        config[name] = {"resources_servers": {name: {"entrypoint": "app.py", "domain": domain}}}
        agent = {
            "entrypoint": "app.py",
            "resources_server": {"type": "resources_servers", "name": name},
            "model_server": {"type": "responses_api_models", "name": "policy_model"},
        }
        config[f"{name}_agent"] = {"responses_api_agents": {"simple_agent": agent}}
    return config


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    os.chdir(given.out)
    said = os.dup(1)
    os.dup2(2, 1)
    servers = RunHelper()
    servers.start(
        GlobalConfigDictParserConfig(
            initial_global_config_dict=DictConfig(configuration(given.out, given.model_url)),
            skip_load_from_cli=True,
            skip_load_from_dotenv=True,
        )
    )
    try:
        config = OmegaConf.to_container(get_global_config_dict())
        urls = {name: url(config[name]["resources_servers"][name]) for name in ENVIRONMENTS}
        line = json.dumps({"head": url(config["head_server"]), "environments": urls}) + "\n"
        os.write(said, line.encode())
        sys.stdin.read()
    finally:
        servers.shutdown()


def url(server: dict[str, Any]) -> str:
    return f"http://{server['host']}:{server['port']}"


if __name__ == "__main__":
    main()
