from nemo_gym import Environment, Response, Session, Task


class OutOfRange(Environment):
    """Pays a bonus for length that nobody bounded."""

    class Task(Task):
        expected: str

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(response.final_text.strip() == task.expected) + len(response.final_text) // 1000 * 0.001
