"""Tool calls that need the results of earlier ones."""

import json
from typing import Annotated

import msgspec

from nemo_gym import Environment, Response, Session, Task, tool
from nemo_gym.wire.items import Item, function_call


class SynonymValues(Environment):
    """Tutorial: look up a value for each synonym, then hand in all values together."""

    domain = "agent"
    stateless = False

    class Task(Task):
        expected_synonym_values: list[int]
        """One value for each synonym, in the same order."""
        synonyms: list[str] = []
        """The synonyms in the prompt; only the oracle reads them."""

    @tool
    def get_synonym_value(
        self, session: Session, synonym: Annotated[str, msgspec.Meta(max_length=1000)]
    ) -> int:
        """Return the value of one synonym."""
        value = sum(map(ord, synonym))
        session.state.setdefault("values", []).append(value)
        return value

    @tool
    def extract_synonym_values(self, session: Session, synonym_values: list[int]) -> str:
        """Hand in the values of all synonyms, in the order in which the synonyms were given."""
        session.state["extracted"] = synonym_values
        return "Received."

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(session.state.get("extracted") == task.expected_synonym_values)

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        values = session.state.get("values", [])
        if len(values) < len(task.synonyms):
            arguments = json.dumps({"synonym": task.synonyms[len(values)]})
            return [function_call("get_synonym_value", arguments, call_id=f"call_{len(values)}")]
        if "extracted" not in session.state:
            arguments = json.dumps({"synonym_values": values})
            return [function_call("extract_synonym_values", arguments, call_id="call_last")]
        return "All values are handed in."
