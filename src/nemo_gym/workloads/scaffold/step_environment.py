"""The template of `gym env init NAME --template steps`: a guessing game, turn by turn."""

from __future__ import annotations

from typing import Any, Final

from nemo_gym.environments.base import Golden
from nemo_gym.wire.params import ask

_PROMPT: Final = "I think of a number from 1 to 7. Guess it: answer with one number."


def golden_cases() -> list[Golden]:
    """Cases that the written environment must score as they say."""
    task = {"responses_create_params": ask(_PROMPT), "number": 5}
    return [
        Golden(name="at once", kind="full_reward", task=task, output=_answers("5")),
        Golden(name="with a hint", kind="full_reward", task=task, output=_answers("4", "Then it is 5.")),
        Golden(name="three misses", kind="zero_reward", task=task, output=_answers("1", "2", "3")),
        Golden(name="several at once", kind="zero_reward", task=task, output=_answers(*["4 or 5"] * 3)),
        Golden(name="denials", kind="zero_reward", task=task, output=_answers(*["It is not 5."] * 3)),
        Golden(name="no number", kind="malformed", task=task, output=_answers(*["I don't know."] * 3)),
    ]


def _answers(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "message", "role": "assistant", "content": text} for text in texts]


ENVIRONMENT: Final = rf'''import random
import re
from collections.abc import Iterator

from nemo_gym import Response, Session, Step, StepEnvironment, Task, ask
from nemo_gym.verifiers.claims import denies, negates

GUESSES = 3
NUMBERS = range(1, 8)


class CLASS_NAME(StepEnvironment):
    """Guess a number from 1 to 7 in three turns, with a hint after each."""

    max_steps = GUESSES

    class Task(Task):
        number: int

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        rng = random.Random(f"{{split}} {{seed}}")
        for number in rng.sample(NUMBERS, min(n or len(NUMBERS), len(NUMBERS))):
            question = {{**ask("{_PROMPT}"), "max_output_tokens": 24}}
            yield self.Task(responses_create_params=question, number=number)

    def reset(self, task: Task, session: Session) -> None:
        session.state.update(number=task.number, left=GUESSES)

    def step(self, action: Response, session: Session) -> Step:
        number = session.state["number"]
        guess = read_guess(action.final_text)
        if guess == number:
            return Step(reward=1.0, terminated=True)
        session.state["left"] -= 1
        if not session.state["left"]:
            return Step(terminated=True)
        if guess is None:
            return Step("Answer with one number.")
        return Step("It is higher." if guess < number else "It is lower.")

    def oracle(self, task: Task, session: Session) -> str:
        return str(task.number)


def read_guess(text: str) -> int | None:
    """The one number that a text claims; none where it names several, or says something against it."""
    numbers = {{word.rstrip(".,;:!?") for word in re.split(r"[\s*$]+", text) if re.search("[0-9]", word)}}
    number = numbers.pop() if len(numbers) == 1 else ""
    if not re.fullmatch("[0-9]{{1,9}}", number) or negates(text) or denies(text):
        return None
    return int(number)
'''

README: Final = """# ENV_NAME

Guess a number from 1 to 7 in three turns.

- **Tasks**: made by `tasks()` in `environment.py`, the same ones for the same split and seed.
- **Row**: `responses_create_params` (the question) and `number` (what is to be guessed).
- **Turn**: `step()` reads one answer and says whether the number is higher or lower.
- **Reward**: 1 when an answer claims the number, and no other number, else 0.

```
gym run ENV_NAME          # let a model try it
gym env check ENV_NAME    # does it keep the promises of an environment?
pytest ENV_NAME
```

To make it yours: change `tasks()`, `reset()` and `step()`, then write the cases you are sure of into
`golden.jsonl`, or let `gym env golden ENV_NAME` write them from rollouts.
"""
