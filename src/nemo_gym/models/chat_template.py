"""Renders a model's chat template from `tokenizer_config.json`, as Hugging Face's tokenizers do."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, cast

import msgspec

from nemo_gym.wire.errors import ModelRejected, UsageError


class ChatTemplate:
    """The template of a tokenizer on this machine; nothing is downloaded.

    Args:
        tokenizer: a folder that holds `tokenizer_config.json`, or a model in the local Hugging Face cache.

    Raises:
        UsageError: there is none, it has no chat template, or the template is not valid.
    """

    def __init__(self, tokenizer: str) -> None:
        folder = _folder(tokenizer)
        config = _read_config(folder / _CONFIG)
        self._template = _compile(_source(folder, config), folder)
        self._tokens = {name: _text_of(config[name]) for name in _TOKENS if config.get(name)}

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        arguments: Mapping[str, Any],
    ) -> str:
        """The prompt of a chat request; it ends where the assistant's answer begins.

        Args:
            messages: messages of Chat Completions that hold only text.
            arguments: `chat_template_kwargs`.

        Raises:
            ModelRejected: the template refuses these messages.
        """
        values = {"add_generation_prompt": True, **self._tokens, **arguments}
        try:
            return self._template.render(
                messages=[_with_objects(one) for one in messages], tools=tools, **values
            )
        except Exception as error:
            raise ModelRejected(f"the chat template refuses the request: {error}") from None


class _Template(Protocol):
    def render(self, **values: Any) -> str: ...


_CONFIG: Final = "tokenizer_config.json"
_TOKENS: Final = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
"""Settings that are variables in templates."""


def _folder(tokenizer: str) -> Path:
    if (folder := Path(tokenizer)).joinpath(_CONFIG).is_file():
        return folder
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    snapshots = home / "hub" / f"models--{tokenizer.replace('/', '--')}" / "snapshots"
    files = sorted(snapshots.glob(f"*/{_CONFIG}"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise UsageError(
            f"tokenizer {tokenizer!r}: no folder with {_CONFIG}, and not in {snapshots.parent.parent}; "
            "nothing is downloaded here"
        )
    return files[-1].parent


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None


def _source(folder: Path, config: Mapping[str, Any]) -> str:
    """The template's text: from its own file, or from the settings, which may hold several templates."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    match config.get("chat_template"):
        case str(text):
            return text
        case [*templates]:
            for template in cast("list[dict[str, Any]]", templates):
                if template.get("name") == "default" and isinstance(text := template.get("template"), str):
                    return text
        case _:
            pass
    raise UsageError(f"{folder}: its tokenizer has no chat template; name another with tokenizer")


def _compile(source: str, folder: Path) -> _Template:
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise UsageError("render_chat_template needs Jinja: pip install 'nemo-gym[templates]'") from None
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    try:
        return environment.from_string(source, globals={"raise_exception": _refuse, "strftime_now": _now})
    except TemplateError as error:
        raise UsageError(f"{folder}: its chat template is not valid: {error}") from None


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
    """Plain JSON; Jinja's own filter escapes it for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _text_of(token: str | dict[str, Any]) -> str:
    return token if isinstance(token, str) else str(token.get("content", ""))


def _with_objects(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message with the arguments of its calls as objects, because templates print objects."""
    calls = cast("list[dict[str, Any]]", message.get("tool_calls") or [])
    if not calls:
        return dict(message)
    return {**message, "tool_calls": [{**call, "function": _with_object(call["function"])} for call in calls]}


def _with_object(function: dict[str, Any]) -> dict[str, Any]:
    try:
        return {**function, "arguments": json.loads(function["arguments"])}
    except (ValueError, RecursionError):
        return function
