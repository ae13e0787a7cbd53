"""`gym env init --resources-server NAME`: a resources server with examples and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.config.builtins import environment_tree
from nemo_gym.config.tree import to_yaml
from nemo_gym.datasets.statistics import Statistics
from nemo_gym.environments.base import Golden
from nemo_gym.wire import keys
from nemo_gym.wire.items import assistant
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import ask
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row
from nemo_gym.workloads.scaffold.render import class_name, dataset, lines, render, write_files

REQUIREMENTS: Final = "-e nemo-gym[dev] @ ../../\n"


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of a verifier's rewards."""

    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True

    @property
    def right(self) -> float:
        return self.high if self.higher_is_better else self.low

    @property
    def wrong(self) -> float:
        return self.low if self.higher_is_better else self.high


def write_server(name: str, root: Path, scale: Scale) -> list[Path]:
    """Write `resources_servers/NAME` and return its files, the code first.

    Raises:
        UsageError: the name is wrong, the folder exists already, or a file can't be written.
    """
    home = root / "resources_servers" / name
    return write_files(name, [home], server_files(name, root, scale))


def server_files(name: str, root: Path, scale: Scale) -> dict[Path, str]:
    """The files of a new resources server."""
    home = root / "resources_servers" / name
    words = {"name": name, "Class": class_name(name), "right": scale.right, "wrong": scale.wrong}
    examples = home / "data" / "example.jsonl"
    about = {
        "verified": False,
        "description": "TODO: what it asks of a model",
        "value": "TODO: what it improves",
    }
    config = environment_tree(name, None, settings=about, datasets=[dataset(examples, root)])
    return {
        home / "app.py": render("server_app.py", **words),
        home / "configs" / f"{name}.yaml": to_yaml(config),
        examples: lines(example_rows()),
        home / "data" / "example_metrics.json": _metrics(config[f"{name}_simple_agent"]),
        home / "data" / "example_rollouts.jsonl": lines(_rollouts(scale)),
        home / "data" / ".gitignore": render("gitignore"),
        home / "tests" / "test_app.py": render("server_test.py", **words),
        home / "README.md": render("server_README.md", **words),
        home / "requirements.txt": REQUIREMENTS,
    }


def example_rows() -> list[Row]:
    """Five tasks for the new verifier."""
    return [
        {
            keys.PARAMS: ask(f"What is {a} + {b}? Answer with the number only."),
            "expected_answer": str(a + b),
        }
        for a, b in ((2, 3), (4, 9), (17, 25), (60, 40), (128, 256))
    ]


def known_answers(scale: Scale) -> list[Golden]:
    """Answers to the first task, and the reward of each."""
    task = example_rows()[0]

    def case(name: str, output: str, kind: Any, reward: float) -> Golden:
        return Golden(name=name, kind=kind, task=task, output=output, expected_reward=reward)

    return [
        case("the number alone", "5", "full_reward", scale.right),
        case("the number at the end", "2 + 3 = 5", "full_reward", scale.right),
        case("another number", "6", "zero_reward", scale.wrong),
        case("takes the answer back", "5, no, 6", "zero_reward", scale.wrong),
        case("a list of guesses", "4, 5", "zero_reward", scale.wrong),
        case("a denial", "It is not 5.", "zero_reward", scale.wrong),
        case("a question", "Is it 5?", "zero_reward", scale.wrong),
        case("no number", "I don't know.", "malformed", scale.wrong),
        case("nothing", "", "malformed", scale.wrong),
    ]


def _metrics(agent: dict[str, Any]) -> str:
    (declaration,) = agent["responses_api_agents"]["simple_agent"]["datasets"]
    statistics = Statistics()
    for row in example_rows():
        statistics.add(row)
    return msgspec.json.format(encode({**declaration, **statistics.figures()}), indent=4).decode() + "\n"


def _rollouts(scale: Scale) -> Iterator[Row]:
    for index, row in enumerate(example_rows()):
        answer = row["expected_answer"]
        response = Response.of([assistant(answer)], id=f"resp_{index}").data
        yield {**row, keys.RESPONSE: response, keys.REWARD: scale.right, "extracted_answer": answer}
