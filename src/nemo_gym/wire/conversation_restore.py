"""Restores the model's own items in a conversation that a harness sends back.

Harnesses and dialects change the history: they leave out reasoning, write the JSON of arguments again, and
have no place for token ids. A model that continues exactly what it sampled needs its own items back."""

from __future__ import annotations

from typing import NamedTuple, cast

from nemo_gym.wire.item_text import from_model, item_text, news_after
from nemo_gym.wire.items import Item
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response


class ConversationRestorer:
    """Restores the requests of one rollout, from its model calls so far."""

    def __init__(self) -> None:
        self._turns: list[_Turn] = []

    def restore(self, params: RequestParams) -> RequestParams:
        """The same request with the model's own items where it continues an earlier call. A request with a
        different history, as after a compaction, stays as it is."""
        items = input_items(params)
        text = item_text(items)
        longest: _Turn | None = None
        for turn in self._turns:
            if text.startswith(turn.text) and (longest is None or len(turn.text) >= len(longest.text)):
                longest = turn
        if longest is None:
            return params
        new = news_after(longest.text, items)
        if _others(items[: len(items) - len(new)]) != _others(longest.items):
            return params
        return cast("RequestParams", {**params, "input": [*longest.items, *new]})

    def add(self, params: RequestParams, response: Response) -> None:
        """Remember a call: the restored request and the answer."""
        if item_text(response.output):
            items = [*input_items(params), *response.output]
            self._turns.append(_Turn(items, item_text(items)))


class _Turn(NamedTuple):
    items: list[Item]
    text: bytes


def _others(items: list[Item]) -> list[Item]:
    return [item for item in items if not from_model(item)]
