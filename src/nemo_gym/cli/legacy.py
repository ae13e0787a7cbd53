"""The commands `ng_*` and `nemo_gym_*` of the original package: each says what replaces it, and runs that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from nemo_gym.cli.main import main as gym
from nemo_gym.cli.texts import print_error
from nemo_gym.wire.errors import did_you_mean

SAME: Final[dict[str, tuple[str, ...]]] = {
    "collect_rollouts": ("eval", "run", "--no-serve"),
    "dump_config": ("env", "resolve"),
    "e2e_collect_rollouts": ("eval", "run"),
    "help": ("--help",),
    "list_benchmarks": ("env", "list"),
    "run": ("env", "start"),
    "status": ("env", "status"),
    "validate": ("env", "validate"),
    "version": ("--version",),
}
"""What replaces a command and takes the words that it took."""
OTHER: Final = {
    "aggregate_rollouts": "`gym runs show OUTPUT` prints the metrics of a run",
    "delete_dataset_from_gitlab": "use GitLab's own tools",
    "dev_test": "use pytest",
    "download_dataset_from_gitlab": "use GitLab's own tools, then --input FILE",
    "download_dataset_from_hf": "use `hf download`, then --input FILE",
    "gitlab_to_hf_dataset": "use `hf upload`",
    "init_resources_server": "`gym env init NAME` writes a new environment",
    "materialize_prompts": "`gym run --prompt-config FILE` fills prompts in while it plans",
    "pip_list": "use pip in the environment that serves",
    "prepare_benchmark": "run the benchmark's prepare_script with Python",
    "prepare_data": "`gym eval run --config FILE` reads the declared data sets itself",
    "reinstall": "use pip",
    "reward_profile": "`gym runs show OUTPUT` prints the metrics of a run",
    "test": "`gym env check NAME` checks an environment; pytest runs a server's tests",
    "test_all": "`gym env check NAME` checks an environment; pytest runs a server's tests",
    "upload_dataset_to_gitlab": "use GitLab's own tools",
    "upload_dataset_to_hf": "use `hf upload`",
}
"""What to do instead of a command that has no successor of the same form."""
PREFIXES: Final = ("nemo_gym_", "ng_")


def main() -> None:
    """Run the command that this program is called as."""
    name = Path(sys.argv[0]).stem
    command = next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)
    if command in SAME:
        print_error(f"{name} is deprecated: it is now `gym {' '.join(SAME[command])}`")
        words = [] if command in _WORDLESS else sys.argv[1:]
        sys.argv[:] = ["gym", *SAME[command], *words]
        gym()
        return
    instead = OTHER.get(command) or f"there is no such command.{did_you_mean(command, {*SAME, *OTHER})}"
    print_error(f"{name} has no successor of the same form: {instead}")
    sys.exit(2)


_WORDLESS: Final = frozenset({"help", "status", "version"})
"""Commands whose successors take no changes to a configuration."""
