from nemo_gym import Environment, Response, Session, Task


class Leaking(Environment):
    """Keeps what belongs to a session on itself."""

    class Task(Task):
        expected: str

    def seed(self, task: Task, session: Session) -> None:
        self.expected = task.expected

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(response.final_text.strip() == self.expected)
