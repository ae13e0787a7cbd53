"""The sandbox server: puts a provider of sandboxes behind HTTP, for the provider `remote`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from nemo_gym.sandbox.errors import InvalidSandbox, SandboxFileError, SandboxUnreachable, SandboxUnsupported
from nemo_gym.sandbox.pool import SandboxPool
from nemo_gym.sandbox.providers.remote import messages
from nemo_gym.sandbox.pty import Pty
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.browsers import FILE, plain_name
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.sandbox_leases import Leased, LeasedSandboxes
from nemo_gym.serving.sandbox_orders import Answer, Orders, answer_of_error
from nemo_gym.serving.sockets import is_loopback
from nemo_gym.support.finishing import finish
from nemo_gym.wire.jsonl import encode

T = TypeVar("T")

LEASE_S: Final = 60.0
MOST_FILE_BYTES: Final = 256 << 20
_LARGE: Final = 1 << 20
"""Bytes of a body whose decoding would delay other requests for milliseconds."""


def sandbox_app(
    pool: SandboxPool,
    options: AppOptions,
    *,
    lease_s: float = LEASE_S,
    file_bytes: int = MOST_FILE_BYTES,
) -> Starlette:
    """The app of a sandbox server.

    Args:
        pool: makes the sandboxes; orders for more than its limit wait.
        lease_s: seconds without a sign of life from a client after which its sandboxes end.
        file_bytes: the largest file or archive that is copied in or out.
    """
    server = _SandboxServer(pool, lease_s=lease_s, file_bytes=file_bytes)
    refusals = {messages.REFUSED: "The operation raised an error of a sandbox."}
    routes = [
        ApiRoute(path, handler, summary=summary, body=body, errors=refusals)
        for path, handler, summary, body in (
            (messages.ORDERS, server.take_order, "Carry out an operation once.", _OBJECT),
            (messages.ANSWERS, server.repeat, "The answer to an order that was sent before.", _OBJECT),
            (messages.CANCELS, server.cancel, "Cancel an order.", _OBJECT),
            (messages.LEASES, server.renew, "Renew the leases of sandboxes.", _OBJECT),
            (messages.UPLOADS, server.upload, "Copy a file into a sandbox.", None),
            (messages.FILES, server.download, "A file or folder of a sandbox.", _OBJECT),
        )
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        sweeping = asyncio.create_task(server.sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            await finish(server.aclose())

    return base_app("SandboxServer___sandbox", routes, options, lifespan=lifespan, file_bytes=file_bytes)


class _SandboxServer:
    """The handlers of the routes."""

    def __init__(self, pool: SandboxPool, *, lease_s: float, file_bytes: int) -> None:
        self._sandboxes = LeasedSandboxes(pool, lease_s=lease_s)
        self._orders = Orders(lease_s=lease_s)
        self._file_bytes = file_bytes

    async def take_order(self, request: Request) -> Response:
        body = await _read(request, messages.Request)
        client = request.client.host if request.client else ""
        return await _respond(
            self._orders.answer(body.key, lambda: self._answer_of(self._carry_out(body.order, client)))
        )

    async def repeat(self, request: Request) -> Response:
        key = (await _read(request, messages.Key)).key
        return await _respond(self._orders.repeat(key))

    async def cancel(self, request: Request) -> Response:
        self._orders.cancel((await _read(request, messages.Key)).key)
        return JsonResponse({})

    async def renew(self, request: Request) -> Response:
        self._sandboxes.renew((await _read(request, messages.Leases)).sandboxes)
        return JsonResponse({})

    async def upload(self, request: Request) -> Response:
        """Store the whole file, then carry out the order in the header."""
        try:
            body = messages.from_header(request.headers.get(messages.ORDER_HEADER, ""))
        except ValueError as error:
            raise HTTPException(422, f"header {messages.ORDER_HEADER}: {error}") from None
        order = body.order
        if not isinstance(order, messages.Upload):
            raise HTTPException(422, f"header {messages.ORDER_HEADER}: expected an upload")
        if not _is_file(request):
            raise HTTPException(415, f"a file is sent with the content type {FILE.decode()}")
        folder = _temporary_folder()
        has_begun = False

        async def work() -> Answer:
            nonlocal has_begun
            has_begun = True
            with folder:
                return await self._answer_of(self._copy_in(order, Path(folder.name, "file")))

        try:
            with open(Path(folder.name, "file"), "wb") as file:  # noqa: ASYNC230 - a new file
                async for piece in request.stream():
                    await asyncio.to_thread(file.write, piece)
            return await _respond(self._orders.answer(body.key, work))
        finally:
            if not has_begun:
                folder.cleanup()

    async def download(self, request: Request) -> Response:
        """Copy a file or an archive of a folder out, and send it."""
        wish = await _read(request, messages.FileRequest)
        folder = _temporary_folder()
        path = Path(folder.name, "file")
        try:
            await self._copy_out(wish, path)
        except BaseException as error:
            folder.cleanup()
            return _response(answer_of_error(error))
        cleanup = BackgroundTask(asyncio.to_thread, folder.cleanup)
        return FileResponse(path, media_type=FILE.decode(), background=cleanup)

    async def sweep(self) -> None:
        """End what no client uses any more, again and again."""
        while True:
            await asyncio.sleep(self._sandboxes.lease_s / 4)
            self._orders.sweep()
            await self._sandboxes.sweep()

    async def aclose(self) -> None:
        """Cancel every order, and end every sandbox."""
        await self._orders.aclose()
        await self._sandboxes.aclose()

    async def _answer_of(self, work: Coroutine[Any, Any, Any]) -> Answer:
        return Answer(200, encode(msgspec.to_builtins(await work)))

    async def _carry_out(self, order: messages.Order, client: str) -> Any:
        match order:
            case messages.Create(spec):
                return _started(await self._sandboxes.create(spec.spec()), self._sandboxes.lease_s)
            case messages.RunPython(program):
                return messages.ProgramEnd.of(await self._sandboxes.pool.run_python(program.program()))
            case messages.Close(sandbox):
                await self._sandboxes.close(sandbox)
                return messages.Nothing()
            case messages.Connect(sandbox):
                return _started(self._sandboxes.find(sandbox), self._sandboxes.lease_s)
            case messages.Upload():
                raise InvalidSandbox("an upload is sent with its file")
            case _:
                async with self._sandboxes.use(order.sandbox) as leased:
                    return await _act(leased, order, client)

    async def _copy_in(self, order: messages.Upload, path: Path) -> messages.Nothing:
        os.chmod(path, order.mode & 0o777 | 0o600)
        async with self._sandboxes.use(order.sandbox) as leased:
            await leased.sandbox.upload(path, order.path)
        return messages.Nothing()

    async def _copy_out(self, wish: messages.FileRequest, path: Path) -> None:
        most = min(wish.most_bytes, self._file_bytes)
        async with self._sandboxes.use(wish.sandbox) as leased:
            if wish.folder:
                await leased.sandbox.save_archive(wish.path, path, most_bytes=most)
                return
            await leased.sandbox.download(wish.path, path)
        if os.stat(path).st_size > most:
            raise SandboxFileError(f"{wish.path} is larger than {most} bytes")


async def _act(leased: Leased, order: messages.InSandbox, client: str) -> Any:
    sandbox = leased.sandbox
    match order:
        case messages.Exec(_, command, cwd, env, timeout_s, user):
            return await sandbox.exec(command, cwd=cwd, env=env, timeout_s=timeout_s, user=user)
        case messages.Status():
            return messages.Word(await sandbox.status())
        case messages.Endpoint(_, port):
            return await sandbox.endpoint(port)
        case messages.Reach(_, url):
            _check_reach(url, client)
            return messages.Word(await sandbox.reach(url))
        case messages.PtyOpen(_, spec):
            return messages.Word(await leased.open_session(spec.spec()))
        case messages.PtyClose(_, session):
            await leased.close_session(session)
            return messages.Nothing()
        case _:
            return await _use_session(leased.session(order.session), order)


async def _use_session(session: Pty, order: messages.PtyUse) -> Any:
    match order:
        case messages.PtyRead(stderr=stderr):
            return messages.Data(await (session.read_stderr if stderr else session.read)())
        case messages.PtyWait():
            return messages.Code(await session.wait_exit())
        case messages.PtyWrite(data=data):
            await session.write(data)
        case messages.PtyResize(rows=rows, cols=cols):
            await session.resize(rows, cols)
        case messages.PtySignal(number=number):
            await session.send_signal(number)
    return messages.Nothing()


def _started(leased: Leased, lease_s: float) -> messages.Started:
    return messages.Started(leased.id, leased.sandbox.isolation, lease_s)


def _check_reach(url: str, client: str) -> None:
    """Check that a URL leads to the client's own machine: nobody reaches the server's network by a sandbox.

    Raises:
        SandboxUnsupported: it does not.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    is_own = plain_name(host) == plain_name(client) or (is_loopback(host) and is_loopback(client))
    if not (client and is_own):
        raise SandboxUnsupported(
            f"{url[:200]} can't be reached: a sandbox reaches only servers of the machine that asks, at its "
            f"address {client}"
        )


async def _read(request: Request, kind: type[T]) -> T:
    if _is_file(request):
        raise HTTPException(415, "this route takes JSON")
    body = await request.body()
    try:
        if len(body) <= _LARGE:
            return msgspec.json.decode(body, type=kind)
        return await asyncio.to_thread(msgspec.json.decode, body, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidBody.of(error) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidBody.at([], f"JSON decode error: {error}", type="json_invalid") from None


def _is_file(request: Request) -> bool:
    return request.headers.get("content-type", "").encode() == FILE


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gym-sandbox-", ignore_cleanup_errors=True)


async def _respond(work: Coroutine[Any, Any, Answer | None]) -> Response:
    try:
        answer = await work
    except SandboxUnreachable as error:
        answer = answer_of_error(error)
    return JsonResponse({}, messages.PENDING) if answer is None else _response(answer)


def _response(answer: Answer) -> Response:
    return JsonResponse(answer.content, answer.status)


_OBJECT: Final = {"type": "object"}
