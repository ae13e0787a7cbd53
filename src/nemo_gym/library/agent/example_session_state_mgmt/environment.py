"""State that belongs to one rollout and ends with it."""

from nemo_gym import Environment, Response, Session, Task, tool
from nemo_gym.wire.items import Item, function_call


class Counter(Environment):
    """Tutorial: bring a counter to its expected value; every rollout has its own counter."""

    domain = "agent"
    restorable = True
    stateless = False

    class Task(Task):
        initial_count: int
        expected_count: int

    def seed(self, task: Task, session: Session) -> None:
        session.state["count"] = task.initial_count

    @tool
    def increment_counter(self, session: Session, count: int) -> dict[str, bool]:
        """Add a number to the counter.

        Args:
            count: How much to add; a negative number subtracts.
        """
        session.state["count"] += count
        return {"success": True}

    @tool
    def get_counter_value(self, session: Session) -> dict[str, int]:
        """Return the counter's present value."""
        return {"count": session.state["count"]}

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(session.state["count"] == task.expected_count)

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        missing = task.expected_count - session.state["count"]
        if missing:
            return [function_call("increment_counter", f'{{"count": {missing}}}', call_id="call_1")]
        return f"The counter is at {task.expected_count}."
