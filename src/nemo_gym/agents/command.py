"""A program as the agent: any command line that speaks to an OpenAI or Anthropic compatible base URL."""

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
from nemo_gym.wire.model_call import Captured, ErrorCategory, rollout_id
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.rollout import Rollout, Timing, keep_partial
from nemo_gym.wire.task import Row

PLACES: Final = (
    "prompt", "prompt_file", "workdir", "home", "rollout_id", "model", "api_key", "base_url",
    "openai_base_url", "mcp_url", "mcp_token", "token",
)  # fmt: skip
"""The names that may be used in braces in arguments, variables, files and the input of a command."""
SECRETS: Final = ("api_key", "mcp_token", "token")
"""Names that may not be used in arguments, because every user of the machine can read those."""


class Command(Agent):
    """Runs a program for each rollout, in the folder that the environment seeded (`session.state["workdir"]`)
    or a fresh one, with a HOME of its own and none of this process's secrets. What it asked the model is
    captured at the rollout's model server and becomes the trajectory.

    In every text below these are filled in: `{prompt}` the task's text, `{prompt_file}` a file that holds
    it, `{workdir}`, `{home}`, `{rollout_id}`, `{model}` a name for the model, `{api_key}`, `{base_url}` for
    clients that add `/v1/...` themselves (Anthropic's), `{openai_base_url}` for those that don't; and where
    the environment offers its tools over MCP (`session.state["mcp"]`), `{mcp_url}`, `{mcp_token}` for the
    session, and `{token}`, the bearer token of that server where it wants one.

    Args:
        argv: the program and its arguments; never a shell's line.
        env: variables added to the clean environment.
        files: files made before the start, by their path below HOME.
        stdin: what the program reads.
        timeout: seconds the program may run.
        ok_exit_codes: exit codes with which the program has finished its work, well or not.
        sandbox: where to shut it in: the name of a provider, or `agents.sandboxed.SandboxSettings`.

    Raises:
        UsageError: there is no such program or sandbox, a text names something else in braces, or an
            argument names a secret.
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
        self._named = {name for text in texts for name in _PLACE.findall(text)}
        _check_places(self._named, argv)
        for path in self.files:
            if Path(path).is_absolute() or ".." in Path(path).parts:
                raise UsageError(f"file {path!r}: expected a path below HOME")

    async def check(self) -> None:
        if self._sandboxes is not None:
            await self._sandboxes.check()

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        if not isinstance(model, ServedModel):
            raise UsageError(
                f"agent {type(self).__name__} runs a program that asks the model over HTTP: "
                "hand it a model opened with nemo_gym.serving.loopback_model"
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
                    ended = await place.run(self._program(values))
                except BaseException as error:
                    partial = main_response(call_tree(await visit.captured(), prompt=prompt))
                    keep_partial(error, partial, _observed(place))
                    raise
                captured = await visit.captured()
            branches = await asyncio.to_thread(call_tree, captured, prompt=prompt)
            response = main_response(branches)
            try:
                self._check_end(ended, captured)
                timing["model_s"] = sum(call.latency_ms for call in captured.calls) / 1000
                timing["model_calls"] = len(captured.calls)
                began = monotonic()
                reward = await environment.verify(session, response)
                timing["verify_s"] = monotonic() - began
            except BaseException as error:
                keep_partial(error, response, _observed(place))
                raise
        rollout = Rollout.scored(row, response, reward, outcome=outcome_of(response), timing=timing)
        rollout.details = {
            **reward.details,
            **capture_columns(row, visit.rollout_id, captured, branches),
            **_observed(place),
            "turns_used": len(branches[0].calls),
            "finished_naturally": ended.exit_code == 0,
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
            "mcp_url": await place.reach(url) if url and "mcp_url" in self._named else url,
            "mcp_token": mcp.get("token", ""),
            "token": mcp.get("bearer", ""),
        }

    def _program(self, values: Mapping[str, str]) -> Program:
        return Program(
            argv=[_filled(word, values) for word in self.argv],
            env={name: _filled(text, values) for name, text in self.env.items()},
            files={
                "prompt.txt": values["prompt"],
                **{path: _filled(text, values) for path, text in self.files.items()},
            },
            stdin=None if self.stdin is None else _filled(self.stdin, values),
            seconds=self.timeout,
            ok_exit_codes=self.ok_exit_codes,
        )

    def _check_end(self, ended: Ended, captured: Captured) -> None:
        """Raise when the program ran out of time, or when a model call or the program itself failed."""
        program = Path(self.argv[0]).name
        if ended.exit_code is None:
            raise AgentTimeout(f"{program} did not finish within {self.timeout:g} seconds")
        last = captured.calls[-1] if captured.calls else None
        if last is not None and last.error_category is not None:
            cause = f"{program} ended after a model call that failed ({last.status_code}): {last.response}"
            kind = _FAILURES.get(last.error_category, ModelError)
            raise kind(cause[:2000], http_status=last.status_code)
        if ended.exit_code not in self.ok_exit_codes:
            raise AgentFault(f"{program} exited with {ended.exit_code}: {_last_words(ended)}")
        if not any(call.answer for call in captured.calls):
            raise AgentFault(f"{program} never got an answer from the model: {_last_words(ended)}")


def task_text(params: RequestParams) -> str:
    """The task as one text, for a program that takes nothing else.

    Raises:
        AgentFault: it has images, or a conversation that the model took part in already.
    """
    texts = [params.get("instructions") or ""]
    for place, item in enumerate(input_items(params)):
        texts.append(_message_text(item, f"input[{place}]"))
    return "\n\n".join(text for text in texts if text)


def _message_text(item: Item, where: str) -> str:
    if item["type"] != "message" or item["role"] == "assistant":
        raise AgentFault(f"{where}: a program can be given the task's messages only")
    content = item["content"]
    if isinstance(content, str):
        return content
    if any(not part["type"].endswith("text") for part in content):
        raise AgentFault(f"{where}: a program can be given text only")
    return "".join(part.get("text", "") for part in content)


_FAILURES: Final[dict[ErrorCategory, type[RolloutError]]] = {
    "timeout": ModelTimeout,
    "rate_limit": RateLimited,
    "auth": AgentFault,
    "not_found": AgentFault,
    "client_error": AgentFault,
}
"""The error for each category of failed call. A request that the server refuses is the program's fault."""
_SAMPLING: Final = ("temperature", "top_p", "max_output_tokens", "metadata", "top_logprobs")


def _sampling(params: RequestParams) -> dict[str, Any]:
    return {name: params[name] for name in _SAMPLING if params.get(name) is not None}  # type: ignore[misc]


def _observed(place: Workplace) -> dict[str, Any]:
    """The row column that describes the sandbox of a rollout; empty without one."""
    if place.observation is None:
        return {}
    return {"ng_agent_observations": {"source": "command", "records": [place.observation], "gaps": []}}


_PLACE: Final = re.compile(r"\{([a-z_]+)\}")


def _check_places(named: set[str], argv: Sequence[str]) -> None:
    for name in sorted(named.difference(PLACES)):
        raise UsageError(f"command agent: nothing is known as {{{name}}}.{did_you_mean(name, PLACES)}")
    for name in _PLACE.findall(" ".join(argv)):
        if name in SECRETS:
            raise UsageError(
                f"command agent: {{{name}}} among the arguments can be read by everybody on the machine: put "
                "it into env, files or stdin"
            )


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Fill in all names in one pass, so that braces inside a value stay as they are."""
    return _PLACE.sub(lambda match: values[match[1]], text)


def _last_words(ended: Ended) -> str:
    outputs = (text.strip()[-1000:] for text in (ended.stdout, ended.stderr))
    return "\n".join(text for text in outputs if text) or "it printed nothing"
