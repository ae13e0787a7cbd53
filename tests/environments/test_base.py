"""What an author's class gets from its base: a name, settings, tasks and golden cases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nemo_gym import Environment, Golden, Response, Session, Step, StepEnvironment, Task
from nemo_gym.environments.base import Config
from nemo_gym.environments.discovery import find_environment
from nemo_gym.wire.errors import DataError, UsageError


class TwoSums(Environment):
    class Config(Config):
        level: int = 1
        words: list[str] = []

    class Task(Task):
        expected: int

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return 1.0


class Needy(Environment):
    class Config(Config):
        path: str


def environment_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TwoSums:
    monkeypatch.setattr(TwoSums, "folder", classmethod(lambda cls: folder))
    return TwoSums()


def test_the_name_is_the_class_name_in_snake_case() -> None:
    assert TwoSums.name() == "two_sums"
    assert type("Plain", (Environment,), {}).name() == "plain"
    assert type("SQLQuery2Text", (Environment,), {}).name() == "sqlquery2_text"


def test_a_packaged_environment_is_named_after_its_folder() -> None:
    assert find_environment("example_single_tool_call", roots=[]).name() == "example_single_tool_call"


def test_the_folder_is_where_the_class_is_written() -> None:
    assert TwoSums.source_file() == Path(__file__)
    assert TwoSums.folder() == Path(__file__).parent


def test_settings_are_typed_and_have_defaults() -> None:
    assert (TwoSums().config.level, TwoSums().config.words) == (1, [])
    assert TwoSums({"level": "3", "words": ["a"]}).config == TwoSums.Config(level=3, words=["a"])


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (
            TwoSums,
            {"levle": 1},
            r"^environment two_sums has no setting 'levle' \(settings: .*\). Did you mean 'level'\?$",
        ),
        (TwoSums, {"level": "high"}, r"Expected `int`, got `str` - at `\$.level`"),
        (TwoSums, {"words": 3}, r"Expected `array`, got `int` - at `\$.words`"),
        (Needy, {}, r"missing required field `path` \(settings: path\)"),
        (Environment, {"a": 1}, r"no setting 'a' \(settings: none\)"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    kind: type[Environment], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        kind(settings)
    assert "\n" not in str(caught.value)


def test_tasks_come_from_the_split_s_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text('{"expected": 1}\n\n{"expected": 2}\n')

    rows = list(environment_in(tmp_path, monkeypatch).tasks("train", 0, None))

    assert rows == [{"expected": 1}, {"expected": 2}]


def test_a_broken_line_of_the_split_s_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text('{"expected": 1}\nnonsense\n')

    with pytest.raises(DataError, match=r"train\.jsonl:2: not valid JSON"):
        list(environment_in(tmp_path, monkeypatch).tasks("train", 0, None))


def test_an_unknown_split_names_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    for name in ("train", "example"):
        (tmp_path / "data" / f"{name}.jsonl").write_text("")

    with pytest.raises(UsageError, match=r"two_sums has no split 'test'; it has example, train$"):
        environment_in(tmp_path, monkeypatch).tasks("test", 0, None)


def test_without_data_of_its_own_an_environment_asks_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"no data of its own: give an input file$"):
        environment_in(tmp_path, monkeypatch).tasks("train", 0, None)


def test_golden_cases_are_the_lines_of_golden_jsonl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = environment_in(tmp_path, monkeypatch)
    assert list(environment.golden()) == []
    case = Golden(name="right", kind="full_reward", task={"expected": 1}, output="1")
    (tmp_path / "golden.jsonl").write_bytes(msgspec.json.encode(case) + b"\n")

    assert list(environment.golden()) == [case]


def test_a_golden_case_of_an_unknown_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "golden.jsonl").write_text('{"name": "a", "kind": "best", "task": {}, "output": ""}\n')

    with pytest.raises(msgspec.ValidationError, match="Invalid enum value 'best'"):
        environment_in(tmp_path, monkeypatch).golden()


def test_an_environment_without_verify_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"Needy has no verify\(\)"):
        Needy({"path": "x"}).verify(Task(), Response.of([]), None)  # type: ignore[arg-type]


def test_a_step_environment_without_its_hooks_says_so() -> None:
    bare = StepEnvironment()

    with pytest.raises(NotImplementedError, match=r"has no reset\(\)"):
        bare.reset(Task(), None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match=r"has no step\(\)"):
        bare.step(Response.of([]), None)  # type: ignore[arg-type]


def test_a_step_is_not_the_end_unless_it_says_so() -> None:
    assert Step() == (None, 0.0, False, False, {})


def test_the_executor_is_made_once_and_only_when_asked_for() -> None:
    environment = TwoSums()
    assert "executor" not in vars(environment)

    with environment.executor as executor:
        assert environment.executor is executor
        assert executor.submit(lambda: sys.getrecursionlimit() > 0).result()
