"""The column generators `gym-verify` and `gym-rollout`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.siblings.data_designer.column_tasks import chat_model, roll_out_record, verify_record
from nemo_gym.siblings.data_designer.plugin_configs import GymRolloutColumnConfig, GymVerifyColumnConfig

_base: Any = import_module("data_designer.engine.column_generators.generators.base")
_secrets: Any = import_module("data_designer.engine.secret_resolver")
_resolver: Any = _secrets.CompositeResolver([_secrets.EnvironmentResolver(), _secrets.PlaintextResolver()])
_Verify: Any = _base.ColumnGenerator[GymVerifyColumnConfig]
_Rollout: Any = _base.ColumnGeneratorWithModelRegistry[GymRolloutColumnConfig]


class GymVerify(_Verify):
    """Adds the verdict on an answer, and an error where there is none. It drops no record."""

    @staticmethod
    def get_generation_strategy() -> Any:
        return _base.GenerationStrategy.CELL_BY_CELL

    async def agenerate(self, data: dict[str, Any]) -> dict[str, Any]:
        config: GymVerifyColumnConfig = self.config
        value, error = await verify_record(config.task_mapping, config.answer, data)
        return {**data, config.name: value, f"{config.name}__error": error}


class GymRollout(_Rollout):
    """Adds the result of a rollout, its conversation, and an error where it failed. It drops no record."""

    @staticmethod
    def get_generation_strategy() -> Any:
        return _base.GenerationStrategy.CELL_BY_CELL

    async def agenerate(self, data: dict[str, Any]) -> dict[str, Any]:
        config: GymRolloutColumnConfig = self.config
        (value, error), trace = await roll_out_record(
            config.task_mapping,
            data,
            self._model(config.model_alias),
            models={name: self._model(alias) for name, alias in config.models.items()},
            max_steps=config.max_steps,
            most_seconds=config.timeout,
            sampling=self._sampling(config.model_alias),
        )
        name: str = config.name
        return {**data, name: value, f"{name}__error": error, f"{name}__trace": trace}

    def _model(self, alias: str) -> ModelSpec:
        provider = self.model_registry.get_model_provider(model_alias=alias)
        key = _resolver.resolve(provider.api_key) if provider.api_key else ""
        return chat_model(provider.endpoint, self.get_model_config(alias).model, key)

    def _sampling(self, alias: str) -> dict[str, Any]:
        """The sampling parameters of the model's configuration, as a request has them."""
        values: dict[str, Any] = self.get_model_config(alias).inference_parameters.generate_kwargs
        names = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_output_tokens"}
        return {names[name]: value for name, value in values.items() if name in names}
