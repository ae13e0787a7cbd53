"""Converts requests with `stream: true` for the strict check of `/v1/responses`.

They come from command-line agents, which send fields, tools and items of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from nemo_gym.wire.items import ITEM_TYPES
from nemo_gym.wire.params import FIELDS, RequestParams, check_served_params

Namespaces = Mapping[str, tuple[str, str]]
"""The (namespace, name) of each tool, by its flat name."""


@dataclass(frozen=True, slots=True)
class StreamedRequest:
    """A request that a back end accepts, and the changes that were necessary."""

    params: RequestParams
    namespaces: Namespaces
    dropped: tuple[str, ...]
    """A description of each field, tool or item that was left out."""


def read_streamed(body: Mapping[str, Any]) -> StreamedRequest:
    """The request that a client's body asks for.

    Unknown fields and items are dropped. Tools in a namespace become `namespace__name`, tools among the items
    (`additional_tools`) join the others, and leading system and developer messages join the instructions.

    Raises:
        UsageError: the rest is not a valid request.
    """
    reader = _Reader()
    params = {key: value for key, value in body.items() if key in FIELDS and key != "stream"}
    reader.dropped += [f"the field {key!r}" for key in body if key not in FIELDS]
    if isinstance(params.get("tools"), list):
        params["tools"] = reader.tools(params["tools"])
    if isinstance(params.get("input"), list):
        items = reader.items(params["input"])
        start, texts = _preamble(items)
        instructions = params.get("instructions")
        if texts and isinstance(instructions, str | None):
            params["instructions"] = "\n\n".join([instructions, *texts] if instructions else texts)
            items = items[start:]
        params["input"] = items
    if reader.item_tools:
        params["tools"] = [*(params.get("tools") or []), *reader.item_tools]
    return StreamedRequest(check_served_params(params), reader.namespaces, tuple(reader.dropped))


def with_namespaces(output: list[dict[str, Any]], namespaces: Namespaces) -> list[dict[str, Any]]:
    """The output with the client's own names of the tools in its calls."""
    return [_split_name(item, namespaces) for item in output] if namespaces else output


def _split_name(item: dict[str, Any], namespaces: Namespaces) -> dict[str, Any]:
    if item.get("type") != "function_call" or item["name"] not in namespaces:
        return item
    namespace, name = namespaces[item["name"]]
    return {**item, "name": name, "namespace": namespace}


class _Reader:
    def __init__(self) -> None:
        self.namespaces: dict[str, tuple[str, str]] = {}
        self.item_tools: list[Any] = []
        self.dropped: list[str] = []

    def tools(self, tools: list[Any]) -> list[Any]:
        flat: list[Any] = []
        for tool in tools:
            match tool:
                case {"type": "namespace", "name": str(namespace), "tools": [*inner]}:
                    flat += [self._flat(namespace, function) for function in self._functions(inner)]
                case _:
                    flat.append(tool)
        return flat

    def items(self, items: list[Any]) -> list[Any]:
        result: list[Any] = []
        for place, item in enumerate(items):
            match item:
                case {"type": "additional_tools", "tools": [*tools]}:
                    self.item_tools += self._functions(self.tools(tools))
                case {"type": "function_call", "namespace": str(namespace), "name": str(name)}:
                    rest = {key: value for key, value in item.items() if key != "namespace"}
                    result.append({**rest, "name": _flat_name(namespace, name)})
                case {"type": str(kind)} if kind not in ITEM_TYPES:
                    self.dropped.append(f"input[{place}], an item of type {kind!r}")
                case _:
                    result.append(item)
        return result

    def _flat(self, namespace: str, function: dict[str, Any]) -> dict[str, Any]:
        name = _flat_name(namespace, function["name"])
        self.namespaces[name] = (namespace, function["name"])
        return {**function, "name": name}

    def _functions(self, tools: list[Any]) -> list[dict[str, Any]]:
        functions: list[dict[str, Any]] = []
        for tool in tools:
            match tool:
                case {"type": "function", "name": str()}:
                    functions.append(tool)
                case _:
                    self.dropped.append("a tool that isn't a function")
        return functions


def _flat_name(namespace: str, name: str) -> str:
    return f"{namespace}__{name}"


def _preamble(items: list[Any]) -> tuple[int, list[str]]:
    """(how many leading messages are instructions, their texts)."""
    texts: list[str] = []
    for place, item in enumerate(items):
        match item:
            case {"role": "system" | "developer", "content": str(text)}:
                texts.append(text)
            case {"role": "system" | "developer", "content": [*parts]} if all(map(_is_text, parts)):
                texts.append("".join(part["text"] for part in parts))
            case _:
                return place, texts
    return len(items), texts


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(cast("dict[str, Any]", part).get("text"), str)
