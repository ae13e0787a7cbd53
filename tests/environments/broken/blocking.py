import time

from nemo_gym import Environment, Response, Session, Task


class Blocking(Environment):
    """Waits for something while everybody else waits for it."""

    class Task(Task):
        expected: str

    def verify(self, task: Task, response: Response, session: Session) -> float:
        if response.final_text.startswith("\0"):
            time.sleep(0.55)
        return float(response.final_text.strip() == task.expected)
