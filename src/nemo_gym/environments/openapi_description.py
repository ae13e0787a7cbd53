"""Reads the form, the step limit and the rewards of a resources server from its OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from nemo_gym.environments.rewards import Rewards
from nemo_gym.transport.service import Service
from nemo_gym.wire.validation import json_object

MAX_STEPS: Final = 100
"""The most answers in one episode, when neither the agent nor the server has a limit; a server ends its
episodes itself."""


class Description(msgspec.Struct, frozen=True):
    """The facts about a server that its callers need."""

    steps: bool = False
    """Whether it has the reset/step form."""
    max_steps: int = MAX_STEPS
    rewards: Rewards | None = None
    """Its declared rewards; None when it declares nothing."""


async def fetch_description(url: str, *, token: str = "") -> Description:
    """The description in a server's `/openapi.json`; a server without it has the tools and verify form.

    Raises:
        GymError: no server answers at the URL.
        UsageError: the URL is not valid.
    """
    service = Service(url, "resources server", token=token)
    try:
        reply = await service.get("/openapi.json")
    finally:
        await service.aclose()
    try:
        return read_openapi(json_object(reply.content)) if reply.status == 200 else Description()
    except ValueError:
        return Description()


def read_openapi(document: dict[str, Any]) -> Description:
    """The description in an OpenAPI document.

    Raises:
        ValueError: it is not an OpenAPI document.
    """
    try:
        fields = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    about = fields.info.about
    steps = {"/reset", "/step"} <= fields.paths.keys()
    return Description(steps=steps, max_steps=about.max_steps, rewards=_rewards(about.rewards))


def _rewards(value: Any) -> Rewards | None:
    try:
        return msgspec.convert(value, Rewards | None)
    except msgspec.ValidationError:
        return None


class _About(msgspec.Struct):
    max_steps: int = MAX_STEPS
    rewards: Any = None


class _Info(msgspec.Struct):
    about: _About = msgspec.field(name="x-nemo-gym", default_factory=_About)


class _Document(msgspec.Struct):
    paths: dict[str, Any]
    info: _Info
