"""The parts of a run, and how flags name them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from time import strftime
from typing import Any

from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.cli.words import read_settings
from nemo_gym.config.model_suggestions import LOCAL_TYPES, NAMELESS_TYPES, ready_meaning
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.models.type_table import ALIASES
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.task_sources import Source
from nemo_gym.wire.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentFlags:
    """What the flags of `gym run` say about components; empty where they say nothing."""

    words: list[str]
    """An environment and its settings; with a configuration also changes to it."""
    model_type: str
    model: str
    model_url: list[str]
    model_api_key: str
    model_timeout: float | None
    model_settings: dict[str, Any]
    record: str
    agent_arguments: dict[str, Any]
    environment_url: str
    agent_url: str
    no_serve: bool
    capture_dir: str
    head_url: str
    server_token: str

    @property
    def capture_changes(self) -> list[str]:
        """What the folder for captures means to a configuration."""
        folder = json.dumps(self.capture_dir)
        changes = ["++observability_enabled=true", f"++model_call_capture_dir={folder}"]
        return changes if self.capture_dir else []

    @property
    def changes_configuration(self) -> bool:
        """Whether a word can only be a change to a configuration."""
        return any(word.startswith(("+", "~")) for word in self.words)

    @property
    def only_url(self) -> str | list[str]:
        """The model's URL, or its URLs."""
        return self.model_url if len(self.model_url) > 1 else "".join(self.model_url)

    def refuse(self, *names: str, why: str) -> None:
        """Check that nothing is said about these.

        Raises:
            UsageError: something is.
        """
        for name in names:
            if getattr(self, name):
                raise UsageError(f"{_FLAGS[name]} can't be honoured: {why}")


_FLAGS = {
    "environment_url": "--environment-url",
    "agent_url": "--agent-url",
    "model_timeout": "--model-timeout",
    "model_settings": "--model-setting",
    "record": "--record",
    "agent_arguments": "--agent-setting, --max-steps or --turn-timeout",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a run is made of."""

    environment: EnvironmentSpec
    model: ModelSpec
    agent: AgentSpec
    agent_name: str = ""
    """The only agent that rows may name; empty for any."""
    asked: RunSettings
    """What is asked of it besides, wherever that was said."""
    input: Path | tuple[Source, ...] | None
    output: Path
    columns: dict[str, Any] = field(default_factory=dict[str, Any])
    """Laid over every row."""
    capture: CaptureSettings | None = None
    """What of the model calls is kept."""
    tree: dict[str, Any] = field(default_factory=dict[str, Any])
    """The configuration as the servers have it; its secrets are plain text."""
    around: AbstractAsyncContextManager[None] | None = None
    """What has to be there while it goes on."""


def parts_of_flags(flags: ComponentFlags, asked: RunSettings, search_dirs: Sequence[Path]) -> Parts:
    """The parts that the flags name themselves.

    Raises:
        UsageError: the flags leave something open or ask for what can't be honoured.
        ConfigError: the prompt file can't be read.
    """
    if search_dirs and not asked.prompt_config:
        raise UsageError(
            "--search-dir is where configurations and prompts are looked for: there is none here"
        )
    environment, settings = (flags.words[0], flags.words[1:]) if flags.words else ("", [])
    elsewhere = bool(flags.agent_url or flags.no_serve)
    _check_choice(flags, asked, elsewhere=elsewhere)
    return Parts(
        environment=EnvironmentSpec(
            environment, read_settings(settings), url=flags.environment_url, token=flags.server_token
        ),
        model=ModelSpec(
            type=flags.model_type or ("none" if elsewhere else "chat" if flags.model_url else "embedded"),
            name=flags.model,
            url=flags.only_url if isinstance(flags.only_url, str) else tuple(flags.only_url),
            api_key=flags.model_api_key,
            timeout=flags.model_timeout,
            record=flags.record,
            settings=dict(flags.model_settings),
        ),
        agent=_agent_spec(flags, asked.agent_name or ""),
        asked=asked,
        input=_input(asked, search_dirs),
        output=output_path(asked, environment or "servers"),
        capture=CaptureSettings(flags.capture_dir) if flags.capture_dir else None,
    )


def output_path(asked: RunSettings, name: str) -> Path:
    """Where the rollouts go: as asked, or a new file named after the environment and the time."""
    if asked.output_jsonl_fpath:
        return Path(asked.output_jsonl_fpath)
    stem = Path(name.partition(":")[0]).stem
    return Path("results") / f"{stem}_{strftime('%Y%m%d-%H%M%S')}.jsonl"


def _check_choice(flags: ComponentFlags, asked: RunSettings, *, elsewhere: bool) -> None:
    """Refuse flags that leave something open or ask for what can't be honoured, and say which to add or drop.

    Args:
        elsewhere: whether the agent runs at a URL.
    """
    if flags.model and not (flags.model_type or flags.model_url or elsewhere):
        raise UsageError(
            f"--model {flags.model}: where is it? Add --model-url URL, or --model-type with a hosted provider"
        )
    acts_here = not elsewhere or asked.agent_name == "remote_agent"
    if acts_here and not flags.words and not flags.environment_url:
        known = "name one (`gym list environments`), or pass --environment-url, --agent-url or --no-serve"
        raise UsageError(f"which environment? {known}")
    if not acts_here and flags.environment_url:
        raise UsageError("the agent at the URL has an environment of its own: drop --environment-url")
    if elsewhere and (flags.model_type or flags.model or flags.model_url):
        raise UsageError(
            "the agent at the URL has a model of its own: drop --model, --model-type, --model-url"
        )
    if flags.no_serve and flags.agent_url:
        raise UsageError("--no-serve asks the head server for the agents: drop it or --agent-url")


def check_model(flags: ComponentFlags) -> None:
    """Refuse flags of a model that don't go together, or that name no model.

    Raises:
        UsageError: there is no such model type, or it has no endpoint, or no name, and the flags say one.
    """
    kind = ALIASES.get(flags.model_type, flags.model_type)
    if flags.model_type and "/" not in flags.model_type and (meaning := ready_meaning(flags.model_type)):
        raise UsageError(f"no model type {flags.model_type!r}: use {meaning}")
    if flags.model_url and kind in LOCAL_TYPES:
        raise UsageError(
            f"--model-type {flags.model_type} has no endpoint: drop --model-url, or say which dialect the "
            "endpoint speaks (--model-type chat, responses, vllm, ...)"
        )
    if flags.model and kind in NAMELESS_TYPES:
        raise UsageError(f"--model-type {flags.model_type} has no name: drop --model")


def _agent_spec(flags: ComponentFlags, name: str) -> AgentSpec:
    """The agent that the flags ask for; with a head server `name` is for the rows that name none."""
    if flags.agent_url:
        kind, given = name or "remote_run", {"url": flags.agent_url, "token": flags.server_token}
    elif flags.no_serve:
        kind = "remote_run"
        given = {"head_url": flags.head_url or _HEAD, "agent": name, "token": flags.server_token}
    else:
        kind, given = name, dict[str, str]()
    return AgentSpec(kind, flags.agent_arguments | {key: value for key, value in given.items() if value})


_HEAD = "http://127.0.0.1:11000"


def _input(asked: RunSettings, search_dirs: Sequence[Path]) -> Path | tuple[Source, ...] | None:
    path = Path(asked.input_jsonl_fpath) if asked.input_jsonl_fpath else None
    if not asked.prompt_config:
        return path
    from nemo_gym.config.prompts import load_prompt
    from nemo_gym.config.sources import search_roots

    return (Source(path=path, prompt=load_prompt(asked.prompt_config, search_roots(search_dirs))),)
