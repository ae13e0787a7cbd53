"""What is wrong with a command line, in one line that shows what was written and what would be right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final

from nemo_gym.wire.errors import did_you_mean


def explained(error: Any, words: Sequence[str]) -> str:
    """The message for a command line that typer can't take; empty when help has been printed instead.

    Args:
        error: what typer raised.
        words: the command line.
    """
    message: str = error.format_message()
    if not message:
        return ""
    option: str = getattr(error, "option_name", "")
    if option.startswith("-") and hasattr(error, "possibilities"):
        known: Sequence[str] = getattr(error, "possibilities", None) or []
        near = [flag for flag in known if len(option) > 4 and flag.startswith(option)][:1]
        near = near or get_close_matches(option, known, n=1, cutoff=_CLOSE)
        hint = f" Did you mean {near[0]!r}?" if near else _as_setting(option, words, error.ctx)
        return f"No such option: {option}.{hint}".removesuffix(".")
    if near := getattr(error, "possibilities", None):
        return f"{error.message}.{did_you_mean(option, near, limit=1)}"
    flags: Sequence[str] = getattr(getattr(error, "param", None), "opts", ())
    value = _value(flags, words)
    if value is not None and repr(value) not in message:
        got = f": got {value!r}, it should"
        message = re.sub(r": (?:Value error, )?Input should", lambda _: got, message, count=1)
        message = message.partition(", unable to parse")[0]
    return message.replace("Value error, ", "")


def without_value(command: Any, words: Sequence[str]) -> str:
    """The option of a command line that has another option where its value should be; empty without one."""
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    flags = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    for param in command.params:
        if getattr(param, "is_flag", True) or not param.opts[0].startswith("-"):
            continue
        for word, after in pairwise(rest[: rest.index("--")] if "--" in rest else rest):
            if word in param.opts and after in flags and after.startswith("--"):
                return word
    return ""


def _as_setting(option: str, words: Sequence[str], context: Any) -> str:
    """What the option would be as a setting, for a command that takes settings."""
    params: Sequence[Any] = context.command.params if context else ()
    if not any(_SETTINGS in (getattr(param, "metavar", "") or "") for param in params):
        return ""
    key = option.lstrip("-").replace("-", "_")
    value = _value([option], words)
    return f" A setting is written without dashes: {key}={'VALUE' if value is None else value}"


def _value(flags: Sequence[str], words: Sequence[str]) -> str | None:
    """What was written for an option: `--limit=3`, `--limit 3`."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        flag, equals, value = word.partition("=")
        if flag in flags:
            return value if equals else after
    return None


_CLOSE: Final = 0.7
"""Likeness of an option to the one that was meant; below it a setting was meant."""
_SETTINGS: Final = "KEY=VALUE"
