"""The commands `ng_*` and `nemo_gym_*` of the original: each says what it is called here, and does it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final, cast

from omegaconf import OmegaConf

from nemo_gym.cli.main import main as gym
from nemo_gym.cli.texts import print_error
from nemo_gym.compat.global_config import (
    GlobalConfigDictParser,
    GlobalConfigDictParserConfig,
    set_global_config_dict,
)
from nemo_gym.compat.rollout_collection import RolloutCollectionConfig, collect_rollouts
from nemo_gym.runs.loop import run_async
from nemo_gym.wire.errors import GymError, UsageError

SAME: Final = {
    "dump_config": ("env", "resolve"),
    "help": ("--help",),
    "list_benchmarks": ("env", "list"),
    "run": ("env", "start"),
    "status": ("env", "status"),
    "validate": ("env", "validate"),
    "version": ("--version",),
}
"""Commands that take the words of their successor."""
COLLECT: Final = "collect_rollouts"


def main() -> None:
    """Run the command that this program is called as."""
    name = Path(sys.argv[0]).name
    known = name.removeprefix("nemo_gym_").removeprefix("ng_")
    try:
        if known == COLLECT:
            print_error(f"{name} is now `gym eval run --no-serve`")
            _collect()
        elif known in SAME:
            print_error(f"{name} is now `gym {' '.join(SAME[known])}`")
            sys.argv[:1] = ["gym", *SAME[known]]
            gym()
        else:
            raise UsageError(f"{name} has no successor of the same form: see `gym --help`")
    except GymError as error:
        print_error(str(error))
        sys.exit(error.exit_code)


def _collect() -> None:
    tree = GlobalConfigDictParser().parse(GlobalConfigDictParserConfig(offline=True))
    set_global_config_dict(tree)
    given = cast("dict[str, Any]", OmegaConf.to_container(tree))
    try:
        config = RolloutCollectionConfig.model_validate(given)
    except ValueError as error:
        raise UsageError(str(error)) from None
    run_async(_collected(config))


async def _collected(config: RolloutCollectionConfig) -> None:
    await collect_rollouts(config)
    sys.stdout.write(f"{config.output_jsonl_fpath}\n")
