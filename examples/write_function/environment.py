"""The model writes a function that runs in a sandbox. Run it: `gym run examples/write_function`."""

import json

from nemo_gym import Environment, Response, Session, Task, ask
from nemo_gym.sandbox import SandboxSpec

PROBLEMS = [
    ("def add(a, b): return a + b", "the sum of a and b", {"add(2, 3)": 5, "add(-1, 1)": 0}),
    ("def last(items): return items[-1]", "the last of the items", {"last('abc')": "c", "last([7])": 7}),
    ("def double(text): return text * 2", "the text twice", {"double('ab')": "abab", "double('')": ""}),
]


class WriteFunction(Environment):
    """Write a Python function; what it returns is compared outside the sandbox, out of its reach."""

    class Task(Task):
        solution: str
        results: dict[str, int | str]

    def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
        return [self._task(*problem) for problem in PROBLEMS]

    def _task(self, solution: str, returns: str, results: dict[str, int | str]) -> Task:
        prompt = f"Answer with Python code only: {solution.partition(':')[0]} that returns {returns}."
        return self.Task(responses_create_params=ask(prompt), solution=solution, results=results)

    def oracle(self, task: Task, session: Session) -> str:
        return task.solution

    async def verify(self, task: Task, response: Response, session: Session) -> float:
        code = response.final_text.encode("utf-8", "replace").decode().strip("` \n").removeprefix("python")
        calls = f"import json\nfrom answer import *\nprint(json.dumps([{', '.join(task.results)}]))"
        try:
            async with session.sandbox(SandboxSpec(files={"answer.py": code, "calls.py": calls})) as sandbox:
                ended = await sandbox.exec("python3 calls.py", timeout_s=10)
        except TimeoutError:
            return 0.0
        return float((ended.stdout or "").strip() == json.dumps(list(task.results.values())))
