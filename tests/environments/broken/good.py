from nemo_gym import Environment, Response, Session, Task, tool


class Good(Environment):
    """Adds two numbers and keeps every promise."""

    class Task(Task):
        expected: str

    def seed(self, task: Task, session: Session) -> None:
        session.state["sums"] = 0

    @tool
    def add(self, session: Session, a: int, b: int) -> int:
        """Add two whole numbers."""
        session.state["sums"] += 1
        return a + b

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(response.final_text.strip() == task.expected)

    def oracle(self, task: Task, session: Session) -> str:
        return task.expected
