"""Adds the audio of a row's metadata to the last user message."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from nemo_gym.wire.errors import ModelRejected

MAX_AUDIO_BYTES: Final = 64 * 2**20
"""The most bytes of one audio file."""


async def add_audio(messages: list[dict[str, Any]], metadata: Mapping[str, str], root: str) -> None:
    """Put the audio of `audio_data` (a data URL), `audio_path` or `audio_paths` (a JSON list of paths) before
    the text of the last user message.

    Args:
        root: the folder that paths are relative to.

    Raises:
        ModelRejected: the metadata has more than one of them, or a file can't be read.
    """
    names = [name for name in _NAMES if metadata.get(name)]
    if not names:
        return
    if len(names) > 1:
        raise ModelRejected(f"metadata: {' and '.join(names)} are set; set only one of them")
    value = metadata[names[0]]
    match names[0]:
        case "audio_data":
            if not value.startswith("data:audio/"):
                raise ModelRejected("metadata.audio_data: expected a URL that starts with data:audio/")
            urls = [value]
        case "audio_path":
            urls = [await asyncio.to_thread(_data_url, value, root)]
        case _:
            urls = [await asyncio.to_thread(_data_url, path, root) for path in _paths(value)]
    parts: list[dict[str, Any]] = [{"type": "audio_url", "audio_url": {"url": url}} for url in urls]
    message = next((message for message in reversed(messages) if message["role"] == "user"), None)
    if message is None:
        messages.append({"role": "user", "content": parts})
        return
    content = message["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    message["content"] = parts + cast("list[dict[str, Any]]", content)


_NAMES: Final = ("audio_data", "audio_path", "audio_paths")
_SUBTYPES: Final = {
    ".wav": "wav",
    ".flac": "flac",
    ".mp3": "mpeg",
    ".m4a": "mp4",
    ".ogg": "ogg",
    ".opus": "opus",
}


def _paths(value: str) -> list[str]:
    try:
        return msgspec.json.decode(value, type=list[str])
    except msgspec.DecodeError:
        raise ModelRejected("metadata.audio_paths: expected a JSON list of paths") from None


def _data_url(path: str, root: str) -> str:
    if not root:
        raise ModelRejected("metadata.audio_path: the model has no audio_root to look in")
    base = Path(root).resolve()
    file = (base / path).resolve()
    subtype = _SUBTYPES.get(file.suffix.lower())
    if not file.is_relative_to(base):
        raise ModelRejected(f"metadata.audio_path: {path!r} is outside of audio_root")
    if subtype is None:
        raise ModelRejected(f"metadata.audio_path: {path!r} is none of {', '.join(_SUBTYPES)}")
    try:
        with file.open("rb") as reader:
            data = reader.read(MAX_AUDIO_BYTES + 1)
    except OSError as error:
        raise ModelRejected(f"metadata.audio_path: {path!r} can't be read ({error.strerror})") from None
    if len(data) > MAX_AUDIO_BYTES:
        raise ModelRejected(f"metadata.audio_path: {path!r} has more than {MAX_AUDIO_BYTES} bytes")
    return f"data:audio/{subtype};base64,{base64.b64encode(data).decode()}"
