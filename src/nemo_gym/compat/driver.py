"""Runs a collection driver: `python -m nemo_gym.compat.driver`, with a `Request` on standard input.

The driver gets the arguments that existing drivers expect: the collection's configuration and the merged one.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import msgspec

from nemo_gym.compat.global_config import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME
from nemo_gym.compat.rollout_collection import RolloutCollectionConfig, collect_rollouts
from nemo_gym.config.tree import to_yaml
from nemo_gym.wire.errors import GymError


class Request(msgspec.Struct):
    """The driver to run, and its configuration."""

    driver: str
    """`pkg.mod:func`. The working directory may have the module too."""
    config: dict[str, Any]
    tree: dict[str, Any]
    token: str = ""
    """The token that callers of the servers must send; empty for none."""


def main() -> None:
    """Call the driver. An error ends the process, with one line for a mistake of the user."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    token = {"server_token": request.token} if request.token else {}
    os.environ[NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME] = to_yaml({**request.tree, **token})
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    config = RolloutCollectionConfig(**request.config, rollout_collection_driver=request.driver)
    try:
        asyncio.run(collect_rollouts(config))
    except GymError as error:
        sys.stderr.write(f"gym: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
