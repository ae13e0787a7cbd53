"""The smallest environment with a tool."""

import json

from nemo_gym import Environment, Response, Session, Task, tool
from nemo_gym.verifiers.claims import claims_only
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import Item, function_call

FORECASTS = {
    "lisbon": "sunny", "bergen": "rainy", "tromso": "snowy", "london": "foggy", "chicago": "windy",
    "darwin": "stormy", "delhi": "hazy", "dublin": "cloudy", "cairo": "dry", "quito": "misty",
}  # fmt: skip
ELSEWHERE = "mild"


class WeatherReport(Environment):
    """Tutorial: answer a question about the weather by calling one tool."""

    domain = "agent"
    stateless = False

    class Task(Task):
        expected_answer: str | None = None
        """The forecast's word, which the answer must repeat; by default the word of every city that the model
        looks up."""
        city: str | None = None
        """The city that the model must look up; by default any city."""

    @tool
    def get_weather(self, session: Session, city: str) -> str:
        """Return today's weather in a city.

        Args:
            city: Name of the city.
        """
        city = city.strip().casefold()
        session.state.setdefault("cities", []).append(city)
        return f"{FORECASTS.get(city, ELSEWHERE)}, light wind from the west"

    def verify(self, task: Task, response: Response, session: Session) -> float:
        cities = session.state.get("cities", [])
        if not cities or (task.city and task.city.strip().casefold() not in cities):
            return 0.0
        words = {task.expected_answer or FORECASTS.get(city, ELSEWHERE) for city in cities}
        other_words = {*FORECASTS.values(), ELSEWHERE} - words
        answer = strip_reasoning(response.final_text)
        return float(all(claims_only(answer, word, other_words) for word in words))

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        city = task.city or "Lisbon"
        if "cities" not in session.state:
            return [function_call("get_weather", json.dumps({"city": city}), call_id="call_1")]
        return f"Today it is {task.expected_answer or FORECASTS.get(city.casefold(), ELSEWHERE)}."
