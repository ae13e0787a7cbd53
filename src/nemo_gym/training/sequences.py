"""Token sequences of a rollout: what the policy saw and sampled, as arrays.

A branch of a rollout is one sequence. Its prompt is that of the first model call; its completion is
everything after it, sampled tokens and the tokens that the environment added between them. The invariant: the
prompt of every later call is exactly what stands before its sampled tokens, so `prompt_ids` and
`completion_ids` together are what the model saw. Where that is not so, the sequence ends before the break and
has a `mask`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt

from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError
from nemo_gym.wire.json_values import object_of, objects_of, text_of
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.token_packing import ADDED
from nemo_gym.wire.token_spans import Span, TokenFault, is_input, read_span

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_Index = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]

UNKNOWN_VERSION: Final = -1
"""The policy version of a token that the policy did not sample, or whose version nobody recorded."""
TRUNCATED_OUTCOMES: Final = frozenset(
    {
        *("max_steps", "max_turns", "max_output_tokens", "context_overflow", "truncated"),
        "session_budget_exhausted",
    }
)
"""Outcomes of rollouts that were cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSequence:
    """One branch of a rollout. P is the number of prompt tokens, C that of completion tokens, T of turns."""

    prompt_ids: Ints
    """[P], the prompt of the first model call."""
    completion_ids: Ints
    """[C], everything after it."""
    loss_mask: Bools
    """[C], true for the tokens that the policy sampled and that are trained on."""
    logprobs: Floats
    """[C], the policy's log-probabilities at sampling time; 0 where it did not sample."""
    versions: Ints
    """[C], the policy version that sampled each token, or `UNKNOWN_VERSION`."""
    turns: Ints
    """[T, 2], start and end of each model call's tokens in the completion."""
    step_rewards: Floats | None = None
    """[T], the reward of each step, where the environment gives one for every model call."""
    reward: float | None = None
    """The reward of the whole rollout; None when it failed."""
    components: Mapping[str, float] = field(default_factory=dict[str, float])
    task_index: int = 0
    rollout_index: int = 0
    branch: int = 0
    """0 is the main branch."""
    truncated: bool = False
    """Whether the rollout was cut off by a limit."""
    mask: str | None = None
    """Why a trainer must not use this sequence, or None: `failed`, `flagged` (the row says so), `no_calls`,
    `source_failed`, a reason of `wire.token_spans.TokenProblem`, or one of `wire.call_tree.Mask`."""

    def __len__(self) -> int:
        """P + C."""
        return len(self.prompt_ids) + len(self.completion_ids)

    @property
    def ids(self) -> Ints:
        """[P + C], what the model saw and sampled."""
        return np.concatenate((self.prompt_ids, self.completion_ids))


def sequences(rollout: Rollout | Mapping[str, Any], *, split: bool = False) -> list[TokenSequence]:
    """The sequences of a rollout or of a row of a rollouts file, the main branch first.

    Args:
        split: where a prompt does not continue what stands before it, start another sequence with that
            prompt, instead of masking the branch. Every part is still exactly what the model saw.

    Returns:
        At least one sequence; one without tokens where the rollout has none.

    Raises:
        DataError: the row is not one of a rollouts file.
    """
    if not isinstance(rollout, Rollout):
        _check(rollout)
        rollout = Rollout.from_row(dict(rollout), expand=False)
    row = {**rollout.row, **rollout.details}
    flag = _flag(rollout, row)
    frame = _Frame(rollout, _step_rewards(row))
    out: list[TokenSequence] = []
    for place, (items, reason) in enumerate(branches(rollout)):
        for part in _parts(items, split=split):
            mask = flag or (None if split and reason == "tokens_not_contiguous" else reason)
            out.append(frame.sequence(part, branch=place, mask=mask or part.mask))
    return out


def branches(rollout: Rollout) -> Iterator[tuple[Sequence[Mapping[str, Any]], str | None]]:
    """The items of every branch, the main one first, and why it must not be trained on."""
    row = {**rollout.row, **rollout.details}
    output = cast("list[dict[str, Any]]", rollout.response.output if rollout.response else [])
    reports = objects_of(object_of(row.get(keys.TOKEN_CAPTURE)).get("branches"))
    yield output, text_of(reports[0].get("masked")) or None if reports else None
    invocations = {
        text_of(one.get("invocation_id")): objects_of(one.get("conversation"))
        for one in objects_of(object_of(row.get(keys.TRAJECTORY)).get("invocations"))
    }
    for report in reports[1:]:
        items = invocations.get(text_of(report.get("invocation_id")), [])
        yield items, text_of(report.get("masked")) or None


class _Response(msgspec.Struct):
    output: list[dict[str, Any]]


_COLUMNS: Final = {
    "task_index": keys.TASK_INDEX,
    "rollout_index": keys.ROLLOUT_INDEX,
    "outcome": keys.OUTCOME,
    "components": keys.REWARD_COMPONENTS,
}


class _Row(msgspec.Struct, rename=_COLUMNS):
    """The columns of a row that a sequence needs."""

    task_index: _Index = 0
    rollout_index: _Index = 0
    response: _Response | None = None
    reward: float | None = None
    components: dict[str, float] | None = None
    outcome: str = ""


def _check(row: Mapping[str, Any]) -> None:
    try:
        msgspec.convert(row, _Row)
    except msgspec.ValidationError as error:
        raise DataError(f"not a row of a rollouts file: {error}") from None


@dataclass(slots=True)
class _Part:
    """Spans that continue each other."""

    prompt: list[int] = field(default_factory=list[int])
    completion: list[int] = field(default_factory=list[int])
    sampled: list[tuple[int, int, Span]] = field(default_factory=list[tuple[int, int, Span]])
    """Start and end in the completion, and the span itself."""
    mask: str | None = None

    def continues(self, span: Span) -> bool:
        prompt = span.prompt_token_ids
        if not self.sampled or prompt is None:
            return True
        known = len(self.prompt)
        return (
            prompt[:known] == self.prompt and prompt[known : known + len(self.completion)] == self.completion
        )

    def add(self, span: Span) -> None:
        prompt = span.prompt_token_ids
        if self.sampled:
            whole = len(self.prompt) + len(self.completion)
            self.completion.extend(
                prompt[whole:] if prompt is not None else span.added_prompt_token_ids or ()
            )
        elif prompt is None:
            raise TokenFault(f"{ADDED} without tokens before it")
        else:
            self.prompt = prompt
        start = len(self.completion)
        self.completion.extend(span.generation_token_ids)
        self.sampled.append((start, len(self.completion), span))


def _parts(items: Sequence[Mapping[str, Any]], *, split: bool) -> list[_Part]:
    parts = [_Part()]
    try:
        for item in items:
            span = read_span(item)
            if span is None:
                continue
            if is_input(item):
                raise TokenFault("no policy sampled this item, but it has tokens")
            if not parts[-1].continues(span):
                if not split:
                    parts[-1].mask = "tokens_not_contiguous"
                    return parts
                parts.append(_Part())
            parts[-1].add(span)
    except TokenFault:
        parts[-1].mask = "bad_tokens"
    if not parts[-1].sampled and parts[-1].mask is None:
        parts[-1].mask = "no_tokens"
    return parts


@dataclass(frozen=True, slots=True)
class _Frame:
    """What every sequence of a rollout has."""

    rollout: Rollout
    step_rewards: Sequence[float] | None

    def sequence(self, part: _Part, *, branch: int, mask: str | None) -> TokenSequence:
        size = len(part.completion)
        loss_mask, logprobs = np.zeros(size, np.bool_), np.zeros(size, np.float32)
        versions = np.full(size, UNKNOWN_VERSION, np.int32)
        for start, end, span in part.sampled:
            loss_mask[start:end] = True if span.loss_mask is None else span.loss_mask
            logprobs[start:end] = span.generation_log_probs
            if span.weight_version is not None:
                versions[start:end] = span.weight_version
        turns = np.array([(start, end) for start, end, _ in part.sampled], np.int32).reshape(-1, 2)
        steps = self.step_rewards if branch == 0 and len(self.step_rewards or ()) == len(turns) else None
        return TokenSequence(
            prompt_ids=np.array(part.prompt, np.int32),
            completion_ids=np.array(part.completion, np.int32),
            loss_mask=loss_mask,
            logprobs=logprobs,
            versions=versions,
            turns=turns,
            step_rewards=None if steps is None else np.array(steps, np.float32),
            reward=self.rollout.reward,
            components=self.rollout.components or {},
            task_index=self.rollout.row.get(keys.TASK_INDEX, 0),
            rollout_index=self.rollout.row.get(keys.ROLLOUT_INDEX, 0),
            branch=branch,
            truncated=self.rollout.outcome in TRUNCATED_OUTCOMES,
            mask=mask,
        )


def _flag(rollout: Rollout, row: Mapping[str, Any]) -> str | None:
    if rollout.failure is not None or rollout.reward is None:
        return "failed"
    column = object_of(row.get(keys.TOKEN_CAPTURE))
    if (captured := column.get("masked")) is not None:
        return None if column.get("branches") else str(captured)
    if any(one.get(keys.MASK_SAMPLE) is True for one in (row, object_of(row.get("instance_config")))):
        return "flagged"
    return None


def _step_rewards(row: Mapping[str, Any]) -> list[float] | None:
    rewards = row.get(keys.STEP_REWARDS)
    if not isinstance(rewards, list):
        return None
    numbers = cast("list[Any]", rewards)
    return numbers if all(type(one) in (int, float) for one in numbers) else None
