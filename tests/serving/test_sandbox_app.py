"""The sandbox server: orders carried out once, leases, the queue, and clients that are hostile or gone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from nemo_gym.sandbox import AsyncSandbox, SandboxSpec
from nemo_gym.sandbox.errors import SandboxCreateError, SandboxUnreachable
from nemo_gym.sandbox.providers.remote import RemoteProvider, messages
from nemo_gym.serving.sandbox_orders import Answer, Orders
from tests.support.sandbox_server import SandboxServer, impatient, sandbox_server

OCTETS = {"content-type": messages.BYTES}
LEASE_S = 6.0
"""Of the tests in which a lease runs out: long enough for a client on a slow machine to renew it in time."""
SHORT_LEASE = pytest.mark.parametrize("lease_s", [LEASE_S])


@pytest.fixture
async def server(lease_s: float) -> AsyncIterator[SandboxServer]:
    async with sandbox_server(limit=2, lease_s=lease_s, file_bytes=1 << 20) as running:
        yield running


@pytest.fixture
def lease_s() -> float:
    return 60.0


async def post(server: SandboxServer, path: str, body: Any, **headers: str) -> httpx.Response:
    kind = {"content": body} if isinstance(body, bytes) else {"json": body}
    return await server.client.post(path, headers=headers, **kind)


async def order(server: SandboxServer, key: str = "", **fields: Any) -> httpx.Response:
    """The final answer to an order."""
    key = key or uuid4().hex
    answer = await post(server, messages.ORDERS, {"key": key, "order": fields})
    async with asyncio.timeout(60):
        while answer.status_code == messages.PENDING:
            answer = await post(server, messages.ANSWERS, {"key": key})
    return answer


async def create(server: SandboxServer) -> str:
    return (await order(server, type="create", spec={})).json()["sandbox"]


async def settled(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


class TestOnce:
    async def test_an_order_that_is_sent_again_is_not_carried_out_again(self, server: SandboxServer) -> None:
        sandbox = await create(server)
        command = "echo run >> log; sleep 0.3; cat log"
        same = {"key": "k1", "type": "exec", "sandbox": sandbox, "command": command}
        answers = await asyncio.gather(*(order(server, **same) for _ in range(3)))
        again = await post(server, messages.ANSWERS, {"key": "k1"})
        assert [answer.json()["stdout"] for answer in (*answers, again)] == ["run\n"] * 4

    async def test_a_client_whose_connections_are_cut_runs_its_command_once(
        self, server: SandboxServer
    ) -> None:
        async with cutting_proxy(server) as (url, cuts):
            provider = RemoteProvider(url=url)
            async with await AsyncSandbox(provider).start() as sandbox:
                cuts.extend(["before the answer"] * 2)
                result = await sandbox.exec("echo run >> log; sleep 0.2; cat log")
                assert (result.stdout, cuts) == ("run\n", [])
            await provider.aclose()

    @SHORT_LEASE
    async def test_a_long_order_is_pending_until_it_ends(self, server: SandboxServer) -> None:
        sandbox = await create(server)
        command = "until [ -e go ]; do sleep 0.05; done; echo end"
        body = {"key": "k", "order": {"type": "exec", "sandbox": sandbox, "command": command}}
        assert (await post(server, messages.ORDERS, body)).status_code == messages.PENDING
        await order(server, type="exec", sandbox=sandbox, command="touch go")
        assert (await order(server, **{"key": "k", **body["order"]})).json()["stdout"] == "end\n"  # type: ignore[dict-item]

    async def test_an_order_whose_answer_is_dropped_is_refused_and_not_run_again(self) -> None:
        orders, runs = Orders(lease_s=60, most_bytes=10), 0

        async def work() -> Answer:
            nonlocal runs
            runs += 1
            return Answer(200, b"x" * 8)

        for key in ("old", "new"):
            assert await orders.answer(key, work) == Answer(200, b"x" * 8)
        orders.sweep()
        with pytest.raises(SandboxUnreachable, match="no longer kept"):
            await orders.answer("old", work)
        assert await orders.answer("new", work) is not None
        orders.cancel("never")
        with pytest.raises(SandboxUnreachable, match="no longer kept"):
            await orders.answer("never", work)
        with pytest.raises(SandboxUnreachable, match="no such order"):
            await orders.repeat("unknown")
        assert runs == 2

    async def test_too_many_orders_are_told_to_wait(self) -> None:
        orders = Orders(lease_s=0.1, most_running=1)

        async def work() -> Answer:
            await asyncio.sleep(60)
            raise AssertionError

        assert await orders.answer("one", work) is None
        with pytest.raises(Exception, match="429"):
            await orders.answer("two", work)
        await asyncio.sleep(0.11)
        orders.sweep()
        await asyncio.sleep(0)
        with pytest.raises(SandboxUnreachable, match="cancelled"):
            await orders.repeat("one")
        assert await orders.answer("two", work) is None
        await orders.aclose()


@SHORT_LEASE
class TestLeases:
    async def test_a_sandbox_beyond_the_limit_waits_for_a_place(self, server: SandboxServer) -> None:
        provider = RemoteProvider(url=server.url)
        first, second = [await AsyncSandbox(provider).start() for _ in range(2)]
        third = asyncio.create_task(AsyncSandbox(provider).start())
        await asyncio.sleep(LEASE_S + 1)  # longer than the lease: the client waits and keeps what it has
        assert not third.done()
        await first.stop()
        async with await third as sandbox:
            assert (await sandbox.exec("echo in")).stdout == "in\n"
        await second.stop()
        await provider.aclose()

    async def test_a_client_that_is_killed_leaves_no_sandbox(self, server: SandboxServer) -> None:
        words = [sys.executable, "-c", CLIENT, server.url]
        process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        assert server.pool._in_use == 2
        process.kill()
        await process.wait()
        await settled(lambda: server.pool._in_use == 0)

    async def test_a_client_that_is_gone_while_it_waits_gets_no_sandbox(self, server: SandboxServer) -> None:
        kept = [await create(server), await create(server)]
        body = {"key": "lost", "order": {"type": "create", "spec": {}}}
        assert (await post(server, messages.ORDERS, body)).status_code == messages.PENDING
        for _ in range(40):  # longer than the lease
            await asyncio.sleep(0.2)
            await post(server, messages.LEASES, {"sandboxes": kept})
        await order(server, type="close", sandbox=kept[0])
        answer = await post(server, messages.ANSWERS, {"key": "lost"})
        assert (answer.status_code, answer.json()["error"]) == (messages.REFUSED, "SandboxUnreachable")
        await settled(lambda: server.pool._in_use <= 1)

    async def test_what_a_command_returns_after_its_lease_ran_out_is_no_result(
        self, server: SandboxServer
    ) -> None:
        sandbox = await create(server)
        answer = await order(server, type="exec", sandbox=sandbox, command="sleep 60")
        assert (answer.status_code, answer.json()["error"]) == (messages.REFUSED, "SandboxUnreachable")

    async def test_a_server_that_stops_ends_its_sandboxes(
        self, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        impatient(monkeypatch)
        provider = RemoteProvider(url=server.url)
        sandbox = await AsyncSandbox(provider).start()
        running = asyncio.create_task(sandbox.exec("sleep 60"))
        await asyncio.sleep(0.2)
        await server.stop()
        assert server.pool._in_use == 0
        with pytest.raises(SandboxUnreachable):
            await running
        await provider.aclose()


class TestStrangers:
    async def test_a_token_is_needed(self) -> None:
        async with sandbox_server(token="right-token-1234") as server:
            for path in (messages.ORDERS, messages.UPLOADS, messages.FILES, messages.LEASES):
                assert (await post(server, path, {})).status_code == 401
            for token in ("", "wrong-token-1234"):
                with pytest.raises(SandboxCreateError, match="refuses the token"):
                    await RemoteProvider(url=server.url, token=token).create(SandboxSpec())
            provider = RemoteProvider(url=server.url, token="right-token-1234")
            async with await AsyncSandbox(provider).start() as sandbox:
                assert (await sandbox.exec("echo in")).stdout == "in\n"
            await provider.aclose()

    @pytest.mark.parametrize("path", [messages.ORDERS, messages.UPLOADS, messages.FILES])
    async def test_web_pages_are_refused(self, server: SandboxServer, path: str) -> None:
        assert (await post(server, path, b"{}", origin="http://evil.example", **OCTETS)).status_code == 403
        assert (await post(server, path, b"{}", host="evil.example", **OCTETS)).status_code == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            assert (await post(server, path, b"{}", **{"content-type": kind})).status_code == 415

    async def test_ids_and_keys_of_others_are_of_no_use(self, server: SandboxServer) -> None:
        provider = RemoteProvider(url=server.url)
        async with await AsyncSandbox(provider).start() as sandbox:
            inner = (await sandbox.exec("hostname; pwd")).stdout or ""
            forged = [
                "",
                "0",
                sandbox.id[:-1],
                sandbox.id + "A",
                sandbox.id.swapcase(),
                *inner.split(),
                "../x",
            ]
            for id in forged:
                answers = [
                    await order(server, type="exec", sandbox=id, command="true"),
                    await order(server, type="connect", sandbox=id),
                    await order(server, type="pty_read", sandbox=id, session="x"),
                    await post(
                        server, messages.FILES, {"sandbox": id, "path": "/etc/passwd", "most_bytes": 99}
                    ),
                    await post(server, messages.ANSWERS, {"key": id}),
                ]
                assert {(one.status_code, one.json()["error"]) for one in answers} == {
                    (messages.REFUSED, "SandboxUnreachable")
                }
                assert (await order(server, type="close", sandbox=id)).status_code == 200
                assert (await post(server, messages.CANCELS, {"key": id})).status_code == 200
            assert (await sandbox.exec("echo in")).stdout == "in\n"
        await provider.aclose()

    async def test_paths_stay_inside_the_sandbox(self, server: SandboxServer, tmp_path: Path) -> None:
        provider = RemoteProvider(url=server.url)
        (tmp_path / "in").write_text("mine")
        outside = tmp_path / "secret"
        outside.write_text("secret")
        async with await AsyncSandbox(provider).start() as sandbox:
            await sandbox.exec(f"ln -s {outside} link; ln -s / root; echo pin > pin")
            for path in (str(outside), "link", f"../../../../..{outside}", f"root{outside}"):
                with pytest.raises(OSError, match="can't be copied"):
                    await sandbox.download(path, tmp_path / "out")
            for path in (str(outside), "link", f"../../../../..{outside}", f"root{outside}"):
                with suppress(OSError):
                    await sandbox.upload(tmp_path / "in", path)
            assert outside.read_text() == "secret"
            assert not (tmp_path / "out").exists()
        await provider.aclose()

    async def test_bodies_that_are_too_large_or_wrong_are_refused(self, server: SandboxServer) -> None:
        sandbox = await create(server)
        header = messages.to_header(messages.Request("k", messages.Upload(sandbox, "file", 0o644)))
        upload = {**OCTETS, messages.ORDER_HEADER: header}
        big = b"[" * ((1 << 20) + 1)
        assert (await post(server, messages.UPLOADS, big, **upload)).status_code == 413
        assert (await post(server, messages.UPLOADS, big[:-1], **upload)).status_code == 200
        assert (await post(server, messages.ORDERS, b"{}", **OCTETS)).status_code == 415
        as_json = await post(server, messages.UPLOADS, {}, **{messages.ORDER_HEADER: header})
        assert as_json.status_code == 415
        exec_header = messages.to_header(messages.Request("x", messages.Exec(sandbox, "true")))
        for wrong in ("", "%7B%7D", "%FF%FE", exec_header):
            answer = await post(server, messages.UPLOADS, b"x", **{**OCTETS, messages.ORDER_HEADER: wrong})
            assert answer.status_code == 422
        kind = {"content-type": "application/json"}
        shell = b'{"key": "k", "order": {"type": "shell"}}'
        for body in (b"", b"[]", b'{"key": 1}', shell, b"\xff", b"[" * 500):
            assert (await post(server, messages.ORDERS, body, **kind)).status_code == 422
        for wrong in ({"env": {"a=b": ""}}, {"ports": [0]}, {"files": {"f": "/w=="}}, {"workdir": "x"}):
            answer = await order(server, type="create", spec=wrong)
            assert (answer.status_code, answer.json()["error"]) == (messages.REFUSED, "InvalidSandbox")


@asynccontextmanager
async def cutting_proxy(server: SandboxServer) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that cuts a connection when the answer comes, once for each entry of the list."""
    cuts: list[str] = []
    host, port = server.url.removeprefix("http://").split(":")

    async def visit(reader: StreamReader, writer: StreamWriter) -> None:
        other_reader, other = await asyncio.open_connection(host, int(port))

        async def answers() -> None:
            while data := await other_reader.read(1 << 16):
                if cuts:
                    cuts.pop()
                    writer.transport.abort()
                    return
                writer.write(data)

        answering = asyncio.create_task(answers())
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                other.write(data)
        other.close()
        await answering
        writer.close()

    listener = await asyncio.start_server(visit, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", cuts
    finally:
        listener.close()


CLIENT = """
import asyncio, sys
from nemo_gym.sandbox import AsyncSandbox
from nemo_gym.sandbox.providers.remote import RemoteProvider

async def main():
    provider = RemoteProvider(url=sys.argv[1])
    sandboxes = [await AsyncSandbox(provider).start() for _ in range(2)]
    running = asyncio.create_task(sandboxes[0].exec("sleep 600"))
    await asyncio.sleep(7)  # longer than the lease
    print("ready", flush=True)
    await running

asyncio.run(main())
"""
