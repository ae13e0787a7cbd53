"""A program as the agent: any command line that speaks to an OpenAI or Anthropic compatible base URL."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, time
from typing import Any, Final

from nemo_gym.agents.base import Agent
from nemo_gym.agents.door import ModelDoor
from nemo_gym.agents.observations import capture_columns, main_response
from nemo_gym.agents.trajectory import outcome_of
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.process import Ended, clean_environment, kill_carriers, run_program
from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.wire import keys
from nemo_gym.wire.call_tree import call_tree
from nemo_gym.wire.calls import Captured, ErrorCategory, rollout_id
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
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.rollout import Rollout, Timing, keep_partial
from nemo_gym.wire.task import Row

PLACES: Final = (
    "prompt", "prompt_file", "workdir", "home", "rollout_id", "model", "api_key", "base_url",
    "openai_base_url", "mcp_url", "mcp_token",
)  # fmt: skip
"""What may stand in braces in arguments, variables, files and the input of a command."""


class Command(Agent):
    """Runs a program for each rollout, in the folder that the environment seeded (`session.state["workdir"]`)
    or a fresh one, with a HOME of its own and none of this process's secrets. What it asked the model is
    captured at the model's door and becomes the trajectory.

    In every text below these are filled in: `{prompt}` the task's text, `{prompt_file}` a file that holds
    it, `{workdir}`, `{home}`, `{rollout_id}`, `{model}` a name for the model, `{api_key}`, `{base_url}` for
    clients that add `/v1/...` themselves (Anthropic's), `{openai_base_url}` for those that don't, and
    `{mcp_url}` and `{mcp_token}` where the environment offers its tools over MCP (`session.state["mcp"]`).

    Args:
        argv: the program and its arguments; never a shell's line.
        env: variables added to the clean environment.
        files: files made before the start, by their path below HOME.
        stdin: what the program reads.
        timeout: seconds the program may run.
        ok_exit_codes: exit codes with which the program has finished its work, well or not.

    Raises:
        UsageError: there is no such program, or a text names something else in braces.
    """

    needs_door = True

    def __init__(
        self,
        *,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = 1800.0,
        ok_exit_codes: Sequence[int] = (0,),
    ) -> None:
        if not argv:
            raise UsageError("the command agent needs argv: the program and its arguments")
        self.argv = [_program(argv[0]), *argv[1:]]
        self.env = dict(env or {})
        self.files = dict(files or {})
        self.stdin = stdin
        self.timeout = timeout
        self.ok_exit_codes = frozenset(ok_exit_codes)
        for text in (*argv, *self.env.values(), *self.files.values(), stdin or ""):
            _check_places(text)
        for path in self.files:
            if Path(path).is_absolute() or ".." in Path(path).parts:
                raise UsageError(f"file {path!r}: expected a path below HOME")

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        if not isinstance(model, ModelDoor):
            raise UsageError(
                f"agent {type(self).__name__} runs a program that asks the model over HTTP: "
                "hand it a model opened with nemo_gym.serving.door"
            )
        timing: Timing = {"started_at": time()}
        async with environment.session(row) as session, _scratch_folder() as scratch:
            prompt = task_text(row[keys.PARAMS])
            folder = Path(session.state.setdefault("workdir", str(scratch / "work")))
            values = {
                "prompt": prompt,
                "prompt_file": str(scratch / "home" / "prompt.txt"),
                "workdir": str(folder),
                "home": str(scratch / "home"),
                "model": model.name or "policy",
                **_mcp(session),
            }
            async with model.visit(rollout_id(row), _sampling(row[keys.PARAMS])) as visit:
                values |= {
                    "rollout_id": visit.rollout_id,
                    "api_key": visit.api_key,
                    "base_url": visit.base_url,
                    "openai_base_url": f"{visit.base_url}/v1",
                }
                await asyncio.to_thread(self._lay_out, scratch / "home", folder, values)
                try:
                    ended = await self._run_program(folder, values)
                except BaseException as error:
                    keep_partial(error, main_response(call_tree(await visit.captured(), prompt=prompt)))
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
                keep_partial(error, response)
                raise
        rollout = Rollout.scored(row, response, reward, outcome=outcome_of(response), timing=timing)
        rollout.details = {
            **reward.details,
            **capture_columns(row, visit.rollout_id, captured, branches),
            "turns_used": len(branches[0].calls),
            "finished_naturally": ended.exit_code == 0,
        }
        if session.cleanup_warning is not None:
            rollout.details["cleanup_warning"] = session.cleanup_warning
        return rollout

    def _lay_out(self, home: Path, folder: Path, values: Mapping[str, str]) -> None:
        home.mkdir()
        folder.mkdir(exist_ok=True)
        for path, text in {"prompt.txt": "{prompt}", **self.files}.items():
            file = home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_filled(text, values), "utf-8", "replace")

    async def _run_program(self, folder: Path, values: Mapping[str, str]) -> Ended:
        env = clean_environment(Path(values["home"]))
        env |= {name: _filled(text, values) for name, text in self.env.items()}
        argv = [_filled(word, values) for word in self.argv]
        stdin = None if self.stdin is None else _filled(self.stdin, values).encode("utf-8", "replace")
        try:
            return await run_program(argv, folder=folder, env=env, seconds=self.timeout, stdin=stdin)
        except (OSError, ValueError) as error:
            raise AgentFault(f"{self.argv[0]} can't be started: {error}") from error
        finally:
            await asyncio.to_thread(kill_carriers, f"HOME={env['HOME']}")

    def _check_end(self, ended: Ended, captured: Captured) -> None:
        """Tell a program that has finished from one that was cut short by somebody's failure."""
        program = Path(self.argv[0]).name
        if ended.exit_code is None:
            raise AgentTimeout(f"{program} did not finish within {self.timeout:g} seconds")
        last = captured.calls[-1] if captured.calls else None
        if last is not None and last.error_category is not None:
            told = f"{program} ended after a model call that failed ({last.status_code}): {last.response}"
            kind = _FAILURES.get(last.error_category, ModelError)
            raise kind(told[:2000], http_status=last.status_code)
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
"""Whose failure a failed call is: what the door refuses was wrongly asked by the program."""
_SAMPLING: Final = ("temperature", "top_p", "max_output_tokens", "metadata", "top_logprobs")


def _sampling(params: RequestParams) -> dict[str, Any]:
    return {name: params[name] for name in _SAMPLING if params.get(name) is not None}  # type: ignore[misc]


def _mcp(session: Session) -> dict[str, str]:
    mcp: Mapping[str, str] = session.state.get("mcp") or {}
    return {"mcp_url": mcp.get("url", ""), "mcp_token": mcp.get("token", "")}


@asynccontextmanager
async def _scratch_folder() -> AsyncGenerator[Path, None]:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="gym-agent-"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _program(name: str) -> str:
    """Where a program is: on PATH, or beside this Python.

    Raises:
        UsageError: nowhere.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    found = shutil.which(name, path=path)
    if found is None:
        raise UsageError(f"no program {name!r} on PATH")
    return found


_PLACE: Final = re.compile(r"\{([a-z_]+)\}")


def _check_places(text: str) -> None:
    for name in _PLACE.findall(text):
        if name not in PLACES:
            raise UsageError(f"command agent: nothing is known as {{{name}}}.{did_you_mean(name, PLACES)}")


def _filled(text: str, values: Mapping[str, str]) -> str:
    """In one pass, so that nothing within a value is ever filled in."""
    return _PLACE.sub(lambda match: values[match[1]], text)


def _last_words(ended: Ended) -> str:
    told = (text.strip()[-1000:] for text in (ended.stdout, ended.stderr))
    return "\n".join(text for text in told if text) or "it printed nothing"
