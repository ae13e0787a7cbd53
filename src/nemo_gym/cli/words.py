"""`KEY=VALUE` words of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import UsageError, did_you_mean

T = TypeVar("T", bound=msgspec.Struct)


def read_settings(words: Sequence[str], owner: str = "the environment") -> dict[str, Any]:
    """`level=2` as `{"level": 2}`; a value that is not JSON is text.

    Raises:
        UsageError: a word has no `=`.
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r}: expected KEY=VALUE, a setting of {owner}")
        try:
            settings[key] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            settings[key] = text
    return settings


def read_asked(kind: type[T], words: Sequence[str], **flags: Any) -> T:
    """What a command without a configuration is asked for, by flags and by words such as `++limit=3`.

    Args:
        kind: its fields are named as the keys of a configuration.
        flags: win over words; a false one says nothing.

    Raises:
        UsageError: there is no such key, or a value is of the wrong type.
    """
    from nemo_gym.config.overrides import parse_override  # brings a YAML parser, which few commands need

    values: dict[str, Any] = {}
    for word in words:
        change = parse_override(word)
        if change.key not in kind.__struct_fields__ or change.change == "delete":
            known = did_you_mean(change.key, kind.__struct_fields__)
            raise UsageError(f"{word}: there is no such key here.{known}")
        values[change.key] = change.value
    values |= {key: value for key, value in flags.items() if value}
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise UsageError(explain_misfit(error, kind).replace("$.", "")) from None


def split_asked(kind: type[T], words: Sequence[str], **flags: Any) -> tuple[T, list[str]]:
    """The same for a command that has a configuration too: what it is asked for, and the other words.

    Raises:
        UsageError: as of `read_asked`.
    """
    from nemo_gym.config.overrides import is_override, parse_override  # as above

    own = [word for word in words if is_override(word) and parse_override(word).key in kind.__struct_fields__]
    return read_asked(kind, own, **flags), [word for word in words if word not in own]
