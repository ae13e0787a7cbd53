"""Prompts for small ChatML models, with a tool protocol for templates that have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import msgspec

from nemo_gym.wire.errors import ModelRejected
from nemo_gym.wire.items import FunctionCall, Item, Message, function_call
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import FunctionTool, RequestParams, input_items

DEFAULT_SYSTEM: Final = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What the template of SmolLM2 says when there is no system message."""


@dataclass(slots=True)
class Turn:
    """One message of the prompt."""

    role: Literal["system", "user", "assistant"]
    text: str
    token_ids: list[int] | None = None
    """The sampled ids of an assistant turn; they are used instead of the text."""


def turns_of(params: RequestParams, tools: list[FunctionTool]) -> list[Turn]:
    """The conversation of a request, system turn first, with `tools` described in it.

    Raises:
        ModelRejected: an item holds something other than text.
    """
    items = input_items(params)
    leading = 0
    while leading < len(items) and _is_system(items[leading]):
        leading += 1
    texts = [params.get("instructions") or "", *(_text(cast("Message", item)) for item in items[:leading])]
    if tools:
        texts.append(_describe(tools))
    turns = [Turn("system", "\n\n".join(filter(None, texts)) or DEFAULT_SYSTEM)]
    names: dict[str, str] = {}
    for item in items[leading:]:
        _add(turns, item, names)
    return turns


def offered_tools(params: RequestParams) -> list[FunctionTool]:
    """The tools that `tool_choice` lets the model call."""
    choice = params.get("tool_choice")
    tools = params.get("tools") or []
    if choice == "none":
        return []
    if isinstance(choice, dict):
        name = cast("dict[str, Any]", choice).get("name")
        return [tool for tool in tools if tool.get("name") == name]
    return tools


def tool_grammar(tools: list[FunctionTool], *, or_text: bool) -> str:
    """A llama.cpp grammar (llguidance's Lark dialect) of a call of one of `tools`, or also of plain text."""
    calls = [f"call_{place}" for place in range(len(tools))]
    rules = [f"call_{place}: {_json_rule(_call_schema(tool))}" for place, tool in enumerate(tools)]
    start = [*calls, "text"] if or_text else calls
    if or_text:
        rules.append("text: /[^{\\s](.|\\n)*/")
    return "\n".join(["%llguidance {}", f"start: {' | '.join(start)}", *rules])


def schema_grammar(schema: dict[str, Any]) -> str:
    """A llama.cpp grammar of the JSON values that fit a schema."""
    return f"%llguidance {{}}\nstart: {_json_rule(schema)}"


def read_call(text: str, tools: list[FunctionTool], *, call_id: str) -> FunctionCall | None:
    """The tool call that a text holds; None when it holds something else."""
    try:
        call = _call_decoder.decode(text)
    except msgspec.DecodeError:
        return None
    if call.name not in {tool.get("name") for tool in tools}:
        return None
    return function_call(call.name, bytes(call.arguments).decode(), call_id=call_id)


class _Call(msgspec.Struct):
    name: str
    arguments: msgspec.Raw


_call_decoder = msgspec.json.Decoder(_Call)


def _add(turns: list[Turn], item: Item, names: dict[str, str]) -> None:
    match item:
        case {"type": "function_call"}:
            names[item["call_id"]] = item["name"]
            text = f'{{"name": {encode(item["name"]).decode()}, "arguments": {item["arguments"]}}}'
            _add_assistant(turns, text, item.get("generation_token_ids"))
        case {"type": "function_call_output"}:
            output = item["output"]
            text = output if isinstance(output, str) else "".join(part.get("text", "") for part in output)
            turns.append(Turn("user", f"{names.get(item['call_id'], 'The tool')} returned: {text}"))
        case {"role": "assistant"}:
            _add_assistant(turns, _text(item), item.get("generation_token_ids"))
        case {"role": role}:
            turns.append(Turn("user" if role == "user" else "system", _text(item)))
        case _:
            pass


def _add_assistant(turns: list[Turn], text: str, token_ids: list[int] | None) -> None:
    last = turns[-1]
    if last.role == "assistant" and last.token_ids is None:
        last.text += text
        last.token_ids = token_ids
    else:
        turns.append(Turn("assistant", text, token_ids))


def _is_system(item: Item) -> bool:
    return cast("dict[str, Any]", item).get("role") in ("system", "developer")


def _text(message: Message) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    for part in content:
        if not part["type"].endswith("text"):
            raise ModelRejected(f"the embedded model reads text only, not {part['type']}")
    return "".join(part.get("text", "") for part in content)


def _describe(tools: list[FunctionTool]) -> str:
    name = tools[0].get("name", "")
    return "\n".join(
        [
            "You can call these functions:",
            *map(_signature, tools),
            "",
            f'To call one, reply with only JSON like {{"name": "{name}", "arguments": {{...}}}}, '
            "with the values that the user asked about. "
            "When a function has returned what you need, answer the user in words.",
        ]
    )


def _signature(tool: FunctionTool) -> str:
    parameters = tool.get("parameters") or {}
    properties: dict[str, dict[str, Any]] = parameters.get("properties") or {}
    arguments = ", ".join(
        f"{name}: {field.get('type', 'any')}"
        + (f" ({field['description']})" if field.get("description") else "")
        for name, field in properties.items()
    )
    return f"- {tool.get('name', '')}({arguments}): {tool.get('description') or ''}".rstrip(": ")


def _call_schema(tool: FunctionTool) -> dict[str, Any]:
    arguments = dict(tool.get("parameters") or {"type": "object"})
    definitions = arguments.pop("$defs", None)
    schema = {
        "type": "object",
        "properties": {"name": {"const": tool.get("name", "")}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
    return {**schema, "$defs": definitions} if definitions else schema


def _json_rule(schema: dict[str, Any]) -> str:
    layout = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
    return f"%json {encode({**schema, 'x-guidance': layout}).decode()}"
