"""Methods a model may call: schema from the signature, every problem a text the model can read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import annotated_types
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym import Environment, Session, ToolError, tool
from nemo_gym.environments.tool import bind_tools, tool_error
from nemo_gym.wire.task import Task


class Place(msgspec.Struct):
    city: str
    country: str = "IT"


class Atlas(Environment):
    @tool
    async def find(
        self,
        session: Session,
        what: str,
        tags: list[str],
        unit: Literal["km", "mi"] = "km",
        limit: int | None = None,
        near: Place | None = None,
    ) -> dict[str, Any]:
        """Find something
        on the map.

        Args:
            what: What to look for.
            tags (list of str): Any of these words.

        Returns:
            unit: not the description of a parameter.
        """
        return {"what": what, "tags": tags, "unit": unit, "limit": limit, "near": near}

    @tool
    def count(self, numbers: list[int], start: int = 0) -> int:
        return start + sum(numbers)

    @tool
    def note(self, session: Session, text: str) -> str:
        """Write something down."""
        session.state["note"] = text
        return "noted"

    @tool
    def anything(self, value):  # type: ignore[no-untyped-def]
        return value

    @tool
    async def refuse(self) -> str:
        raise ToolError("the museum is closed on Mondays")

    @tool
    def fail(self) -> str:
        raise KeyError("lost")

    def helper(self) -> str:
        return "not a tool"


class WiderAtlas(Atlas):
    @tool
    def close_to(self, x: float) -> float:
        """Give it back."""
        return x

    @tool
    def count(self, numbers: list[int]) -> int:
        """Count better."""
        return len(numbers)


@pytest.fixture
def session() -> Session:
    return Session({}, Task(), id="s", seed=0, tools=[])


def schema(name: str, owner: object | None = None) -> dict[str, Any]:
    return dict(bind_tools(owner or Atlas())[name].schema)


async def call(name: str, session: Session, arguments: str) -> str:
    return await bind_tools(Atlas())[name].call(session, arguments)


async def error_of(name: str, session: Session, arguments: str) -> str:
    answer = json.loads(await call(name, session, arguments))
    assert list(answer) == ["error"]
    return answer["error"]


def test_the_schema_is_the_signature_and_the_description_the_docstring() -> None:
    assert schema("find") == {
        "type": "function",
        "name": "find",
        "description": "Find something on the map.",
        "strict": False,
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "required": ["what", "tags"],
            "properties": {
                "what": {"type": "string", "description": "What to look for."},
                "tags": {"type": "array", "items": {"type": "string"}, "description": "Any of these words."},
                "unit": {"enum": ["km", "mi"], "default": "km"},
                "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
                "near": {
                    "anyOf": [
                        {
                            "title": "Place",
                            "type": "object",
                            "properties": {
                                "city": {"type": "string"},
                                "country": {"type": "string", "default": "IT"},
                            },
                            "required": ["city"],
                        },
                        {"type": "null"},
                    ],
                    "default": None,
                },
            },
        },
    }


def test_tools_are_found_in_order_with_those_of_the_base_class_first() -> None:
    assert list(bind_tools(Atlas())) == ["find", "count", "note", "anything", "refuse", "fail"]
    assert list(bind_tools(WiderAtlas())) == [*bind_tools(Atlas()), "close_to"]
    assert schema("count", WiderAtlas())["description"] == "Count better."


def test_a_parameter_without_a_type_takes_any_json() -> None:
    assert schema("anything")["parameters"]["properties"] == {"value": {}}


def test_an_undocumented_tool_has_an_empty_description() -> None:
    assert schema("count")["description"] == ""


async def test_sync_and_async_tools_are_called_with_their_defaults_filled_in(session: Session) -> None:
    found = await call("find", session, '{"what": "a", "tags": [], "near": {"city": "Rome"}}')

    assert json.loads(found) == {
        "what": "a",
        "tags": [],
        "unit": "km",
        "limit": None,
        "near": {"city": "Rome", "country": "IT"},
    }
    assert await call("count", session, '{"numbers": [1, 2]}') == "3"


async def test_text_is_passed_on_as_it_is_and_anything_else_as_json(session: Session) -> None:
    assert await call("note", session, '{"text": "x"}') == "noted"
    assert session.state == {"note": "x"}
    assert await call("anything", session, '{"value": [1, null, "a"]}') == '[1,null,"a"]'
    assert await call("anything", session, '{"value": null}') == "null"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "missing required field `what`"),
        ("{}", "missing required field `what`"),
        ("nonsense", "JSON is malformed"),
        ('{"what": "a"', "truncated"),
        ('{"what": NaN}', "malformed"),
        ("null", "Expected `object`, got `null`"),
        ('["a"]', "Expected `object`, got `array`"),
        ('{"what": 1, "tags": []}', "Expected `str`, got `int` - at `$.what`"),
        ('{"what": "a", "tags": ["b", 2]}', "Expected `str`, got `int` - at `$.tags[1]`"),
        ('{"what": "a", "tags": [], "unit": "yd"}', "Invalid enum value 'yd' - at `$.unit`"),
        ('{"what": "a", "tags": [], "near": {}}', "missing required field `city` - at `$.near`"),
        ('{"what": "a", "tags": [], "wat": 1}', "unknown field `wat`"),
        ('{"what": "\\ud800", "tags": []}', "surrogate"),
    ],
)
async def test_bad_arguments_are_explained_to_the_model(
    session: Session, arguments: str, complaint: str
) -> None:
    message = await error_of("find", session, arguments)

    assert message.startswith("Invalid arguments for find: ")
    assert complaint in message


async def test_deeply_nested_arguments_are_an_answer_too(session: Session) -> None:
    message = await error_of("anything", session, '{"value": ' + "[" * 200_000)

    assert message.startswith("Invalid arguments for anything")


async def test_a_tool_error_is_told_to_the_model_in_its_own_words(session: Session) -> None:
    assert await error_of("refuse", session, "{}") == "the museum is closed on Mondays"


async def test_any_other_exception_becomes_text_with_its_kind(session: Session) -> None:
    assert await error_of("fail", session, "") == "fail failed: KeyError: 'lost'"


class Odd(Environment):
    @tool
    def handle(self) -> Any:
        return object()


async def test_a_result_that_json_cannot_hold_becomes_text_too(session: Session) -> None:
    answer = json.loads(await bind_tools(Odd())["handle"].call(session, "{}"))

    assert "handle failed: " in answer["error"]


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
async def test_whatever_a_model_writes_as_arguments_is_answered_with_text(arguments: str) -> None:
    session = Session({}, Task(), id="s", seed=0, tools=[])

    assert isinstance(await call("anything", session, arguments), str)
    assert isinstance(await call("find", session, arguments), str)


@given(st.text())
def test_an_error_is_always_one_json_object(message: str) -> None:
    assert list(json.loads(tool_error(message))) == ["error"]


class Node(msgspec.Struct):
    place: Place
    children: list[Node] = []


class Forms(Environment):
    @tool
    def limited(
        self,
        count: Annotated[int, msgspec.Meta(ge=1, le=9, description="How many.")],
        ratio: Annotated[float, annotated_types.Gt(0), annotated_types.Lt(1)] = 0.5,
        names: Annotated[list[Annotated[str, pydantic.Field(min_length=2)]], annotated_types.Len(0, 2)] = (),
        code: Annotated[str, pydantic.Field(pattern="^[A-Z]{2}$", description="Two capitals.")] = "AA",
        note: Annotated[str, "What to note."] = "",
        step: Annotated[int | None, annotated_types.Interval(ge=0, le=3)] = None,
    ) -> list[Any]:
        """Take what the limits allow.

        Args:
            count: not this, for the hint describes itself.
            ratio: A share.
        """
        return [count, ratio, names, code, note, step]

    @tool
    def nothing(self, text: str = None, number: Annotated[int, msgspec.Meta(ge=2)] = None) -> list[Any]:  # type: ignore[assignment]  # noqa: RUF013
        """Take null where that is the default."""
        return [text, number]

    @tool
    def grow(self, node: Node, beside: Place) -> str:
        """Take a tree."""
        return node.place.city + beside.city

    @tool
    def matching(
        self, words: list[Annotated[str, msgspec.Meta(pattern="^(a+)+$", max_length=100_000)]]
    ) -> int:
        """Take texts of one letter."""
        return len(words)


def test_limits_and_descriptions_of_any_library_reach_the_schema() -> None:
    assert schema("limited", Forms())["parameters"]["properties"] == {
        "count": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many."},
        "ratio": {
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1,
            "default": 0.5,
            "description": "A share.",
        },
        "names": {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 2, "default": ()},
        "code": {"type": "string", "pattern": "^[A-Z]{2}$", "description": "Two capitals.", "default": "AA"},
        "note": {"type": "string", "description": "What to note.", "default": ""},
        "step": {
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": 3}, {"type": "null"}],
            "default": None,
        },
    }


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("limited", '{"count": 0}', "Expected `int` >= 1 - at `$.count`"),
        ("limited", '{"count": 10}', "<= 9"),
        ("limited", '{"count": 1, "ratio": 1.0}', "< 1.0"),
        ("limited", '{"count": 1, "names": ["a"]}', "length >= 2 - at `$.names[0]`"),
        ("limited", '{"count": 1, "names": ["aa", "bb", "cc"]}', "length <= 2"),
        ("limited", '{"count": 1, "code": "aa"}', "matching regex '^[A-Z]{2}$' - at `$.code`"),
        ("limited", '{"count": 1, "code": 1}', "Expected `str`, got `int`"),
        ("limited", '{"count": 1, "step": 4}', "<= 3"),
        ("limited", '{"count": 1.5}', "Expected `int`, got `float`"),
        ("limited", '{"count": "3"}', "Expected `int`, got `str`"),
        ("limited", '{"count": true}', "Expected `int`, got `bool`"),
        ("limited", '{"count": 10.0}', "Expected `int` <= 9"),
        ("limited", '{"count": 1e999}', "out of range"),
        ("nothing", '{"number": 1}', ">= 2"),
        ("matching", json.dumps({"words": ["a" * 50_000 + "!"]}), "matching regex"),
        ("matching", json.dumps({"words": ["a" * 100_001]}), "length <= 100000"),
    ],
)
async def test_limits_are_enforced(session: Session, name: str, arguments: str, complaint: str) -> None:
    message = json.loads(await bind_tools(Forms())[name].call(session, arguments))["error"]

    assert complaint in message


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("limited", '{"count": 3.0}', [3, 0.5, [], "AA", "", None]),
        ("limited", '{"count": 3e0, "step": 2.0, "ratio": 0.25}', [3, 0.25, [], "AA", "", 2]),
        (
            "limited",
            '{"count": 1, "names": ["aa"], "code": "XY", "step": null}',
            [1, 0.5, ["aa"], "XY", "", None],
        ),
        ("nothing", '{"text": null, "number": null}', [None, None]),
        ("nothing", '{"text": "a", "number": 2.0}', ["a", 2]),
        ("matching", json.dumps({"words": ["a" * 50_000]}), 1),
    ],
)
async def test_what_json_schema_allows_is_taken(
    session: Session, name: str, arguments: str, result: Any
) -> None:
    assert json.loads(await bind_tools(Forms())[name].call(session, arguments)) == result


def test_only_a_type_that_contains_itself_is_referred_to() -> None:
    parameters = schema("grow", Forms())["parameters"]
    place = parameters["properties"]["beside"]

    assert place["required"] == ["city"]
    assert parameters["properties"]["node"] == {"$ref": "#/$defs/Node"}
    assert list(parameters["$defs"]) == ["Node"]
    assert parameters["$defs"]["Node"]["properties"] == {
        "place": place,
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}, "default": []},
    }


def test_a_default_of_none_shows_that_null_may_be_said() -> None:
    assert schema("nothing", Forms())["parameters"]["properties"] == {
        "text": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "number": {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}], "default": None},
    }


def test_parameters_without_a_type_are_known() -> None:
    assert bind_tools(Atlas())["anything"].untyped == ("value",)
    assert bind_tools(Atlas())["find"].untyped == ()


class Unfit(Environment):
    @tool
    def look(self, word: Annotated[str, msgspec.Meta(pattern=r"(?=a)b")]) -> str:
        return word


class Misfit(Environment):
    @tool
    def look(self, word: Annotated[str, msgspec.Meta(ge=1)]) -> str:
        return word


@pytest.mark.parametrize(
    ("kind", "reason"), [(Unfit, "look-around"), (Misfit, "Can only set `ge` on a numeric")]
)
def test_a_limit_that_can_not_be_held_names_the_parameter(kind: type[Environment], reason: str) -> None:
    with pytest.raises(TypeError, match=rf"tool look: parameter 'word': .*{reason}"):
        bind_tools(kind())


class Coded(msgspec.Struct):
    code: Annotated[str, msgspec.Meta(pattern="^(a+)+$")]
    inner: Coded | None = None


class Coding(TypedDict):
    codes: list[Annotated[str, msgspec.Meta(pattern="^(a+)+$")]]


@dataclass
class Holder:
    word: dict[str, Coded]


class Later(Environment):
    @tool
    def look(self, word: list[Coded] | None = None) -> str:
        return str(word)


class Typed(Environment):
    @tool
    def look(self, word: Coding) -> str:
        return str(word)


class Held(Environment):
    @tool
    def look(self, word: Holder) -> str:
        return str(word)


@pytest.mark.parametrize("kind", [Later, Typed, Held])
def test_a_pattern_inside_a_class_is_refused_as_nothing_bounds_its_time(kind: type[Environment]) -> None:
    with pytest.raises(TypeError, match=r"tool look: parameter 'word': the pattern .* on a field of a class"):
        bind_tools(kind())


class Rest(Environment):
    @tool
    def pour(self, *cups: int) -> int:
        return len(cups)


def test_a_parameter_that_cannot_be_named_is_refused_when_tools_are_bound() -> None:
    with pytest.raises(TypeError, match="tool pour: parameter 'cups' must be an ordinary named parameter"):
        bind_tools(Rest())


class Stop(pydantic.BaseModel):
    city: Annotated[str, pydantic.Field(max_length=6, description="Where to stop.")]
    nights: int = 1


class Branch(pydantic.BaseModel):
    name: str
    rest: list[Branch] = []


class Modelled(Environment):
    @tool
    def visit(self, stops: list[Stop], last: Stop | None = None) -> list[Any]:
        return [type(stop).__name__ for stop in [*stops, last]]

    @tool
    def climb(self, tree: Branch) -> int:
        return len(tree.rest)

    @tool
    def wait(self, days: int = pydantic.Field(default=3, ge=1)) -> int:  # type: ignore[assignment]
        return days

    @tool
    def must(self, days: int = pydantic.Field(ge=1)) -> int:  # type: ignore[assignment]
        return days

    @tool
    def pack(self, bag: list[str] = ["hat"], notes: dict[str, int] = {"a": 1}) -> list[str]:  # noqa: B006
        bag.append("more")
        return [*bag, *notes]

    @tool
    def keep(self, thing: object) -> object:
        return thing


async def test_models_of_pydantic_are_shown_and_checked(session: Session) -> None:
    tools = bind_tools(Modelled())
    shown = dict(tools["visit"].schema)["parameters"]["properties"]["stops"]["items"]  # type: ignore[index]
    assert shown["properties"]["city"]["maxLength"] == 6
    assert shown["required"] == ["city"]
    assert json.loads(await tools["visit"].call(session, '{"stops": [{"city": "Oslo"}]}')) == [
        "Stop",
        "NoneType",
    ]
    answer = json.loads(await tools["visit"].call(session, '{"stops": [{"city": "Lisbon!"}]}'))["error"]
    assert answer.startswith("Invalid arguments for visit: city: String should have at most 6 characters")
    assert "\n" not in answer


async def test_a_model_that_contains_itself_is_referred_to(session: Session) -> None:
    climb = bind_tools(Modelled())["climb"]
    parameters: dict[str, Any] = dict(climb.schema)["parameters"]  # type: ignore[assignment]
    assert parameters["properties"]["tree"]["$ref"] == "#/$defs/Branch"
    assert parameters["$defs"]["Branch"]["properties"]["rest"]["items"] == {"$ref": "#/$defs/Branch"}
    assert await climb.call(session, '{"tree": {"name": "a", "rest": [{"name": "b"}]}}') == "1"


async def test_a_field_of_pydantic_as_default_holds_limits_and_default(session: Session) -> None:
    tools = bind_tools(Modelled())
    assert schema("wait", Modelled())["parameters"]["properties"]["days"] == {
        "type": "integer", "minimum": 1, "default": 3,
    }  # fmt: skip
    assert await tools["wait"].call(session, "{}") == "3"
    assert "Expected `int` >= 1" in await tools["wait"].call(session, '{"days": 0}')
    assert schema("must", Modelled())["parameters"]["required"] == ["days"]


async def test_no_two_calls_share_a_default(session: Session) -> None:
    pack = bind_tools(Modelled())["pack"]
    for _ in range(2):
        assert json.loads(await pack.call(session, "{}")) == ["hat", "more", "a"]


async def test_an_object_is_anything(session: Session) -> None:
    assert await bind_tools(Modelled())["keep"].call(session, '{"thing": [1]}') == "[1]"


def test_a_type_that_json_can_not_hold_is_named() -> None:
    class Unreadable(Environment):
        @tool
        def open(self, file: bytearray | memoryview) -> str:
            return ""

    with pytest.raises(TypeError, match=r"tool open: parameter 'file': .+memoryview"):
        bind_tools(Unreadable())
