"""`RunSettings`: the settings of a run besides its components, from flags, top-level keys or arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from nemo_gym.config.errors import ConfigError
from nemo_gym.sandbox.config import provider_setting
from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.params import check_typed_params

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]

_KEYS: Final = {
    "agent": "agent_name",
    "input": "input_jsonl_fpath",
    "output": "output_jsonl_fpath",
    "concurrency": "num_samples_in_parallel",
    "sampling": "responses_create_params",
    "resume": "resume_from_cache",
    "model_ready_timeout": "model_endpoint_readiness_timeout_seconds",
}
"""The settings that have another name in a configuration."""


class SkillsSetting(msgspec.Struct, frozen=True):
    path: str


class RunSettings(msgspec.Struct, frozen=True, omit_defaults=True, rename=_KEYS):
    """The settings under the names of the flags. None, false or empty means that one is not set."""

    agent: str | None = None
    input: str | None = None
    output: str | None = None
    split: str | None = None
    limit: Count | None = None
    num_repeats: Count | dict[str, Count] | None = None
    """Rollouts per task, or by agent with `_default` for the others."""
    num_repeats_add_seed: bool = False
    """Sample every rollout with its repeat number as the seed."""
    concurrency: Count | None = None
    """Rollouts in flight."""
    max_sandboxes: Count | None = None
    """Rollouts that may have sandboxes at the same time."""
    sandbox_provider: str | dict[str, Any] | None = None
    """The provider that makes the sandboxes: its name, `NAME=URL`, a block, or the name of one."""
    sampling: dict[str, Any] = {}
    """Request parameters that replace those of the tasks."""
    reward_weights: Any = None
    """The weights of reward components by name: a mapping, or a text such as `correctness=1,format=0.2`."""
    reward_shaping: Any = None
    """Shapes of the reward: texts such as `long:from=512,to=1024,penalty=0.5`, or mappings with a `type`."""
    prompt_config: str | None = None
    skills: SkillsSetting | None = None
    resume: bool = False
    disable_aggregation: bool = False
    journal_turns: bool = False
    """Keep the turns of unfinished rollouts, so that `resume` goes on after the last one."""
    rollout_collection_driver: str | None = None
    """A function `pkg.mod:func` of the user that collects in place of the collector."""
    dry_run: bool = False
    """Describe the run, and start nothing."""
    model_ready_timeout: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Seconds to wait for model endpoints that don't answer yet."""
    hf_token: str = ""
    """The token for downloads of data sets."""

    @classmethod
    def of(cls, **values: Any) -> RunSettings:
        """The settings with these values, under the names of the fields.

        Raises:
            UsageError: a value is of the wrong type or out of range.
        """
        try:
            settings = msgspec.convert({_KEYS.get(name, name): value for name, value in values.items()}, cls)
        except msgspec.ValidationError as error:
            name = next(name for name in values if _KEYS.get(name, name) == _place(error))
            message = _explain(error, values[name]).replace(_place(error), name)
            raise UsageError(message).about(name) from None
        check_typed_params({"input": "", **settings.sampling})
        return settings

    def over(self, tree: Mapping[str, Any]) -> RunSettings:
        """These settings, with those of a configuration's tree where these are not set.

        Raises:
            ConfigError: one in the tree is of the wrong type.
        """
        keys = self.__struct_encode_fields__
        values = {key: value for key, value in tree.items() if key in keys and value is not None}
        try:
            settings = msgspec.convert(values, RunSettings)
        except msgspec.ValidationError as error:
            raise ConfigError(_explain(error, values[_place(error)])) from None
        params = settings.sampling | self.sampling
        check_sampling(params)
        own = {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}
        if provider := own.get("sandbox_provider", settings.sandbox_provider):
            own["sandbox_provider"] = provider_setting(provider, tree)
        return msgspec.structs.replace(settings, **{**own, "sampling": params})


def check_sampling(params: Mapping[str, Any]) -> None:
    """Check request parameters that replace those of the tasks.

    Raises:
        ConfigError: one is unknown, or of the wrong type.
    """
    try:
        check_typed_params({"input": "", **params})
    except UsageError as error:
        raise ConfigError(str(error)) from None


def _explain(error: msgspec.ValidationError, value: object) -> str:
    """`limit: expected a whole number from 1, got 0`, or the message of msgspec."""
    kind = _KIND.match(str(error))
    if kind is None or kind[1] not in _WORDS:
        return explain_misfit(error, RunSettings).replace("$.", "")
    return f"{_place(error)}: expected {_WORDS[kind[1]]}, got {value!r:.80}"


def _place(error: msgspec.ValidationError) -> str:
    """The top-level key that an error is about."""
    return _PLACE.split(str(error))[1]


_KIND: Final = re.compile(r"Expected `(\w+)")
_PLACE: Final = re.compile(r"`\$\.(\w+)")
_WORDS: Final = {
    "int": "a whole number from 1",
    "str": "text",
    "bool": "true or false",
    "float": "a number from 0",
}
