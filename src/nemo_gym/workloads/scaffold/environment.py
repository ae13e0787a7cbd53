"""`gym env init NAME`: a small working environment to start from."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from nemo_gym.environments.base import Golden
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import ask
from nemo_gym.workloads.scaffold import step_environment


def write_scaffold(name: str, folder: Path, *, steps: bool = False) -> list[Path]:
    """Write the environment `name` into `folder/name` and return the files, the environment first.

    Args:
        steps: write one in the reset/step form.

    Raises:
        UsageError: the name can't be an identifier, or something of that name is there already.
    """
    check_name(name)
    home = folder / name
    for taken in (home, folder / f"{name}.py"):
        if taken.exists():
            raise UsageError(f"{taken} is there already and is left as it is: choose another name")
    class_name = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    cases = step_environment.golden_cases() if steps else _golden_cases()
    environment, readme = (
        (step_environment.ENVIRONMENT, step_environment.README) if steps else (_ENVIRONMENT, _README)
    )
    files = {
        home / "environment.py": environment.replace("CLASS_NAME", class_name),
        home / "golden.jsonl": "".join(encode(case).decode() + "\n" for case in cases),
        home / "README.md": readme.replace("ENV_NAME", name),
        home / "tests" / f"test_{name}.py": _TEST,
    }
    try:
        (home / "tests").mkdir(parents=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{home}: can't be written ({error.strerror})") from None
    return list(files)


def check_name(name: str) -> None:
    """Check that something new can be named so.

    Raises:
        UsageError: it can't be an identifier, with one that could.
    """
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and not keyword.iskeyword(name):
        return
    fixed = _fixed(name)
    hint = f"; {fixed!r} would do" if fixed else ""
    raise UsageError(f"{name!r} can't be the name of an environment: use letters, digits and _{hint}")


def _fixed(name: str) -> str:
    fixed = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    fixed = f"env_{fixed}" if fixed[:1].isdigit() else fixed
    return f"{fixed}_env" if keyword.iskeyword(fixed) else fixed


def _golden_cases() -> list[Golden]:
    task = {"responses_create_params": ask(_PROMPT.format(a=2, b=3)), "expected": "5"}
    call = {"type": "function_call", "name": "add", "arguments": '{"a": 2, "b": 3}', "call_id": "call_0"}
    message = {"type": "message", "role": "assistant", "content": "The sum is 5."}
    return [
        Golden(name="the number alone", kind="full_reward", task=task, output="5"),
        Golden(name="asks the tool first", kind="full_reward", task=task, output=[call, message]),
        Golden(name="another number", kind="zero_reward", task=task, output="6"),
        Golden(name="takes the answer back", kind="zero_reward", task=task, output="5, no, 6"),
        Golden(name="a denial", kind="zero_reward", task=task, output="It is not 5."),
        Golden(name="a list of guesses", kind="zero_reward", task=task, output="4, 5"),
        Golden(name="no number", kind="malformed", task=task, output="I don't know."),
        Golden(name="nothing", kind="malformed", task=task, output=""),
    ]


_PROMPT = "What is {a} + {b}? Answer with the number only."

_ENVIRONMENT = rf'''import random
import re
from collections.abc import Iterator
from itertools import product

from nemo_gym import Environment, Response, Session, Task, ask, tool
from nemo_gym.verifiers.claims import claimed_number

PAIRS = list(product(range(1, 21), repeat=2))
QUESTION = re.compile(r"\bsum of \d{{1,3}} and \d{{1,3}} is\b")


class CLASS_NAME(Environment):
    """Add two small numbers; a tool can do it too."""

    class Task(Task):
        expected: str

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        rng = random.Random(f"{{split}} {{seed}}")
        for a, b in rng.sample(PAIRS, min(n or 20, len(PAIRS))):
            question = ask(f"{_PROMPT}")
            yield self.Task(
                responses_create_params={{**question, "temperature": 0.3, "max_output_tokens": 24}},
                expected=str(a + b),
            )

    @tool
    def add(self, a: int, b: int) -> int:
        """Return the sum of two whole numbers."""
        return a + b

    def verify(self, task: Task, response: Response, session: Session) -> float:
        answer = QUESTION.sub("", response.final_text)
        return float(claimed_number(answer) == task.expected)

    def oracle(self, task: Task, session: Session) -> str:
        return task.expected
'''

_README = """# ENV_NAME

Add two small numbers.

- **Tasks**: made by `tasks()` in `environment.py`, the same ones for the same split and seed.
- **Row**: `responses_create_params` (the question) and `expected` (the sum, as text).
- **Tools**: `add(a, b)`.
- **Reward**: 1 when the final answer claims the sum, and neither another number nor a doubt, else 0.

```
gym run ENV_NAME          # let a model try it
gym env check ENV_NAME    # does it keep the promises of an environment?
pytest ENV_NAME
```

To make it yours: change `tasks()` and `verify()`, then write the cases you are sure of into `golden.jsonl`.
"""

_TEST = """import asyncio
from pathlib import Path

from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.discovery import find_environment

ENVIRONMENT = find_environment(str(Path(__file__).parents[1] / "environment.py"))


def test_it_keeps_every_promise_of_an_environment() -> None:
    report = asyncio.run(check_environment(ENVIRONMENT))
    assert [result for result in report.results if not result.passed] == []


def test_the_same_seed_makes_the_same_tasks() -> None:
    first, again = (list(ENVIRONMENT().tasks("train", 7, 5)) for _ in range(2))
    assert first == again
"""
