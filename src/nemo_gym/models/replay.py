"""Records every call of a model to a file, and answers the same calls from that file later."""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Final, cast

from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.wire.errors import DataError, ModelRejected, UsageError
from nemo_gym.wire.jsonl import decode, decode_row, encode
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response

_REQUEST: Final = "request"
_RESPONSE: Final = "response"


class RecordingModel(WrappedModel):
    """Appends `{"request": ..., "response": ...}` to a JSONL file for every call that `inner` answers.

    A line is written with one system call as soon as the answer is there. So when the process is killed, at
    most the line that is being written is lost; an incomplete last line is removed when the file is opened
    again. Failed calls are not recorded.
    """

    def __init__(self, inner: Model, path: Path | str) -> None:
        super().__init__(inner)
        self._file = _Appender(Path(path))

    async def responses(self, params: RequestParams) -> Response:
        line = encode(params)
        response = await self.inner.responses(params)
        self._file.write(b'{"request":%b,"response":%b}\n' % (line, encode(response.data)))
        return response

    async def aclose(self) -> None:
        try:
            await self.inner.aclose()
        finally:
            self._file.close()


class ReplayModel(Model):
    """Answers from a recording. Several answers to the same request are used in the order of the recording,
    and then again from the first.

    Raises:
        UsageError: there is no such file.
        DataError: a line is not a recorded call; an incomplete last line is ignored.
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

    def _difference(self, request: dict[str, Any]) -> str:
        if not self._requests:
            return "it is empty"
        candidates = islice(self._requests.values(), _MAX_CANDIDATES)
        nearest = max(candidates, key=lambda candidate: _likeness(candidate, request))
        for key in sorted({*nearest, *request}):
            if nearest.get(key) != request.get(key):
                return f"the nearest one differs in {_place(key, nearest.get(key), request.get(key))}"
        return "it differs from all recorded ones"


def request_digest(params: RequestParams) -> str:
    """The key of a request; requests that mean the same to a model have the same key.

    Item ids, call ids, statuses, token evidence and the model's name make no difference.
    """
    return hashlib.sha256(json.dumps(_canonical(params), sort_keys=True).encode()).hexdigest()


_IGNORED: Final = frozenset({"model", "background", "include", "store", "stream", "user", "service_tier"})
_DEFAULTS: Final[dict[str, Any]] = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
_ITEM_FIELDS: Final = ("type", "role", "name", "arguments", "output", "summary")
"""The fields of an item that a model reads, apart from its content."""
_MAX_CANDIDATES: Final = 1000
"""The most recorded requests among which the nearest one is searched."""


def _canonical(params: RequestParams) -> dict[str, Any]:
    fields = cast("dict[str, Any]", params)
    result = {
        key: value
        for key, value in fields.items()
        if key not in _IGNORED and value is not None and value != _DEFAULTS.get(key)
    }
    result["input"] = [_canonical_item(cast("dict[str, Any]", item)) for item in input_items(params)]
    metadata: dict[str, str] = result.pop("metadata", {})
    if "extra_body" in metadata:
        result["extra_body"] = metadata["extra_body"]
    return result


def _canonical_item(item: dict[str, Any]) -> dict[str, Any]:
    result = {key: item[key] for key in _ITEM_FIELDS if key in item}
    result.setdefault("type", "message")
    content = item.get("content")
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        texts = [part.get("text") for part in parts if part.get("type", "").endswith("text")]
        content = "".join(cast("list[str]", texts)) if len(texts) == len(parts) else parts
    if content is not None:
        result["content"] = content
    return result


def _likeness(recording: dict[str, Any], request: dict[str, Any]) -> tuple[int, int]:
    """How many items both requests begin with, and how many of their fields are equal."""
    prefix = takewhile(
        lambda pair: pair[0] == pair[1], zip(recording["input"], request["input"], strict=False)
    )
    return sum(1 for _ in prefix), sum(recording.get(key) == value for key, value in request.items())


def _place(key: str, recording: Any, request: Any) -> str:
    if key == "input":
        for index, (one, other) in enumerate(zip(recording, request, strict=False)):
            if one != other:
                return f"input[{index}]: {_short(one)} recorded, {_short(other)} asked"
        return f"input: {len(recording)} items recorded, {len(request)} asked"
    return f"{key}: {_short(recording)} recorded, {_short(request)} asked"


def _short(value: Any) -> str:
    text = encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


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
