"""The commands of docs/ecosystem.md do what the page says: each runs here, or names its opt-in tests."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shlex
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import run_gym
from tests.serving.loopback import served
from tests.support.guardrails_server import GuardrailsServer
from tests.support.schema_endpoint import SchemaEndpoint, Writer, schema_endpoint

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "ecosystem.md").read_text()
LINES = [line for line in PAGE.splitlines() if line.startswith("gym ")]
OPT_IN = re.compile(r"  # opt-in: make ([\w-]+)$")
TOPICS = ("baking", "travel", "sports")


def write_data_set(folder: Path) -> None:
    """What the opt-in command `create` would have written."""
    folder.mkdir(parents=True)
    with (folder / "records.jsonl").open("w") as file:
        for number in range(12):
            problem = {
                "question": f"Problem {number} about {TOPICS[number % 3]}: what is {number} plus {number}?",
                "answer": 2 * number,
                "working": "Add.",
            }
            record = {"topic": TOPICS[number % 3], "steps": 2, "twist": "none", "problem": problem}
            file.write(json.dumps({**record, "check": {"is_valid": True}}) + "\n")


def write_results(folder: Path) -> None:
    """What a run of Evaluator would have written."""
    folder.mkdir()
    result = {"problem_idx": 0, "repeat": 0, "reward": 1.0, "prompt": "1 + 1?", "model_response": "2"}
    (folder / "results.jsonl").write_text(json.dumps(result) + "\n")


def every_second_right() -> Writer:
    """Answers every second problem of the data set rightly."""
    numbers = count()

    def answer(prompt: str, _: random.Random) -> str:
        number = re.search(r"what is (\d+) plus", prompt)
        return f"\\boxed{{{2 * int(number[1])}}}" if number and next(numbers) % 2 else "I don't know."

    return answer


def test_the_page_has_a_command_for_every_sibling() -> None:
    text = "\n".join(LINES)
    for word in ("data-designer", "export", "curate", "evaluator", "guardrails", "--model-type nim"):
        assert word in text


@pytest.mark.parametrize("line", [line for line in LINES if OPT_IN.search(line)], ids=lambda line: line[:50])
def test_the_mark_of_an_opt_in_command_names_tests_that_exist(line: str) -> None:
    (name,) = OPT_IN.findall(line)
    tests = list((ROOT / "tests" / "siblings" / name.removeprefix("test-siblings-")).glob("*.py"))
    part = "DataDesigner|create_dataset|validate" if "data-designer" in line else "curator|gateway"
    assert any(re.search(part, path.read_text()) for path in tests)


async def test_every_other_command_runs_as_it_is_on_the_page(tmp_path: Path) -> None:
    write_data_set(tmp_path / "artifacts" / "dataset")
    write_results(tmp_path / "eval_results")
    answers = SchemaEndpoint(text=every_second_right())
    with schema_endpoint(answers) as model:
        async with served(GuardrailsServer(model).app) as rails:
            addresses = {
                "http://localhost:8000/v1": model,
                "http://localhost:4000": model.removesuffix("/v1"),
                "http://localhost:8001/v1": f"{rails}/v1",
            }
            for line in LINES:
                if OPT_IN.search(line):
                    continue
                words = [addresses.get(word, word) for word in shlex.split(line)[1:]]
                done = await asyncio.to_thread(run_gym, *words, cwd=tmp_path)
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    assert (tmp_path / "report" / "report.html").is_file()
    assert all((tmp_path / name).stat().st_size for name in ("pairs.jsonl", "sft.jsonl", "next.hard.jsonl"))
    assert "/think" in str(answers.requests[-1]["messages"])
