"""Adds the captured model calls to the results of a trainer's batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from nemo_gym.capture.capture_records import capture_column
from nemo_gym.capture.finalise import Finaliser, retirable
from nemo_gym.capture.settings import CaptureSettings, capture_settings
from nemo_gym.capture.stores import FileCapture
from nemo_gym.compat.agent_servers import AgentServers, RolloutFailed
from nemo_gym.compat.global_config import maybe_get_global_config_dict, plain_config
from nemo_gym.config.instances import find_instances
from nemo_gym.wire import keys
from nemo_gym.wire.task import Row, named_agent
from nemo_gym.wire.validation import read_response


def configured_capture() -> CaptureSettings | None:
    """The capture settings of this process's configuration; None if it captures nothing.

    Raises:
        GymError: the configuration can't be used.
    """
    config = maybe_get_global_config_dict()
    if config is None:
        return None
    tree = plain_config(config)
    agents = {
        instance.name: instance.settings
        for instance in find_instances(tree).instances.values()
        if instance.kind == "responses_api_agents"
    }
    return capture_settings(tree, agents)


class CapturedServers:
    """Agent servers whose results include their model calls. Every rollout gets a unique id, so that parallel
    batches and repeated rows stay separate.

    Raises:
        UsageError: a store can't be built.
    """

    def __init__(self, servers: AgentServers, settings: CaptureSettings) -> None:
        self._servers = servers
        self._settings = settings
        self._calls = FileCapture(Path(settings.calls)) if settings.calls else None
        tokens = settings.tokens
        self._finaliser: Finaliser | None = None
        if tokens is not None and tokens.rebuild_response:
            self._finaliser = Finaliser(tokens.source(), tokens.strategy)

    async def result_of(self, row: Row) -> dict[str, Any]:
        """The result of one rollout; raises as `AgentServers.result_of`."""
        rollout_id = f"{str(row.get(keys.ROLLOUT_ID) or 'rollout')[:160]}.{uuid4().hex}"
        excluded = {*keys.CAPTURE_KEYS, keys.ATTEMPT_INDEX}
        own = {name: value for name, value in row.items() if name not in excluded}
        result = await self._servers.result_of({**own, keys.ROLLOUT_ID: rollout_id})
        if self._calls is not None and keys.MODEL_CALL_CAPTURE not in result:
            lines, incomplete = await self._calls.lines(rollout_id)
            result[keys.MODEL_CALL_CAPTURE] = capture_column(rollout_id, lines, incomplete=incomplete)
        if self._finaliser is not None and self._settings.captures_tokens_of(named_agent(row)):
            try:
                answer = read_response(result.get(keys.RESPONSE))
            except ValueError as error:
                raise RolloutFailed(f"agent {named_agent(row)!r}: invalid response: {error}", 502) from None
            response, columns = await self._finaliser.finish(row, rollout_id, answer, result)
            result |= {keys.RESPONSE: response.data, **columns}
            await self._finaliser.retire(retirable(columns))
        return result
