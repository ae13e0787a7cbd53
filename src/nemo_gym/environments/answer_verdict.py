"""The verdict of an environment on an answer that another program has generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec

from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.wire.chat import params_from_chat
from nemo_gym.wire.errors import RolloutError, UsageError
from nemo_gym.wire.items import Item, assistant, check_items
from nemo_gym.wire.json_values import objects, objects_of
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row, Task


class Verdict(msgspec.Struct, kw_only=True):
    """The result of one verification; without a reward, `reason` says why it failed."""

    is_valid: bool | None
    """Whether the reward counts as solved; None where the verification failed."""
    reward: float | None = None
    reward_components: dict[str, float] | None = None
    reason: str
    """The verifier's own reason if it gives one, else `solved` or `not_solved`."""


async def answer_verdict(link: EnvironmentLink, row: Row, answer: object) -> Verdict:
    """The verdict on an answer to a task row, never an exception for a row or an answer that doesn't fit.

    Args:
        answer: a text, chat messages such as a trace of tool calls, or a Response object.
    """
    try:
        if link.steps:
            raise UsageError("one answer to an environment with reset and step can't be verified")
        response = response_of(answer)
        async with link.session(row) as session:
            if isinstance(link, LocalEnvironment) and link.environment.cohort_size(session.task) > 1:
                raise UsageError("the environment compares several answers to a task: one can't be verified")
            reward = await link.verify(session, response)
            return _verdict(reward, solved_at=session.scale.solved_at)
    except (RolloutError, UsageError) as error:
        return Verdict(is_valid=None, reason=without_secrets(str(error)))


def response_of(answer: object) -> Response:
    """An answer as a response.

    Raises:
        UsageError: it is neither a text, nor chat messages with an answer, nor a Response object.
    """
    match answer:
        case str():
            return Response.of([assistant(answer)])
        case list():
            return Response.of(answer_items(cast("list[Any]", answer)))
        case {"output": list()}:
            data = cast("dict[str, Any]", answer)
            check_items(data["output"], "answer.output")
            return Response(data)
        case None:
            raise UsageError("the answer is null")
        case _:
            kind = type(answer).__name__
            raise UsageError(f"the answer is {kind}: expected a text, chat messages or a Response object")


def answer_items(trace: list[Any]) -> list[Item]:
    """The items of chat messages, from the first message of the model on.

    Raises:
        UsageError: there is none, or a message can't be read.
    """
    messages = [plain_message(one) for one in objects(trace, "messages")]
    start = next((place for place, one in enumerate(messages) if one.get("role") == "assistant"), None)
    if start is None:
        raise UsageError("the messages have no answer of a model")
    return list(params_from_chat({"messages": messages[start:]}).get("input") or [])  # type: ignore[arg-type]


def typed_columns(row: Row, kind: type[Task]) -> Row:
    """The row with JSON text decoded in the fields of a task that take no text. Tables of other programs keep
    objects as text."""
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}

    def fits(name: str, text: str) -> bool:
        try:
            msgspec.convert(text, types[name])
        except msgspec.ValidationError:
            return False
        return True

    return decoded_columns(row, types, fits)


def decoded_columns(row: Row, names: Iterable[str], fits: Callable[[str, str], bool]) -> Row:
    """The row with JSON text decoded in those of the columns `names` that a text doesn't fit."""
    decoded = dict(row)
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and not fits(name, value):
            with suppress(msgspec.DecodeError, RecursionError):
                decoded[name] = msgspec.json.decode(value)
    return decoded


def plain_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message without the nulls that columns of a table fill in, and with text instead of parts of text."""
    plain = {name: value for name, value in message.items() if value not in (None, [])}
    content = plain.get("content", "")
    parts = objects_of(content)
    if parts and all(part.get("type") == "text" for part in parts):
        content = "".join(str(part.get("text") or "") for part in parts)
    plain["content"] = content
    if calls := objects_of(plain.get("tool_calls")):
        plain["tool_calls"] = [{"id": "", "type": "function", **call} for call in calls]
    return plain


def _verdict(reward: Reward, *, solved_at: float) -> Verdict:
    solved = reward.value >= solved_at
    reason = reward.details.get("reason")
    return Verdict(
        is_valid=solved,
        reward=reward.value,
        reward_components=None if reward.components is None else dict(reward.components),
        reason=reason if isinstance(reason, str) else "solved" if solved else "not_solved",
    )
