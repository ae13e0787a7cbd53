"""Converts documents between Anthropic Messages and the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import objects
from nemo_gym.wire.messages_parts import image_part


def document_parts(block: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Convert a `document` block to parts: a file, or a text part for plain text.

    Raises:
        UsageError: its source is of no known kind.
    """
    name = {"filename": title} if isinstance(title := block.get("title"), str) and title else {}
    match block.get("source"):
        case {"type": "base64", "media_type": "application/pdf", "data": str(data)}:
            file = {"file_data": f"{_PDF}{data}", "filename": "document.pdf", **name}
        case {"type": "url", "url": str(url)}:
            file = {"file_url": url, **name}
        case {"type": "file", "file_id": str(id)}:
            file = {"file_id": id}
        case {"type": "text", "data": str(text)}:
            return [_text(block, text)]
        case {"type": "content", "content": str(text)}:
            return [_text(block, text)]
        case {"type": "content", "content": [*blocks]}:
            return _content(block, blocks, f"{where}.source.content")
        case _:
            raise UsageError(
                f"{where}.source: expected base64 of application/pdf, url, file, text or content"
            )
    context = [_text(block, "")] if block.get("context") else []
    return [{"type": "input_file", **file}, *context]


def document_block(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The `document` block of an `input_file` part.

    Raises:
        UsageError: it is neither a PDF as a data URL, nor on the web, nor an uploaded file.
    """
    match part:
        case {"file_data": str(data)} if data.startswith(_PDF):
            pdf = {"type": "base64", "media_type": "application/pdf", "data": data.removeprefix(_PDF)}
            source: dict[str, Any] = pdf
        case {"file_url": str(url)}:
            source = {"type": "url", "url": url}
        case {"file_id": str(id)}:
            source = {"type": "file", "file_id": id}
        case _:
            raise UsageError(
                f"{where}: input_file: expected file_data with {_PDF}..., a file_url or a file_id"
            )
    block: dict[str, Any] = {"type": "document", "source": source}
    return {**block, "title": part["filename"]} if part.get("filename") else block


_PDF: Final = "data:application/pdf;base64,"


def _text(block: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The text of the block, after its title and context."""
    lines = [block.get("title"), block.get("context"), text]
    return {"type": "input_text", "text": "\n".join(line for line in lines if isinstance(line, str) and line)}


def _content(block: Mapping[str, Any], blocks: list[Any], where: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [_text(block, "")] if block.get("title") or block.get("context") else []
    for number, inner in enumerate(objects(cast("Any", blocks), where)):
        match inner:
            case {"type": "text", "text": str(text)}:
                parts.append({"type": "input_text", "text": text})
            case {"type": "image"}:
                parts.append(image_part(inner, f"{where}[{number}]"))
            case _:
                raise UsageError(f"{where}[{number}]: expected text or an image, got {inner.get('type')!r}")
    return parts
