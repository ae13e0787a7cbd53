"""Whether a server answers, found out by asking it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from nemo_gym.serving.secrets import Secret
from nemo_gym.transport.exchange import Connections, NoAnswer

Status: TypeAlias = Literal["success", "connection_error", "timeout", "unknown_error"]

ASK_S: Final = 2.0
"""Seconds a server has to answer."""


async def ask(url: str, token: Secret | None, *, within: float = ASK_S) -> Status:
    """What comes of `GET /`; any HTTP answer is a success."""
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


async def ask_all(urls: Mapping[str, str], token: Secret | None) -> dict[str, Status]:
    """The same of several servers by name, side by side."""
    return dict(zip(urls, await asyncio.gather(*(ask(url, token) for url in urls.values())), strict=True))
