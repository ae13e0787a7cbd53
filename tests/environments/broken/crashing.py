from nemo_gym import Environment, Response, Session, Task


class Crashing(Environment):
    """Takes it that the model always says a word."""

    class Task(Task):
        expected: str

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(response.final_text.split()[-1] == task.expected)
