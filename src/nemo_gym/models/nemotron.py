"""How Nemotron models turn reasoning on and off, and the sampling that their model cards recommend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from nemo_gym.wire.errors import UsageError

Reasoning: TypeAlias = Literal["on", "off"]


class Mode(NamedTuple):
    """What one mode of a model needs in a request."""

    system: str = ""
    """The words at the beginning of the system prompt."""
    template: Mapping[str, Any] = {}
    """The fields of `chat_template_kwargs`."""
    sampling: Mapping[str, Any] = {}
    """The sampling of the model card; empty where it recommends none."""
    tool_sampling: Mapping[str, Any] = {}
    """The same for requests with tools, where the card has another one."""


class Family(NamedTuple):
    """Models with the same switch."""

    name: str
    pattern: re.Pattern[str]
    """What the model's name contains, with `-` for `_` and `.`."""
    on: Mode
    off: Mode
    budget: str = ""
    """The field of NVIDIA's hosted endpoint that limits the tokens of reasoning; empty without one."""


def family_of(model: str) -> Family:
    """The family of a model, by its name at the endpoint.

    Raises:
        UsageError: it is of no family.
    """
    name = re.sub(r"[_.]", "-", model.lower())
    for family in FAMILIES:
        if family.pattern.search(name):
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise UsageError(
        f"there are no settings for the reasoning of {model!r}: known are {known}; for other models, "
        "set the endpoint's own fields with extra_body"
    ).about("model")


def apply_mode(body: dict[str, Any], mode: Mode) -> None:
    """Add what a mode needs to a chat request, whose own fields win."""
    if mode.system:
        _add_system(body["messages"], mode.system)
    if mode.template:
        own: Any = body.get("chat_template_kwargs")
        body["chat_template_kwargs"] = {**mode.template, **(own if isinstance(own, dict) else {})}
    sampling = (body.get("tools") and mode.tool_sampling) or mode.sampling
    if "temperature" not in body and "top_p" not in body:
        for name, value in sampling.items():
            body.setdefault(name, value)


def _add_system(messages: list[dict[str, Any]], words: str) -> None:
    """Begin the system prompt with some words. The messages are those of one request, so they may change."""
    if not messages or messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": words})
        return
    content: Any = messages[0]["content"]
    if isinstance(content, str):
        content = f"{words}\n\n{content}"
    else:
        content = [{"type": "text", "text": f"{words}\n\n"}, *cast("list[Any]", content)]
    messages[0] = {**messages[0], "content": content}


_CAREFUL: Final = {"temperature": 0.6, "top_p": 0.95}
_GREEDY: Final = {"temperature": 0.0}
_FREE: Final = {"temperature": 1.0, "top_p": 1.0}
_THINKS: Final = {"enable_thinking": True}
_ANSWERS: Final = {"enable_thinking": False}

FAMILIES: Final = (
    Family(
        "Llama Nemotron Super v1.5",
        re.compile("llama-3-3-nemotron-super-49b-v1-5"),
        on=Mode(sampling=_CAREFUL),
        off=Mode("/no_think", sampling=_GREEDY),
    ),
    Family(
        "Llama Nemotron Nano, Super and Ultra v1",
        re.compile("llama-3-[13]-nemotron-(nano-(4b|8b)|super-49b|ultra-253b)"),
        on=Mode("detailed thinking on", sampling=_CAREFUL),
        off=Mode("detailed thinking off", sampling=_GREEDY),
    ),
    Family(
        "Nemotron Nano v2",
        re.compile("nemotron-nano-(9b|12b)-v2"),
        on=Mode("/think", sampling=_CAREFUL),
        off=Mode("/no_think", sampling=_GREEDY),
        budget="max_thinking_tokens",
    ),
    Family(
        "Nemotron 3 Nano Omni",
        re.compile("nemotron-3-nano-omni"),
        on=Mode(template=_THINKS, sampling=_CAREFUL),
        off=Mode(template=_ANSWERS, sampling={"temperature": 0.2, "top_k": 1}),
        budget="reasoning_budget",
    ),
    Family(
        "Nemotron 3 Nano",
        re.compile("nemotron-3-nano"),
        on=Mode(template=_THINKS, sampling=_FREE, tool_sampling=_CAREFUL),
        off=Mode(template=_ANSWERS),
        budget="reasoning_budget",
    ),
    Family(
        "Nemotron 3 Super and Ultra",
        re.compile("nemotron-3-(super|ultra)"),
        on=Mode(template=_THINKS, sampling={"temperature": 1.0, "top_p": 0.95}),
        off=Mode(template=_ANSWERS, sampling={"temperature": 1.0, "top_p": 0.95}),
        budget="reasoning_budget",
    ),
)
"""The first family that fits counts. From the model cards of NVIDIA and the documentation of NIM for LLMs."""
