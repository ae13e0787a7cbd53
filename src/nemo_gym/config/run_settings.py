"""`RunSettings`: what a run is asked for besides its components, by flags, top-level keys or arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from nemo_gym.config.errors import ConfigError
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
    """Named as the flags. None, false or empty means that the caller leaves it open."""

    agent: str | None = None
    input: str | None = None
    output: str | None = None
    split: str | None = None
    limit: Count | None = None
    num_repeats: Count | dict[str, Count] | None = None
    """Rollouts per task; a map says it by agent, with `_default` for the others."""
    num_repeats_add_seed: bool = False
    """Sample every rollout with its repeat number as the seed."""
    concurrency: Count | None = None
    """Rollouts in flight."""
    max_sandboxes: Count | None = None
    """Rollouts that may have sandboxes at the same time."""
    sandbox_provider: str | None = None
    """The name of the provider that makes the sandboxes."""
    sampling: dict[str, Any] = {}
    """Request parameters that win over those of the tasks."""
    prompt_config: str | None = None
    skills: SkillsSetting | None = None
    resume: bool = False
    disable_aggregation: bool = False
    rollout_collection_driver: str | None = None
    """`pkg.mod:func` of the user's that collects in place of the collector."""
    dry_run: bool = False
    """Say what would be run, and start nothing."""
    model_ready_timeout: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Seconds that model endpoints which don't answer yet are waited for."""
    hf_token: str = ""
    """The token for data sets that are downloaded."""

    @classmethod
    def of(cls, **values: Any) -> RunSettings:
        """The settings of these values, named as the fields are.

        Raises:
            UsageError: a value is of the wrong type or out of range.
        """
        try:
            settings = msgspec.convert({_KEYS.get(name, name): value for name, value in values.items()}, cls)
        except msgspec.ValidationError as error:
            name = next(name for name in values if _KEYS.get(name, name) == _place(error))
            message = _explained(error, values[name]).replace(_place(error), name)
            raise UsageError(message).about(name) from None
        check_typed_params({"input": "", **settings.sampling})
        return settings

    def over(self, tree: Mapping[str, Any]) -> RunSettings:
        """These settings, and from the tree of a configuration those that these leave open.

        Raises:
            ConfigError: one in the tree is of the wrong type.
        """
        keys = self.__struct_encode_fields__
        known = {key: value for key, value in tree.items() if key in keys and value is not None}
        try:
            settings = msgspec.convert(known, RunSettings)
        except msgspec.ValidationError as error:
            raise ConfigError(_explained(error, known[_place(error)])) from None
        params = settings.sampling | self.sampling
        check_sampling(params)
        own = {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}
        return msgspec.structs.replace(settings, **{**own, "sampling": params})


def check_sampling(params: Mapping[str, Any]) -> None:
    """Check request parameters that are put over those of the tasks.

    Raises:
        ConfigError: one is unknown, or of the wrong type.
    """
    try:
        check_typed_params({"input": "", **params})
    except UsageError as error:
        raise ConfigError(str(error)) from None


def _explained(error: msgspec.ValidationError, value: object) -> str:
    """`limit: expected a whole number from 1, got 0`, or else what msgspec says."""
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
