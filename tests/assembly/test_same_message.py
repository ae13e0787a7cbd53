"""The same mistake gets the same message from the command line, a configuration, Python and existing code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nemo_gym.rollout_collection import RolloutCollectionConfig, RolloutCollectionHelper

import nemo_gym as gym_package
from nemo_gym.wire.errors import UsageError

Gym = Callable[..., "subprocess.CompletedProcess[str]"]
GOOD = {"responses_create_params": {"input": "2 + 2?"}, "expected_answer": "4"}


@dataclass(frozen=True)
class Mistake:
    """One mistake, as each caller makes it."""

    words: list[str]
    """After `gym run`; one that names no model type takes `random`."""
    config: dict[str, Any]
    python: dict[str, Any]
    message: str
    """How it begins."""
    flags: str = ""
    """What the command line adds."""
    model: Callable[[], Any] = field(default=lambda: "random")
    """The model from Python."""


MISTAKES = {
    "an unknown environment": Mistake(
        ["string_mach"],
        {"environment": "string_mach"},
        {"environment": "string_mach"},
        "no environment named 'string_mach'. Did you mean 'string_match'?",
    ),
    "a misspelt setting": Mistake(
        ["reasoning", "levl=3"],
        {"environment": {"name": "reasoning", "levl": 3}},
        {"environment": "reasoning", "settings": {"levl": 3}},
        "environment reasoning has no setting 'levl' (settings: families, level). Did you mean 'level'?",
    ),
    "a setting of the wrong type": Mistake(
        ["reasoning", "level=high"],
        {"environment": {"name": "reasoning", "level": "high"}},
        {"environment": "reasoning", "settings": {"level": "high"}},
        "environment reasoning: Expected `int`, got `str` - at `$.level` (settings: families, level)",
    ),
    "an unknown model type": Mistake(
        ["string_match", "--model-type", "chatt"],
        {"environment": "string_match", "model": "chatt"},
        {"environment": "string_match"},
        "no model type 'chatt'. Did you mean 'chat'?",
        "--model-type",
        model=lambda: "chatt",
    ),
    "the name of a product as model type": Mistake(
        ["string_match", "--model-type", "openai"],
        {"environment": "string_match", "model": "openai"},
        {"environment": "string_match"},
        "no model type 'openai': use type responses (or chat) at https://api.openai.com/v1",
        "--model-type",
        model=lambda: "openai",
    ),
    "a model without URL and name": Mistake(
        ["string_match", "--model-type", "chat"],
        {"environment": "string_match", "model": {"type": "chat"}},
        {"environment": "string_match"},
        "model type 'chat' needs a URL and a name",
        "--model-url, --model",
        model=lambda: gym_package.model(type="chat"),
    ),
    "the embedded model with a URL": Mistake(
        ["string_match", "--model-type", "embedded", "--model-url", "http://h/v1"],
        {"environment": "string_match", "model": {"type": "embedded", "url": "http://h/v1"}},
        {"environment": "string_match"},
        "model type 'embedded' has no endpoint: leave out the URL",
        "--model-type, --model-url",
        model=lambda: gym_package.model("http://h/v1", type="embedded"),
    ),
    "a URL without http": Mistake(
        ["string_match", "--model-url", "localhost:8000", "-m", "m"],
        {"environment": "string_match", "model": {"type": "chat", "url": "localhost:8000", "name": "m"}},
        {"environment": "string_match"},
        "model URL 'localhost:8000': expected ",
        model=lambda: gym_package.model("localhost:8000", "m"),
    ),
    "an unknown agent": Mistake(
        ["string_match", "--agent", "tool_lop"],
        {"environment": "string_match", "agent": "tool_lop"},
        {"environment": "string_match", "agent": "tool_lop"},
        "no agent named 'tool_lop'. Did you mean 'tool_loop'?",
        "--agent",
    ),
    "an agent that does not fit": Mistake(
        ["string_match", "--agent", "step_loop"],
        {"environment": "string_match", "agent": "step_loop"},
        {"environment": "string_match", "agent": "step_loop"},
        "agent 'step_loop' can't play string_match, which has tools and verify: use tool_loop",
    ),
    "an agent's setting of the wrong type": Mistake(
        ["string_match", "--agent-setting", "max_steps=abc"],
        {"environment": "string_match", "agent": {"name": "tool_loop", "max_steps": "abc"}},
        {"environment": "string_match", "agent_settings": {"max_steps": "abc"}},
        "agent 'tool_loop': max_steps: Expected `int`, got 'abc'",
    ),
    "a wrong limit": Mistake(
        ["string_match", "--limit", "-1"],
        {"environment": "string_match", "limit": -1},
        {"environment": "string_match", "limit": -1},
        "limit: expected a whole number from 1, got -1",
        "--limit",
    ),
    "no repeats": Mistake(
        ["string_match", "--num-repeats", "0"],
        {"environment": "string_match", "num_repeats": 0},
        {"environment": "string_match", "num_repeats": 0},
        "num_repeats: expected a whole number from 1, got 0",
        "--num-repeats",
    ),
    "a missing input file": Mistake(
        ["string_match", "--input", "no.jsonl"],
        {"environment": "string_match", "input_jsonl_fpath": "no.jsonl"},
        {"environment": "string_match", "tasks": "no.jsonl"},
        "no.jsonl: can't be read (No such file or directory)",
    ),
    "a folder as input": Mistake(
        ["string_match", "--input", "folder"],
        {"environment": "string_match", "input_jsonl_fpath": "folder"},
        {"environment": "string_match", "tasks": "folder"},
        "folder: can't be read (it is not a regular file)",
    ),
    "a row that is no JSON": Mistake(
        ["string_match", "--input", "broken.jsonl"],
        {"environment": "string_match", "input_jsonl_fpath": "broken.jsonl"},
        {"environment": "string_match", "tasks": "broken.jsonl"},
        "broken.jsonl:2: not valid JSON: ",
    ),
    "a row that lacks a column": Mistake(
        ["string_match", "--input", "lacking.jsonl"],
        {"environment": "string_match", "input_jsonl_fpath": "lacking.jsonl"},
        {"environment": "string_match", "tasks": "lacking.jsonl"},
        "lacking.jsonl:3: ",
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    good = json.dumps(GOOD)
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.jsonl").write_text(f'{good}\n{{"a": \n')
    (tmp_path / "lacking.jsonl").write_text(f"{good}\n{good}\n{{}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_gets_the_same_message_from_all_callers(name: str, gym: Gym, folder: Path) -> None:
    mistake = MISTAKES[name]
    has_model = {"--model-type", "--model-url"} & {*mistake.words}

    words = [*mistake.words, *([] if has_model else ["--model-type", "random"])]
    of_command = gym("run", *words, "-o", "out.jsonl", cwd=folder).stderr.removeprefix("gym: ").strip()
    (folder / "run.yaml").write_text(json.dumps({"model": "random", **mistake.config}))
    of_yaml = gym("run", "--config", "run.yaml", "-o", "out.jsonl", cwd=folder).stderr
    of_yaml = of_yaml.removeprefix("gym: ").removeprefix(f"{folder}/").strip()
    with pytest.raises(UsageError) as raised:
        async for _ in gym_package.collect(model=mistake.model(), **mistake.python):
            pass
    message = str(raised.value)

    assert message.startswith(mistake.message)
    assert of_command == message + (f" ({mistake.flags})" if mistake.flags else "")
    assert of_yaml in (message, of_command)
    assert not (folder / "out.jsonl").exists()


EXISTING_CODE = {
    "a wrong limit": {"limit": -1},
    "a missing input file": {"input_jsonl_fpath": "no.jsonl"},
    "a folder as input": {"input_jsonl_fpath": "folder"},
    "a row that is no JSON": {"input_jsonl_fpath": "broken.jsonl"},
}
"""The mistakes that can be made with running servers too, as a `RolloutCollectionConfig` has them."""


@pytest.mark.parametrize("name", EXISTING_CODE)
async def test_existing_code_that_collects_gets_the_same_message(name: str, folder: Path) -> None:
    (folder / "good.jsonl").write_text(json.dumps(GOOD) + "\n")
    (folder / "out.jsonl").write_text("an earlier run\n")

    with pytest.raises(UsageError) as raised:
        await collect_as_existing_code(EXISTING_CODE[name])

    assert str(raised.value).startswith(MISTAKES[name].message)
    assert isinstance(raised.value, ValueError)
    assert (folder / "out.jsonl").read_text() == "an earlier run\n"


async def test_existing_code_learns_that_the_output_is_a_folder(folder: Path) -> None:
    (folder / "good.jsonl").write_text(json.dumps(GOOD) + "\n")
    (folder / "out.jsonl").mkdir()

    with pytest.raises(UsageError, match=r"output out\.jsonl: expected a file, this is a folder"):
        await collect_as_existing_code({})


async def collect_as_existing_code(fields: dict[str, Any]) -> None:
    given = {"input_jsonl_fpath": "good.jsonl", "output_jsonl_fpath": "out.jsonl", "agent_name": "mine"}
    config = RolloutCollectionConfig.model_validate({**given, **fields})
    await RolloutCollectionHelper().run_from_config(config)


def test_an_output_that_is_a_folder_is_said_by_both_that_have_one(gym: Gym, folder: Path) -> None:
    (folder / "out.jsonl").mkdir()
    (folder / "run.yaml").write_text(
        json.dumps({"environment": "reasoning", "model": "random", "output_jsonl_fpath": "out.jsonl"})
    )

    of_command = gym("run", "reasoning", "--model-type", "random", "-o", "out.jsonl", cwd=folder).stderr
    of_yaml = gym("run", "--config", "run.yaml", cwd=folder).stderr

    assert of_command == of_yaml == "gym: output out.jsonl: expected a file, this is a folder (--output)\n"
