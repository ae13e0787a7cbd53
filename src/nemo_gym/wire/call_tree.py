"""The calls of one rollout as a tree: which call continues which.

A call continues another one when its prompt begins with the prompt and the generation of that call, token for
token. Without tokens, or where a harness changed them, the messages are compared in the same way. That shows
the course of the rollout but proves nothing about tokens, so such branches are masked, with the reason.

Every call is in exactly one branch. A branch starts with a conversation (the first call of the harness, a
sub-agent, the history after a compaction) or where it leaves another branch.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast

from nemo_gym.wire.item_text import item_text, news_after
from nemo_gym.wire.items import Item, message_text
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.model_call import Captured, ModelCall, token_entry, without_tokens
from nemo_gym.wire.params import input_items

Mask = Literal[
    "capture_incomplete", "no_tokens", "tokens_not_contiguous", "ambiguous_parent", "superseded_retry",
    "unresolved_retry",
]  # fmt: skip
"""Why a branch must not be trained on:

capture_incomplete: a call of the rollout is missing.
no_tokens: the back end gave no tokens for one of its calls.
tokens_not_contiguous: a call's prompt repeats the messages before it, but not their tokens.
ambiguous_parent: it continues one of several calls, and nothing shows which.
superseded_retry: the same prompt was sent again, and the harness continued with the other answer.
unresolved_retry: the same prompt was sent several times, and nothing shows which answer was used.
"""


@dataclass(slots=True)
class Branch:
    """Calls that continue each other, first to last."""

    calls: list[ModelCall]
    opening: list[Item]
    """The input before the first answer: all of it, or the new items since `parent`."""
    items: list[Item] = field(default_factory=list[Item])
    """The model's items with their tokens, and the input between them."""
    parent: int | None = None
    """The index of the branch that this one leaves."""
    after: str | None = None
    """The `model_call_id` of the call after which it leaves that branch."""
    mask: Mask | None = None
    evidence: Literal["tokens", "text"] = "tokens"
    """What shows that each call continues the one before."""

    @property
    def trainable_items(self) -> list[Item]:
        """The items with only those token fields that continue each other, as trainers need them. `mask` says
        whether a trainer may use them."""
        if self.evidence == "tokens":
            return self.items
        sequence: list[int] = []
        items: list[Any] = []
        for item in cast("list[dict[str, Any]]", self.items):
            prompt, sampled = item.get("prompt_token_ids"), item.get("generation_token_ids")
            if prompt and sampled and prompt[: len(sequence)] == sequence:
                sequence = [*prompt, *sampled]
                items.append(item)
            else:
                items.append(without_tokens(item))
        return items


def call_tree(captured: Captured, *, prompt: str = "") -> list[Branch]:
    """The branches of a rollout, the main one first, the others in the order of their first calls.

    The main branch starts at the root whose input has `prompt`, the text of the task. Of several it takes one
    that offers tools, then one that another call continues (a harness may ask for a title first), then the
    earliest. Where it splits, it follows the longer side, then the later one. Calls without an answer are
    left out.
    """
    calls = [call for call in captured.calls if call.output]
    if not calls:
        return []
    texts = [_text_trace(call) for call in calls]
    tokens = [_token_trace(call) for call in calls]
    links = _links(tokens, texts)
    children: dict[int | None, list[int]] = defaultdict(list)
    for place, link in enumerate(links):
        children[link.parent].append(place)
    depth = [1] * len(calls)
    for place in reversed(range(len(calls))):
        parent = links[place].parent
        if parent is not None:
            depth[parent] = max(depth[parent], depth[place] + 1)
    follower = {
        parent: max(places, key=lambda place: (depth[place], place))
        for parent, places in children.items()
        if parent is not None
    }
    first = min(children[None], key=lambda root: (_unlikely(calls[root], prompt, depth[root]), root))
    followers = set(follower.values())
    starts = [first, *(place for place in range(len(calls)) if place not in followers and place != first)]
    paths = [_path(start, follower) for start in starts]
    home = {place: number for number, path in enumerate(paths) for place in path}
    retries = _retries(calls, tokens, links, children)
    branches: list[Branch] = []
    for path in paths:
        branch = _branch(path, calls, texts, links, retries)
        parent = links[path[0]].parent
        if parent is not None:
            branch.parent, branch.after = home[parent], calls[parent].model_call_id
        if captured.incomplete:
            branch.mask = "capture_incomplete"
        branches.append(branch)
    return branches


def separate_calls(captured: Captured) -> list[Branch]:
    """Every call as a branch, the first as the main one, for a harness that builds each history again."""
    branches: list[Branch] = []
    for call in captured.calls:
        if call.output:
            branch = Branch([call], input_items(call.request_params), [*call.output])
            if token_entry(call) is None:
                branch.evidence, branch.mask = "text", "no_tokens"
            if captured.incomplete:
                branch.mask = "capture_incomplete"
            branches.append(branch)
    return branches


class _Link(NamedTuple):
    parent: int | None
    evidence: Literal["tokens", "text"]
    has_tokens: bool
    ambiguous: bool


class _Trace(NamedTuple):
    """A call as bytes that can be compared: its prompt, then its generation."""

    prompt: int
    """How many bytes the prompt has."""
    whole: bytes


def _links(tokens: Sequence[_Trace | None], texts: Sequence[_Trace]) -> list[_Link]:
    links: list[_Link] = []
    for place in range(len(texts)):
        by_tokens = _parents(tokens, place)
        by_text = _parents(texts, place)
        farther = bool(by_text) and (
            not by_tokens or len(texts[by_text[0]].whole) > len(texts[by_tokens[0]].whole)
        )
        parents = by_text if farther else by_tokens
        links.append(
            _Link(
                parent=parents[0] if parents else None,
                evidence="text" if farther else "tokens",
                has_tokens=tokens[place] is not None,
                ambiguous=len(parents) > 1,
            )
        )
    return links


def _parents(traces: Sequence[_Trace | None], place: int) -> list[int]:
    """The earlier calls that are the longest beginning of this one's prompt, the latest first."""
    this = traces[place]
    longest, parents = 1, list[int]()
    if this is None:
        return parents
    for other in reversed(range(place)):
        trace = traces[other]
        if trace is None or not longest <= len(trace.whole) <= this.prompt:
            continue
        if trace.prompt < len(trace.whole) and this.whole.startswith(trace.whole):
            parents = [*parents, other] if parents and len(trace.whole) == longest else [other]
            longest = len(trace.whole)
    return parents


def _token_trace(call: ModelCall) -> _Trace | None:
    entry = token_entry(call)
    if entry is None:
        return None
    try:
        prompt = array("I", entry.prompt_token_ids).tobytes()
        return _Trace(len(prompt), prompt + array("I", entry.generation_token_ids).tobytes())
    except (OverflowError, TypeError):
        return None


def _text_trace(call: ModelCall) -> _Trace:
    prompt = item_text(input_items(call.request_params))
    return _Trace(len(prompt), prompt + item_text(call.output))


def _unlikely(call: ModelCall, prompt: str, depth: int) -> tuple[bool, bool, bool]:
    """The reasons why a root is not the start of the main branch, the strongest first."""
    request = call.request_params
    texts = (message_text(item) for item in input_items(request) if item["type"] == "message")
    holds = not prompt or any(prompt.strip() in text for text in texts)
    return not holds, not request.get("tools"), depth == 1


def _path(start: int, follower: dict[int, int]) -> list[int]:
    path = [start]
    while path[-1] in follower:
        path.append(follower[path[-1]])
    return path


def _retries(
    calls: Sequence[ModelCall],
    tokens: Sequence[_Trace | None],
    links: Sequence[_Link],
    children: dict[int | None, list[int]],
) -> dict[int, Mask]:
    """The calls that share their prompt with another call and that no call continues."""
    alike: dict[tuple[int | None, bytes], list[int]] = defaultdict(list)
    for place, call in enumerate(calls):
        trace = tokens[place]
        prompt = encode(call.request_params.get("input")) if trace is None else trace.whole[: trace.prompt]
        alike[links[place].parent, prompt].append(place)
    marks: dict[int, Mask] = {}
    for places in alike.values():
        ends = [place for place in places if place not in children]
        if len(places) > 1 and ends:
            mark: Mask = "unresolved_retry" if len(ends) == len(places) else "superseded_retry"
            marks.update(dict.fromkeys(ends, mark))
    return marks


def _branch(
    path: list[int],
    calls: Sequence[ModelCall],
    texts: Sequence[_Trace],
    links: Sequence[_Link],
    retries: dict[int, Mask],
) -> Branch:
    def news(before: int, place: int) -> list[Item]:
        return news_after(texts[before].whole, input_items(calls[place].request_params))

    parent = links[path[0]].parent
    opening = input_items(calls[path[0]].request_params) if parent is None else news(parent, path[0])
    branch = Branch([calls[place] for place in path], opening, [*calls[path[0]].output])
    for before, place in pairwise(path):
        branch.items += [*news(before, place), *calls[place].output]
    if not all(links[place].has_tokens for place in path):
        branch.evidence, branch.mask = "text", "no_tokens"
    elif any(links[place].evidence == "text" for place in path[1:]):
        branch.evidence, branch.mask = "text", "tokens_not_contiguous"
    elif any(links[place].ambiguous for place in path):
        branch.mask = "ambiguous_parent"
    else:
        branch.mask = retries.get(path[-1])
    return branch
