"""Token ids once in a file: every model call's prompt repeats all tokens before it, so rows would grow with
the square of the turns.

A packed item has `added_prompt_token_ids` in place of `prompt_token_ids`: the tokens that its prompt adds to
the prompt and the sampled tokens of the item before it that carries tokens. An item whose prompt doesn't
continue that one stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from nemo_gym.wire import keys
from nemo_gym.wire.items import TOKEN_FIELDS

ADDED: Final = "added_prompt_token_ids"
_PROMPT, _SAMPLED, _ = TOKEN_FIELDS


def pack_items(items: Sequence[Any]) -> list[Any]:
    """The items of one branch with each token id once."""
    return _convert(items, _packed)


def expand_items(items: Sequence[Any]) -> list[Any]:
    """The items of one branch with the whole prompt of every model call.

    Raises:
        ValueError: an item continues tokens that no item before it has.
    """
    return _convert(items, _expanded)


def pack_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a rollouts file, with each token id of a branch once."""
    return _convert_row(row, pack_items)


def expand_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a rollouts file, packed or not, as trainers expect it.

    Raises:
        ValueError: an item continues tokens that no item before it has.
    """
    return _convert_row(row, expand_items)


def has_tokens(items: Sequence[Any]) -> bool:
    """Whether an item carries the tokens of a model call."""
    return any(_SAMPLED in item for item in items)


def _packed(item: dict[str, Any], seen: list[int] | None) -> tuple[dict[str, Any], list[int] | None]:
    prompt, sampled = item.get(_PROMPT), item.get(_SAMPLED)
    if isinstance(item.get(ADDED), list):
        return item, _expanded(item, seen)[1]
    if not isinstance(prompt, list) or not isinstance(sampled, list):
        return item, seen
    ids, whole = cast("list[int]", prompt), [*cast("list[int]", prompt), *cast("list[int]", sampled)]
    if seen is None or ids[: len(seen)] != seen:
        return item, whole
    return _replaced(item, _PROMPT, ADDED, ids[len(seen) :]), whole


def _expanded(item: dict[str, Any], seen: list[int] | None) -> tuple[dict[str, Any], list[int] | None]:
    added, sampled = item.get(ADDED), item.get(_SAMPLED)
    if isinstance(added, list):
        if seen is None:
            raise ValueError(f"{ADDED} without an item before it that has tokens")
        item = _replaced(item, ADDED, _PROMPT, [*seen, *cast("list[int]", added)])
    prompt = item.get(_PROMPT)
    if not isinstance(prompt, list) or not isinstance(sampled, list):
        return item, seen
    return item, [*cast("list[int]", prompt), *cast("list[int]", sampled)]


def _replaced(item: dict[str, Any], old: str, new: str, value: list[int]) -> dict[str, Any]:
    """The item with another field in the place of `old`."""
    return {new if name == old else name: value if name == old else one for name, one in item.items()}


def _convert(items: Sequence[Any], change: Any) -> list[Any]:
    out: list[Any] = []
    seen: list[int] | None = None
    for item in items:
        if isinstance(item, dict):
            item, seen = change(item, seen)
        out.append(item)
    return out


def _convert_row(row: Mapping[str, Any], change: Any) -> dict[str, Any]:
    out = dict(row)
    response = row.get(keys.RESPONSE)
    if isinstance(response, dict) and isinstance(cast("dict[str, Any]", response).get("output"), list):
        fields = cast("dict[str, Any]", response)
        out[keys.RESPONSE] = {**fields, "output": change(fields["output"])}
    trajectory = row.get(keys.TRAJECTORY)
    if isinstance(trajectory, dict):
        fields = cast("dict[str, Any]", trajectory)
        invocations = fields.get("invocations")
        if isinstance(invocations, list):
            changed = [_convert_invocation(one, change) for one in cast("list[Any]", invocations)]
            out[keys.TRAJECTORY] = {**fields, "invocations": changed}
    return out


def _convert_invocation(invocation: Any, change: Any) -> Any:
    if not isinstance(invocation, dict):
        return invocation
    fields = cast("dict[str, Any]", invocation)
    conversation = fields.get("conversation")
    return {**fields, "conversation": change(conversation)} if isinstance(conversation, list) else fields
