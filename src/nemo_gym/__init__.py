"""RL environments and verified rollouts, at scale. Importing this package loads nothing heavy."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from nemo_gym.agents.base import Agent as Agent
    from nemo_gym.assembly.collect import collect as collect
    from nemo_gym.assembly.model import model as model
    from nemo_gym.environments.base import Environment as Environment
    from nemo_gym.environments.base import Golden as Golden
    from nemo_gym.environments.base import Observation as Observation
    from nemo_gym.environments.base import Step as Step
    from nemo_gym.environments.base import StepEnvironment as StepEnvironment
    from nemo_gym.environments.blocking_hooks import blocking as blocking
    from nemo_gym.environments.generated_tasks import generate_tasks as generate_tasks
    from nemo_gym.environments.route import route as route
    from nemo_gym.environments.session import Session as Session
    from nemo_gym.environments.tool import ToolError as ToolError
    from nemo_gym.environments.tool import tool as tool
    from nemo_gym.models.base import Model as Model
    from nemo_gym.wire.params import ask as ask
    from nemo_gym.wire.response import Response as Response
    from nemo_gym.wire.rollout import Reward as Reward
    from nemo_gym.wire.rollout import Rollout as Rollout
    from nemo_gym.wire.task import Task as Task

__version__ = "1.0.0.dev0"


class _OriginalModules:
    """Finds the modules that existing NeMo Gym code imports under names that have no file here."""

    @staticmethod
    def find_spec(name: str, *_: object) -> ModuleSpec | None:
        if not name.startswith("nemo_gym."):
            return None
        return importlib.import_module("nemo_gym.compat.table").spec_of(name)


sys.meta_path.append(_OriginalModules)


_HOMES = {
    "Agent": "agents.base",
    "Environment": "environments.base",
    "Golden": "environments.base",
    "Model": "models.base",
    "Observation": "environments.base",
    "Response": "wire.response",
    "Reward": "wire.rollout",
    "Rollout": "wire.rollout",
    "Session": "environments.session",
    "Step": "environments.base",
    "StepEnvironment": "environments.base",
    "Task": "wire.task",
    "ToolError": "environments.tool",
    "ask": "wire.params",
    "blocking": "environments.blocking_hooks",
    "collect": "assembly.collect",
    "generate_tasks": "environments.generated_tasks",
    "model": "assembly.model",
    "route": "environments.route",
    "tool": "environments.tool",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        value = importlib.import_module("nemo_gym.compat.table").original_name(__name__, name)
    else:
        value = getattr(importlib.import_module(f"nemo_gym.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
