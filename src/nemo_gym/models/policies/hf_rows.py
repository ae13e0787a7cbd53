"""The rows that a `transformers` model decodes at once: they join and leave between two tokens."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from nemo_gym.models.policies.base import Sampled, Sampling


@dataclass(slots=True, eq=False)
class Row:
    """A prompt and what has been sampled for it."""

    prompt: list[int]
    sampling: Sampling
    deliver: Callable[[Sampled | BaseException], None]
    cancelled: bool = False
    ids: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    versions: list[int] = field(default_factory=list[int])
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.sampling.seed)

    def sampled(self, *, ended: bool) -> Sampled:
        """The answer."""
        return Sampled(ids=self.ids, logprobs=self.logprobs, ended=ended, version=self.versions)


class Rows:
    """One batch with its key-value cache. Prompts are padded on the left.

    The rows of a token share one forward pass. Equal prompts, and the common start of different ones, are
    computed once.

    Args:
        model: a causal language model of `transformers`.
        end_ids: the tokens that end an answer.
    """

    def __init__(self, model: Any, end_ids: frozenset[int]) -> None:
        self._torch: Any = import_module("torch")
        self._library: Any = import_module("transformers")
        self._plain_layer: Any = import_module("transformers.cache_utils").DynamicLayer
        self._model = model
        self._end_ids = end_ids
        forward: Callable[..., Any] = model.forward
        names = inspect.signature(forward).parameters
        self._cache_name = "cache" if "cache" in names else "past_key_values"
        self._rows: list[Row] = []
        self._cache: Any = None
        self._mask: Any = None
        """[rows, columns], 1 for a token and 0 for padding; its columns are those of the cache."""

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def can_join(self) -> bool:
        """Whether new rows can join those that are there; a cache with a sliding window forbids it."""
        return not self._rows or self._has_columns(self._cache)

    def join(self, rows: Sequence[Row], version: int) -> list[Row]:
        """Read the prompts of new rows and sample the first token of each; the rows that end with it."""
        ended: list[Row] = []
        for chunk in _chunks(rows):
            numbers: dict[tuple[int, ...], int] = {}
            places = self._tensor([numbers.setdefault(tuple(row.prompt), len(numbers)) for row in chunk])
            cache, mask, logits = self._read(list(numbers))
            if len(numbers) < len(chunk):
                cache.batch_select_indices(places)
            self._append(chunk, cache, mask[places])
            self._sample(chunk, logits[places], version)
            ended += self._leave()
        return ended

    def step(self, version: int) -> list[Row]:
        """Sample one token for every row; the rows that end with it."""
        torch = self._torch
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._rows), 1)], -1)
        last = self._tensor([[row.ids[-1]] for row in self._rows])
        logits = self._forward(last, self._mask, self._cache)
        self._sample(self._rows, logits, version)
        return self._leave()

    def clear(self) -> list[Row]:
        """Forget every row."""
        rows, self._rows, self._cache, self._mask = self._rows, [], None, None
        return rows

    def _has_columns(self, cache: Any) -> bool:
        return all(type(one) is self._plain_layer for one in cache.layers)

    def _tensor(self, values: Any) -> Any:
        return self._torch.tensor(values, device=self._model.device)

    def _forward(self, ids: Any, mask: Any, cache: Any) -> Any:
        """The logits of the last column, [rows, vocabulary]; the cache grows by `ids`."""
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
            **{self._cache_name: cache},
        )
        return output.logits[:, -1].float()

    def _read(self, prompts: Sequence[tuple[int, ...]]) -> tuple[Any, Any, Any]:
        """The cache, the mask and the last logits of prompts."""
        torch, count = self._torch, len(prompts)
        cache = self._library.DynamicCache(config=self._model.config)
        common = _common_start(prompts) if count > 1 else 0
        mask = self._tensor([[1] * common] * count)
        if common < _WORTH_SHARING or not self._has_columns(cache):
            common, mask = 0, mask[:, :0]
        else:
            start = self._tensor([list(prompts[0][:common])])
            self._forward(start, torch.ones_like(start), cache)
            cache.batch_repeat_interleave(count)
        rests = [list(prompt[common:]) for prompt in prompts]
        width = max(map(len, rests))
        padded = self._tensor([[0] * (width - len(rest)) + rest for rest in rests])
        places = self._tensor([[0] * (width - len(rest)) + [1] * len(rest) for rest in rests])
        mask = torch.cat([mask.long(), places], -1)
        return cache, mask, self._forward(padded, mask, cache)

    def _append(self, rows: Sequence[Row], cache: Any, mask: Any) -> None:
        if not self._rows:
            self._rows, self._cache, self._mask = list(rows), cache, mask
            return
        torch, pad = self._torch, self._torch.nn.functional.pad
        missing = self._mask.shape[1] - mask.shape[1]
        old, new = max(-missing, 0), max(missing, 0)
        self._mask = torch.cat([pad(self._mask, (old, 0)), pad(mask, (new, 0))])
        for mine, other in zip(self._cache.layers, cache.layers, strict=True):
            for name in ("keys", "values"):
                pair = (
                    pad(getattr(mine, name), (0, 0, old, 0)),
                    pad(getattr(other, name), (0, 0, new, 0)),
                )
                setattr(mine, name, torch.cat(pair))
        self._rows += rows

    def _sample(self, rows: Sequence[Row], logits: Any, version: int) -> None:
        torch = self._torch
        heat = self._tensor([row.sampling.temperature or 1.0 for row in rows]).unsqueeze(-1)
        logprobs = torch.log_softmax(logits / heat, -1)
        if any(row.sampling.top_p < 1 for row in rows):
            logprobs = self._nucleus(logprobs, self._tensor([row.sampling.top_p for row in rows]))
        shares = logprobs.double().exp().cumsum(-1)
        points = self._tensor([row.random.random() for row in rows]).double() * shares[:, -1]
        drawn = torch.searchsorted(shares, points.unsqueeze(-1), right=True).clamp(max=shares.shape[1] - 1)
        greedy = self._tensor([row.sampling.temperature <= 0 for row in rows]).unsqueeze(-1)
        ids = torch.where(greedy, logprobs.argmax(-1, keepdim=True), drawn)
        values = logprobs.gather(-1, ids).squeeze(-1).clamp(max=0).tolist()
        for row, token, value in zip(rows, ids.squeeze(-1).tolist(), values, strict=True):
            row.ids.append(token)
            row.logprobs.append(value)
            row.versions.append(version)

    def _nucleus(self, logprobs: Any, top_p: Any) -> Any:
        """The distributions of the most likely tokens that together have the probability `top_p`."""
        torch = self._torch
        ordered, order = logprobs.sort(-1, descending=True)
        before = ordered.exp().cumsum(-1) - ordered.exp()
        ordered = ordered.masked_fill(before >= top_p.unsqueeze(-1), float("-inf"))
        return torch.log_softmax(torch.full_like(logprobs, float("-inf")).scatter(-1, order, ordered), -1)

    def _leave(self) -> list[Row]:
        """Take out the rows that have ended or were cancelled, and the columns that only they needed."""
        ended = [row for row in self._rows if row.cancelled or self._is_complete(row)]
        if not ended:
            return []
        gone = set(map(id, ended))
        stay = [place for place, row in enumerate(self._rows) if id(row) not in gone]
        self._rows = [self._rows[place] for place in stay]
        if not stay:
            self.clear()
            return ended
        self._cache.batch_select_indices(self._tensor(stay))
        self._mask = self._mask[self._tensor(stay)]
        empty = int((self._mask.cumsum(-1) > 0).any(0).int().argmax())
        if empty and self.can_join:
            self._mask = self._mask[:, empty:]
            for layer in self._cache.layers:
                layer.keys, layer.values = layer.keys[..., empty:, :], layer.values[..., empty:, :]
        return ended

    def _is_complete(self, row: Row) -> bool:
        return len(row.ids) >= row.sampling.max_tokens or row.ids[-1] in self._end_ids


_WORTH_SHARING: Final = 8
"""The fewest tokens of a common start that are worth a forward pass of their own."""
_MOST_TOKENS: Final = 16384
"""The most tokens, padding included, of one forward pass over prompts."""


def _chunks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows by length, in groups whose padded prompts fit into one forward pass."""
    chunk: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.prompt)):
        if chunk and (len(chunk) + 1) * len(row.prompt) > _MOST_TOKENS:
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk


def _common_start(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many first tokens all prompts share, but never all tokens of one."""
    low, high = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    return next((place for place in range(most) if low[place] != high[place]), most)
