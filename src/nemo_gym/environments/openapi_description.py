"""Reads from a resources server's OpenAPI document its form, its step limit and its rewards."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from nemo_gym.environments.rewards import Rewards
from nemo_gym.transport.service import Service
from nemo_gym.wire.validation import json_object

MAX_STEPS: Final = 100
"""Answers in one episode, when neither the agent nor the server says how many: a server ends its episodes
itself."""


class Description(msgspec.Struct, frozen=True):
    """The facts about a server that are needed before it is used."""

    steps: bool = False
    """Whether it has the reset/step form."""
    max_steps: int = MAX_STEPS
    rewards: Rewards | None = None
    """Its declared rewards; None when it declares nothing."""


async def fetch_description(url: str, *, token: str = "") -> Description:
    """The description in a server's `/openapi.json`; a server without it has the tools and verify form.

    Raises:
        GymError: no server answers at the URL.
        UsageError: it is not a URL.
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
        ValueError: it is not such a document.
    """
    try:
        read = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    about = read.info.about
    steps = {"/reset", "/step"} <= read.paths.keys()
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
