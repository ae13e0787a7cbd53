"""Configurations and command lines with their secrets hidden."""

from __future__ import annotations

from nemo_gym.secret_utils import hide_secrets_in_overrides, looks_like_secret_key, recursively_hide_secrets
from omegaconf import DictConfig, OmegaConf


def test_a_configuration_is_masked_in_place() -> None:
    config = DictConfig(
        {
            "policy_api_key": "sk-abcdef",
            "deep": [{"db_password": "hunter22", "name": "kept"}],
            "url": "http://host/?auth=sk-abcdef",
            "same": "${deep[0].name}",
            "max_tokens": 5,
        }
    )
    OmegaConf.set_struct(config, True)
    recursively_hide_secrets(config)
    assert config == {
        "policy_api_key": "****",
        "deep": [{"db_password": "****", "name": "kept"}],
        "url": "http://host/?auth=****",
        "same": "kept",
        "max_tokens": 5,
    }
    assert looks_like_secret_key("hf_token")
    assert not looks_like_secret_key("monkey")


def test_words_of_a_command_line_are_masked() -> None:
    words = ["eval", "+a.api_key=sk-1", "limit=5", "--model-api-key", "sk-2", "--hf-token=hf", "--limit", "3"]
    shown = [
        "eval",
        "+a.api_key=****",
        "limit=5",
        "--model-api-key",
        "****",
        "--hf-token=****",
        "--limit",
        "3",
    ]
    assert hide_secrets_in_overrides(words) == shown
