"""Serve a run's model and tools at a port of this machine, for agents that are programs."""

from __future__ import annotations

from pathlib import Path

from nemo_gym.agents.model_access import ServedModel
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.capture.stores import FileCapture
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.wire.errors import UsageError


def open_loopback(
    capture: CaptureSettings | None, model: Model, link: EnvironmentLink
) -> tuple[ServedModel, EnvironmentLink]:
    """The model and the environment, served over HTTP so that programs reach them.

    Args:
        capture: where the calls are recorded.
        model: unchanged if it is served already.

    Raises:
        UsageError: the server's libraries are missing.
    """
    try:
        from nemo_gym.serving.loopback_model import LoopbackModel
        from nemo_gym.serving.loopback_tools import open_tools
    except ImportError:
        raise UsageError("this agent needs an HTTP server: pip install 'nemo-gym[serve]'") from None
    if isinstance(model, ServedModel):
        return model, open_tools(link)
    store = FileCapture(Path(capture.calls)) if capture and capture.calls else None
    return LoopbackModel(model, store=store), open_tools(link)
