"""Turns a tool's signature into the types that decode its arguments, and into their JSON Schema."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    from nemo_gym.verifiers.patterns import BoundedPattern

Schema = dict[str, Any]


def schema_type(hint: Any, default: Any, description: str = "") -> Any:
    """The type whose JSON Schema the model gets.

    The limits and descriptions in `Annotated` may be those of msgspec (`Meta`), annotated-types (`Ge`, `Len`,
    ...), pydantic (`Field`) or `Doc`, or a plain text. With the default None, null is a valid value.

    Args:
        description: the docstring's description, for a hint without one.
    """
    translated = _nullable(_translated(hint, decoding=False), default)
    if description and not any(meta.description for meta in _metas(hint)):
        translated = Annotated[translated, msgspec.Meta(description=description)]
    return translated


def decoded_type(hint: Any, default: Any) -> Any:
    """The type of the decoded arguments. With `check_text` as the hook, patterns run in linear time.

    Raises:
        ValueError: a pattern can't be run in linear time.
    """
    decoded = _nullable(_translated(hint, decoding=True), default)
    _check_fields(decoded)
    return decoded


def with_field(hint: Any, default: Any) -> tuple[Any, Any]:
    """The hint and the default of a parameter; a pydantic `Field` as its default holds both."""
    if type(default).__name__ != "FieldInfo":
        return hint, default
    value = msgspec.NODEFAULT if default.is_required() else default.get_default(call_default_factory=True)
    return Annotated[hint, default], value


def own_default(default: Any) -> Any:
    """The default in a form of which every call gets its own copy."""
    if isinstance(default, list | dict | set | bytearray) and default:
        return msgspec.field(default_factory=partial(deepcopy, cast("Any", default)))
    return cast("Any", default)


def check_text(kind: Any, value: Any) -> Any:
    """The decoding hook for texts with a pattern, and for models of pydantic.

    Raises:
        ValueError: the value does not fit.
    """
    if _is_model(kind):
        return _validated(kind, value)
    if not isinstance(value, str):
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
    limits: _TextLimits = kind.limits
    if limits.min_length is not None and len(value) < limits.min_length:
        raise ValueError(f"Expected `str` of length >= {limits.min_length}")
    if limits.max_length is not None and len(value) > limits.max_length:
        raise ValueError(f"Expected `str` of length <= {limits.max_length}")
    if not limits.pattern.matches(value):
        raise ValueError(f"Expected `str` matching regex {limits.pattern.source!r}")
    return value


def arguments_schema(arguments: type[msgspec.Struct]) -> Schema:
    """The JSON Schema of a tool's arguments. A type is written where it is used; only types that contain
    themselves are in `$defs`."""
    (_,), components = msgspec.json.schema_components([arguments], ref_template=_REF + "{name}")
    own = components.pop(arguments.__name__)
    _hoist(own, components)
    for component in list(components.values()):
        _hoist(component, components)
    own.pop("title", None)
    recursive = {name for name in components if name in _reachable(components[name], components)}
    schema = cast("Schema", _inlined(own, components, recursive))
    schema["additionalProperties"] = False
    definitions = {name for name in _reachable(schema, components) if name in recursive}
    if definitions:
        schema["$defs"] = {
            name: _inlined(components[name], components, recursive) for name in sorted(definitions)
        }
    return schema


_REF: Final = "#/$defs/"
_NULL: Final = type(None)
_UNIONS: Final = (Union, types.UnionType)
_LIMITS: Final = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "description")


@dataclass(frozen=True, slots=True)
class _TextLimits:
    pattern: BoundedPattern
    min_length: int | None = None
    max_length: int | None = None


class _TextKind(type):
    """The type of texts with a pattern. msgspec calls the hook for it, and accepts a text as the result."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, str)


@cache
def _text_kind(pattern: str, min_length: int | None, max_length: int | None) -> Any:
    from nemo_gym.verifiers.patterns import bounded_pattern

    limits = _TextLimits(bounded_pattern(pattern, ignore_case=False), min_length, max_length)
    return _TextKind("text", (), {"limits": limits})


def _translated(hint: Any, *, decoding: bool) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        metas = list(_metas(hint))
        if get_origin(arguments[0]) in _UNIONS:
            return _limited_union(arguments[0], metas, decoding=decoding)
        inner = _translated(arguments[0], decoding=decoding)
        if decoding and any(meta.pattern is not None for meta in metas):
            return _text_kind(*(_last(metas, name) for name in ("pattern", "min_length", "max_length")))
        for meta in metas:
            inner = Annotated[inner, meta]
        return inner
    if hint is object:
        return Any
    if not decoding and _is_model(hint):
        return Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=_model_schema(hint))]
    if origin is None or origin is Literal or not arguments:
        return hint
    translated = tuple(_translated(argument, decoding=decoding) for argument in arguments)
    if translated == arguments:
        return hint
    return Union[translated] if origin in _UNIONS else origin[translated]  # noqa: UP007


def _is_model(kind: Any) -> bool:
    """Whether it is a model class of pydantic, which is not a dependency here."""
    return isinstance(kind, type) and hasattr(kind, "model_json_schema")


def _model_schema(model: Any) -> Schema:
    return model.model_json_schema(ref_template=_REF + "{model}")


def _validated(model: Any, value: Any) -> Any:
    try:
        return model.model_validate(value)
    except ValueError as error:
        problems: list[Any] = cast("Any", error).errors() if hasattr(error, "errors") else []
        text = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems[:5])
        raise ValueError(text or str(error)) from None


def _hoist(node: Any, components: dict[str, Schema]) -> None:
    """Move the definitions inside a schema to the common ones.

    Raises:
        TypeError: two different types have the same name.
    """
    for fields, rest in _schemas(node):
        for name, definition in fields.pop("$defs", {}).items():
            if components.setdefault(name, definition) != definition:
                raise TypeError(f"two types of the tool's arguments are called {name}")
            rest.append(definition)


def _check_fields(decoded: Any) -> None:
    """Refuse the patterns that msgspec itself would run, because the time of its engine has no limit.

    Raises:
        ValueError: a field of a class has a pattern. (The patterns of parameters are kinds of text by now.)
    """
    ids: set[int] = set()
    rest: list[Any] = [msgspec.inspect.type_info(decoded)]
    while rest:
        one = rest.pop()
        if isinstance(one, tuple):
            rest += cast("tuple[Any, ...]", one)
        elif isinstance(one, msgspec.inspect.Type | msgspec.inspect.Field) and id(one) not in ids:
            ids.add(id(one))
            if isinstance(one, msgspec.inspect.StrType) and one.pattern is not None:
                raise ValueError(
                    f"the pattern {one.pattern!r} is on a field of a class, where it can't be run in linear "
                    "time; put it on a parameter of the tool, or check the field in the tool"
                )
            rest += [getattr(one, name) for name in one.__struct_fields__ if name not in _VALUES]


_VALUES: Final = ("cls", "default", "default_factory", "values", "extra", "extra_json_schema")
"""Fields of msgspec's descriptions that hold no types."""


def _limited_union(union: Any, metas: list[msgspec.Meta], *, decoding: bool) -> Any:
    """A union whose limits are on each of its types but null, where msgspec requires them."""
    limits = {name: value for name in _LIMITS[:-1] if (value := _last(metas, name)) is not None}
    members = tuple(
        _translated(
            Annotated[one, msgspec.Meta(**limits)] if limits and one is not _NULL else one, decoding=decoding
        )
        for one in get_args(union)
    )
    description = _last(metas, "description")
    whole = Union[members]  # noqa: UP007
    return Annotated[whole, msgspec.Meta(description=description)] if description else whole


def _metas(hint: Any) -> Iterator[msgspec.Meta]:
    for metadata in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        yield from _meta(metadata)


def _meta(metadata: Any) -> Iterator[msgspec.Meta]:
    """The limits and the description of any library, as msgspec's `Meta`."""
    if isinstance(metadata, msgspec.Meta):
        yield metadata
        return
    if isinstance(metadata, str):
        yield msgspec.Meta(description=metadata)
        return
    inner = getattr(metadata, "metadata", None)
    for one in cast("list[Any]", inner) if isinstance(inner, list) else ():
        yield from _meta(one)
    limits = {name: getattr(metadata, name, None) for name in _LIMITS}
    if isinstance(documentation := getattr(metadata, "documentation", None), str):
        limits["description"] = documentation
    if isinstance(limits["pattern"], re.Pattern):
        limits["pattern"] = cast("re.Pattern[str]", limits["pattern"]).pattern
    if limits["min_length"] == 0:
        limits["min_length"] = None
    if any(value is not None for value in limits.values()):
        yield msgspec.Meta(**limits)


def _last(metas: list[msgspec.Meta], name: str) -> Any:
    return next((value for meta in reversed(metas) if (value := getattr(meta, name)) is not None), None)


def _nullable(hint: Any, default: Any) -> Any:
    return hint | None if default is None and not _takes_null(hint) else hint


def _takes_null(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _takes_null(get_args(hint)[0])
    if get_origin(hint) in _UNIONS:
        return any(_takes_null(one) for one in get_args(hint))
    return hint in (Any, None, _NULL)


def _inlined(node: Any, components: dict[str, Schema], recursive: set[str]) -> Any:
    if isinstance(node, list):
        return [_inlined(one, components, recursive) for one in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = cast("Schema", node)
    name = _target(fields)
    if name is not None and name not in recursive:
        fields = {**components[name], **{key: value for key, value in fields.items() if key != "$ref"}}
    return {key: _inlined(value, components, recursive) for key, value in fields.items()}


def _reachable(node: Any, components: dict[str, Schema]) -> set[str]:
    """The names of all types that a schema refers to, directly or indirectly."""
    names: set[str] = set()
    for fields, rest in _schemas(node):
        name = _target(fields)
        if name is not None and name not in names:
            names.add(name)
            rest.append(components[name])
    return names


def _schemas(node: Any) -> Iterator[tuple[Schema, list[Any]]]:
    """Every object in a schema, with the list of the values to visit next; callers may add to it."""
    rest: list[Any] = [node]
    while rest:
        one = rest.pop()
        if isinstance(one, list):
            rest += cast("list[Any]", one)
        elif isinstance(one, dict):
            fields = cast("Schema", one)
            yield fields, rest
            rest += fields.values()


def _target(fields: Schema) -> str | None:
    reference = fields.get("$ref")
    return reference.removeprefix(_REF) if isinstance(reference, str) else None
