"""A configuration that may be shown: secrets are replaced, by key and wherever their text appears."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias, cast

Tree: TypeAlias = dict[str, Any]

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


def mask(tree: Tree) -> Tree:
    """A copy with `****` for every text whose key names a token, key, password, secret or credential, for
    every other occurrence of such a text, and for the user and password in a URL."""
    return cast("Tree", _masked(tree, sorted(secrets_of(tree), key=len, reverse=True), hidden=False))


def secrets_of(tree: Tree) -> set[str]:
    """The texts that `mask` replaces wherever they appear."""
    return {text for text in _secrets(tree, hidden=False) if len(text) >= _LEAST}


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
            return MASK if hidden and node else _without(node, secrets)
        case int() | float() | bytes() if hidden and not isinstance(node, bool):
            return MASK
        case _:
            return node


def _hides(key: str, value: Any, hidden: bool) -> bool:
    """A weak word hides texts, not numbers or blocks (`max_tokens: 5`, `token_id_capture: {...}`)."""
    if hidden or _SECRET.search(key):
        return True
    return is_secret(key) and isinstance(value, (str, list))


def _without(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return _USERINFO.sub(MASK, text)
