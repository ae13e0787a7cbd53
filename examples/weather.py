"""A complete environment: tasks, a tool, a verifier. Run it: `gym run examples/weather.py`."""

from nemo_gym import Environment, Response, Session, Task, ask, tool
from nemo_gym.verifiers.claims import claims_only

FORECASTS = {"Lisbon": "sunny", "Bergen": "rainy", "Delhi": "hazy", "Cairo": "dry"}


class Weather(Environment):
    """Answer a question about the weather by calling one tool."""

    class Task(Task):
        city: str
        expected: str

    def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
        return [
            self.Task(responses_create_params=ask(f"How is the weather in {city}?"), city=city, expected=sky)
            for city, sky in FORECASTS.items()
        ]

    @tool
    async def get_weather(self, session: Session, city: str) -> str:
        """Return today's weather in a city."""
        session.state["asked"] = city
        return f"{FORECASTS.get(city, 'mild')}, light wind from the west"

    def verify(self, task: Task, response: Response, session: Session) -> float:
        looked_up = session.state.get("asked") == task.city
        return float(looked_up and claims_only(response.final_text, task.expected, FORECASTS.values()))
