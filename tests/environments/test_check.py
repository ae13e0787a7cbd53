"""The conformance check finds what it promises to find, says why, and finds nothing else."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from time import thread_time
from typing import Any

import pytest

from nemo_gym import (
    Environment,
    Golden,
    Observation,
    Response,
    Reward,
    Session,
    Step,
    StepEnvironment,
    ToolError,
    ask,
    tool,
)
from nemo_gym.environments.conformance.check import CheckReport, check_environment
from nemo_gym.environments.conformance.judging import CHECKS
from nemo_gym.environments.conformance.schema import schema_problem
from nemo_gym.environments.discovery import find_environment, list_environments
from nemo_gym.wire.items import assistant, function_call
from tests.support.sandboxed import runs_programs

BROKEN = Path(__file__).parent / "broken"


def check(factory: Callable[[], Environment], tasks: int = 4) -> CheckReport:
    return asyncio.run(check_environment(factory, tasks=tasks, baseline_tasks=2 * tasks))


def failures(report: CheckReport) -> dict[str, str]:
    return {result.name: result.message for result in report.results if not result.passed}


def only_failure(report: CheckReport, name: str) -> str:
    found = failures(report)
    assert list(found) == [name], found
    return found[name]


@pytest.mark.parametrize(
    ("sample", "broken", "reason"),
    [
        ("nondeterministic", "determinism", r"same tasks for the same seed.*fresh process.*a set, hash"),
        ("leaking", "isolation", r"reward 1, then 0.*instead of session\.state"),
        ("out_of_range", "reward_range", r"'1 MB.*promised: 0 to 1; seen: [12]\.\d+"),
        ("crashing", "hostile_text", r"'empty text.*a reward whatever.*IndexError"),
        ("unrepeatable", "repeatable_verify", r"'right.*seen: 1, then 0.*verify changes session\.state"),
        ("blocking", "event_loop", r"'NUL characters.*verify kept it \d+\.\d+ s, sleeping or blocked"),
    ],
)
def test_a_broken_environment_fails_exactly_the_promise_it_breaks(
    sample: str, broken: str, reason: str
) -> None:
    report = check(find_environment(str(BROKEN / f"{sample}.py")), tasks=10)
    message = only_failure(report, broken)
    assert re.search(reason, message), message
    assert "\n" not in message


def test_a_good_environment_passes_everything() -> None:
    report = check(find_environment(str(BROKEN / "good.py")))
    assert failures(report) == {}
    assert tuple(result.name for result in report.results) == CHECKS
    assert report.environment == "good"


@pytest.mark.parametrize("name", [info.name for info in list_environments(roots=[])])
def test_every_built_in_environment_keeps_every_promise(name: str) -> None:
    report = check(find_environment(name, roots=[]), tasks=1 if runs_programs(name) else 3)
    assert failures(report) == {}


ROW: dict[str, Any] = {"responses_create_params": ask("Which number?"), "expected": "3"}
CASES = [
    Golden(name="right", kind="full_reward", task=ROW, output="3"),
    Golden(name="wrong", kind="zero_reward", task=ROW, output="4"),
    Golden(name="noise", kind="malformed", task=ROW, output="#!"),
]


def golden(kind: Any, output: Any, expected_reward: float | None = None) -> Golden:
    return Golden(name="known", kind=kind, task=ROW, output=output, expected_reward=expected_reward)


class Plain(Environment):
    """Exact match; the tests below break one thing at a time."""

    cases: list[Golden] = CASES

    def golden(self) -> Iterable[Golden]:
        return self.cases

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[dict[str, Any]]:
        return [ROW]

    def verify(self, task: Any, response: Response, session: Session) -> Any:
        return float(response.final_text == session.row["expected"])


def test_a_tool_that_raises_every_time_is_found_even_where_no_case_calls_it() -> None:
    class Raising(Plain):
        @tool
        def look(self, city: str) -> str:
            """Look a city up."""
            raise ZeroDivisionError("no weather")

    message = only_failure(check(Raising), "tools")
    assert (
        'look: promised: a tool that can be used; seen: it raised in its only call, first with {"city":"x"}'
        in message
    )
    assert "look failed: ZeroDivisionError: no weather" in message


def test_a_tool_that_raises_in_every_known_case_is_found() -> None:
    call = function_call("look", '{"city": "Rome"}', call_id="call_1")

    class Raising(Plain):
        cases = [*CASES, golden("full_reward", [call, assistant("3")])]

        @tool
        async def look(self, city: str) -> object:
            """Look a city up."""
            return object()

    message = only_failure(check(Raising), "tools")
    assert """it raised in its only call, first with {"city": "Rome"}: look failed: """ in message


def test_a_tool_that_works_once_or_refuses_in_words_is_no_failure() -> None:
    call = function_call("look", '{"city": "Rome"}', call_id="call_1")

    class Choosy(Plain):
        cases = [*CASES, golden("full_reward", [call, assistant("3")])]

        @tool
        def look(self, city: str) -> str:
            """Look a city up."""
            return {"Rome": "sunny"}[city]

        @tool
        def refuse(self, city: str) -> str:
            """Never know a city."""
            raise ToolError("there is no such city")

    assert failures(check(Choosy)) == {}


def test_a_parameter_without_a_type_is_a_failure() -> None:
    class Untyped(Plain):
        @tool
        def look(self, session, city, depth: Any = None):  # type: ignore[no-untyped-def]
            """Look a city up."""
            return "sunny"

    message = only_failure(check(Untyped), "tools")
    assert "look: promised: every parameter has a type hint; seen: 'city' has none" in message


def test_an_environment_of_one_function_is_asked_only_for_golden_cases(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text("def score(text, expected):\n    return float(text == expected)\n")
    message = only_failure(check(find_environment(f"{path}:score")), "golden")
    assert "there is no full_reward case: add a line" in message


@pytest.mark.parametrize("kind", ["full_reward", "zero_reward", "malformed"])
def test_a_missing_kind_of_golden_case_is_asked_for(kind: str) -> None:
    class Missing(Plain):
        cases = [case for case in CASES if case.kind != kind]

    report = check(Missing)
    assert f"there is no {kind} case" in only_failure(report, "golden")
    assert report.results[-1].message == "not checked, because another check fails"


def test_a_golden_case_that_earns_something_else_says_what_was_promised_and_seen() -> None:
    class Wrong(Plain):
        cases = [*CASES, golden("partial_reward", "3", expected_reward=0.5)]

    message = only_failure(check(Wrong), "golden")
    assert "'known (golden 4)': partial_reward promises 0.5; seen: 1" in message


def test_a_partial_case_needs_its_reward() -> None:
    class Partial(Plain):
        cases = [*CASES, golden("partial_reward", "3")]

    assert "needs an expected_reward" in only_failure(check(Partial), "golden")


def test_golden_cases_that_cannot_be_read_are_one_failure() -> None:
    class Unreadable(Plain):
        def golden(self) -> Iterable[Golden]:
            raise ValueError("line 3 is odd")

    assert "ValueError: line 3 is odd" in only_failure(check(Unreadable), "golden")


def test_a_golden_case_that_no_agent_could_hand_in_is_named() -> None:
    class Odd(Plain):
        cases = [*CASES, golden("malformed", [{"type": "message"}])]

    assert "'known (golden 4)': output[0].role: a string is missing" in only_failure(check(Odd), "golden")


def test_rewards_that_differ_between_runs_are_not_deterministic() -> None:
    class Moody(Plain):
        def verify(self, task: Any, response: Response, session: Session) -> Any:
            noise = random.SystemRandom().random() / 2
            return noise if response.final_text == "partly" else super().verify(task, response, session)

        def oracle(self, task: Any, session: Session) -> str:
            return "partly"

    assert "'oracle of task 0'" in only_failure(check(Moody), "determinism")


def test_tasks_that_differ_between_drawings_are_not_deterministic() -> None:
    class Moody(Plain):
        def tasks(self, split: str, seed: int, n: int | None) -> Iterable[dict[str, Any]]:
            return [{**ROW, "expected": str(random.SystemRandom().random())}]

    message = only_failure(check(Moody), "determinism")
    assert "split 'train', task 0, 'expected'" in message
    assert "when drawn twice" in message


def test_identical_tasks_are_no_failure_but_noted() -> None:
    class Twice(Plain):
        def tasks(self, split: str, seed: int, n: int | None) -> Any:
            return [task for task in super().tasks(split, seed, n) for _ in range(3)]

    (tasks,) = [result for result in check(Twice).results if result.name == "tasks"]
    assert tasks.passed
    assert re.search(r"\d+ of \d+ train tasks are identical to an earlier one", tasks.message)


def test_using_the_process_wide_generator_names_the_hook() -> None:
    class Global(Plain):
        def seed(self, task: Any, session: Session) -> None:
            random.random()

    assert "seed changed it" in only_failure(check(Global), "isolation")


def test_a_reward_that_is_not_finite_is_out_of_range() -> None:
    class Infinite(Plain):
        def verify(self, task: Any, response: Response, session: Session) -> Any:
            return float("nan") if "\0" in response.final_text else super().verify(task, response, session)

    message = only_failure(check(Infinite), "reward_range")
    assert "promised: a finite reward" in message


def test_components_that_come_and_go_are_reported() -> None:
    class Parts(Plain):
        def verify(self, task: Any, response: Response, session: Session) -> Any:
            right = super().verify(task, response, session)
            return {"right": right} if right else {"right": right, "tried": 0.0}

    assert "same reward components for every answer" in only_failure(check(Parts), "reward_range")


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"right": (0.0, 0.5), "tried": (0.0, 1.0)}, "'right' from 0 to 0.5; seen: 1"),
        ({"right": (0.0, 1.0)}, "'tried' is not declared"),
        ({"right": (0.0, 1.0), "tried": (0.0, 1.0), "form": (0.0, 1.0)}, "'form' is declared and missing"),
    ],
)
def test_components_unlike_the_declared_ones_are_reported(ranges: Any, message: str) -> None:
    class Parts(Plain):
        reward_components = ranges

        def verify(self, task: Any, response: Response, session: Session) -> Any:
            return {"right": super().verify(task, response, session), "tried": 0.0}

    assert message in only_failure(check(Parts), "reward_range")


def test_a_verifier_that_computes_too_long_blocks_the_loop() -> None:
    class Slow(Plain):
        async def verify(self, task: Any, response: Response, session: Session) -> Any:
            await asyncio.sleep(0)
            if response.final_text.startswith("[[[[[[[[[["):
                start = thread_time()
                while thread_time() - start < 0.55:
                    pass
            return super().verify(task, response, session)

    assert "verify kept it" in only_failure(check(Slow), "event_loop")


def test_a_task_that_asks_nothing_is_named() -> None:
    class Silent(Plain):
        def tasks(self, split: str, seed: int, n: int | None) -> Iterable[dict[str, Any]]:
            return [{"expected": "3", "responses_create_params": {}}]

    assert "split 'train', task 0: responses_create_params.input" in only_failure(check(Silent), "tasks")


def test_an_oracle_that_raises_is_named() -> None:
    class Lost(Plain):
        def oracle(self, task: Any, session: Session) -> str:
            raise KeyError("nowhere")

    assert "oracle of task 0" in only_failure(check(Lost), "tasks")


def test_a_tool_without_a_description_and_one_without_types_are_named() -> None:
    class Tools(Plain):
        @tool
        def look(self, where: str) -> str:
            return where

    assert "look has no description" in only_failure(check(Tools), "tools")

    class Untyped(Plain):
        @tool
        def look(self, **where: str) -> str:
            """Look."""
            return ""

    assert "tool look: parameter 'where'" in only_failure(check(Untyped), "tools")


def test_a_close_that_raises_or_is_called_by_a_hook_is_named() -> None:
    class Raises(Plain):
        def close(self, session: Session) -> None:
            session.state["file"].close()

    assert "KeyError" in only_failure(check(Raises), "close")

    class Twice(Plain):
        def verify(self, task: Any, response: Response, session: Session) -> Any:
            self.close(session)
            return super().verify(task, response, session)

    assert "2 times" in only_failure(check(Twice), "close")


class Counter(Plain):
    """Press the button as often as asked; tool calls are carried out."""

    cases = [
        Golden(
            name="pressed",
            kind="full_reward",
            task={**ROW, "expected": 2},
            output=[function_call("press", "{}", call_id="a"), function_call("press", "{}", call_id="b")],
        ),
        Golden(name="idle", kind="zero_reward", task={**ROW, "expected": 2}, output="done"),
        Golden(
            name="nonsense",
            kind="malformed",
            task={**ROW, "expected": 2},
            output=[function_call("press", "{", call_id="a"), function_call("pull", "{}", call_id="b")],
        ),
    ]

    def seed(self, task: Any, session: Session) -> None:
        session.state["pressed"] = 0

    @tool
    async def press(self, session: Session) -> int:
        """Press the button."""
        if session.state["pressed"] > 5:
            raise ToolError("It is stuck.")
        session.state["pressed"] += 1
        return session.state["pressed"]

    def verify(self, task: Any, response: Response, session: Session) -> Any:
        return Reward(float(session.state["pressed"] == int(session.row["expected"])))

    def oracle(self, task: Any, session: Session) -> Any:
        if session.state["pressed"] < int(session.row["expected"]):
            return [function_call("press", "{}", call_id="x")]
        return "done"


def test_tool_calls_of_golden_cases_and_oracles_are_carried_out() -> None:
    assert failures(check(Counter)) == {}


def test_state_shared_through_a_tool_is_found() -> None:
    class Shared(Counter):
        total = 0

        def seed(self, task: Any, session: Session) -> None:
            super().seed(task, session)
            self.total = 0

        @tool
        async def press(self, session: Session) -> int:
            """Press the button."""
            self.total += 1
            session.state["pressed"] += 1
            return self.total

    assert "tool or step output" in only_failure(check(Shared), "isolation")


class Guess(StepEnvironment):
    """Guess a number in three steps."""

    max_steps = 3

    def golden(self) -> Iterable[Golden]:
        said = {"found": ["1", "3"], "never": ["1", "2", "4"], "babble": ["", "x", "?"]}
        kinds = {"found": "full_reward", "never": "zero_reward", "babble": "malformed"}
        for name, words in said.items():
            output = [assistant(word) for word in words]
            yield Golden(name=name, kind=kinds[name], task=ROW, output=output)  # type: ignore[arg-type]

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[dict[str, Any]]:
        return [{**ROW, "expected": str(number)} for number in range(3)]

    async def reset(self, task: Any, session: Session) -> Observation:
        return Observation("Guess.")

    def step(self, action: Response, session: Session) -> Step:
        found = action.final_text == session.row["expected"]
        return Step("Wrong.", float(found), terminated=found)

    def oracle(self, task: Any, session: Session) -> str:
        return session.row["expected"]


def test_a_step_environment_is_checked_by_its_steps() -> None:
    assert failures(check(Guess)) == {}


def test_a_step_that_crashes_on_hostile_text_is_found() -> None:
    class Crashing(Guess):
        def step(self, action: Response, session: Session) -> Step:
            action.final_text.encode()
            return super().step(action, session)

    assert "lone surrogates" in only_failure(check(Crashing), "hostile_text")


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (None, "expected an object"),
        ({"type": "string"}, "parameters.type: expected 'object'"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "parameters.properties.a.type: 'text'"),
        ({"type": "object", "required": ["b"]}, "'b' is not among the properties"),
        ({"type": "object", "properties": {"a": {"enum": []}}}, "at least one value"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"a": 3}}, "expected a schema, got int"),
        ({"type": "object", "properties": {"a": {"anyOf": {}}}}, "anyOf"),
    ],
)
def test_a_schema_that_no_endpoint_would_take_is_explained(schema: object, problem: str) -> None:
    assert problem in str(schema_problem(schema))


def test_a_schema_with_references_and_choices_is_sound() -> None:
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}
    assert schema_problem({"type": "object", "properties": {"a": node}, "$defs": {"node": node}}) is None
