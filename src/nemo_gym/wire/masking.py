"""Masks secrets in everything that is shown, by their key and wherever their text appears.

A value of an environment variable, or of a setting with a secret type, is a secret under any key. This
process remembers such values, and every output masks them, also in the forms in which programs write texts
into URLs, JSON and headers."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Any, Final, TypeAlias, cast, get_args, get_type_hints
from urllib.parse import quote, quote_plus

import msgspec

Tree: TypeAlias = dict[str, Any]

SecretText: TypeAlias = Annotated[str, msgspec.Meta(extra={"secret": True})]
"""The type of a setting that is masked in every output under any name."""

MASK: Final = "****"

_SECRET: Final = re.compile(
    r"passw(or)?d|passphrase|secret|credential|authorization|cookie|api_?key|access_?key|private_?key",
    re.IGNORECASE,
)
_WORDS: Final = frozenset({"token", "tokens", "key", "keys", "auth", "bearer"})
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)|(?<=[a-z]:/)[^/@\s:]+:[^/@\s]+(?=@)")
"""The user and password in a URL, also in one that was used as a path and so has only one slash."""
_LEAST: Final = 6
"""The fewest letters of a secret that is looked for in other values; shorter ones occur by chance."""
_FEWEST_DIGITS: Final = 4
"""The fewest digits of a number that is compared with the secrets; shorter ones are equal by chance."""

_LEAST_ALONE: Final = 4
"""The fewest letters of any secret."""
_LEAST_LINE: Final = 12
"""The fewest letters of one line of a secret with several lines, such as a private key."""
_LEAST_ENCODED: Final = 8
"""The fewest bytes of a secret that is looked for in Base64 and hexadecimal digits."""
_SETTINGS: Final = frozenset({"true", "false", "null", "none"})
"""Values of variables that are no secrets."""
_WORD_ALONE: Final = re.compile("[a-z]{6,12}")
"""A text that may be an ordinary word, so it is masked only as a whole word."""

_remembered: set[str] = set()
"""Every form of every secret."""
_secret_texts: set[str] = set()
"""The secrets themselves."""


def remember_secrets(texts: Iterable[str]) -> None:
    """Mask these texts from now on in everything that this process shows.

    Texts of less than four letters, and `true`, `false`, `null` and `none`, are no secrets.
    """
    for text in texts:
        if len(text.strip()) >= _LEAST_ALONE and text.strip().lower() not in _SETTINGS:
            _secret_texts.add(text)
            _remembered.update(forms_of(text))
    _finder.cache_clear()


def forms_of(secret: str) -> set[str]:
    """A text in the forms in which programs write it: escaped in JSON, Python and HTML, quoted in URLs, in
    Base64 (also as a part of a longer text), in hexadecimal digits; and each of its lines."""
    forms = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
    }
    data = secret.encode("utf-8", "surrogatepass")
    forms |= {quote(data, safe=""), quote(data), quote_plus(data)}
    if len(data) >= _LEAST_ENCODED:
        forms |= {data.hex(), *(form for start in range(3) for form in _base64(data, start))}
    if scheme := _SCHEME.match(secret):
        forms |= forms_of(secret[scheme.end() :])
    lines = [line.strip() for line in secret.splitlines()]
    forms |= {line for line in lines if len(line) >= _LEAST_LINE}
    return forms


def _base64(data: bytes, start: int) -> Iterator[str]:
    """The constant part of the Base64 form of a text that begins `start` bytes after a group of three."""
    text = b64encode(bytes(start) + data).decode()
    first = (start * 8 + 5) // 6
    last = (start + len(data)) * 8 // 6
    yield text[first:last]
    yield text[first:last].translate(_URL_SAFE)


_SCHEME: Final = re.compile(r"(?:(?:bearer|basic|token|key)\s+)++(?=\S)", re.IGNORECASE)
"""The words before a secret in the value of a header."""
_URL_SAFE: Final = str.maketrans("+/", "-_")


def remember_secret_settings(settings: object) -> None:
    """Remember the values of secret fields: `SecretText` in a struct, `SecretStr` in a pydantic model."""
    for name in _secret_fields(type(settings)):
        if isinstance(text := getattr(settings, name, None), str):
            remember_secrets([text])
    for value in getattr(settings, "__dict__", {}).values():
        if reveal := getattr(value, "get_secret_value", None):
            remember_secrets([str(reveal())])


def remember_secret_keys(tree: Tree) -> None:
    """Remember the texts whose keys name something secret, such as `Authorization` among headers."""
    remember_secrets(_secrets(tree, hidden=False))


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
    """Every remembered text, for another process that must mask them too."""
    return sorted(_secret_texts)


def forget_secrets() -> None:
    """Forget every remembered text, for instance between tests."""
    _remembered.clear()
    _secret_texts.clear()
    _finder.cache_clear()


def without_secrets(text: str) -> str:
    """Text with `****` for every remembered secret in it."""
    if not _remembered:
        return text
    if text.strip() in _remembered:
        return text.replace(text.strip(), MASK)
    return _finder().sub(MASK, text)


def without_userinfo(text: str) -> str:
    """Text with `****` for the user and password in each of its URLs."""
    return _USERINFO.sub(MASK, text)


def mask(tree: Tree) -> Tree:
    """A copy with `****` for every text whose key names a token, key, password, secret or credential, for
    every other occurrence of such a text, for every remembered secret, and for the user and password in a
    URL."""
    forms = {form for text in _secrets(tree, hidden=False) for form in forms_of(text)}
    own = finder_of(form for form in forms if len(form) >= _LEAST)
    return cast("Tree", _mask(tree, own, hidden=False))


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


def _mask(node: Any, own: re.Pattern[str], *, hidden: bool) -> Any:
    match node:
        case dict():
            return {
                key: _mask(value, own, hidden=_hides(str(key), value, hidden))
                for key, value in cast("Tree", node).items()
            }
        case list():
            return [_mask(value, own, hidden=hidden) for value in cast("list[Any]", node)]
        case str():
            return MASK if node and (hidden or node in _remembered) else _without(node, own)
        case int() | float() | bytes() if not isinstance(node, bool) and (hidden or _is_remembered(node)):
            return MASK
        case _:
            return node


def _hides(key: str, value: Any, hidden: bool) -> bool:
    """A word such as `token` makes texts secret, but not numbers or mappings (`max_tokens: 5`)."""
    if hidden or _SECRET.search(key):
        return True
    return is_secret(key) and isinstance(value, (str, list))


def _is_remembered(value: float | bytes) -> bool:
    text = str(value)
    return len(text) >= _FEWEST_DIGITS and text in _remembered


def _without(text: str, own: re.Pattern[str]) -> str:
    return without_userinfo(without_secrets(own.sub(MASK, text)))


@cache
def _finder() -> re.Pattern[str]:
    """A pattern for every remembered secret."""
    return finder_of((text for text in _remembered if len(text) >= _LEAST), words=True)


def finder_of(texts: Iterable[str], *, words: bool = False) -> re.Pattern[str]:
    """A pattern for any of these texts, longer ones first.

    Args:
        words: match texts that may be ordinary words as whole words only.
    """
    ordered = sorted(set(texts), key=lambda text: (-len(text), text))
    parts = [rf"\b{text}\b" if words and _WORD_ALONE.fullmatch(text) else re.escape(text) for text in ordered]
    return re.compile("|".join(parts) or r"(?!)")
