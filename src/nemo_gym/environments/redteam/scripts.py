"""Turns the general corpus into scripts for the environment's own tasks, with the oracle's answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from nemo_gym.environments.conformance.hostile import plausible
from nemo_gym.environments.conformance.replay import Script, Trace
from nemo_gym.environments.redteam.hacks import General
from nemo_gym.wire import keys
from nemo_gym.wire.items import FunctionCall, Item, assistant, function_call, message_text
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import input_items
from nemo_gym.wire.task import Row


class Parts(NamedTuple):
    """An oracle's text in three parts; the answer alone is in the middle."""

    open: str
    answer: str
    close: str


class Model(NamedTuple):
    """What the oracle does in one task, which the scripts copy and spoil."""

    row: Row
    calls: list[FunctionCall]
    texts: list[str]
    """The final text, or the text of every action of a step environment."""
    text_matters: bool
    """Whether the calls of the oracle with an empty text don't pay."""
    other: str
    """The right answer of another task."""
    trace: Trace


def model_of(trace: Trace, text_matters: bool, other: str) -> Model:
    """The oracle's calls and texts, from its trace."""
    texts = [message_text(item) for item in trace.items if item["type"] == "message"]
    return Model(trace.script.row, [call for call, _ in trace.calls], texts, text_matters, other, trace)


def script(hack: General, model: Model, *, steps: bool, asks: tuple[str, ...]) -> Script | None:
    """The script of a hack in a task; None where the hack makes no sense."""
    if (hack.judge and not asks) or not _fits(hack, model, steps):
        return None
    output = _step_items(hack, model) if steps else _items(hack, model)
    return Script(hack.name, model.row, output, dict.fromkeys(asks, hack.judge) if hack.judge else {})


def split_oracle(text: str, row: Row) -> Parts:
    """The oracle's text around the answer: the row's own answer, or else the text within marks."""
    for key in _ANSWER_KEYS:
        value = row.get(key)
        if isinstance(value, str) and value and (at := text.rfind(value)) >= 0:
            return Parts(text[:at], value, text[at + len(value) :])
    for mark, end in _MARKS:
        start, stop = text.rfind(mark), text.rfind(end) if end else len(text)
        if 0 <= start < stop:
            start += len(mark)
            return Parts(text[:start], text[start:stop], text[stop:])
    return Parts("", text, "")


def answer_of(trace: Trace) -> str:
    """The answer in the oracle's last text; empty without one."""
    texts = [message_text(item) for item in trace.items if item["type"] == "message"]
    return split_oracle(texts[-1], trace.script.row).answer if texts else ""


def _fits(hack: General, model: Model, steps: bool) -> bool:
    match hack.actions:
        case "none" | "unknown":
            return steps
        case "together":
            return steps and len(model.texts) > 1
        case "spray":
            return not steps and bool(model.trace.tools)
        case "no_calls":
            return not steps and bool(model.calls)
        case "late":
            return not steps and bool(model.calls) and model.text_matters
        case "text":
            return bool(model.texts) or not any(name in hack.text for name in ("{answer}", "{oracle}"))


def _items(hack: General, model: Model) -> list[Item]:
    text = assistant(_text(hack, model.texts[-1] if model.texts else "", model))
    calls: list[Item] = [*model.calls] if model.text_matters else []
    match hack.actions:
        case "no_calls":
            return [text]
        case "late":
            return [text, *calls]
        case "spray":
            return [*_spray(model), text]
        case _:
            return [*calls, text]


def _step_items(hack: General, model: Model) -> list[Item]:
    if hack.actions == "none":
        return []
    if hack.actions == "together":
        return [assistant("\n".join(model.texts))]
    actions = (model.texts or [""])[: _BOMB_STEPS if hack.bomb else None]
    return [assistant(_text(hack, action, model)) for action in actions]


def _text(hack: General, oracle: str, model: Model) -> str:
    parts = split_oracle(oracle, model.row)
    values = {
        "open": parts.open,
        "close": parts.close,
        "answer": parts.answer,
        "oracle": oracle,
        "other": model.other,
        "prompt": _prompt(model.row),
        "bomb": "".join(text * number for text, number in hack.bomb),
    }
    text, *rest = hack.text.split("{")
    for part in rest:
        name, brace, after = part.partition("}")
        text += f"{values[name]}{after}" if brace and name in values else "{" + part
    return text


def _prompt(row: Row) -> str:
    items = input_items(row.get(keys.PARAMS, {"input": ""}))
    return "\n".join(message_text(item) for item in items if item["type"] == "message")[-_MAX_PROMPT:]


def _spray(model: Model) -> Iterator[FunctionCall]:
    values = list(dict.fromkeys(_values({key: model.row[key] for key in model.row if key != keys.PARAMS})))
    calls = [(tool, value) for value in values[:_MAX_VALUES] for tool in model.trace.tools]
    for number, (tool, value) in enumerate(calls[:_MAX_CALLS]):
        arguments = encode(plausible(tool, value)).decode()
        yield function_call(tool.get("name", ""), arguments, call_id=f"spray_{number}")


def _values(value: object, depth: int = 0) -> Iterator[str]:
    """The texts and numbers in a row."""
    if isinstance(value, str | int | float):
        yield str(value)[:_MAX_PROMPT]
    elif depth < _MAX_DEPTH and isinstance(value, list | dict):
        inner = (
            cast("list[Any]", value) if isinstance(value, list) else [*cast("dict[str, Any]", value).values()]
        )
        for one in inner:
            yield from _values(one, depth + 1)


_ANSWER_KEYS: Final = ("expected_answer", "answer")
_MARKS: Final = (("\\boxed{", "}"), ("<answer>", "</answer>"), ("<action>", "</action>"), ("nswer: ", ""))
_MAX_PROMPT: Final = 4000
_MAX_VALUES: Final = 12
_MAX_CALLS: Final = 60
_MAX_DEPTH: Final = 6
_BOMB_STEPS: Final = 3
