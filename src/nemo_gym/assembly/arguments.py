"""`Arguments`: the caller's choice of components for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_gym.config.run_settings import RunSettings
from nemo_gym.models.registry import check_model
from nemo_gym.runs.asked_specs import AskSettings, with_asked
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.wire.errors import UsageError

DEFAULT_HEAD_URL = "http://127.0.0.1:11000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Named as the flags of `gym run`. An empty value is no choice."""

    environment: str = ""
    """A name, `path.py` or `path.py:Class`."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of the environment."""
    environment_url: str = ""
    model_type: str = ""
    model: str = ""
    model_url: Sequence[str] = ()
    model_api_key: str = ""
    model_timeout: float | None = None
    model_settings: dict[str, Any] = field(default_factory=dict[str, Any])
    record: str = ""
    agent_settings: dict[str, Any] = field(default_factory=dict[str, Any])
    agent_url: str = ""
    no_serve: bool = False
    head_url: str = ""
    server_token: str = ""
    capture_dir: str = ""
    asks: AskSettings = field(default_factory=dict[str, Mapping[str, Any]])
    """Settings of the models that the environment asks."""

    def check_model(self) -> None:
        """Check that the type, name and URL of the model go together, before anything is looked up.

        Raises:
            UsageError: there is no such type, or a name or URL is set that the type doesn't take.
        """
        if "/" not in self.model_type:
            check_model(self.model_type, name=self.model, url=self.model_url)

    def refuse(self, *names: str, why: str) -> None:
        """Check that none of these arguments is set.

        Raises:
            UsageError: one is set.
        """
        for name in names:
            if getattr(self, name):
                raise UsageError(f"{name} can't be honoured: {why}").about(name)

    def check_choice(self, agent: str) -> None:
        """Check that every component is named, and none of them twice.

        Raises:
            UsageError: with what to add or to leave out.
        """
        elsewhere = self.acts_elsewhere
        if self.model and not (self.model_type or self.model_url or elsewhere):
            raise UsageError(
                f"model {self.model!r} has no URL: give one, or the type of a hosted provider"
            ).about("model_url", "model_type")
        acts_here = not elsewhere or agent == "remote_agent"
        if acts_here and not self.environment and not self.environment_url:
            raise UsageError(
                "which environment? Name one (`gym list environments`), or give the URL of it or of its agent"
            ).about("environment_url", "agent_url", "no_serve")
        if not acts_here and self.environment_url:
            raise UsageError(
                "the agent at the URL has its own environment: leave out the environment's URL"
            ).about("environment_url")
        if elsewhere and (self.model_type or self.model or self.model_url):
            raise UsageError("the agent at the URL has its own model: leave out the model").about(
                "model", "model_type", "model_url"
            )
        if self.no_serve and self.agent_url:
            raise UsageError(
                "the head server and the agent's URL both say where the agent is: leave one of them out"
            ).about("no_serve", "agent_url")

    @property
    def acts_elsewhere(self) -> bool:
        """Whether the agent runs at a URL."""
        return bool(self.agent_url or self.no_serve)

    def environment_spec(self) -> EnvironmentSpec:
        """The environment, with the models that it asks if an agent acts in it here.

        Raises:
            UsageError: there is no such environment, or a setting of such a model is wrong.
        """
        spec = EnvironmentSpec(
            self.environment, self.settings, url=self.environment_url, token=self.server_token
        )
        if self.acts_elsewhere:
            self.refuse("asks", why="the environment at the URL has models of its own")
            return spec
        return with_asked(spec, self.asks)

    def model_spec(self) -> ModelSpec:
        """The model."""
        default = "none" if self.acts_elsewhere else "chat" if self.model_url else "embedded"
        return ModelSpec(
            type=self.model_type or default,
            name=self.model,
            url=self.model_url[0] if len(self.model_url) == 1 else tuple(self.model_url) or "",
            api_key=self.model_api_key,
            timeout=self.model_timeout,
            record=self.record,
            settings=self.model_settings,
        )

    def agent_spec(self, name: str) -> AgentSpec:
        """The agent. With a head server, `name` is the agent of the rows that name none."""
        places: dict[str, str] = {}
        if self.agent_url:
            name, places = name or "remote_run", {"url": self.agent_url, "token": self.server_token}
        elif self.no_serve:
            head = self.head_url or DEFAULT_HEAD_URL
            name, places = "remote_run", {"head_url": head, "agent": name, "token": self.server_token}
        return AgentSpec(name, self.agent_settings | {key: value for key, value in places.items() if value})


def check_settings(settings: RunSettings, *, seed: int | None) -> None:
    """Check that the settings of a run go together.

    Raises:
        UsageError: which don't.
    """
    if settings.resume and not settings.output:
        raise UsageError("resuming goes on with a run: name its output (`gym runs list` lists them)").about(
            "resume", "output"
        )
    if seed is not None and settings.num_repeats_add_seed:
        raise UsageError(
            "the seed and the numbers of the repeats can't both be the sampling seeds: leave one out"
        ).about("seed", "num_repeats_add_seed")
