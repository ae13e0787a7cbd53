"""`reverify_mode`: whether the stored trajectories of an environment can be scored again."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, cast, get_args

import msgspec

from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.environments.tool import bind_tools
from nemo_gym.transport.service import Service

ReverifyMode: TypeAlias = Literal["stateless", "unsupported", "unknown"]


def reverify_mode(environment: Environment) -> ReverifyMode:
    """The mode that the environment declares. An environment without tools and without its own `seed` needs
    only the row and the response, so it is stateless."""
    if isinstance(environment, StepEnvironment):
        return "unsupported"
    if environment.stateless is not None:
        return "stateless" if environment.stateless else "unsupported"
    bare = type(environment).seed is Environment.seed and not bind_tools(environment)
    return "stateless" if bare else "unknown"


async def reverify_mode_at(url: str, *, token: str = "") -> ReverifyMode:
    """The mode that a resources server reports; `unknown` when it reports none.

    Raises:
        GymError: no server answers at the URL.
    """
    service = Service(url, "resources server", token=token)
    try:
        reply = await service.get("/reverify_mode")
    finally:
        await service.aclose()
    try:
        description = msgspec.json.decode(reply.content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "unknown"
    return cast("ReverifyMode", description) if description in _MODES else "unknown"


_MODES: Final = get_args(ReverifyMode)
