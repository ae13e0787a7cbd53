from nemo_gym import Environment, Response, Session, Task


class Unrepeatable(Environment):
    """Uses up what it compares with."""

    class Task(Task):
        expected: str

    def seed(self, task: Task, session: Session) -> None:
        session.state["expected"] = task.expected

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(response.final_text.strip() == session.state.pop("expected", None))
