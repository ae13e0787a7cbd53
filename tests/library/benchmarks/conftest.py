"""A local hub for the tests of benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from tests.conftest import StartEndpoint


@pytest.fixture
def use_hub(
    start_endpoint: StartEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Make this process use a local hub, with an empty cache and an empty working directory."""

    def use(folder: Path, **options: Any) -> str:
        url = start_endpoint("hub_server.py", folder=folder, **options).removesuffix("/v1")
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.chdir(tmp_path)
        return url

    return use
