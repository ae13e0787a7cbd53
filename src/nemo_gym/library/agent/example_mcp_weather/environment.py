"""A tool that agents with their own loop call over MCP."""

import json
from typing import Any

from nemo_gym import Environment, Response, Session, Task, tool
from nemo_gym.verifiers.claims import claims_only
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import Item, function_call

DEFAULT_CITY = "Paris"
WEATHER = "is sunny and 72 F"
OTHER_REPORTS = (
    WEATHER, "sunny", "rainy", "cloudy", "snowy", "windy", "foggy", "stormy", "degrees", "F", "C",
)  # fmt: skip
"""Words that an answer must not hold in addition to the report: a second report, or other weather."""


class McpWeather(Environment):
    """Tutorial: look up the weather with a tool that is served over MCP, and repeat the report."""

    domain = "agent"
    stateless = False
    expose_tools_over_mcp = True

    class Task(Task):
        """`verifier_metadata.expected_city` is the city to look up; by default Paris."""

        def __post_init__(self) -> None:
            city: Any = self.city
            if not isinstance(city, str) or not city.strip():
                raise ValueError("verifier_metadata.expected_city is not the name of a city")

        @property
        def city(self) -> str:
            return self.verifier_metadata.get("expected_city", DEFAULT_CITY)

    @tool
    def get_weather(self, session: Session, city: str) -> str:
        """Return the current weather report of a city, in one sentence.

        Args:
            city: Name of the city.
        """
        sentence = report(city)
        session.state.setdefault("reports", {})[city.strip().casefold()] = sentence
        return sentence

    def verify(self, task: Task, response: Response, session: Session) -> float:
        if task.city.strip().casefold() not in session.state.get("reports", {}):
            return 0.0
        answer = strip_reasoning(response.final_text)
        return float(claims_only(answer, report(task.city), OTHER_REPORTS))

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        if "reports" not in session.state:
            return [function_call("get_weather", json.dumps({"city": task.city}), call_id="call_1")]
        return report(task.city)


def report(city: str) -> str:
    """The tool's report about a city; the weather is the same everywhere."""
    return f"The weather in {city.strip()} {WEATHER}."
