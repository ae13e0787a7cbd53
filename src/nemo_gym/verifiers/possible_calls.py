"""Compare tool calls with lists of possible argument values, as the function-calling leaderboard BFCL does.

An expected call is `{name: {parameter: [value, ...]}}`. A parameter may be left out when its list has an
empty text. Texts are compared without case, spaces and `,./-_*^`; a double quote equals a single one.
Inside an object every field has a list of possible values of its own. Arguments are Python or JSON values.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from nemo_gym.verifiers.tool_calls import Call, CallScore, count_matches, is_list, is_object

Possible: TypeAlias = Mapping[str, Mapping[str, Sequence[Any]]]

TYPES: Final[dict[str, type]] = {
    "string": str, "integer": int, "float": float, "number": float, "boolean": bool, "array": list,
    "tuple": list, "dict": dict, "object": dict, "any": str,
}  # fmt: skip
_IGNORED: Final = str.maketrans({**dict.fromkeys(" ,./-_*^", ""), "'": '"'})


def fold(text: str) -> str:
    """The form in which texts are compared."""
    return text.translate(_IGNORED).lower()


def match_possible(
    functions: Sequence[Mapping[str, Any]], possible: Sequence[Possible], calls: Sequence[Call]
) -> CallScore:
    """1 when the calls, in any order, are exactly the expected ones.

    Args:
        functions: the descriptions with `name` and `parameters`, whose types count.
        possible: the expected calls, each an object with one name.
    """
    if len(calls) != len(possible):
        return CallScore(0.0, "wrong_count" if calls else "no_call")
    described: dict[str, Mapping[str, Any]] = {
        function["name"]: function["parameters"] for function in functions
    }
    expected = [one for item in possible for one in item.items()]

    def matches(target: tuple[str, Mapping[str, Sequence[Any]]], call: Call) -> bool:
        name, answers = target
        return name == call.name and not explain_call(described.get(name, {}), answers, call.arguments)

    if count_matches(expected, calls, matches) == len(calls):
        return CallScore(1.0, "right")
    name, answers = expected[0]
    if len(calls) > 1 or name != calls[0].name:
        return CallScore(0.0, "wrong_call")
    return CallScore(0.0, explain_call(described.get(name, {}), answers, calls[0].arguments))


def explain_call(
    parameters: Mapping[str, Any], possible: Mapping[str, Sequence[Any]], arguments: Mapping[str, Any] | None
) -> str:
    """Why the arguments are wrong, or an empty text."""
    if arguments is None:
        return "malformed_arguments"
    properties = parameters.get("properties", {})
    if any(name not in arguments for name in parameters.get("required", ())):
        return "missing_required"
    for name, value in arguments.items():
        if name not in properties or name not in possible:
            return "unexpected_argument"
        if problem := _explain_value(properties[name], possible[name], value):
            return problem
    if any(name not in arguments and "" not in values for name, values in possible.items()):
        return "missing_optional"
    return ""


def _explain_value(schema: Mapping[str, Any], possible: Sequence[Any], value: Any) -> str:
    kind = TYPES.get(schema.get("type", "any"), str)
    if kind is float and type(value) is int:
        value = float(value)
    answers = [answer for answer in possible if answer != ""]
    variable = bool(answers) and type(answers[0]) is not kind
    if type(value) is not kind:
        # The name of a variable may stand for a value of any type.
        return "" if variable and type(value) is type(answers[0]) and value in answers else "wrong_type"
    if kind is list and not _fits_items(schema, answers, value):
        return "wrong_type"
    if variable:
        return "" if value in possible else "wrong_value"
    return "" if _is_possible(schema, kind, possible, value) else "wrong_value"


def _fits_items(schema: Mapping[str, Any], answers: Sequence[Any], values: Sequence[Any]) -> bool:
    item_kind = TYPES.get(schema.get("items", {}).get("type", "any"), str)
    kinds: set[Any] = {item_kind}
    for answer in answers:
        if is_list(answer):
            kinds.update(map(type, cast("list[object]", answer)))
    return all(type(value) in kinds for value in values)


def _is_possible(schema: Mapping[str, Any], kind: type, possible: Sequence[Any], value: Any) -> bool:
    if kind is dict:
        return any(is_object(answer) and _fits_object(answer, value) for answer in possible)
    if kind is list and TYPES.get(schema.get("items", {}).get("type", "any")) is dict:
        return any(is_list(answer) and _fits_objects(answer, value) for answer in possible)
    return _plain(value) in [_plain(answer) for answer in possible]


def _fits_object(answer: Mapping[str, Sequence[Any]], value: Mapping[str, Any]) -> bool:
    fields = all(
        key in answer and _plain(field) in [_plain(choice) for choice in answer[key]]
        for key, field in value.items()
    )
    return fields and all(key in value or "" in choices for key, choices in answer.items())


def _fits_objects(answers: Sequence[Any], values: Sequence[Any]) -> bool:
    return len(answers) == len(values) and all(
        is_object(value) and _fits_object(answer, value)
        for answer, value in zip(answers, values, strict=True)
    )


def _plain(value: Any) -> Any:
    """The form in which values are compared: folded texts, also directly inside a list."""
    if isinstance(value, str):
        return fold(value)
    if is_list(value):
        return [fold(item) if isinstance(item, str) else item for item in value]
    return value
