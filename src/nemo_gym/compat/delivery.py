"""The last check of a result before a trainer gets it: a score, and tokens that it can train on."""

from __future__ import annotations

from typing import Any, Final, cast

from nemo_gym.wire import keys
from nemo_gym.wire.errors import VerifierFault
from nemo_gym.wire.json_values import object_of, objects_of
from nemo_gym.wire.token_spans import TokenProblem, usable_tokens
from nemo_gym.wire.validation import read_reward


def checked_result(result: dict[str, Any]) -> dict[str, Any]:
    """The result of `/run`, masked with a reason where its tokens can't be trained on.

    The items keep the tokens that continue each other and lose the others, so that a trainer which puts them
    into one sequence before it reads `mask_sample` does not stop.

    Raises:
        ValueError: it has no reward, or no response with a list of items.
    """
    try:
        read_reward(result, {})
    except VerifierFault as error:
        raise ValueError(f"reward: {error}") from None
    response = object_of(result.get(keys.RESPONSE))
    output = response.get("output")
    if not isinstance(output, list) or not all(isinstance(item, dict) for item in cast("list[Any]", output)):
        raise ValueError("response.output: expected a list of items")
    items, problem = usable_tokens(cast("list[Any]", output))
    if problem is None:
        return result
    checked = {**result, keys.RESPONSE: {**response, "output": items}, keys.MASK_SAMPLE: True}
    return {**checked, keys.TOKEN_CAPTURE: _with_reason(object_of(result.get(keys.TOKEN_CAPTURE)), problem)}


def _with_reason(column: dict[str, Any], problem: TokenProblem) -> dict[str, Any]:
    """`_ng_token_capture` with the reason in it, also for its main branch. A reason of the capture stays."""
    if column.get(_MASKED):
        return column
    reason: dict[str, Any] = {_MASKED: problem.reason, "detail": problem.detail}
    branches = objects_of(column.get(_BRANCHES))
    if branches:
        reason[_BRANCHES] = [{**branches[0], _MASKED: problem.reason}, *branches[1:]]
    return {**column, **reason}


_MASKED: Final = "masked"
_BRANCHES: Final = "branches"
