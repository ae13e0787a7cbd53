"""Whether the stored trajectories of an environment can be scored anew."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, cast, get_args

import msgspec

from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.environments.tool import bind_tools
from nemo_gym.transport.service import Service

ReverifyMode: TypeAlias = Literal["stateless", "unsupported", "unknown"]


def reverify_mode(environment: Environment) -> ReverifyMode:
    """What the environment declares; one without tools and without a `seed` of its own scores from the row
    and the response alone."""
    if isinstance(environment, StepEnvironment):
        return "unsupported"
    if environment.stateless is not None:
        return "stateless" if environment.stateless else "unsupported"
    bare = type(environment).seed is Environment.seed and not bind_tools(environment)
    return "stateless" if bare else "unknown"


async def reverify_mode_at(url: str, *, token: str = "") -> ReverifyMode:
    """What a resources server answers; `unknown` for one that doesn't say.

    Raises:
        GymError: nobody answers at the URL.
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
