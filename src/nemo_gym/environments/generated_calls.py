"""Requests that a model answers with tool calls: catalogues of tools, sentences, and the right calls."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from nemo_gym.wire.params import FunctionTool

_CITIES: Final = (
    "Aarhus",
    "Bergen",
    "Cork",
    "Dresden",
    "Evora",
    "Ferrara",
    "Ghent",
    "Haarlem",
    "Izmir",
    "Jena",
)
_PEOPLE: Final = ("Ada", "Bruno", "Clara", "Dario", "Elin", "Farid", "Greta", "Hugo", "Ines", "Jonas")
_THINGS: Final = (
    "lamp",
    "kettle",
    "tent",
    "bicycle",
    "printer",
    "backpack",
    "mirror",
    "drill",
    "sofa",
    "clock",
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NOTES: Final = (
    "bring the blue folder",
    "the key is under the mat",
    "the meeting moved to noon",
    "call me after lunch",
)

Draw = Callable[[random.Random], Any]


class Parameter(NamedTuple):
    """A parameter of a tool: its JSON type, its description, and how a value is drawn."""

    type: str
    description: str
    draw: Draw


@dataclass(frozen=True)
class ToolKind:
    """A tool and the sentence of a request that needs it."""

    name: str
    description: str
    sentence: str
    parameters: dict[str, Parameter]

    @property
    def schema(self) -> FunctionTool:
        """The tool as the model sees it."""
        properties = {
            name: {"type": parameter.type, "description": parameter.description}
            for name, parameter in self.parameters.items()
        }
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": parameters,
        }


@dataclass(frozen=True)
class CallRequest:
    """A request in words, the tools on offer, and the right calls as name and arguments."""

    text: str
    tools: list[FunctionTool]
    calls: list[tuple[str, dict[str, Any]]]


def draw_request(rng: random.Random, level: int) -> CallRequest:
    """A request of a level from 0 to 4: more tools on offer, then more calls."""
    offered = rng.sample(TOOLS, (1, 3, 6, 10, len(TOOLS))[level])
    kinds = [rng.choice(offered) for _ in range(CALLS_BY_LEVEL[level])]
    sentences: list[str] = []
    calls: list[tuple[str, dict[str, Any]]] = []
    for kind in kinds:
        values = {name: parameter.draw(rng) for name, parameter in kind.parameters.items()}
        if (kind.name, values) not in calls:
            calls.append((kind.name, values))
            sentences.append(kind.sentence.format(**values))
    rng.shuffle(offered)
    return CallRequest(" ".join(sentences), [kind.schema for kind in offered], calls)


CALLS_BY_LEVEL: Final = (1, 1, 2, 3, 4)


def _one_of(values: Sequence[Any]) -> Draw:
    return lambda rng: rng.choice(values)


def _number(low: int, high: int) -> Draw:
    return lambda rng: rng.randint(low, high)


def _amount(rng: random.Random) -> float:
    return rng.randint(10, 9999) / 10 + 0.05


def _celsius(rng: random.Random) -> float:
    return rng.randint(60, 110) / 4 + 0.1


def _city() -> Parameter:
    return Parameter("string", "Name of the city", _one_of(_CITIES))


def _person(what: str) -> Parameter:
    return Parameter("string", f"First name of {what}", _one_of(_PEOPLE))


TOOLS: Final = (
    ToolKind(
        "get_forecast",
        "Get the weather forecast of a city.",
        "What will the weather be in {city} over the next {days} days?",
        {"city": _city(), "days": Parameter("integer", "How many days", _number(2, 30))},
    ),
    ToolKind(
        "book_table",
        "Reserve a table in a restaurant.",
        "Reserve a table for {guests} guests in {city} on {day} at {hour} o'clock.",
        {
            "city": _city(),
            "guests": Parameter("integer", "Number of guests", _number(2, 12)),
            "day": Parameter("string", "Day of the week", _one_of(_DAYS)),
            "hour": Parameter("integer", "Hour, 0 to 23", _number(11, 22)),
        },
    ),
    ToolKind(
        "find_train",
        "Search trains between two cities.",
        "Search a train from {origin} to {destination} on {day}.",
        {
            "origin": Parameter("string", "City of departure", _one_of(_CITIES[:5])),
            "destination": Parameter("string", "City of arrival", _one_of(_CITIES[5:])),
            "day": Parameter("string", "Day of the week", _one_of(_DAYS)),
        },
    ),
    ToolKind(
        "order_item",
        "Order an item of the shop.",
        "Order item {item} {quantity} times.",
        {
            "item": Parameter("string", "Name of the item", _one_of(_THINGS)),
            "quantity": Parameter("integer", "How many", _number(2, 90)),
        },
    ),
    ToolKind(
        "transfer_money",
        "Send an amount of money to a person.",
        "Send {amount} euros to {recipient}.",
        {"recipient": _person("the recipient"), "amount": Parameter("number", "Amount in euros", _amount)},
    ),
    ToolKind(
        "send_note",
        "Send a short note to a person.",
        "Send {recipient} the note '{text}'.",
        {
            "recipient": _person("the recipient"),
            "text": Parameter("string", "The note, word for word", _one_of(_NOTES)),
        },
    ),
    ToolKind(
        "set_timer",
        "Start a timer.",
        "Start a timer of {minutes} minutes.",
        {"minutes": Parameter("integer", "Minutes", _number(2, 2000))},
    ),
    ToolKind(
        "add_numbers",
        "Add two whole numbers.",
        "Add {first} and {second}.",
        {
            "first": Parameter("integer", "First number", _number(10, 999)),
            "second": Parameter("integer", "Second number", _number(10, 999)),
        },
    ),
    ToolKind(
        "set_temperature",
        "Set the temperature of a room.",
        "Set the {room} to {celsius} degrees Celsius.",
        {
            "room": Parameter(
                "string", "Name of the room", _one_of(("kitchen", "bedroom", "office", "hall"))
            ),
            "celsius": Parameter("number", "Degrees Celsius", _celsius),
        },
    ),
    ToolKind(
        "schedule_call",
        "Schedule a phone call.",
        "Schedule a phone call with {person} on {day} for {minutes} minutes.",
        {
            "person": _person("the other person"),
            "day": Parameter("string", "Day of the week", _one_of(_DAYS)),
            "minutes": Parameter("integer", "Length in minutes", _number(5, 120)),
        },
    ),
    ToolKind(
        "count_stock",
        "Count the stock of an item in a warehouse.",
        "Count the stock of item {item} in the {city} warehouse.",
        {"item": Parameter("string", "Name of the item", _one_of(_THINGS)), "city": _city()},
    ),
    ToolKind(
        "convert_distance",
        "Convert kilometres to miles.",
        "Convert {kilometres} kilometres to miles.",
        {"kilometres": Parameter("integer", "Distance in kilometres", _number(3, 20000))},
    ),
)
