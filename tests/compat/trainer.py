"""What trainers do with results and servers, written down here from the outside: the consumer's side."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_gym.rollout_collection import RolloutCollectionHelper
from nemo_gym.server_utils import HEAD_SERVER_KEY_NAME, BaseServerConfig
from omegaconf import DictConfig

from nemo_gym.cli import GlobalConfigDictParserConfig, RunHelper
from tests.support.nemo_rl import post_process

TRAINING = "responses_api_models/vllm_model/configs/vllm_model_for_training.yaml"


class Actor:
    """NeMo RL's environment actor: the same calls in the same order."""

    def __init__(
        self,
        urls: Sequence[str],
        *configs: str,
        host: str = "127.0.0.1",
        head_host: str = "0.0.0.0",
        **own: Any,
    ) -> None:
        self.port = free_port()
        config: dict[str, Any] = {"config_paths": [*configs, TRAINING], **own}
        config["policy_model_name"] = "policy"
        config["policy_api_key"] = "dummy_key"
        config["policy_base_url"] = list(urls)
        config.setdefault("default_host", host)
        config.setdefault("port_range_low", 15_000)
        config.setdefault("port_range_high", 19_999)
        config.setdefault("global_aiohttp_connector_limit_per_host", 16_384)
        config.setdefault("global_aiohttp_connector_limit", 65_536)
        config["ray_head_node_address"] = "192.0.2.1:6379"
        config[HEAD_SERVER_KEY_NAME] = {"host": head_host, "port": self.port}
        self.rh = RunHelper()
        self.rh.start(
            global_config_dict_parser_config=GlobalConfigDictParserConfig(
                dotenv_path=Path("/no/such/folder/nemo_gym_env.yaml"),
                initial_global_config_dict=DictConfig(config),
                skip_load_from_cli=True,
            )
        )
        self.head = BaseServerConfig(host=host, port=self.port)
        self.rch = RolloutCollectionHelper()

    async def run_rollouts(self, rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """The result of every row by its number, in the order in which they ended."""
        results: dict[int, dict[str, Any]] = {}
        for task in self.rch.run_examples(examples=rows, head_server_config=self.head):
            row, result = await task
            assert any(row is given for given in rows)
            results[row["_rowidx"]] = result
        return results


def message_log(result: dict[str, Any]) -> list[dict[str, Any]]:
    """A rollout as NeMo RL takes it: masked prompt tokens, trained generated ones."""
    return post_process(result).messages


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def is_free(port: int) -> bool:
    """Whether nobody listens at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
