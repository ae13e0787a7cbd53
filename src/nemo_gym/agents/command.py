"""A program as the agent: any command line that can use an OpenAI or Anthropic compatible base URL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from time import monotonic, time
from typing import Any, Final

from nemo_gym.agents.base import Agent
from nemo_gym.agents.model_access import ServedModel
from nemo_gym.agents.programs import find_program
from nemo_gym.agents.sandboxed import Sandboxes
from nemo_gym.agents.trajectory import outcome_of
from nemo_gym.agents.workplace import OnThisMachine, Program, Workplace, scratch_folder
from nemo_gym.capture.row_columns import capture_columns, main_response
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.support.processes import Ended
from nemo_gym.wire import keys
from nemo_gym.wire.call_tree import call_tree
from nemo_gym.wire.errors import (
    AgentFault,
    AgentTimeout,
    ModelError,
    ModelTimeout,
    RateLimited,
    RolloutError,
    UsageError,
    did_you_mean,
)
from nemo_gym.wire.items import Item
from nemo_gym.wire.model_call import ErrorCategory, ModelCall, rollout_id
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.rollout import Rollout, Timing, keep_partial
from nemo_gym.wire.task import Row

PLACES: Final = (
    "prompt", "prompt_file", "workdir", "home", "rollout_id", "model", "api_key", "base_url",
    "openai_base_url", "mcp_url", "mcp_token", "token",
)  # fmt: skip
"""The names that may stand in braces in the arguments, variables, files and input of a command."""
SECRETS: Final = ("api_key", "mcp_token", "token")
"""Names that are not allowed in arguments, because every user of the machine can read those."""


class Command(Agent):
    """Runs a program for each rollout, in the folder of the environment (`session.state["workdir"]`) or in an
    empty one, with its own HOME and without this process's secrets. The rollout's model server captures the
    program's calls, and they become the trajectory.

    The texts below may hold these names in braces: `{prompt}` the task's text, `{prompt_file}` a file with
    that text, `{workdir}`, `{home}`, `{rollout_id}`, `{model}` a name for the model, `{api_key}`,
    `{base_url}` for clients that add `/v1/...` to it (Anthropic's), `{openai_base_url}` for the others.
    Where the environment offers its tools over MCP (`session.state["mcp"]`) there are also `{mcp_url}`,
    `{mcp_token}` for the session, and `{token}`, the bearer token of that server if it needs one.

    Args:
        argv: the program and its arguments; no shell reads them.
        env: variables that are added to the clean environment.
        files: files that are written before the start, by their path below HOME.
        stdin: the program's input.
        timeout: the most seconds that the program may run.
        ok_exit_codes: exit codes that mean that the program did its work, with a good result or a bad one.
        sandbox: the name of a sandbox provider, or `agents.sandboxed.SandboxSettings`; None runs the program
            without a sandbox.

    Raises:
        UsageError: there is no such program or sandbox, a text has an unknown name in braces, or an
            argument has the name of a secret.
    """

    needs_served_model = True

    def __init__(
        self,
        *,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = 1800.0,
        ok_exit_codes: Sequence[int] = (0,),
        sandbox: str | Mapping[str, Any] | None = None,
    ) -> None:
        if not argv:
            raise UsageError("the command agent needs argv: the program and its arguments")
        self._sandboxes = None if sandbox is None else Sandboxes(sandbox, argv[0])
        program = find_program(argv[0]) if self._sandboxes is None else self._sandboxes.program
        self.argv = [program, *argv[1:]]
        self.env = dict(env or {})
        self.files = dict(files or {})
        self.stdin = stdin
        self.timeout = timeout
        self.ok_exit_codes = frozenset(ok_exit_codes)
        texts = (*argv, *self.env.values(), *self.files.values(), stdin or "")
        self._places = {name for text in texts for name in _PLACE.findall(text)}
        _check_places(self._places, argv)
        for path in self.files:
            if Path(path).is_absolute() or ".." in Path(path).parts:
                raise UsageError(f"file {path!r}: expected a path below HOME")

    async def check(self) -> None:
        if self._sandboxes is not None:
            await self._sandboxes.check()

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        if not isinstance(model, ServedModel):
            raise UsageError(
                f"agent {type(self).__name__} runs a program that calls the model over HTTP: "
                "use a model of nemo_gym.serving.loopback_model"
            )
        timing: Timing = {"started_at": time()}
        async with environment.session(row) as session, scratch_folder() as scratch:
            prompt = task_text(row[keys.PARAMS])
            folder = Path(session.state.setdefault("workdir", str(scratch / "work")))
            await asyncio.to_thread(folder.mkdir, exist_ok=True)
            sampling = _sampling(row[keys.PARAMS])
            async with (
                self._workplace(folder, scratch) as place,
                model.visit(rollout_id(row), sampling) as visit,
            ):
                base_url = await place.reach(visit.base_url)
                values = {
                    "prompt": prompt,
                    "prompt_file": f"{place.home}/prompt.txt",
                    "workdir": place.workdir,
                    "home": place.home,
                    "model": model.name or "policy",
                    "rollout_id": visit.rollout_id,
                    "api_key": visit.api_key,
                    "base_url": base_url,
                    "openai_base_url": f"{base_url}/v1",
                    **await self._tools(session, place),
                }
                try:
                    result = await place.run(self._program(values))
                except BaseException as error:
                    partial = main_response(call_tree(await visit.captured(), prompt=prompt))
                    keep_partial(error, row, partial, _sandbox_columns(place))
                    raise
                recording = await visit.captured()
            branches = await asyncio.to_thread(call_tree, recording, prompt=prompt)
            response = main_response(branches)
            try:
                self._check_result(result, recording.calls)
                timing["model_s"] = sum(call.latency_ms for call in recording.calls) / 1000
                timing["model_calls"] = len(recording.calls)
                began = monotonic()
                reward = await environment.verify(session, response)
                timing["verify_s"] = monotonic() - began
            except BaseException as error:
                keep_partial(error, row, response, _sandbox_columns(place))
                raise
        rollout = Rollout.scored(row, response, reward, outcome=outcome_of(response), timing=timing)
        rollout.details = {
            **reward.details,
            **capture_columns(row, visit.rollout_id, recording, branches),
            **_sandbox_columns(place),
            "turns_used": len(branches[0].calls),
            "finished_naturally": result.exit_code == 0,
        }
        if session.cleanup_warning is not None:
            rollout.details["cleanup_warning"] = session.cleanup_warning
        return rollout

    async def aclose(self) -> None:
        if self._sandboxes is not None:
            await self._sandboxes.aclose()

    def _workplace(self, folder: Path, scratch: Path) -> AbstractAsyncContextManager[Workplace]:
        if self._sandboxes is None:
            return nullcontext(OnThisMachine(folder, scratch))
        return self._sandboxes.open(folder, scratch)

    async def _tools(self, session: Session, place: Workplace) -> dict[str, str]:
        mcp: Mapping[str, str] = session.state.get("mcp") or {}
        url = mcp.get("url", "")
        return {
            "mcp_url": await place.reach(url) if url and "mcp_url" in self._places else url,
            "mcp_token": mcp.get("token", ""),
            "token": mcp.get("bearer", ""),
        }

    def _program(self, values: Mapping[str, str]) -> Program:
        return Program(
            argv=[_fill(word, values) for word in self.argv],
            env={name: _fill(text, values) for name, text in self.env.items()},
            files={
                "prompt.txt": values["prompt"],
                **{path: _fill(text, values) for path, text in self.files.items()},
            },
            stdin=None if self.stdin is None else _fill(self.stdin, values),
            seconds=self.timeout,
            ok_exit_codes=self.ok_exit_codes,
        )

    def _check_result(self, result: Ended, calls: Sequence[ModelCall]) -> None:
        """Raise when the program ran out of time, or when a model call or the program itself failed."""
        program = Path(self.argv[0]).name
        if result.exit_code is None:
            raise AgentTimeout(f"{program} did not finish within {self.timeout:g} seconds")
        last = calls[-1] if calls else None
        if last is not None and last.error_category is not None:
            cause = f"{program} ended after a model call that failed ({last.status_code}): {last.response}"
            kind = _FAILURES.get(last.error_category, ModelError)
            raise kind(cause[:2000], http_status=last.status_code)
        if result.exit_code not in self.ok_exit_codes:
            raise AgentFault(f"{program} exited with {result.exit_code}: {_last_output(result)}")
        if not any(call.answer for call in calls):
            raise AgentFault(f"{program} never got an answer from the model: {_last_output(result)}")


def task_text(params: RequestParams) -> str:
    """The task as one text, for a program that takes only a text.

    Raises:
        AgentFault: the task has images, or answers of the model.
    """
    items = enumerate(input_items(params))
    texts = [params.get("instructions") or "", *(_message_text(item, f"input[{n}]") for n, item in items)]
    return "\n\n".join(text for text in texts if text)


def _message_text(item: Item, where: str) -> str:
    if item["type"] != "message" or item["role"] == "assistant":
        raise AgentFault(f"{where}: a program can be given only messages to the model")
    content = item["content"]
    if isinstance(content, str):
        return content
    if any(not part["type"].endswith("text") for part in content):
        raise AgentFault(f"{where}: a program can be given only text")
    return "".join(part.get("text", "") for part in content)


_FAILURES: Final[dict[ErrorCategory, type[RolloutError]]] = {
    "timeout": ModelTimeout,
    "rate_limit": RateLimited,
    "auth": AgentFault,
    "not_found": AgentFault,
    "client_error": AgentFault,
}
"""The error for each category of failed call. The program is at fault when the server refuses a request."""
_SAMPLING: Final = ("temperature", "top_p", "max_output_tokens", "metadata", "top_logprobs")


def _sampling(params: RequestParams) -> dict[str, Any]:
    return {name: params[name] for name in _SAMPLING if params.get(name) is not None}  # type: ignore[misc]


def _sandbox_columns(place: Workplace) -> dict[str, Any]:
    """The row column that describes the sandbox of a rollout; empty without one."""
    if place.observation is None:
        return {}
    return {keys.AGENT_OBSERVATIONS: {"source": "command", "records": [place.observation], "gaps": []}}


_PLACE: Final = re.compile(r"\{([a-z_]+)\}")


def _check_places(names: set[str], argv: Sequence[str]) -> None:
    for name in sorted(names.difference(PLACES)):
        raise UsageError(f"command agent: nothing is known as {{{name}}}.{did_you_mean(name, PLACES)}")
    for name in _PLACE.findall(" ".join(argv)):
        if name in SECRETS:
            raise UsageError(
                f"command agent: {{{name}}} in the arguments can be read by everybody on the machine: use it "
                "in env, files or stdin"
            )


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Replace all names in braces at once, so that braces inside a value do not change."""
    return _PLACE.sub(lambda match: values[match[1]], text)


def _last_output(result: Ended) -> str:
    outputs = (text.strip()[-1000:] for text in (result.stdout, result.stderr))
    return "\n".join(text for text in outputs if text) or "it printed nothing"
