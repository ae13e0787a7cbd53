"""The documentation says what is so: links, commands, names and code blocks."""

from __future__ import annotations

import ast
import asyncio
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nemo_gym
from nemo_gym.agents.registry import AGENTS
from nemo_gym.agents.registry import ALIASES as AGENT_ALIASES
from nemo_gym.cli.main import command_line
from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.conformance.judging import CHECKS
from nemo_gym.environments.discovery import find_environment, list_environments
from nemo_gym.models.registry import ALIASES as MODEL_ALIASES
from nemo_gym.models.registry import TYPES
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire import errors
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.params import RequestParams, ask
from nemo_gym.wire.response import Response
from nemo_gym.workloads.scaffold.environment import write_scaffold

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("src/**/*.md")]
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        aim = (page.parent / file).resolve() if file else page
        assert aim.exists(), f"{target}: there is no such file"
        assert not heading or heading in headings(aim), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_line_uses_commands_and_flags_that_exist(page: Path) -> None:
    for line in commands(page):
        check_command(line)


def test_a_flag_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="--seeds"):
        check_command("gym run mcqa --seeds 3")
    with pytest.raises(AssertionError, match="no command"):
        check_command("gym evaluate mcqa")


def test_the_readme_shows_the_weather_example_as_it_is() -> None:
    (block,) = (block for block in blocks(README, "python") if "class Weather" in block)
    source = (ROOT / "examples" / "weather.py").read_text()
    _, _, after_docstring = source.partition('"""\n\n')
    assert block == after_docstring


async def test_a_model_that_looks_the_weather_up_earns_full_reward() -> None:
    rewards = [rollout.reward async for rollout in nemo_gym.collect(weather(), ScriptedModel(look_up))]
    assert rewards == [1.0] * 4


@pytest.mark.parametrize("answer", ["sunny rainy hazy dry", "It is not {}", "{} or something else"])
async def test_q11_a_model_that_looks_the_weather_up_and_lists_or_denies_it_earns_nothing(
    answer: str,
) -> None:
    def evade(params: RequestParams) -> str | list[Item]:
        said = look_up(params)
        return answer.format(said.split()[1].strip(",")) if isinstance(said, str) else said

    rewards = [rollout.reward async for rollout in nemo_gym.collect(weather(), ScriptedModel(evade))]
    assert rewards == [0.0] * 4


async def test_a_model_that_knows_the_weather_without_looking_earns_nothing() -> None:
    model = ScriptedModel(lambda params: "sunny rainy hazy dry")
    rewards = [rollout.reward async for rollout in nemo_gym.collect(weather(), model)]
    assert rewards == [0.0] * 4


ENVIRONMENT_BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{found[1]}")
    for page in PAGES
    if page.is_relative_to(ROOT / "docs") or page == README
    for block in (re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
    if (found := re.search(r"^class (\w+)\((?:Step)?Environment\)", block, re.MULTILINE))
]


@pytest.mark.parametrize("block", ENVIRONMENT_BLOCKS)
async def test_every_environment_in_the_documentation_runs(block: str, tmp_path: Path) -> None:
    file = tmp_path / "shown.py"
    file.write_text(block)
    kind = find_environment(str(file))
    model = "oracle" if "def oracle" in block else "random"
    rollouts = [rollout async for rollout in nemo_gym.collect(kind, model, limit=2)]
    assert [str(rollout.failure) for rollout in rollouts if rollout.failure] == []
    if model == "oracle":
        assert [rollout.reward for rollout in rollouts] == [kind.reward_range[1]] * len(rollouts)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_python_block_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


async def test_the_collect_example_prints_a_line_for_every_rollout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await runpy.run_path(str(ROOT / "examples" / "collect.py"))["main"]()
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line[:3] for line in lines) == [
        f"{task} {repeat}" for task in range(4) for repeat in (0, 1)
    ]


async def test_the_python_of_the_readme_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (block for block in blocks(README, "python") if "gym.collect(" in block)
    assert 'if __name__ == "__main__":\n    asyncio.run(main())' in block
    assert '"embedded", limit=8, num_repeats=4' in block
    (tmp_path / "first.py").write_text(block.replace('"embedded"', '"oracle"'))
    await runpy.run_path(str(tmp_path / "first.py"))["main"]()
    assert len(capsys.readouterr().out.splitlines()) == 32


def test_the_tutorial_shows_what_its_commands_print(tmp_path: Path) -> None:
    page = ROOT / "docs" / "first-environment.md"
    write_scaffold("roman", tmp_path)
    (code,) = blocks(page, "python")
    (tmp_path / "roman" / "environment.py").write_text(code)
    (cases,) = re.findall(r'^```\n(\{"name".*?)^```', page.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "roman" / "golden.jsonl").write_text(cases)
    kind = find_environment("roman", roots=[tmp_path])
    report = asyncio.run(check_environment(kind))
    shown = {line.split("│")[1].strip(): line for line in page.read_text().splitlines() if line[:1] == "│"}
    assert {result.name for result in report.results} == set(shown)
    assert [result for result in report.results if not result.passed] == []
    for result in report.results:
        assert result.name == "event_loop" or f"│ {result.message} " in shown[result.name]


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        *(
            (text, 1.0)
            for text in ["XIV", "xiv", "**XIV**", "14 is XIV.", "I think it is XIV.", "I get XIV."]
        ),
        *((text, 0.0) for text in ["It is not XIV", "XIV or XVI", "XIV?", "maybe XIV", "XIV is wrong", ""]),
        *(
            (text, 0.0)
            for text in ["XIV, XVI", "IIII, XIV", "xvi xiv", "X\u200bII, XIV", "XIIV", "15 is XIV."]
        ),
        (" ".join(["I", "V", "X", "XIV", "XV"]), 0.0),
    ],
)
def test_the_verifier_of_the_tutorial_pays_one_claim(tmp_path: Path, text: str, reward: float) -> None:
    (code,) = blocks(ROOT / "docs" / "first-environment.md", "python")
    (tmp_path / "roman.py").write_text(code)
    environment: Any = find_environment(str(tmp_path / "roman.py"))()
    task = environment.Task(responses_create_params=ask("Write 14 in Roman numerals."), number=14)
    assert environment.verify(task, Response.of([assistant(text)]), None) == reward


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("4, please", 1.0),
        ("2 + 2 = 4. Please!", 1.0),
        ("3, 4, 5, please", 0.2),
        ("Please, it is not 4.", 0.2),
    ],
)
def test_the_rewards_page_pays_one_claim(tmp_path: Path, text: str, reward: float) -> None:
    page = ROOT / "docs" / "environments.md"
    (code,) = (block for block in blocks(page, "python") if "class Polite" in block)
    (tmp_path / "polite.py").write_text(code)
    environment: Any = find_environment(str(tmp_path / "polite.py"))()
    task = environment.Task(responses_create_params=ask("What is 2 + 2?"), expected="4")
    assert environment.verify(task, Response.of([assistant(text)]), None).value == pytest.approx(reward)


def test_the_readme_lists_the_built_in_environments_and_no_others() -> None:
    table = set(re.findall(r"^\| `(\w+)` \|", README.read_text(), re.MULTILINE))
    assert table == {info.name for info in list_environments(roots=[])}


def test_the_readme_names_every_model_and_agent() -> None:
    text = README.read_text()
    assert [name for name in (*TYPES, *AGENTS) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", sorted({*TYPES, *MODEL_ALIASES}))
def test_every_model_type_is_explained(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "models.md").read_text()


def test_every_flag_of_run_is_explained() -> None:
    text = (ROOT / "docs" / "running.md").read_text()
    flags = [flag for flag in flags_of(find_command(["run"])[0]) if flag not in ("--help", "-h")]
    assert [flag for flag in flags if f"`{flag}`" not in text] == []


def test_every_failure_class_and_agent_is_explained() -> None:
    text = (ROOT / "docs" / "running.md").read_text()
    classes = [
        kind.failure_class
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.RolloutError)
    ]
    assert [name for name in (*classes, *AGENTS, *AGENT_ALIASES) if f"`{name}`" not in text] == []


def test_every_promise_of_the_check_is_explained() -> None:
    text = (ROOT / "docs" / "environments.md").read_text()
    assert [name for name in CHECKS if f"`{name}`" not in text] == []


def weather() -> str:
    return str(ROOT / "examples" / "weather.py")


def look_up(params: RequestParams) -> str | list[Item]:
    last: Any = params["input"][-1]
    if last["type"] == "function_call_output":
        return f"Today: {last['output']}"
    city = last["content"].removeprefix("How is the weather in ").rstrip("?")
    return [function_call("get_weather", f'{{"city": "{city}"}}', call_id="call_1")]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of a language; an empty one means those without."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """The page without its code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(page: Path) -> Iterator[str]:
    """The `gym ...` command lines in code blocks and between backticks."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"(\$ )?gym [a-z-]", line):
                yield line.removeprefix("$ ")
    without_blocks = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`(gym [a-z-][^`\n]*)`", without_blocks)


def check_command(line: str) -> None:
    command, rest = find_command(shlex.split(line, comments=True)[1:])
    known = flags_of(command)
    for word in rest:
        flag = word.partition("=")[0]
        assert not re.match(r"--?[a-z]", flag) or flag in known, f"{line!r}: there is no flag {flag}"


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words left over."""
    command = command_line()
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def flags_of(command: Any) -> list[str]:
    return [
        *(flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")),
        "--help",
        "-h",
    ]
