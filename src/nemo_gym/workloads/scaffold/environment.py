"""`gym env init NAME`: a small working environment to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from nemo_gym.environments.base import Golden
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.params import ask
from nemo_gym.workloads.scaffold.render import class_name, lines, render, write_files


def write_scaffold(name: str, folder: Path, *, steps: bool = False) -> list[Path]:
    """Write the environment `name` into `folder/name` and return the files, the environment first.

    Args:
        steps: whether the environment has the reset/step form.

    Raises:
        UsageError: the name is not an identifier, or a file or folder of that name exists.
    """
    single = folder / f"{name}.py"
    if single.exists():
        raise UsageError(f"{single} is there already and is left as it is: choose another name")
    home = folder / name
    form, prompt = ("step_environment", _GUESS) if steps else ("environment", _SUM)
    files = {
        home / "environment.py": render(f"{form}.py", Class=class_name(name), prompt=prompt),
        home / "golden.jsonl": lines(_step_cases() if steps else _cases()),
        home / "README.md": render(f"{form}_README.md", name=name),
        home / "tests" / f"test_{name}.py": render("environment_test.py"),
    }
    return write_files(name, [home], files)


_SUM: Final = "What is {a} + {b}? Answer with the number only."
_GUESS: Final = "I think of a number from 1 to 7. Guess it: answer with one number."


def _cases() -> list[Golden]:
    task = {keys.PARAMS: ask(_SUM.format(a=2, b=3)), "expected": "5"}
    call = {"type": "function_call", "name": "add", "arguments": '{"a": 2, "b": 3}', "call_id": "call_0"}
    return [
        Golden(name="the number alone", kind="full_reward", task=task, output="5"),
        Golden(
            name="asks the tool first",
            kind="full_reward",
            task=task,
            output=[call, *_answers("The sum is 5.")],
        ),
        Golden(name="another number", kind="zero_reward", task=task, output="6"),
        Golden(name="takes the answer back", kind="zero_reward", task=task, output="5, no, 6"),
        Golden(name="a denial", kind="zero_reward", task=task, output="It is not 5."),
        Golden(name="a list of guesses", kind="zero_reward", task=task, output="4, 5"),
        Golden(name="no number", kind="malformed", task=task, output="I don't know."),
        Golden(name="nothing", kind="malformed", task=task, output=""),
    ]


def _step_cases() -> list[Golden]:
    task = {keys.PARAMS: ask(_GUESS), "number": 5}
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
