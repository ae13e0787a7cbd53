"""Each curated environment has a manifest that says what its class says."""

from __future__ import annotations

import pytest

from nemo_gym.config.manifest_file import MANIFEST, read_manifest
from nemo_gym.environments.base import StepEnvironment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.environment_info import environment_info, library


@pytest.mark.parametrize("name", library())
def test_the_manifest_agrees_with_the_class(name: str) -> None:
    folder = library()[name]
    environment, manifest = find_environment(name), read_manifest(folder / MANIFEST)

    entry = environment_info(environment)
    assert (manifest.name, manifest.domain, manifest.description) == (name, entry.domain, entry.description)
    assert manifest.domain == folder.parent.name
    assert manifest.reward.range == environment.reward_range
    assert (manifest.session_model == "step") == issubclass(environment, StepEnvironment)
    assert {folder / dataset.jsonl_fpath for dataset in manifest.datasets} == set(folder.glob("data/*.jsonl"))
