from collections.abc import Iterator

from nemo_gym import Environment, Response, Session, Task, ask


class Nondeterministic(Environment):
    """Draws its tasks in the order of a set of strings, which is another one in every process."""

    class Task(Task):
        expected: str

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        for word in {"birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine", "yew"}:
            yield self.Task(responses_create_params=ask(f"Say {word}."), expected=word)

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(response.final_text == task.expected)
