"""A configuration that may be shown: secrets are replaced, by key and wherever their text appears.

A value that came from an environment variable, or from a setting of a secret type, is secret whatever its
key is called. This process remembers such values, and every output replaces them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Any, Final, TypeAlias, cast, get_args, get_type_hints

import msgspec

from nemo_gym.wire.jsonl import encode

Tree: TypeAlias = dict[str, Any]

SecretText: TypeAlias = Annotated[str, msgspec.Meta(extra={"secret": True})]
"""The type of a setting that is masked in every output whatever it is called."""

MASK: Final = "****"

_SECRET: Final = re.compile(
    r"passw(or)?d|passphrase|secret|credential|authorization|cookie|api_?key|access_?key|private_?key",
    re.IGNORECASE,
)
_WORDS: Final = frozenset({"token", "tokens", "key", "keys", "auth", "bearer"})
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_LEAST: Final = 6
"""Letters a secret must have to be looked for in other values: shorter ones occur by chance."""
_FEWEST_DIGITS: Final = 4
"""Digits of a number that is compared with the secrets: shorter ones are the same by chance."""

_remembered: set[str] = set()


def remember_secrets(texts: Iterable[str]) -> None:
    """Replace these texts from now on in everything that this process shows."""
    for text in filter(None, texts):
        _remembered.update({text, encode(text).decode()[1:-1]})  # as it is, and as it is in JSON


def remember_secret_settings(settings: object) -> None:
    """Remember what fields of a secret type hold: `SecretText` of a struct, `SecretStr` of a pydantic one."""
    for name in _secret_fields(type(settings)):
        if isinstance(text := getattr(settings, name, None), str):
            remember_secrets([text])
    for value in getattr(settings, "__dict__", {}).values():
        if reveal := getattr(value, "get_secret_value", None):
            remember_secrets([str(reveal())])


@cache
def _secret_fields(kind: type) -> tuple[str, ...]:
    if not issubclass(kind, msgspec.Struct):
        return ()
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name, hint in hints.items() if any(map(_is_secret_text, (hint, *get_args(hint)))))


def _is_secret_text(hint: Any) -> bool:
    extras = (getattr(one, "extra", None) for one in getattr(hint, "__metadata__", ()))
    return any(extra and extra.get("secret") for extra in extras)


def remembered_secrets() -> list[str]:
    """Every remembered text, for another process that is to show none of them either."""
    return sorted(_remembered)


def forget_secrets() -> None:
    """Forget every remembered text, as between tests."""
    _remembered.clear()


def without_secrets(text: str) -> str:
    """Text with `****` for every remembered secret in it."""
    if not _remembered:
        return text
    if text.strip() in _remembered:
        return text.replace(text.strip(), MASK)
    return _replaced(text, _longest_first(_remembered))


def mask(tree: Tree) -> Tree:
    """A copy with `****` for every text whose key names a token, key, password, secret or credential, for
    every other occurrence of such a text, for every remembered secret, and for the user and password in a
    URL."""
    return cast("Tree", _masked(tree, _longest_first(secrets_of(tree)), hidden=False))


def secrets_of(tree: Tree) -> set[str]:
    """The texts that `mask` replaces wherever they appear."""
    texts = {*_secrets(tree, hidden=False), *_remembered}
    return {text for text in texts if len(text) >= _LEAST}


def is_secret(key: str) -> bool:
    """Whether a key names something secret."""
    return bool(_SECRET.search(key)) or any(word.lower() in _WORDS for word in _WORD.findall(key))


def _secrets(node: Any, *, hidden: bool) -> Iterator[str]:
    match node:
        case dict():
            for key, value in cast("Tree", node).items():
                yield from _secrets(value, hidden=_hides(str(key), value, hidden))
        case list():
            for value in cast("list[Any]", node):
                yield from _secrets(value, hidden=hidden)
        case str() if hidden:
            yield node
        case _:
            pass


def _masked(node: Any, secrets: list[str], *, hidden: bool) -> Any:
    match node:
        case dict():
            return {
                key: _masked(value, secrets, hidden=_hides(str(key), value, hidden))
                for key, value in cast("Tree", node).items()
            }
        case list():
            return [_masked(value, secrets, hidden=hidden) for value in cast("list[Any]", node)]
        case str():
            return MASK if node and (hidden or node in _remembered) else _without(node, secrets)
        case int() | float() | bytes() if not isinstance(node, bool) and (hidden or _is_remembered(node)):
            return MASK
        case _:
            return node


def _hides(key: str, value: Any, hidden: bool) -> bool:
    """A weak word hides texts, not numbers or blocks (`max_tokens: 5`, `token_id_capture: {...}`)."""
    if hidden or _SECRET.search(key):
        return True
    return is_secret(key) and isinstance(value, (str, list))


def _is_remembered(value: float | bytes) -> bool:
    text = str(value)
    return len(text) >= _FEWEST_DIGITS and text in _remembered


def _without(text: str, secrets: list[str]) -> str:
    return _USERINFO.sub(MASK, _replaced(text, secrets))


def _replaced(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted((text for text in texts if len(text) >= _LEAST), key=len, reverse=True)
