"""`gym.model`: a model for runs from Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nemo_gym.models.registry import check_model
from nemo_gym.runs.component_specs import ModelSpec


def model(
    url: str | Sequence[str] = "",
    name: str = "",
    *,
    type: str = "chat",
    api_key: str = "",
    timeout: float | None = None,
    record: str = "",
    **settings: Any,
) -> ModelSpec:
    """A model at a URL, for `collect`: each run opens it, and closes it when it ends.

    Args:
        url: base URL, for instance `http://localhost:8000/v1`; several are copies of one model.
        name: the model's name at the endpoint.
        type: the dialect that the endpoint speaks (`chat`, `responses`, `vllm`, ...) or a hosted provider.
        api_key: sent as a bearer token; left out of everything that is written or shown.
        timeout: seconds that one attempt at a call may take.
        record: a file that every call is recorded to.
        settings: further settings of this type of model.

    Raises:
        UsageError: there is no such type, or a name or URL is set that the type doesn't take.
    """
    urls = url if isinstance(url, str) else tuple(url)
    check_model(type, name=name, url=urls)
    return ModelSpec(type, name, urls, api_key, timeout, record, settings)
