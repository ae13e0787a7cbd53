"""`@tool`: a method the model may call. Its schema is its signature, its description its docstring."""

from __future__ import annotations

import inspect
import logging
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from nemo_gym.environments.parameters import (
    arguments_schema,
    check_text,
    decoded_type,
    own_default,
    schema_type,
    with_field,
)
from nemo_gym.environments.session import Session
from nemo_gym.wire.errors import JudgeFailed, ServerUnreachable, UsageError, did_you_mean
from nemo_gym.wire.exception_text import is_fault, message_of, origin, text_of
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import FunctionTool

log: Final = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])


class ToolError(Exception):
    """Raised by a tool to explain to the model why the call did not work."""


class ToolMistake(UsageError, TypeError):
    """Raised for a `@tool` method that can't be offered to a model."""


def tool(function: F) -> F:
    """Offer a method of an Environment to the model.

    The method gets the session, if it has a parameter named `session`, and the arguments of the model. It may
    be sync or async, and returns a text or any other JSON value. The arguments are checked against the type
    hints before the call. Limits and descriptions belong into `Annotated`; descriptions may also be in an
    `Args:` section of the docstring.
    """
    function.__gym_tool__ = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True, slots=True)
class BoundTool:
    """A tool of one environment object, for calls with JSON arguments."""

    name: str
    schema: FunctionTool
    decoder: msgspec.json.Decoder[Any]
    function: Callable[..., Any]
    takes_session: bool
    untyped: tuple[str, ...] = ()
    """Parameters without a type hint, which accept any value."""

    async def call(self, session: Session, arguments: str) -> str:
        """Run the tool and return the text for the model. Wrong arguments give an error text."""
        try:
            parsed = self._decode(arguments or "{}")
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return tool_error(f"Invalid arguments for {self.name}: {error}")
        values = {field: getattr(parsed, field) for field in parsed.__struct_fields__}
        try:
            result = (
                self.function(session=session, **values) if self.takes_session else self.function(**values)
            )
            if inspect.isawaitable(result):
                result = await result
            return result if isinstance(result, str) else encode(result).decode()
        except BaseException as error:
            return answer_of(error, self.name)

    def _decode(self, arguments: str) -> Any:
        try:
            return self.decoder.decode(arguments)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error):
                raise
            try:
                plain = _WHOLE_NUMBERS.decode(arguments)
                return msgspec.convert(plain, self.decoder.type, dec_hook=check_text)
            except msgspec.DecodeError as closer:
                raise (error if "got `" in str(closer) else closer) from None


def tool_error(message: str) -> str:
    """The JSON text for the model when a call did not work."""
    return encode({"error": message}).decode()


def answer_of(error: BaseException, name: str) -> str:
    """The text for the model after an exception of a tool. The log has the line of each exception once.

    Raises:
        BaseException: the exception itself, when the tool is not at fault, such as the failure of a judge
            or of the server of a sandbox.
    """
    if not is_fault(error) or isinstance(error, JudgeFailed | ServerUnreachable):
        raise error
    if isinstance(error, ToolError):
        return tool_error(text_of(error))
    _note_once(name, type(error).__name__, origin(error))
    return tool_error(f"{name} failed: {message_of(error)}")


def has_raised(name: str, text: str) -> bool:
    """Whether a tool's text reports an exception other than a `ToolError`."""
    return text.startswith(f'{{"error":"{name} failed: ') and is_tool_error(text)


def is_tool_error(text: str) -> bool:
    """Whether a tool's text is a `tool_error`."""
    if not text.startswith('{"error":'):
        return False
    try:
        return bool(msgspec.json.decode(text, type=_ToolError).error)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def no_such_tool(name: str, names: Iterable[str]) -> str:
    """The answer to a call of a tool that doesn't exist, with the nearest one that does."""
    return tool_error(f"There is no tool {name!r}.{did_you_mean(name, names)}")


@lru_cache(maxsize=256)
def _note_once(name: str, kind: str, place: str) -> None:
    log.warning("tool %s raised %s%s", name, kind, place)


def bind_tools(owner: object) -> dict[str, BoundTool]:
    """Every `@tool` method of `owner`, by name, in the order of their definitions.

    Raises:
        ToolMistake: a method can't be offered; the message has its file and line.
    """
    tools: dict[str, BoundTool] = {}
    for name, method in tool_methods(type(owner)).items():
        try:
            tools[name] = _bind(name, getattr(owner, name))
        except (TypeError, ValueError, NameError, AttributeError) as error:
            raise ToolMistake(f"{_place(method)}tool {name}: {error}") from error
    return tools


def tool_methods(kind: type) -> dict[str, Any]:
    """The `@tool` methods of a class and its bases, by name, in the order of their definitions."""
    members = (pair for parent in reversed(kind.__mro__) for pair in vars(parent).items())
    return {name: member for name, member in members if getattr(member, "__gym_tool__", False)}


def _place(member: Any) -> str:
    code = getattr(inspect.unwrap(member), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}: " if code else ""


class _ToolError(msgspec.Struct, forbid_unknown_fields=True):
    error: str


def _bind(name: str, function: Callable[..., Any]) -> BoundTool:
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    summary, descriptions = _read_docstring(function)
    schema_fields: list[tuple[str, Any, Any]] = []
    decoder_fields: list[tuple[str, Any, Any]] = []
    for parameter in parameters.values():
        if parameter.name == "session":
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"parameter {parameter.name!r} must be an ordinary named parameter")
        hint = hints.get(parameter.name, Any)
        default = msgspec.NODEFAULT if parameter.default is parameter.empty else parameter.default
        hint, default = with_field(hint, default)
        try:
            schema_field_type = schema_type(hint, default, descriptions.get(parameter.name, ""))
            msgspec.json.schema(schema_field_type)
            field_type = decoded_type(hint, default)
            msgspec.json.Decoder(field_type, dec_hook=check_text)
            default = own_default(default)
        except (TypeError, ValueError) as error:
            reason = f"{hint} can't be read from JSON" if "custom types requires" in str(error) else error
            raise TypeError(f"parameter {parameter.name!r}: {reason}") from None
        schema_fields.append((parameter.name, schema_field_type, default))
        decoder_fields.append((parameter.name, field_type, default))
    schema: FunctionTool = {
        "type": "function",
        "name": name,
        "description": summary,
        "parameters": arguments_schema(_struct(name, schema_fields)),
        "strict": False,
    }
    return BoundTool(
        name,
        schema,
        msgspec.json.Decoder(_struct(name, decoder_fields), dec_hook=check_text),
        function,
        "session" in parameters,
        tuple(field for field, *_ in decoder_fields if field not in hints),
    )


def _struct(name: str, fields: list[tuple[str, Any, Any]]) -> type[msgspec.Struct]:
    return msgspec.defstruct(f"{name}_arguments", fields, kw_only=True, forbid_unknown_fields=True)


def _number(digits: str) -> int | float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("Number out of range")
    return int(value) if value.is_integer() else value


_WHOLE_NUMBERS: Final = msgspec.json.Decoder[Any](float_hook=_number)
"""Reads `3.0` as an integer, as JSON Schema does."""
_ARGS = re.compile(r"^[ \t]*Args:[ \t]*$", re.MULTILINE)
_ARG = re.compile(r"^\s*(\w+)(?: \([^)]*\))?:\s*(.+)$")


def _read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    text = inspect.getdoc(function) or ""
    summary, *rest = _ARGS.split(text, maxsplit=1)
    descriptions: dict[str, str] = {}
    name = ""
    for line in rest[0].splitlines() if rest else []:
        if line and not line[0].isspace():
            break
        if match := _ARG.match(line):
            name = match[1]
            descriptions[name] = match[2].strip()
        elif name and line.strip():
            descriptions[name] += " " + line.strip()
    return " ".join(summary.split()), descriptions
