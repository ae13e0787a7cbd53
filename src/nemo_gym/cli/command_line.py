"""What is read from a command line before typer reads it, and the messages about one that is wrong."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final

from nemo_gym.wire.errors import GymError, did_you_mean

VERBOSE: Final = ("-v", "--verbose")
_FLAGS: Final = {"model_settings": "--model-setting", "agent_settings": "--agent-setting", "asks": "--ask"}
_CLOSE: Final = 0.7
"""How alike an unknown option and an option must be; below that a setting was meant."""


def log_everything() -> None:
    """Send everything that this process and the servers it starts log to standard error."""
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(message)s")


def is_verbose() -> bool:
    """Whether `log_everything` was called."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def take_flags(flags: Sequence[str], words: Sequence[str]) -> tuple[list[str], bool]:
    """The words without these flags, and whether one of the flags was there. Words after `--` stay."""
    end = words.index("--") if "--" in words else len(words)
    others = [word for word in words[:end] if word not in flags]
    return [*others, *words[end:]], len(others) < end


def with_flags(error: GymError) -> str:
    """The message of an error, with the flags of the settings that it names."""
    flags = [_FLAGS.get(name) or f"--{name.replace('_', '-')}" for name in error.settings]
    return f"{error} ({', '.join(flags)})" if flags else str(error)


def explain(error: Any, words: Sequence[str]) -> str:
    """One line about a command line that typer can't take; empty when typer has printed help instead.

    Args:
        error: what typer raised.
        words: the command line.
    """
    message: str = error.format_message()
    if not message:
        return ""
    option: str = getattr(error, "option_name", "")
    if option.startswith("-") and hasattr(error, "possibilities"):
        options: Sequence[str] = getattr(error, "possibilities", None) or []
        near = [flag for flag in options if len(option) > 4 and flag.startswith(option)][:1]
        near = near or get_close_matches(option, options, n=1, cutoff=_CLOSE)
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


def option_without_value(command: Any, words: Sequence[str]) -> str:
    """The option that is followed by another option instead of its value; empty when there is none."""
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
    """How the option is written as a setting, for a command that takes settings."""
    params: Sequence[Any] = context.command.params if context else ()
    if not any("KEY=VALUE" in (getattr(param, "metavar", "") or "") for param in params):
        return ""
    key = option.lstrip("-").replace("-", "_")
    value = _value([option], words)
    return f" A setting is written without dashes: {key}={'VALUE' if value is None else value}"


def _value(flags: Sequence[str], words: Sequence[str]) -> str | None:
    """The value of an option on the command line: `--limit=3`, `--limit 3`."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        flag, equals, value = word.partition("=")
        if flag in flags:
            return value if equals else after
    return None
