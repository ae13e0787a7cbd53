"""Checks the traces of scripts against the promises of an environment, and writes the check's report."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nemo_gym.environments.base import Environment, Golden
from nemo_gym.environments.conformance.hostile import plausible
from nemo_gym.environments.conformance.replay import Script, Stage, Trace
from nemo_gym.environments.conformance.schema import schema_problem
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import BoundTool, bind_tools, has_raised
from nemo_gym.wire.errors import RolloutError, UsageError
from nemo_gym.wire.items import FunctionCall, function_call
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import task_from_row

CHECKS = (
    "golden", "tasks", "determinism", "reward_range", "isolation", "repeatable_verify", "hostile_text",
    "event_loop", "tools", "close", "baselines",
)  # fmt: skip
"""The names of the promises, in the order of the report."""
STALL_SECONDS = 0.5
"""The longest time that a hook may keep the event loop."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result for one promise. If it failed, the message has the promise, the observation, the case and
    the likely cause."""

    name: str
    passed: bool
    message: str


class Findings:
    """The problems and remarks of each check."""

    def __init__(self) -> None:
        self._problems: dict[str, list[str]] = {name: [] for name in CHECKS}
        self._notes: dict[str, str] = {}

    def add(self, check: str, problem: str) -> None:
        """Add a broken promise."""
        self._problems[check].append(problem)

    def note(self, check: str, remark: str) -> None:
        """Set the remark for a promise that is not broken."""
        self._notes[check] = remark

    @property
    def is_clean(self) -> bool:
        """Whether no promise is broken so far."""
        return not any(self._problems.values())

    def results(self) -> tuple[CheckResult, ...]:
        """One result for every check."""
        return tuple(self._result(name) for name in CHECKS)

    def _result(self, name: str) -> CheckResult:
        problems = self._problems[name]
        if not problems:
            return CheckResult(name, True, self._notes.get(name, ""))
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        return CheckResult(name, False, problems[0] + more)


def golden(environment: Environment, played: Sequence[tuple[Golden, Trace]], findings: Findings) -> None:
    """Known cases earn their rewards, and there is a case of each kind."""
    low, high = environment.reward_range
    meanings = {"full_reward": high, "zero_reward": low, "malformed": low}
    for kind in meanings:
        if not any(case.kind == kind for case, _ in played):
            findings.add(
                "golden", f'there is no {kind} case: add a line with "kind": "{kind}" to golden.jsonl'
            )
    for case, trace in played:
        promised = meanings.get(case.kind, case.expected_reward)
        where = f"case {trace.script.name!r}"
        if promised is None:
            findings.add("golden", f"{where}: a partial_reward case needs an expected_reward")
        elif trace.reward is None and not _not_finite(trace):
            findings.add("golden", f"{where}: {case.kind} promises {promised:g}; seen: {trace.error}")
        elif trace.reward and not math.isclose(trace.reward.value, promised, rel_tol=1e-6, abs_tol=1e-9):
            cause = "the case, its task, verify or reward_range is wrong"
            actual = f"{trace.reward.value:g}{_last_output(trace)}"
            findings.add("golden", f"{where}: {case.kind} promises {promised:g}; seen: {actual}; {cause}")
    findings.note("golden", f"{len(played)} cases")


def oracle(traces: Sequence[Trace], findings: Findings) -> None:
    """The oracle's answers can be played."""
    for trace in traces:
        if trace.reward is None and not _not_finite(trace):
            findings.add(
                "tasks", f"{trace.script.name}: promised: an answer that can be scored; {trace.error}"
            )


def stability(first: Sequence[Trace], second: Sequence[Trace], findings: Findings) -> set[str]:
    """Scripts give the same results in a new environment; returns the names of those that do not."""
    unstable: set[str] = set()
    for one, other in zip(first, second, strict=True):
        if one.facts == other.facts:
            continue
        unstable.add(one.script.name)
        findings.add(
            "determinism",
            f"case {one.script.name!r}: promised: the same rewards and tool outputs for the same seed; seen: "
            f"{_contrast(one, other)}; likely cause: randomness not taken from session.rng, or the time",
        )
    findings.note("determinism", f"{len(first)} scripts played twice, tasks drawn in two processes")
    return unstable


def isolation(
    alone: Sequence[Trace],
    crowded: Sequence[Trace],
    unstable: set[str],
    changed_random: str | None,
    findings: Findings,
) -> None:
    """Sessions do not affect one another, and no hook uses the process-wide random generator."""
    if changed_random:
        findings.add(
            "isolation",
            f"promised: the process-wide state of `random` is left alone; seen: {changed_random} changed it; "
            "use session.rng, or random.Random(seed) in tasks()",
        )
    expected = {trace.script.name: trace for trace in alone}
    for trace in crowded:
        name = trace.script.name
        if name not in unstable and trace.facts != expected[name].facts:
            findings.add(
                "isolation",
                f"case {name!r}: promised: the same among other sessions as alone; seen: "
                f"{_contrast(expected[name], trace)}; likely cause: state kept on the environment (self) or "
                "in a module instead of session.state",
            )
    findings.note("isolation", f"{len(crowded)} sessions at once")


def repeatable(traces: Sequence[Trace], unstable: set[str], findings: Findings) -> None:
    """A second verify of the same session and response gives the same reward."""
    for trace in traces:
        if trace.script.name in unstable or trace.reward is None:
            continue
        if trace.error is not None:
            findings.add("repeatable_verify", _second_verify(trace, trace.error))
        elif trace.again is not None and _value(trace.reward) != _value(trace.again):
            findings.add("repeatable_verify", _second_verify(trace, _words(trace.again)))
    findings.note("repeatable_verify", f"{len(traces)} scripts verified twice")


def reward_range(environment: Environment, traces: Sequence[Trace], findings: Findings) -> None:
    """Every reward is in the declared range, and all have the same components."""
    low, high = environment.reward_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        findings.add(
            "reward_range", f"reward_range is ({low}, {high}): give two finite numbers, lowest first"
        )
        return
    names: dict[frozenset[str], str] = {}
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    for trace in traces:
        where, reward = f"case {trace.script.name!r}", trace.reward
        if _not_finite(trace):
            findings.add("reward_range", f"{where}: promised: a finite reward; seen: {trace.error}")
        if reward is None:
            continue
        if not low - slack <= reward.value <= high + slack:
            cause = "clamp the sum, or declare the true reward_range"
            findings.add(
                "reward_range", f"{where}: promised: {low:g} to {high:g}; seen: {reward.value:g}; {cause}"
            )
        names.setdefault(frozenset(reward.components or ()), where)
        for problem in _unlike_declared(environment.reward_components, reward, where):
            findings.add("reward_range", problem)
    if len(names) > 1:
        (one, case), (other, other_case), *_ = names.items()
        findings.add(
            "reward_range",
            f"promised: the same reward components for every answer; seen: {sorted(one)} in {case}, "
            f"{sorted(other)} in {other_case}; give a part that earned nothing as 0.0",
        )
    findings.note("reward_range", f"{len(traces)} rewards within {low:g} to {high:g}")


def _unlike_declared(ranges: Mapping[str, tuple[float, float]], reward: Reward, where: str) -> Iterator[str]:
    """A line for each component that does not fit `reward_components`, if the class declares any."""
    parts = reward.components or {}
    for name in ranges.keys() ^ parts.keys() if ranges else ():
        which = "declared and missing" if name in ranges else "not declared"
        yield f"{where}: promised: the reward_components {sorted(ranges)}; seen: {name!r} is {which}"
    for name, (low, high) in ranges.items():
        if not low - 1e-9 <= parts.get(name, low) <= high + 1e-9:
            yield f"{where}: promised: {name!r} from {low:g} to {high:g}; seen: {parts[name]:g}"


def hostile(traces: Sequence[Trace], findings: Findings) -> None:
    """Every text of a model gets a reward."""
    for trace in traces:
        if trace.reward is None and not _not_finite(trace):
            findings.add(
                "hostile_text",
                f"case {trace.script.name!r}: promised: a reward whatever the model writes; seen: "
                f"{trace.error}; a wrong or unreadable answer earns the lower end, it is not an error",
            )
    findings.note("hostile_text", f"{len(traces)} cases")


async def stalls(on: Stage, traces: Sequence[Trace], findings: Findings) -> None:
    """No hook keeps the event loop; a slow case is played again before it counts as a problem."""
    worst: dict[str, Trace] = {}
    longest = 0.0
    for trace in traces:
        for hook, stall in trace.stalls.items():
            longest = max(longest, stall.seconds)
            if stall.seconds > STALL_SECONDS and (
                hook not in worst or stall.seconds > worst[hook].stalls[hook].seconds
            ):
                worst[hook] = trace
    findings.note("event_loop", f"longest stall {longest * 1000:.0f} ms")
    for hook, trace in worst.items():
        stalls_of_hook = [trace.stalls[hook]]
        while len(stalls_of_hook) <= _CONFIRMATIONS and stalls_of_hook[-1].seconds > STALL_SECONDS:
            again = (await on.play(trace.script)).stalls
            if hook not in again:
                break
            stalls_of_hook.append(again[hook])
        least = min(stalls_of_hook, key=lambda stall: stall.seconds)
        if least.seconds > STALL_SECONDS:
            kind = "computing" if least.cpu > least.seconds / 2 else "sleeping or blocked"
            findings.add(
                "event_loop",
                f"case {trace.script.name!r}: promised: no hook keeps the event loop longer than "
                f"{STALL_SECONDS:g} s; seen: {hook} kept it {least.seconds:.2f} s, {kind}; bound the input "
                "first (a slow regular expression stops every thread), or mark a sync method with @blocking "
                "(from nemo_gym import blocking)",
            )


async def tools(on: Stage, scripts: Sequence[Script], traces: Sequence[Trace], findings: Findings) -> None:
    """Tools have descriptions and valid schemas, and a wrong call gets an error text."""
    bound = bind_tools(on.environment)
    schemas = {tool.name: tool.schema for tool in bound.values()}
    schemas |= {str(tool.get("name")): tool for trace in traces for tool in trace.tools}
    for name, schema in schemas.items():
        if not _TOOL_NAME.fullmatch(name):
            findings.add("tools", f"{name!r}: a tool's name is 1 to 64 letters, digits, _ or -")
        if not (schema.get("description") or "").strip():
            findings.add("tools", f"{name} has no description: write one line of docstring for the model")
        if problem := schema_problem(schema.get("parameters")):
            findings.add("tools", f"{name}: {problem}")
    for tool in bound.values():
        for parameter in tool.untyped:
            findings.add(
                "tools",
                f"{tool.name}: promised: every parameter has a type hint; seen: {parameter!r} has none, so "
                f"its schema is empty and nothing is checked; write {parameter}: str, or Any if meant",
            )
    findings.note("tools", "1 tool" if len(schemas) == 1 else f"{len(schemas)} tools")
    if not scripts or on.link.steps:
        return
    calls = [call for trace in traces for call in trace.calls]
    try:
        async with on.link.session(scripts[0].row) as session:
            for tool in bound.values():
                await _try_wrong_arguments(on, session, tool, findings)
        for tool in bound.values():
            calls_of_tool = [(call, output) for call, output in calls if call["name"] == tool.name]
            await _try_valid_arguments(on, scripts[0], tool, calls_of_tool, findings)
    except RolloutError:
        return  # Other checks report a task that can't be seeded or closed.


async def unseeded_close(on: Stage, scripts: Sequence[Script], findings: Findings) -> None:
    """`close` works for a session whose `seed` failed at its start."""
    for script in scripts[:1]:
        try:
            task = task_from_row(script.row, on.environment.Task)
            result = on.environment.close(Session(script.row, task, id="unseeded", seed=0, tools=[]))
            if result is not None:
                await result
        except UsageError:
            return
        except Exception as error:
            findings.add(
                "close",
                "promised: close copes with a session whose seed failed half-way; seen: "
                f"{type(error).__name__}: {error}; take what may be missing with session.state.get(...)",
            )


def closing(stages: Sequence[Stage], traces: Sequence[Trace], findings: Findings) -> None:
    """Every session is closed exactly once, without an error."""
    for trace in traces:
        if trace.close_error:
            findings.add("close", f"case {trace.script.name!r}: {trace.close_error}")
    for stage in stages:
        if stage.link.open_sessions:
            findings.add("close", f"{stage.link.open_sessions} sessions were left open")
        for session, times in stage.watch.closed.items():
            if times > 1:
                findings.add(
                    "close",
                    f"promised: close is called once; seen: {times} times for session {session}; "
                    "a hook or tool calls self.close itself",
                )
    findings.note("close", f"{len(traces)} sessions")


_CONFIRMATIONS = 2
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def _try_wrong_arguments(on: Stage, session: Session, tool: BoundTool, findings: Findings) -> None:
    for what, arguments in _wrong_arguments(tool.schema).items():
        output = await on.link.call(session, function_call(tool.name, arguments, call_id="call_0"))
        if not _is_error(output):
            findings.add(
                "tools",
                f"{tool.name} called with {what} ({arguments}): promised: an error the model can read; seen: "
                f"{output[:80]!r}; likely cause: parameters without type hints",
            )


async def _try_valid_arguments(
    on: Stage,
    script: Script,
    tool: BoundTool,
    calls: Sequence[tuple[FunctionCall, str]],
    findings: Findings,
) -> None:
    """Find a tool that raises in every call of cases and oracles, or in a call with plausible arguments."""
    if not any(_is_carried_out(output) for _, output in calls):
        arguments = encode(plausible(tool.schema, "x")).decode()
        call = function_call(tool.name, arguments, call_id="call_0")
        async with on.link.session(script.row) as session:
            calls = [*calls, (call, await on.link.call(session, call))]
    run = [(call, output) for call, output in calls if _is_carried_out(output)]
    if run and all(has_raised(tool.name, output) for _, output in run):
        call, output = run[0]
        findings.add(
            "tools",
            f"{tool.name}: promised: a tool that can be used; seen: it raised in {_times(len(run))}, first "
            f"with {call['arguments'][:80]}: {decode(output)['error'][:200]}; mend it, raise ToolError for "
            "what the model gets wrong, and add a golden case that calls it as it is meant",
        )


def _is_carried_out(output: str) -> bool:
    """Whether the arguments were valid, so that the tool ran."""
    return not output.startswith('{"error":"Invalid arguments for ')


def _times(number: int) -> str:
    return "its only call" if number == 1 else f"all of its {number} calls"


def _is_error(output: str) -> bool:
    try:
        answer = decode(output)
    except ValueError:
        return False
    return isinstance(answer, dict) and bool(cast("dict[str, Any]", answer).get("error"))


def _wrong_arguments(schema: FunctionTool) -> dict[str, str]:
    good = plausible(schema, "x")
    parameters = schema.get("parameters", {})
    wrong = {"an unknown argument": {**good, "no_such_argument": 1}}
    if parameters.get("required"):
        wrong["no arguments"] = {}
    for name, kind in cast("dict[str, dict[str, Any]]", parameters.get("properties", {})).items():
        if kind.get("type") in ("string", "integer", "number", "boolean"):
            wrong[f"a wrong type for {name}"] = {**good, name: [[]]}
            break
    return {what: encode(arguments).decode() for what, arguments in wrong.items()}


def _not_finite(trace: Trace) -> bool:
    return trace.error is not None and trace.error.endswith("is not a finite number")


def _value(reward: Reward) -> tuple[float, dict[str, float]]:
    return reward.value, dict(reward.components or {})


def _second_verify(trace: Trace, actual: str) -> str:
    return (
        f"case {trace.script.name!r}: promised: verify gives the same again for the same session and "
        f"response; seen: {_words(trace.reward)}, then {actual}; likely cause: verify changes session.state"
    )


def _last_output(trace: Trace) -> str:
    return f" (the last tool or step said {trace.outputs[-1][:80]!r})" if trace.outputs else ""


def _contrast(one: Trace, other: Trace) -> str:
    if one.error != other.error:
        return f"{one.error or 'a reward'}, then {other.error or 'a reward'}"
    for number, (left, right) in enumerate(zip(one.outputs, other.outputs, strict=False), start=1):
        if left != right:
            return f"tool or step output {number} is {left[:60]!r}, then {right[:60]!r}"
    if len(one.outputs) != len(other.outputs):
        return f"{len(one.outputs)} tool or step outputs, then {len(other.outputs)}"
    return f"reward {_words(one.reward)}, then {_words(other.reward)}"


def _words(reward: Reward | None) -> str:
    if reward is None:
        return "none"
    parts = dict(reward.components or {})
    return f"{reward.value:g}" + (f" {parts}" if parts else "")
