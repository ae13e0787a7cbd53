"""Methods made from the JSON schemas of tools, for trainers that read schemas from signatures and docstrings.

A signature can't say everything that a schema can. What the hint leaves out, such as limits, stands in the
parameter's description.
"""

from __future__ import annotations

import inspect
import json
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, cast

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import object_of, objects_of
from nemo_gym.wire.params import FunctionTool


def method_of(tool: FunctionTool, call: Callable[[Any, str, dict[str, Any]], Any]) -> Callable[..., Any]:
    """A method with the name, the signature and the docstring (Google style) of a tool.

    Args:
        call: gets the object, the tool's name and the arguments, which are not checked.

    Raises:
        UsageError: Python has no such parameter.
    """
    name = tool.get("name", "")
    schema = object_of(tool.get("parameters"))
    required = cast("list[str]", schema.get("required") or ())
    parameters = [_parameter(name, *pair, required) for pair in object_of(schema.get("properties")).items()]
    lines = [_plain(tool.get("description")) or name]
    if parameters:
        described = (f"    {one.name}: {_described(schema, one.name)}" for one in parameters)
        lines += ["", "Args:", *described]

    def method(self: Any, /, **arguments: Any) -> Any:
        return call(self, name, arguments)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "\n".join(lines)
    receiver = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    vars(method)["__signature__"] = inspect.Signature([receiver, *parameters])
    method.__annotations__ = {one.name: one.annotation for one in parameters}
    return method


def _parameter(tool: str, name: str, schema: Any, required: Sequence[str]) -> inspect.Parameter:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"tool {tool}: Python has no parameter with the name {name!r}")
    fields = object_of(schema)
    default = inspect.Parameter.empty if name in required else fields.get("default")
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=_hint(fields)[0])


def _described(schema: Mapping[str, Any], name: str) -> str:
    fields = object_of(object_of(schema.get("properties")).get(name))
    text = _plain(fields.get("description")) or name
    if not _hint(fields)[1]:
        rest = {key: value for key, value in fields.items() if key not in _SILENT}
        text += f" JSON schema: {json.dumps(rest)}."
    if fields.get("default") is not None:
        text += f" Default: {json.dumps(fields['default'])}."
    return _plain(text)


def _plain(text: object) -> str:
    """A text of one line that can't be taken for a section of a docstring."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    line = _SECTION.sub(r"\1 -", line)
    return f"{line}." if _CHOICES.search(line) else line


_SECTION: Final = re.compile(r"\b(Args|Returns|Raises):")
_CHOICES: Final = re.compile(r"\(choices:.*\)$", re.IGNORECASE)
"""A list of choices, which `transformers` reads as JSON."""
_SIMPLE: Final[dict[str, Any]] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "null": None, "array": list,
    "object": dict,
}  # fmt: skip
_SILENT: Final = frozenset({"title", "description", "default"})


def _hint(schema: Mapping[str, Any]) -> tuple[Any, bool]:
    """The type hint of a schema, and whether it says all of it."""
    keys = schema.keys() - _SILENT
    if options := objects_of(schema.get("anyOf")):
        hints = [_hint(one) for one in options]
        return _union([hint for hint, _ in hints]), keys == {"anyOf"} and all(exact for _, exact in hints)
    values: Any = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        plain = tuple(one for one in cast("list[Any]", values) if type(one) in (str, int, bool))
        if plain and len(plain) == len(cast("list[Any]", values)):
            return Literal[plain], not keys - {"type", "enum", "const"}
        return Any, False
    match schema.get("type"):
        case [_, *_] as names:
            hints = [_hint({"type": name}) for name in names]
            return _union([hint for hint, _ in hints]), keys == {"type"}
        case "array" if "items" in schema:
            item, exact = _hint(object_of(schema["items"]))
            return list[item], exact and keys == {"type", "items"}
        case "object":
            return dict, keys == {"type"}
        case str(name) if name in _SIMPLE:
            return _SIMPLE[name], keys == {"type"}
        case _:
            return Any, not keys


def _union(hints: Sequence[Any]) -> Any:
    """`A | B`; any hint beside `Any` is lost in it."""
    if Any in hints:
        return Any
    union = hints[0]
    for hint in hints[1:]:
        union = union | hint
    return union
