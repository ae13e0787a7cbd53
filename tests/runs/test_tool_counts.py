"""Which tools were called, and how often the answer was an error."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym import Environment, Response, Rollout, Session, tool
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.tool import tool_error
from nemo_gym.models.base import Model
from nemo_gym.runs.collect import attempt
from nemo_gym.runs.metrics import MetricsAccumulator
from nemo_gym.runs.tool_counts import NO_SUCH_TOOL, ToolCount, ToolCounts, count_tools, read_counts
from nemo_gym.support.time_limit import TimeLimit
from nemo_gym.wire.items import Item, assistant, function_call, function_call_output
from nemo_gym.wire.params import RequestParams, ask, input_items


class Desk(Environment):
    @tool
    def broken(self, word: str) -> str:
        """Look a word up."""
        raise KeyError(word)

    @tool
    def fine(self) -> str:
        """Nothing special."""
        return "ok"

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return 0.0


class Caller(Model):
    async def responses(self, params: RequestParams) -> Response:
        if len(input_items(params)) > 1:
            return Response.of([assistant("done")])
        calls = [("broken", '{"word": "x"}'), ("fine", "{}"), ("broken", "{"), ("made_up", "{}")]
        return Response.of(
            [function_call(name, text, call_id=f"c{place}") for place, (name, text) in enumerate(calls)]
        )


async def test_calls_and_errors_by_tool_are_in_the_row_and_in_the_metrics() -> None:
    row = {"responses_create_params": ask("go"), "_ng_task_index": 0, "_ng_rollout_index": 0}
    rollout = await attempt(ToolLoop(), row, LocalEnvironment(Desk()), Caller(), limit=TimeLimit(5))

    counted = rollout.to_row()["ng_tool_calls"]
    assert counted["broken"]["calls"] == counted["broken"]["errors"] == 2
    assert "KeyError" in counted["broken"]["error"]
    assert counted["fine"] == {"calls": 1}
    assert counted[NO_SUCH_TOOL]["errors"] == 1
    assert "made_up" not in counted

    metrics = MetricsAccumulator()
    for repeat in range(3):
        metrics.add({**rollout.to_row(), "_ng_rollout_index": repeat})
    tools = metrics.summary().tools
    assert (tools["broken"].calls, tools["broken"].errors) == (6, 6)
    (entry,) = metrics.document()
    assert entry["agent_metrics"]["tool_calls/broken"] == 6
    assert entry["agent_metrics"]["tool_errors/fine"] == 0
    assert entry["key_metrics"].keys() == {"mean/reward"}


def test_a_rollout_without_calls_has_no_such_column() -> None:
    rollout = Rollout(row={}, response=Response.of([assistant("hi")]), reward=1.0)
    count_tools(rollout)
    assert "ng_tool_calls" not in rollout.to_row()


def test_an_unanswered_call_and_an_answer_to_no_call_count_for_nothing() -> None:
    items: list[Item] = [function_call("a", "{}", call_id="1"), function_call_output("2", tool_error("x"))]
    rollout = Rollout(row={}, response=Response.of(items), reward=1.0)
    count_tools(rollout)
    assert rollout.tool_calls == {}


def test_however_many_names_a_model_makes_up_few_are_kept() -> None:
    counts = ToolCounts()
    for number in range(1000):
        counts.add(f"tool {number}", ToolCount(1))
    assert len(counts.by_name) == 101
    assert sum(count.calls for count in counts.by_name.values()) == 1000


@pytest.mark.parametrize("raw", [b"5", b'{"a": 1}', b'{"a": {"calls": "x"}}', b"[" * 100_000])
def test_a_column_that_says_something_else_is_passed_over(raw: bytes) -> None:
    assert read_counts(raw) == {}


CALL: Item = function_call("a", "{}", call_id="1")


@pytest.mark.parametrize(
    "items",
    [
        *([{}], ["text"], [None], [7], [[]], [{"type": ["function_call"]}], [{"type": "function_call"}]),
        *([{**CALL, "call_id": ["1"]}], [{**CALL, "name": 5}], [{**CALL, "name": None}]),
        [{"type": "function_call_output", "call_id": {}, "output": "x"}],
    ],
)
def test_a_trajectory_that_another_program_made_may_hold_anything(items: list[Any]) -> None:
    good: list[Any] = [CALL, function_call_output("1", "ok")]
    rollout = Rollout(row={}, response=Response({"output": [*items, *good, *items]}), reward=1.0)
    count_tools(rollout)
    assert rollout.tool_calls == {"a": {"calls": 1}}
    outputs: list[Any] = [None, {}, "text"]
    for output in outputs:
        odd = Rollout(row={}, response=Response({"output": output}), reward=1.0)
        count_tools(odd)
        assert odd.tool_calls is None


def test_two_calls_with_one_id_are_counted_under_their_own_names() -> None:
    items = [CALL, {**CALL, "name": "b"}, function_call_output("1", "ok"), function_call_output("1", "ok")]
    rollout = Rollout(row={}, response=Response({"output": items}), reward=1.0)
    count_tools(rollout)
    assert rollout.tool_calls == {"a": {"calls": 1}, "b": {"calls": 1}}


@pytest.mark.parametrize("calls", [b"-5", b"99999999999999999999", b"1.5", b"null"])
def test_a_count_that_is_none_is_not_added_up(calls: bytes) -> None:
    assert read_counts(b'{"a":{"calls":%b}}' % calls) == {}


def test_names_in_other_people_s_rows_are_shortened_too() -> None:
    counts = ToolCounts()
    for name, counted in read_counts(b'{"%b":{"calls":1}}' % (b"n" * 10_000)).items():
        counts.add(name, counted)
    assert [len(name) for name in counts.by_name] == [64]
