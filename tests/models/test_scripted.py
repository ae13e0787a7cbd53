"""Models that need no weights: a function, a guesser and an oracle."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym import Environment, Session, Task, ask, tool
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.baselines import OracleModel, RandomModel
from nemo_gym.models.replay import RecordingModel
from nemo_gym.models.schema_values import random_value
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.errors import EnvironmentFault, ModelRejected, UsageError
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row


class Doubling(Environment):
    """Double a number, by a tool."""

    class Task(Task):
        number: int

    @tool
    def double(self, session: Session, number: int) -> int:
        """Twice a number."""
        session.state["doubled"] = number * 2
        return number * 2

    def verify(self, task: Doubling.Task, response: Response, session: Session) -> float:
        return float(response.final_text == str(task.number * 2) and "doubled" in session.state)

    def oracle(self, task: Doubling.Task, session: Session) -> str | list[Item]:
        if "doubled" not in session.state:
            return [function_call("double", json.dumps({"number": task.number}), call_id="c")]
        return str(session.state["doubled"])


def row(number: int, *, repeat: int = 0) -> Row:
    params = ask(f"What is {number} doubled?")
    return {
        "responses_create_params": params,
        "number": number,
        "_ng_task_index": number,
        "_ng_rollout_index": repeat,
    }


async def play(make: Any, *rows: Row) -> list[tuple[float | None, Any]]:
    link = LocalEnvironment(Doubling())
    model: Model = make(link)
    rollouts = [await ToolLoop().run(one, link, model) for one in rows]
    return [(rollout.reward, rollout.response and rollout.response.output) for rollout in rollouts]


async def test_the_oracle_earns_the_full_reward_through_the_tools() -> None:
    played = await play(OracleModel, row(3), row(4))
    assert [reward for reward, _ in played] == [1.0, 1.0]


async def test_the_oracle_can_be_recorded(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    played = await play(lambda link: RecordingModel(OracleModel(link), path), row(3))

    assert played[0][0] == 1.0
    assert len(path.read_text().splitlines()) == 2


async def test_an_environment_without_an_oracle_or_with_a_broken_one_is_named() -> None:
    class Silent(Doubling):
        def oracle(self, task: Any, session: Session) -> None:
            return None

    class Broken(Doubling):
        def oracle(self, task: Any, session: Session) -> str:
            raise KeyError("x")

    for kind, error, words in (
        (Silent, ModelRejected, "silent has no oracle"),
        (Broken, EnvironmentFault, "oracle raised KeyError"),
    ):
        link = LocalEnvironment(kind())
        with pytest.raises(error, match=words):
            await ToolLoop().run(row(1), link, OracleModel(link))


async def test_the_oracle_outside_a_rollout_says_what_is_missing() -> None:
    with pytest.raises(ModelRejected, match="for_session"):
        await OracleModel(LocalEnvironment(Doubling())).responses(ask("a"))


async def test_random_guesses_repeat_with_the_seed_and_differ_between_repeats() -> None:
    rows = [row(2, repeat=repeat) for repeat in range(8)]

    once = await play(lambda link: RandomModel(), *rows)
    again = await play(lambda link: RandomModel(), *reversed(rows))
    other = await play(lambda link: RandomModel(seed=1), *rows)

    assert once == again[::-1]
    assert once != other
    assert len({str(output) for _, output in once}) > 1


async def test_random_tool_calls_fit_the_tools() -> None:
    played = await play(lambda link: RandomModel(), *(row(2, repeat=repeat) for repeat in range(20)))

    calls = [item for _, output in played for item in output if item["type"] == "function_call"]
    assert calls
    assert all(isinstance(json.loads(call["arguments"])["number"], int) for call in calls)


@pytest.mark.parametrize(
    ("question", "possible"),
    [
        ("Which?\nA) red\nB) blue\nC. green", {"A", "B", "C"}),
        ("Which? Put it in \\boxed{}.\n(A) red\n(B) blue", {"\\boxed{A}", "\\boxed{B}"}),
        ("Is 0 even?", {"0", "1"}),
        ("Say <answer>x</answer> with 0", {"<answer>0</answer>", "<answer>1</answer>"}),
        ("", {"yes", "no"}),
    ],
)
async def test_a_guess_is_of_the_kind_the_question_asks_for(question: str, possible: set[str]) -> None:
    guesses = {(await RandomModel(seed).responses(ask(question))).output_text for seed in range(60)}
    assert guesses == possible


class Leaf(msgspec.Struct, forbid_unknown_fields=True):
    count: int
    ratio: float
    tag: str | None
    kind: str = "a"


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    leaves: list[Leaf]
    flag: bool
    children: list[Tree] = []


@given(st.integers())
def test_random_values_fit_the_schema_of_a_nested_type(seed: int) -> None:
    (_,), definitions = msgspec.json.schema_components([Tree], ref_template="#/$defs/{name}")
    schema = {"$ref": "#/$defs/Tree", "$defs": definitions}

    msgspec.convert(random_value(schema, random.Random(seed)), Tree)


@given(st.integers(), st.integers(-50, 50), st.integers(0, 30))
def test_random_integers_keep_to_their_bounds(seed: int, low: int, span: int) -> None:
    schema = {"type": "integer", "minimum": low, "exclusiveMaximum": low + span + 1}
    assert low <= random_value(schema, random.Random(seed)) <= low + span


async def test_a_script_may_answer_text_items_or_a_response_and_may_be_async() -> None:
    async def later(params: Any) -> str:
        return "later"

    whole = Response.of([assistant("whole")])
    for script, expected in (
        (lambda params: "text", "text"),
        (lambda params: [assistant("items")], "items"),
        (lambda params: whole, "whole"),
        (later, "later"),
    ):
        assert (await ScriptedModel(script).responses(ask("a"))).output_text == expected


async def test_a_script_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.py"
    path.write_text("def shout(params):\n    return params['input'][0]['content'].upper()\n")

    assert (await ScriptedModel(f"{path}:shout").responses(ask("hey"))).output_text == "HEY"
    with pytest.raises(UsageError, match=r"no function 'shuot'\. Did you mean 'shout'"):
        ScriptedModel(f"{path}:shuot")
    with pytest.raises(UsageError, match="no such file"):
        ScriptedModel(f"{tmp_path}/nothing.py:shout")
    with pytest.raises(UsageError, match=r"expected path\.py:function"):
        ScriptedModel("shout")


async def test_an_answer_that_is_none_of_these_is_named() -> None:
    with pytest.raises(UsageError, match="the scripted model answered int"):
        await ScriptedModel(lambda params: 3).responses(ask("a"))  # type: ignore[arg-type,return-value]
