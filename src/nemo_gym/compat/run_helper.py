"""`RunHelper`: a trainer starts the servers from its own process."""

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
"""Seconds that a policy endpoint may take to answer anything, unless
`model_endpoint_readiness_timeout_seconds` says otherwise."""
GRACE_S: Final = 5.0
"""Seconds for requests in flight when stopping."""


class RunHelper:
    """Servers that live as long as the program that starts them. All methods block, in whatever thread.

    The components of this package run in one background thread; a server of its own code (an `app.py`) is a
    child process, so that its end is not that of the program, unless its configuration says `share: true`.
    With `isolate: true` in the configuration every server is a child process.
    """

    def __init__(self) -> None:
        self._background: BackgroundServers | None = None
        self._running: list[ServerInstance] = []

    def start(self, global_config_dict_parser_config: GlobalConfigDictParserConfig) -> None:
        """Start the servers of a configuration; when this returns all answer, and so do their models.

        From now on this is the configuration of the process, `get_global_config_dict`. Where other machines
        can reach the servers they ask for a token, which it holds as `server_token`.

        Raises:
            ConfigError: the configuration can't be used.
            StartFailed: a server did not come up; nothing is left of the others.
            UsageError: this helper has started servers already.
        """
        if self._background is not None:
            raise UsageError("these servers run already: call shutdown() first, or use another RunHelper")
        found, launch = bind_addresses(
            lambda: GlobalConfigDictParser().resolve(global_config_dict_parser_config), _prepared
        )
        for notice in found.notices:
            log.warning("%s", notice)
        if found.tree.get(DRY_RUN_KEY_NAME):
            launch.release()
            check_implementations(found.instances.values(), search_roots())
            return
        within = found.tree.get("model_endpoint_readiness_timeout_seconds")
        background = BackgroundServers(launch, models_within=READINESS_S if within is None else float(within))
        self._running = background.start()
        self._background = background
        token = {SERVER_TOKEN_KEY_NAME: launch.token} if launch.token else {}
        set_global_config_dict(DictConfig({**found.tree, **token}))
        atexit.register(self.shutdown)

    def poll(self) -> None:
        """Make sure that every server still runs.

        Raises:
            ServerEnded: a `RuntimeError`; one doesn't, with the last that it printed.
        """
        if self._background is not None:
            self._background.check()

    def shutdown(self) -> None:
        """Stop every server and wait for its end. No thread, process or port is left; twice does no harm."""
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


def _prepared(found: Config) -> Launch:
    folder = found.tree.get(NEMO_GYM_LOG_DIR_KEY_NAME)
    return prepare(
        found,
        roots=search_roots(),
        logs=Path(folder or runtime_folder() / "logs" / strftime("%Y%m%d-%H%M%S")).absolute(),
        token=Secret.random() if needs_token(found) else None,
        grace_s=GRACE_S,
    )


log: Final = logging.getLogger(__name__)
