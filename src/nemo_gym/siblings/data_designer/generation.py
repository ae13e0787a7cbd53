"""Runs Data Designer on a configuration, with the providers that its own command line can't be given."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from nemo_gym.siblings.data_designer.config import load_config
from nemo_gym.siblings.data_designer.presets import provider, use_model
from nemo_gym.siblings.data_designer.tool_server import provider_of
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.masking import without_secrets

INSTALL: Final = "pip install 'nemo-gym[data-designer]', in an environment of its own with Python 3.12"


def create_dataset(
    config: Path,
    artifacts: Path,
    *,
    records: int,
    name: str = "dataset",
    model_url: str = "",
    model: str = "",
    api_key: str = "",
) -> Path:
    """Generate a data set with the real Data Designer; its folder.

    Providers of tools named `gym-ENVIRONMENT` are started: the tools of that environment over MCP.

    Args:
        model_url: an endpoint that speaks the OpenAI API, for all models of the configuration.
        model: the model's name there.

    Raises:
        UsageError: Data Designer is not installed, or refuses the configuration.
        GymError: it generated nothing.
    """
    document = load_config(config)
    use_model(document, model_url=model_url, model=model)
    designer, builder = _designer(document, artifacts, model_url, api_key)
    _validate(designer, builder, config)
    try:
        result = designer.create(builder, num_records=records, dataset_name=name)
    except Exception as error:
        raise GymError(f"Data Designer: {_one_line(error)}") from error
    return Path(result.artifact_storage.base_dataset_path)


def validate_config(config: Path) -> None:
    """Check a configuration with Data Designer's own validation.

    Raises:
        UsageError: Data Designer is not installed, or refuses the configuration.
    """
    designer, builder = _designer(load_config(config), config.parent, "", "")
    _validate(designer, builder, config)


def _designer(document: dict[str, Any], artifacts: Path, model_url: str, api_key: str) -> tuple[Any, Any]:
    try:
        interface = import_module("data_designer.interface")
        builders = import_module("data_designer.config.config_builder")
        models = import_module("data_designer.config.models")
        tools = import_module("data_designer.config.mcp")
    except ImportError as error:
        raise UsageError(f"this needs Data Designer ({error}): {INSTALL}") from None
    own = [models.ModelProvider(**provider(model_url, api_key))] if model_url else None
    try:
        builder = builders.DataDesignerConfigBuilder.from_config(document)
    except Exception as error:
        raise UsageError(f"Data Designer refuses the configuration: {_one_line(error)}") from None
    names = [name for one in document["data_designer"].get("tool_configs") or () for name in one["providers"]]
    servers = [fields for name in dict.fromkeys(names) if (fields := provider_of(name))]
    designer = interface.DataDesigner(
        artifact_path=artifacts,
        model_providers=own,
        mcp_providers=[tools.LocalStdioMCPProvider(**fields) for fields in servers],
    )
    return designer, builder


def _validate(designer: Any, builder: Any, config: Path) -> None:
    try:
        designer.validate(builder)
    except Exception as error:
        raise UsageError(f"{config}: Data Designer refuses the configuration: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return without_secrets(" ".join(str(error).split()))
