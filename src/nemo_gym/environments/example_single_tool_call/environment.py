"""The smallest environment with a tool."""

import json

from nemo_gym import Environment, Response, Session, Task, tool
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import Item, function_call

FORECASTS = {
    "lisbon": "sunny", "bergen": "rainy", "tromso": "snowy", "london": "foggy", "chicago": "windy",
    "darwin": "stormy", "delhi": "hazy", "dublin": "cloudy", "cairo": "dry", "quito": "misty",
}  # fmt: skip


class WeatherReport(Environment):
    """Tutorial: answer a question about the weather by calling one tool."""

    domain = "agent"
    stateless = False

    class Task(Task):
        expected_answer: str
        """The word of the forecast, to be repeated in the answer."""
        city: str | None = None
        """The city that must be looked up; without it any city will do."""

    @tool
    def get_weather(self, session: Session, city: str) -> str:
        """Return today's weather in a city.

        Args:
            city: Name of the city.
        """
        city = city.strip().casefold()
        session.state.setdefault("asked", []).append(city)
        return f"{FORECASTS.get(city, 'mild')}, light wind from the west"

    def verify(self, task: Task, response: Response, session: Session) -> float:
        asked = session.state.get("asked", [])
        looked_up = task.city.casefold() in asked if task.city else bool(asked)
        answered = task.expected_answer.casefold() in strip_reasoning(response.final_text).casefold()
        return float(looked_up and answered)

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        if "asked" not in session.state:
            return [function_call("get_weather", json.dumps({"city": task.city}), call_id="call_1")]
        return f"Today it is {task.expected_answer}."
