"""The commands `ng_*` and `nemo_gym_*` of the original package: each names its replacement, and runs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from nemo_gym.cli.main import main as gym
from nemo_gym.cli.output import print_error
from nemo_gym.wire.errors import did_you_mean

SAME: Final[dict[str, tuple[str, ...]]] = {
    "aggregate_rollouts": ("eval", "aggregate"),
    "collect_rollouts": ("eval", "run", "--no-serve"),
    "delete_dataset_from_gitlab": ("dataset", "rm"),
    "dev_test": ("dev", "test"),
    "download_dataset_from_gitlab": ("dataset", "download", "--storage=gitlab"),
    "download_dataset_from_hf": ("dataset", "download"),
    "dump_config": ("env", "resolve"),
    "e2e_collect_rollouts": ("eval", "run"),
    "gitlab_to_hf_dataset": ("dataset", "migrate"),
    "help": ("--help",),
    "init_resources_server": ("env", "init"),
    "list_benchmarks": ("list", "benchmarks"),
    "materialize_prompts": ("dataset", "render"),
    "pip_list": ("env", "packages"),
    "prepare_data": ("dataset", "collate"),
    "prepare_benchmark": ("eval", "prepare"),
    "reward_profile": ("eval", "profile"),
    "run": ("env", "start"),
    "status": ("env", "status"),
    "test": ("env", "test"),
    "test_all": ("env", "test"),
    "upload_dataset_to_gitlab": ("dataset", "upload", "--storage=gitlab"),
    "upload_dataset_to_hf": ("dataset", "upload"),
    "validate": ("env", "validate"),
    "version": ("--version",),
}
"""The replacements that take the same words."""
OTHER: Final = {
    "reinstall": "use pip",
}
"""What to do instead of the commands that have no such replacement."""
PREFIXES: Final = ("nemo_gym_", "ng_")


def main() -> None:
    """Run the command that this program is named after."""
    name = Path(sys.argv[0]).stem
    command = next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)
    if command in SAME:
        print_error(f"{name} is deprecated: it is now `gym {' '.join(SAME[command])}`")
        words = [] if command in _WORDLESS else sys.argv[1:]
        sys.argv[:] = ["gym", *SAME[command], *words]
        gym()
        return
    instead = OTHER.get(command) or f"there is no such command.{did_you_mean(command, {*SAME, *OTHER})}"
    print_error(f"{name} has no replacement of the same form: {instead}")
    sys.exit(2)


_WORDLESS: Final = frozenset({"dev_test", "help", "list_benchmarks", "status", "version"})
"""Commands whose replacements take no changes to a configuration."""
