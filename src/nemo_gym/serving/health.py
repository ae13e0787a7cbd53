"""Checks whether servers answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from nemo_gym.serving.secrets import Secret
from nemo_gym.transport.exchange import Connections, NoAnswer

Status: TypeAlias = Literal["success", "connection_error", "timeout", "unknown_error"]

ASK_S: Final = 2.0
"""Seconds a server has to answer."""


async def check_health(url: str, token: Secret | None, *, within: float = ASK_S) -> Status:
    """The result of `GET /`; any HTTP answer is a success."""
    headers = {} if token is None else {"authorization": f"Bearer {token.reveal()}"}
    connections = Connections(url, headers=headers, max_answer=1 << 16, direct=True)
    try:
        await connections.exchange("GET", "/", within=within)
    except NoAnswer as error:
        if error.late:
            return "timeout"
        return "unknown_error" if error.sent else "connection_error"
    finally:
        await connections.aclose()
    return "success"


async def check_all(urls: Mapping[str, str], token: Secret | None) -> dict[str, Status]:
    """The results of several servers by name, at the same time."""
    return dict(
        zip(urls, await asyncio.gather(*(check_health(url, token) for url in urls.values())), strict=True)
    )
