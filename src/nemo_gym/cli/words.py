"""`KEY=VALUE` words of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from nemo_gym.environments.resources import ModelMissing

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


def read_asks(words: Sequence[str], **judge: Any) -> dict[str, dict[str, Any]]:
    """The models that an environment asks: `judge.url=URL` as `{"judge": {"url": URL}}`.

    Args:
        words: the values of `--ask`.
        judge: settings of the judge that have their own flags; an empty value counts as absent.

    Raises:
        UsageError: a word has another form.
    """
    asks: dict[str, dict[str, Any]] = {}
    for key, value in read_settings(words, "a model that the environment asks").items():
        name, dot, setting = key.partition(".")
        if not (name and dot and setting):
            raise UsageError(f"--ask {key}: expected NAME.KEY=VALUE, for instance judge.url=URL")
        asks.setdefault(name, {})[setting] = value
    if settings := {key: value for key, value in judge.items() if value}:
        asks.setdefault("judge", {}).update(settings)
    return asks


def model_missing(error: ModelMissing) -> UsageError:
    """The error about a missing model, with the flags that supply it."""
    name = error.name
    return UsageError(
        f"{error}: pass --ask {name}.url=URL --ask {name}.model=NAME, or set {name}: "
        "{type: chat, url: ..., model: ...} among the settings of the environment"
    )


def read_options(kind: type[T], words: Sequence[str], **flags: Any) -> T:
    """The options of a command without a configuration, from its flags and from words such as `++limit=3`.

    Args:
        kind: its fields are named as the keys of a configuration.
        flags: win over words; an empty or false value counts as absent.

    Raises:
        UsageError: there is no such key, or a value is of the wrong type.
    """
    from nemo_gym.config.overrides import parse_override  # brings a YAML parser, which few commands need

    values: dict[str, Any] = {}
    for word in words:
        change = parse_override(word)
        if change.key not in kind.__struct_fields__ or change.change == "delete":
            hint = did_you_mean(change.key, kind.__struct_fields__)
            raise UsageError(f"{word}: there is no such key here.{hint}")
        values[change.key] = change.value
    values |= {key: value for key, value in flags.items() if value}
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise UsageError(explain_misfit(error, kind).replace("$.", "")) from None


def split_options(kind: type[T], words: Sequence[str], **flags: Any) -> tuple[T, list[str]]:
    """As `read_options`, for a command that also has a configuration: its options, and the other words."""
    from nemo_gym.config.overrides import is_override, parse_override  # as above

    own = [word for word in words if is_override(word) and parse_override(word).key in kind.__struct_fields__]
    return read_options(kind, own, **flags), [word for word in words if word not in own]
