"""The model writes a function that runs in a sandbox. Run it: `gym run examples/write_function`."""

import json

from nemo_gym import Environment, Response, Session, Task, ask
from nemo_gym.sandbox import SandboxSpec

PROBLEMS = [
    ("add(a, b) returns the sum", "def add(a, b): return a + b", {"add(2, 3)": 5, "add(-1, 1)": 0}),
    ("last(x) returns the last item", "def last(x): return x[-1]", {"last('abc')": "c", "last([7])": 7}),
    ("twice(s) repeats a text", "def twice(s): return s * 2", {"twice('ab')": "abab", "twice('')": ""}),
]


class WriteFunction(Environment):
    """Write a Python function; what it returns is compared outside the sandbox, out of its reach."""

    class Task(Task):
        solution: str
        results: dict[str, int | str]

    def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
        prompts = [ask(f"Answer with a Python function and nothing else: {what}.") for what, *_ in PROBLEMS]
        kinds = zip(prompts, PROBLEMS, strict=True)
        return [self.Task(responses_create_params=p, solution=s, results=r) for p, (_, s, r) in kinds]

    def oracle(self, task: Task, session: Session) -> str:
        return task.solution

    async def verify(self, task: Task, response: Response, session: Session) -> float:
        code = response.final_text.encode("utf-8", "replace").decode().strip("` \n").removeprefix("python")
        if "def " not in code:
            return 0.0
        calls = f"import json\nfrom answer import *\nprint(json.dumps([{', '.join(task.results)}]))"
        try:
            async with session.sandbox(SandboxSpec(files={"answer.py": code, "calls.py": calls})) as sandbox:
                ended = await sandbox.exec("python3 calls.py", timeout_s=10)
        except TimeoutError:
            return 0.0
        return float((ended.stdout or "").strip() == json.dumps(list(task.results.values())))
