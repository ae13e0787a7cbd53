"""`RunHelper` starts the servers from a trainer's own process."""

from __future__ import annotations

import atexit
import logging
from pathlib import Path
from time import sleep, strftime
from typing import Final

from omegaconf import DictConfig

from nemo_gym.cli.console import print_servers
from nemo_gym.compat.global_config import (
    DRY_RUN_KEY_NAME,
    NEMO_GYM_LOG_DIR_KEY_NAME,
    SERVER_TOKEN_KEY_NAME,
    GlobalConfigDictParser,
    GlobalConfigDictParserConfig,
    set_global_config_dict,
)
from nemo_gym.config.implementations import check_implementations
from nemo_gym.config.resolve import Config
from nemo_gym.config.sources import search_roots
from nemo_gym.serving.background_servers import BackgroundServers
from nemo_gym.serving.head import ServerInstance
from nemo_gym.serving.launch import Launch, bind_addresses, needs_token, prepare
from nemo_gym.serving.running_gyms import runtime_folder
from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.errors import UsageError

READINESS_S: Final = 600.0
"""Seconds to wait for a policy endpoint, unless `model_endpoint_readiness_timeout_seconds` is set."""
GRACE_S: Final = 5.0
"""Seconds for requests in flight when stopping."""


class RunHelper:
    """Servers that run as long as the program that starts them. All methods block the calling thread.

    The components of this package run in one background thread. A server with its own program (an `app.py`)
    is a child process, which can't end the trainer, unless its configuration says `share: true`. With
    `isolate: true` in the configuration every server is a child process.
    """

    def __init__(self) -> None:
        self._background: BackgroundServers | None = None
        self._running: list[ServerInstance] = []

    def start(self, global_config_dict_parser_config: GlobalConfigDictParserConfig) -> None:
        """Start the servers of a configuration, and return when all servers and their models answer.

        The configuration becomes that of the process, `get_global_config_dict`. Servers that other machines
        can reach require a token, which is its `server_token`.

        Raises:
            ConfigError: the configuration can't be used.
            StartFailed: a server did not start; the others are stopped.
            UsageError: this helper has started servers already.
        """
        if self._background is not None:
            raise UsageError("these servers run already: call shutdown() first, or use another RunHelper")
        config, launch = bind_addresses(
            lambda: GlobalConfigDictParser().resolve(global_config_dict_parser_config), _launch_of
        )
        for notice in config.notices:
            log.warning("%s", notice)
        if config.tree.get(DRY_RUN_KEY_NAME):
            launch.release()
            check_implementations(config.instances.values(), search_roots())
            return
        seconds = config.tree.get("model_endpoint_readiness_timeout_seconds")
        background = BackgroundServers(
            launch, models_within=READINESS_S if seconds is None else float(seconds)
        )
        self._running = background.start()
        self._background = background
        token = {SERVER_TOKEN_KEY_NAME: launch.token} if launch.token else {}
        set_global_config_dict(DictConfig({**config.tree, **token}))
        atexit.register(self.shutdown)

    def poll(self) -> None:
        """Check that every server still runs.

        Raises:
            ServerEnded: a `RuntimeError` with the last output of a server that ended.
        """
        if self._background is not None:
            self._background.check()

    def shutdown(self) -> None:
        """Stop every server and wait until all threads, processes and ports are free. May be called twice."""
        background, self._background = self._background, None
        if background is not None:
            atexit.unregister(self.shutdown)
            set_global_config_dict(None)
            background.stop()

    def run_forever(self) -> None:
        """Wait until a server ends or Ctrl-C is pressed, then stop the others.

        Raises:
            ServerEnded: a server ended.
        """
        try:
            while True:
                self.poll()
                sleep(1.0)
        except KeyboardInterrupt:
            pass
        finally:
            self.shutdown()

    def display_server_instance_info(self) -> None:
        """Print a table of the servers."""
        print_servers([one.row() for one in self._running])


def _launch_of(config: Config) -> Launch:
    folder = config.tree.get(NEMO_GYM_LOG_DIR_KEY_NAME)
    return prepare(
        config,
        roots=search_roots(),
        logs=Path(folder or runtime_folder() / "logs" / strftime("%Y%m%d-%H%M%S")).absolute(),
        token=Secret.random() if needs_token(config) else None,
        grace_s=GRACE_S,
    )


log: Final = logging.getLogger(__name__)
