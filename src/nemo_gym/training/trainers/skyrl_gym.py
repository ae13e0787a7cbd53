"""skyrl-gym: an environment of this package as one that SkyRL's own generator plays.

SkyRL then renders and samples the turns, so it offers no tools in the chat template: they are in the system
message, and their results come as user messages, both in the form of Hermes models. A rollout that fails
raises, because skyrl-gym has no mark for it; `trainers.skyrl` masks such rollouts instead.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, cast
from uuid import uuid4

from nemo_gym.models.policies.answers import answer_items
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.episodes import Episode, Turn
from nemo_gym.training.rollout_models import RolloutModels
from nemo_gym.training.rollouts import Rollouts
from nemo_gym.training.trainers.skyrl import TASK, WHERE
from nemo_gym.training.trainers.task_rows import row_of
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import RolloutError, UsageError
from nemo_gym.wire.json_values import content_text
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

Messages = list[dict[str, str]]


@contextmanager
def registered(
    environment: Any, *, env_class: str = "nemo_gym", end: str = "<|im_end|>", **options: Any
) -> Generator[Rollouts, None, None]:
    """Register an environment with skyrl-gym under the id `env_class`, for the length of a block.

    The rows of the data set are those of `skyrl.dataset_rows`. Several episodes may run at the same time, in
    any thread.

    Args:
        environment: as of `Rollouts`; `options` too.
        end: the text of the token that ends an answer, which SkyRL leaves in the text of an answer.

    Raises:
        UsageError: skyrl-gym is not installed.
    """
    try:
        registration: Any = import_module("skyrl_gym.envs.registration")
    except ImportError as error:
        raise UsageError(f"skyrl_gym needs {error.name}: pip install skyrl-gym") from None
    models = RolloutModels()
    with Rollouts(environment, model=models, **options) as gym:
        registration.register(id=env_class, entry_point=_env_class(gym, models, end))
        try:
            yield gym
        finally:
            registration.deregister(env_class)


def _env_class(gym: Rollouts, models: RolloutModels, end: str) -> Any:
    base: Any = import_module("skyrl_gym.envs.base_text_env").BaseTextEnv

    class NeMoGymEnv(base):
        """One episode; SkyRL makes an object for each."""

        def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:
            base.__init__(self)
            extras = extras or {}
            self.turns: int = 0
            self.max_turns: int = extras.get("max_turns") or 0
            self._episode = Episode(partial(models.collect, gym, row_of(extras.get(TASK), WHERE)))
            self._has_tools = False
            self._metrics: dict[str, float] = {}

        def init(self, prompt: Any) -> tuple[Messages, dict[str, Any]]:
            """The first messages, which are those of the task and not of the data set's `prompt`."""
            turn = gym.start(self._episode.begin()).result()
            if isinstance(turn, CollectedRollout):
                raise turn.failure or RolloutError("the rollout ended before its first turn")
            self._has_tools = bool(turn.get("tools"))
            return _opening(turn), {}

        def step(self, action: str) -> dict[str, Any]:
            """Play an answer of the model.

            Raises:
                RolloutError: the rollout failed.
            """
            self.turns += 1
            text = action.removesuffix(end)
            items = answer_items(text, id=uuid4().hex, has_tools=self._has_tools)
            turn: Turn = gym.start(self._episode.answer(Response.of(items))).result()
            if not isinstance(turn, CollectedRollout) and self.turns == self.max_turns:
                turn = gym.start(self._episode.give_up()).result()
            if not isinstance(turn, CollectedRollout):
                return _step(_news(turn))
            if turn.failure is not None or turn.reward is None:
                raise turn.failure or RolloutError("the rollout has no reward")
            self._metrics = dict(turn.components or {})
            return _step([], reward=turn.reward, done=True, metadata={"outcome": turn.outcome})

        def close(self) -> None:
            gym.start(self._episode.aclose()).result()

        def get_metrics(self) -> dict[str, float]:
            """The components of the reward."""
            return self._metrics

    return NeMoGymEnv


def _step(
    observations: Messages,
    *,
    reward: float = 0.0,
    done: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "observations": observations,
        "reward": reward,
        "done": done,
        "metadata": dict(metadata or {}),
        "postprocessed_action": None,
    }


def _opening(params: RequestParams) -> Messages:
    """The first messages, with the tools in the system message."""
    request = chat_request(params)
    messages = [_plain(message) for message in request["messages"]]
    if tools := request.get("tools"):
        lines = "\n".join(json.dumps(tool["function"]) for tool in tools)
        text = f"{_TOOLS}\n<tools>\n{lines}\n</tools>"
        if messages and messages[0]["role"] == "system":
            messages[0] = {"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}
        else:
            messages.insert(0, {"role": "system", "content": text})
    return messages


_TOOLS = (
    "You can call the tools below. Write each call as a JSON object with the name of the tool and its "
    'arguments: <tool_call>{"name": "...", "arguments": {...}}</tool_call>'
)


def _news(params: RequestParams) -> Messages:
    """What came after the last answer."""
    messages = cast("list[dict[str, Any]]", chat_request(params)["messages"])
    last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
    return [_plain(message) for message in messages[last + 1 :]]


def _plain(message: Mapping[str, Any]) -> dict[str, str]:
    """A message as every chat template takes it."""
    text = content_text(message["content"])
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{text}\n</tool_response>"}
    return {"role": message["role"], "content": text}
