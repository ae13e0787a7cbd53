"""Records every call of a model to a file, and answers the same calls from it later."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from pathlib import Path
from typing import Any, Final, cast

from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.wire.errors import DataError, ModelRejected, UsageError
from nemo_gym.wire.jsonl import decode, decode_row, encode
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response

_REQUEST: Final = "request"
_RESPONSE: Final = "response"


class RecordingModel(Model):
    """Passes every call on to `inner` and appends `{"request": ..., "response": ...}` to a JSONL file.

    A line is written with one system call after the answer came, so a kill loses no answered call but the
    one being written; a line torn that way is cut off when the file is opened again. Failed calls are not
    recorded.
    """

    def __init__(self, inner: Model, path: Path | str) -> None:
        self.inner = inner
        self.name = inner.name
        self._file = _Appender(Path(path))

    @property
    def pushbacks(self) -> int:
        return self.inner.pushbacks

    def for_session(self, session: Session) -> Model:
        return _Recorder(self.inner.for_session(session), self._file)

    def for_session_id(self, session_id: str) -> Model:
        return _Recorder(self.inner.for_session_id(session_id), self._file)

    async def responses(self, params: RequestParams) -> Response:
        return await _Recorder(self.inner, self._file).responses(params)

    async def check(self) -> None:
        await self.inner.check()

    async def aclose(self) -> None:
        try:
            await self.inner.aclose()
        finally:
            self._file.close()


class ReplayModel(Model):
    """Answers from a recording. Several answers to the same request are given in the order recorded, and
    from the first again when all have been given.

    Raises:
        UsageError: there is no such file.
        DataError: a line other than a torn last one is not a recorded call.
    """

    name = "replay"

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._answers: dict[str, deque[Response]] = {}
        self._requests: dict[str, dict[str, Any]] = {}
        for request, response in _read(self._path):
            digest = request_digest(request)
            self._requests.setdefault(digest, _canonical(request))
            self._answers.setdefault(digest, deque()).append(Response(response))
        self.name = next((queue[0].model for queue in self._answers.values()), "") or self.name

    async def responses(self, params: RequestParams) -> Response:
        answers = self._answers.get(request_digest(params))
        if answers is None:
            raise ModelRejected(f"{self._path} has no such call: {self._difference(_canonical(params))}")
        answer = answers[0]
        answers.rotate(-1)
        return Response(decode(encode(answer.data)))

    def _difference(self, wanted: dict[str, Any]) -> str:
        if not self._requests:
            return "it is empty"
        nearest = max(list(self._requests.values())[:_SEARCHED], key=lambda known: _likeness(known, wanted))
        for key in sorted({*nearest, *wanted}):
            if nearest.get(key) != wanted.get(key):
                return f"the nearest one differs in {_place(key, nearest.get(key), wanted.get(key))}"
        return "it differs from all recorded ones"


def request_digest(params: RequestParams) -> str:
    """The key of a request: equal for requests with the same meaning to a model.

    Item ids, call ids, statuses and token evidence don't count, nor does the model's name.
    """
    return hashlib.sha256(encode(_canonical(params))).hexdigest()


_IGNORED: Final = frozenset({"model", "background", "include", "store", "stream", "user", "service_tier"})
_DEFAULTS: Final[dict[str, Any]] = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
_KEPT_OF_ITEMS: Final = ("type", "role", "name", "arguments", "output", "summary")
_SEARCHED: Final = 1000
"""Recorded requests that are looked through for the nearest one."""


def _canonical(params: RequestParams) -> dict[str, Any]:
    fields = cast("dict[str, Any]", params)
    result = {
        key: value
        for key, value in sorted(fields.items())
        if key not in _IGNORED and value is not None and value != _DEFAULTS.get(key)
    }
    result["input"] = [_canonical_item(cast("dict[str, Any]", item)) for item in input_items(params)]
    metadata: dict[str, str] = result.pop("metadata", {})
    if "extra_body" in metadata:
        result["extra_body"] = metadata["extra_body"]
    return _sorted(result)


def _canonical_item(item: dict[str, Any]) -> dict[str, Any]:
    result = {key: item[key] for key in _KEPT_OF_ITEMS if key in item}
    result.setdefault("type", "message")
    content = item.get("content")
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        texts = [part.get("text") for part in parts if part.get("type", "").endswith("text")]
        content = "".join(cast("list[str]", texts)) if len(texts) == len(parts) else parts
    if content is not None:
        result["content"] = content
    return result


def _sorted(value: Any) -> Any:
    match value:
        case dict():
            pairs = sorted(cast("dict[str, Any]", value).items())
            return {key: _sorted(item) for key, item in pairs}
        case list():
            return [_sorted(item) for item in cast("list[Any]", value)]
        case _:
            return value


def _likeness(known: dict[str, Any], wanted: dict[str, Any]) -> tuple[int, int]:
    same = sum(known.get(key) == value for key, value in wanted.items())
    shared = 0
    for mine, its in zip(known["input"], wanted["input"], strict=False):
        if mine != its:
            break
        shared += 1
    return shared, same


def _place(key: str, known: Any, wanted: Any) -> str:
    if key == "input":
        for index, (mine, its) in enumerate(zip(known, wanted, strict=False)):
            if mine != its:
                return f"input[{index}]: {_short(mine)} recorded, {_short(its)} asked"
        return f"input: {len(known)} items recorded, {len(wanted)} asked"
    return f"{key}: {_short(known)} recorded, {_short(wanted)} asked"


def _short(value: Any) -> str:
    text = encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


class _Recorder(Model):
    def __init__(self, inner: Model, file: _Appender) -> None:
        self.inner = inner
        self.name = inner.name
        self._file = file

    async def responses(self, params: RequestParams) -> Response:
        line = encode(params)
        response = await self.inner.responses(params)
        self._file.write(b'{"request":%b,"response":%b}\n' % (line, encode(response.data)))
        return response


class _Appender:
    """A file that grows by whole lines."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(path)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise UsageError(f"{path}: can't be written ({error.strerror})") from None

    def write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        file.truncate(end)


def _read(path: Path) -> list[tuple[RequestParams, dict[str, Any]]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from None
    calls: list[tuple[RequestParams, dict[str, Any]]] = []
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            if line.isspace():
                continue
            row = decode_row(line, path, number)
            if not isinstance(row.get(_REQUEST), dict) or not isinstance(row.get(_RESPONSE), dict):
                raise DataError(f"{path}:{number}: not a recorded call: it needs 'request' and 'response'")
            calls.append((row[_REQUEST], row[_RESPONSE]))
    return calls
