"""What is sent again to a gym server, and what never is."""

from __future__ import annotations

import asyncio
import socket

import pytest
from conftest import StartServer

from nemo_gym.transport.retry import Retry
from nemo_gym.transport.service import Service
from nemo_gym.wire.errors import ServerUnreachable
from nemo_gym.wire.jsonl import decode, encode

QUICK = Retry(attempts=3, budget=60.0, base=0.01, cap=0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_server_that_is_restarted_is_waited_for(start_server: StartServer) -> None:
    port = free_port()
    service = Service(f"http://127.0.0.1:{port}", "server")
    waiting = asyncio.create_task(service.post("/add", b"{}"))
    await asyncio.to_thread(start_server, port=port)

    assert (await waiting).status == 200
    await service.aclose()


async def test_a_server_that_stays_down_is_in_the_end_not_even_tried() -> None:
    service = Service(
        "http://127.0.0.1:1", "server", retry=Retry(attempts=3, budget=0.1, base=0.01, cap=0.02)
    )
    messages: list[str] = []
    for _ in range(10):
        with pytest.raises(ServerUnreachable) as caught:
            await service.post("/x", b"{}")
        messages.append(str(caught.value))
    await service.aclose()

    assert messages[0] == "server http://127.0.0.1:1/x: Connection refused"
    assert "has been down for 0 s; its last failure: Connection refused" in messages[-1]


@pytest.mark.parametrize(("repeatable", "times"), [(True, 3), (False, 1)])
@pytest.mark.parametrize("kind", ["503", "500"])
async def test_a_busy_server_is_asked_again_only_where_that_does_no_harm(
    start_server: StartServer, repeatable: bool, times: int, kind: str
) -> None:
    service = Service(start_server()[0], "server", retry=QUICK)
    body = encode({"task_id": "t", "trouble": {"/run": kind}})
    reply = await service.post("/run", body, repeatable=repeatable)
    seen = decode((await service.get("/seen")).content)
    await service.aclose()

    assert reply.status == int(kind)
    assert seen["t /run"] == (times if kind == "503" else 1)


async def test_the_token_is_sent_with_every_request(start_server: StartServer) -> None:
    service = Service(start_server()[0], "server", token="s3cret")
    reply = await service.post("/headers", b"{}")
    await service.aclose()

    assert decode(reply.content)["authorization"] == "Bearer s3cret"
