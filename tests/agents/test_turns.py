"""The turns of unfinished rollouts: their file, and rollouts that go on in the same process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym import Environment, Response, Session, Task, ask, tool
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.agents.turns import Turn, TurnFile, TurnFolder
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.wire.errors import EnvironmentFault, ModelError
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.params import RequestParams

ROW: dict[str, Any] = {
    "_ng_task_index": 3,
    "_ng_rollout_index": 1,
    "responses_create_params": {"input": [{"role": "user", "content": "count"}]},
}


class Counter(Environment):
    """Count to four."""

    restorable = True
    outputs: Iterator[str] | None = None

    def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
        return [self.Task(responses_create_params=ask("count"))]

    def seed(self, task: Task, session: Session) -> None:
        session.state["count"] = 0

    @tool
    async def count(self, session: Session) -> str:
        """Count one more."""
        session.state["count"] += 1
        return next(self.outputs) if self.outputs else str(session.state["count"])

    def verify(self, task: Task, response: Response, session: Session) -> float:
        return float(session.state["count"] == 4)


class Caller(Model):
    """Calls the tool four times; fails at some calls."""

    def __init__(self, *fails: int) -> None:
        self.calls = 0
        self.fails = fails

    async def responses(self, params: RequestParams) -> Response:
        self.calls += 1
        if self.calls in self.fails:
            raise ModelError("gone")
        done = sum(item.get("type") == "function_call_output" for item in params["input"])  # type: ignore[union-attr]
        if done == 4:
            return Response.of([assistant("4", id="m")])
        return Response.of([function_call("count", "{}", call_id=f"c{done}")], id=f"r{self.calls}")


def turn(number: int) -> Turn:
    return Turn({"id": f"r{number}", "output": []}, [number], 0.5, {"n": number} if number % 2 else None)


def agent_in(folder: Path) -> ToolLoop:
    agent = ToolLoop()
    agent.turns = TurnFolder(folder)
    return agent


@given(st.integers(0, 4), st.binary(max_size=40).filter(lambda tail: b"\n" not in tail))
def test_a_file_gives_its_whole_turns_whatever_was_written_last(
    tmp_path_factory: pytest.TempPathFactory, count: int, tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("turns") / "3-1.jsonl"
    file = TurnFile(path, 2)
    for number in range(count):
        file.append(turn(number))
    with path.open("ab") as torn:
        torn.write(tail)

    again = TurnFile(path, 2)
    assert again.read() == [turn(number) for number in range(count)]
    again.append(turn(9))
    assert TurnFile(path, 2).read() == [*(turn(number) for number in range(count)), turn(9)]
    assert TurnFile(path, 3).read() == []


def test_a_line_that_is_no_turn_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "3-1.jsonl"
    file = TurnFile(path, 0)
    file.append(turn(1))
    with path.open("ab") as other:
        other.write(b'{"answer": 5}\n')
    whole = path.read_bytes()

    assert TurnFile(path, 0).read() == [turn(1)]
    path.write_bytes(whole.replace(b'{"attempt":0}', b"[]"))
    assert TurnFile(path, 0).read() == []


async def test_a_rollout_goes_on_after_its_last_turn(tmp_path: Path) -> None:
    link, agent = LocalEnvironment(Counter()), agent_in(tmp_path)
    model = Caller(3)
    with pytest.raises(ModelError, match="gone"):
        await agent.run(ROW, link, model)

    rollout = await agent.run(ROW, link, model)

    assert rollout.reward == 1.0
    assert model.calls == 3 + 3
    assert rollout.timing["resumed_turns"] == 2
    assert rollout.timing["model_calls"] == 5


async def test_another_attempt_starts_again(tmp_path: Path) -> None:
    link, agent = LocalEnvironment(Counter()), agent_in(tmp_path)
    model = Caller(3)
    with pytest.raises(ModelError):
        await agent.run(ROW, link, model)

    rollout = await agent.run({**ROW, "_ng_attempt_index": 1}, link, model)

    assert rollout.reward == 1.0
    assert model.calls == 3 + 5


@pytest.mark.parametrize("outputs", ["ab34", "12"])
async def test_other_outputs_make_it_start_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, outputs: str
) -> None:
    environment = Counter()
    link, agent = LocalEnvironment(environment), agent_in(tmp_path)
    environment.outputs = iter("1a" + outputs + "12345")
    model = Caller(3)
    with pytest.raises(ModelError):
        await agent.run(ROW, link, model)

    with caplog.at_level(logging.WARNING):
        rollout = await agent.run(ROW, link, model)

    assert rollout.reward == 1.0
    assert model.calls == 3 + 5
    assert "task 3, repeat 1 starts again: the environment's part of turn" in caplog.text
    assert "resumed_turns" not in rollout.timing


async def test_a_session_that_can_not_be_restored_starts_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Counter):
        def snapshot(self, session: Session) -> Any:
            return session.state["count"]

        def restore(self, state: Any, session: Session) -> None:
            raise OSError("no such place")

    link, agent = LocalEnvironment(Broken()), agent_in(tmp_path)
    model = Caller(3)
    with pytest.raises(ModelError):
        await agent.run(ROW, link, model)

    with caplog.at_level(logging.WARNING):
        rollout = await agent.run(ROW, link, model)

    assert rollout.reward == 1.0
    assert "starts again: restore raised OSError: no such place" in caplog.text


async def test_a_snapshot_that_raises_is_a_fault_of_the_environment(tmp_path: Path) -> None:
    class Broken(Counter):
        def snapshot(self, session: Session) -> Any:
            raise OSError("no such place")

        def restore(self, state: Any, session: Session) -> None:
            pass

    with pytest.raises(EnvironmentFault, match="snapshot raised OSError"):
        await agent_in(tmp_path).run(ROW, LocalEnvironment(Broken()), Caller())


async def test_a_disk_that_takes_no_turn_ends_no_rollout(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "turns"
    folder.write_text("a file where the folder should be")

    with caplog.at_level(logging.WARNING):
        rollout = await agent_in(folder).run(ROW, LocalEnvironment(Counter()), Caller())

    assert rollout.reward == 1.0
    assert caplog.text.count("task 3, repeat 1: its turns are not kept, so it would start again") == 1


async def test_a_folder_is_cleared(tmp_path: Path) -> None:
    folder = TurnFolder(tmp_path / "turns")
    folder.clear()
    folder.file(ROW).append(turn(1))
    folder.clear()

    assert not folder.folder.exists()
