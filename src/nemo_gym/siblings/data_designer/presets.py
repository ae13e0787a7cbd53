"""The shipped configurations of Data Designer whose data sets are tasks of an environment here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nemo_gym.siblings.data_designer.config import load_config, write_yaml
from nemo_gym.siblings.data_designer.mapping import Mapping, load_mapping
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.json_values import object_of

FOLDER: Final = Path(__file__).parent / "presets"
PROVIDER: Final = "gym"
"""The name of the provider of a model at a URL."""
_MAPPING: Final = ".mapping.yaml"


@dataclass(frozen=True, slots=True)
class Preset:
    """A configuration and the mapping of its columns."""

    name: str
    config_path: Path
    mapping: Mapping


def preset_names() -> list[str]:
    """The names of all presets."""
    return sorted(path.name.removesuffix(_MAPPING) for path in FOLDER.glob(f"*{_MAPPING}"))


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in preset_names():
        raise UsageError(f"there is no preset {name!r}.{did_you_mean(name, preset_names())}")
    return Preset(name, FOLDER / f"{name}.yaml", load_mapping(FOLDER / f"{name}{_MAPPING}"))


def write_preset(name: str, path: Path, *, model_url: str = "", model: str = "") -> list[Path]:
    """Write the configuration of a preset; for a model at a URL also the file of its provider, beside it.

    Args:
        model_url: an endpoint that speaks the OpenAI API, instead of the provider of the preset.
        model: the model's name there.

    Returns:
        the files.

    Raises:
        UsageError: there is no such preset, or a file can't be written.
    """
    config = load_config(find_preset(name).config_path)
    use_model(config, model_url=model_url, model=model)
    write_yaml(path, config)
    if not model_url:
        return [path]
    providers = path.with_name("model_providers.yaml")
    write_yaml(providers, {"providers": [provider(model_url)]})
    return [path, providers]


def use_model(config: dict[str, Any], *, model_url: str = "", model: str = "") -> None:
    """Change the models of a configuration."""
    models: Sequence[dict[str, Any]] = config["data_designer"].get("model_configs") or ()
    for one in models:
        if model_url:
            one["provider"] = PROVIDER
            object_of(one.get("inference_parameters")).pop("extra_body", None)
        if model:
            one["model"] = model


def provider(model_url: str, api_key: str = "") -> dict[str, str]:
    """The provider of a model at a URL, as Data Designer's file of providers has it."""
    fields = {"name": PROVIDER, "endpoint": model_url, "provider_type": "openai"}
    return {**fields, "api_key": api_key or "not-needed"}
