"""`RunSettings`: the settings of a run apart from its components, set by flags or top-level keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec

from nemo_gym.config.errors import ConfigError
from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.params import check_typed_params

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class SkillsSetting(msgspec.Struct, frozen=True):
    path: str


class RunSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Each field has the name of its configuration key. None, false or empty means that it is not set."""

    agent_name: str | None = None
    input_jsonl_fpath: str | None = None
    output_jsonl_fpath: str | None = None
    split: str | None = None
    limit: Count | None = None
    num_repeats: Count | dict[str, Count] | None = None
    """Rollouts per task; a map says it by agent, with `_default` for the others."""
    num_repeats_add_seed: bool = False
    """Sample every rollout with its repeat number as the seed."""
    num_samples_in_parallel: Count | None = None
    """Rollouts in flight."""
    responses_create_params: dict[str, Any] = {}
    prompt_config: str | None = None
    skills: SkillsSetting | None = None
    resume_from_cache: bool = False
    disable_aggregation: bool = False
    rollout_collection_driver: str | None = None
    """`pkg.mod:func` of the user's that collects in place of the collector."""
    dry_run: bool = False
    """Say what would be run, and start nothing."""
    model_endpoint_readiness_timeout_seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Seconds to wait for model endpoints that don't answer yet."""
    hf_token: str = ""
    """The token for data sets that are downloaded."""

    def over(self, tree: Mapping[str, Any]) -> RunSettings:
        """These settings, and from the tree of a configuration those that are not said here.

        Raises:
            ConfigError: one in the tree is of the wrong type.
        """
        fields = self.__struct_fields__
        configured = {key: value for key, value in tree.items() if key in fields and value is not None}
        try:
            settings = msgspec.convert(configured, RunSettings)
        except msgspec.ValidationError as error:
            raise ConfigError(explain_misfit(error, RunSettings).replace("$.", "")) from None
        params = settings.responses_create_params | self.responses_create_params
        check_sampling(params)
        values = {key: value for key in fields if (value := getattr(self, key))}
        return msgspec.structs.replace(settings, **{**values, "responses_create_params": params})


def check_sampling(params: Mapping[str, Any]) -> None:
    """Check request parameters that are put over those of the tasks.

    Raises:
        ConfigError: one is unknown, or of the wrong type.
    """
    try:
        check_typed_params({"input": "", **params})
    except UsageError as error:
        raise ConfigError(str(error)) from None
