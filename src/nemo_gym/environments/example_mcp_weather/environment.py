"""A tool for agents that bring their own loop: they call it over MCP."""

import json

from nemo_gym import Environment, Response, Session, Task, ToolError, tool
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import Item, function_call

REPORTS = {
    "athens": "clear skies and 31 degrees", "bogota": "light rain and 17 degrees",
    "calgary": "snow showers and -6 degrees", "dakar": "dust haze and 29 degrees",
    "edinburgh": "drizzle and 11 degrees", "fukuoka": "broken clouds and 22 degrees",
    "geneva": "morning fog and 8 degrees", "hanoi": "thunderstorms and 33 degrees",
    "istanbul": "a fresh breeze and 19 degrees", "jakarta": "heavy showers and 30 degrees",
}  # fmt: skip


class McpWeather(Environment):
    """Tutorial: look the weather up with a tool served over MCP and repeat the report."""

    domain = "agent"
    stateless = False
    expose_tools_over_mcp = True

    class Task(Task):
        """`verifier_metadata.expected_city` is the city that must be looked up."""

        def __post_init__(self) -> None:
            if not isinstance(self.verifier_metadata.get("expected_city"), str):
                raise ValueError("verifier_metadata.expected_city is not the name of a city")

        @property
        def city(self) -> str:
            return self.verifier_metadata["expected_city"]

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
        sentence = session.state.get("reports", {}).get(task.city.casefold())
        return float(
            sentence is not None and _plain(sentence) in _plain(strip_reasoning(response.final_text))
        )

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        if "reports" not in session.state:
            return [function_call("get_weather", json.dumps({"city": task.city}), call_id="call_1")]
        return report(task.city)


def report(city: str) -> str:
    """The sentence that the tool says of a city.

    Raises:
        ToolError: there is no report of it.
    """
    known = REPORTS.get(city.strip().casefold())
    if known is None:
        raise ToolError(f"there is no weather report of {city!r}; try {', '.join(sorted(REPORTS)).title()}")
    return f"{city.strip().title()} has {known}."


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
