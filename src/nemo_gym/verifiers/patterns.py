r"""Run regular expressions that came with a data set on text that a model wrote, in linear time.

Such patterns are written for Python's `re`, which backtracks, can't be interrupted and may take practically
forever. They run on RE2 instead, whose time grows only with the length of the pattern and the text. Python's
meaning stays: `\w`, `\d` and `\s` know every alphabet, `$` also matches before a final newline, `{,3}` counts
from zero, and case is ignored. Patterns that RE2 can't express (look-around, back-references, conditions,
possessive and atomic groups, comments, verbose mode) are refused. One difference remains: on text outside
ASCII, `\b` takes only ASCII letters, digits and `_` as parts of a word.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import thread_time
from typing import Any

import re2

from nemo_gym.verifiers.text import Place

__all__ = [
    "MAX_PATTERNS",
    "MAX_SECONDS",
    "MAX_STEPS",
    "MAX_TEXT",
    "BoundedPattern",
    "bounded_pattern",
    "check_patterns",
    "last_match",
    "last_place",
]

MAX_TEXT = 10_000
"""The most characters at the end of a text that a data set's pattern reads."""
MAX_PATTERNS = 50
"""The most patterns for one answer."""
MAX_SECONDS = 0.25
"""Processor seconds for all patterns of one answer together. A search that has begun goes on to its end."""
MAX_STEPS = 60_000_000
"""The most instructions of a pattern times characters of the text: half a second for one search at worst."""


@dataclass(frozen=True, slots=True)
class BoundedPattern:
    """A pattern that is safe to run on model text."""

    source: str
    narrow: Any
    """Compiled for text of ASCII characters only, where a class such as `\\w` is small."""
    wide: Any
    """Compiled for any other text."""

    @property
    def size(self) -> int:
        """Instructions of the compiled pattern: a search takes at most that many steps a character."""
        return max(self.narrow.programsize, self.wide.programsize)

    def matches(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the whole text, in time that grows with its length."""
        text = _encodable(text)
        return self.engine(text).search(text) is not None

    def engine(self, text: str) -> Any:
        """The compiled pattern for a text."""
        return self.narrow if text.isascii() else self.wide

    def last_match(self, text: str) -> str | None:
        """Return the first group that took part in the last match, else the whole match; None without one.

        Raises:
            ValueError: it takes too long on this text.
        """
        return last_match([self.source], text)


def last_match(patterns: Sequence[str], text: str) -> str | None:
    """Return the content of `last_place`.

    Raises:
        ValueError: as `last_place` does.
    """
    place = last_place(patterns, text)
    return None if place is None else place.content


def last_place(patterns: Sequence[str], text: str) -> Place | None:
    """Return the last match of the first pattern that matches, with its place; None without one.

    Of a match the first group that took part counts, else the whole match. All patterns together have one
    budget: that of `check_patterns`, the last `MAX_TEXT` characters of the text, `MAX_SECONDS`, and
    `MAX_STEPS` a search.

    Raises:
        ValueError: a pattern is refused, there are too many, or they take too long on this text.
    """
    deadline = thread_time() + MAX_SECONDS
    length = len(text)
    text = _encodable(text[-MAX_TEXT:])
    for pattern in check_patterns(patterns):
        engine = pattern.engine(text)
        if engine.programsize * len(text) > MAX_STEPS:
            raise ValueError(
                f"regex {pattern.source!r} is too large for an answer of {len(text)} characters: repeat less "
                "or use [A-Za-z0-9_] in place of \\w"
            )
        last: Any = None
        for match in engine.finditer(text):
            last = match
            if thread_time() > deadline:
                break
        if thread_time() > deadline:
            raise ValueError(
                f"regex {pattern.source!r} did not end in {MAX_SECONDS:g} s of processor time, the limit for "
                "one answer: let it match rarer text, such as the words around the answer"
            )
        if last is not None:
            group = next((at + 1 for at, value in enumerate(last.groups()) if value is not None), 0)
            start, end = (length - len(text) + place for place in last.span(group))
            return Place(last.group(group), start, end)
    return None


def check_patterns(patterns: Sequence[str]) -> list[BoundedPattern]:
    """Compile the patterns for one answer.

    Raises:
        ValueError: a pattern is refused by `bounded_pattern`, there are more than `MAX_PATTERNS`, or they are
            too large together.
    """
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"{len(patterns)} regular expressions for one answer: use at most {MAX_PATTERNS}")
    compiled: list[BoundedPattern] = []
    size = 0
    for source in patterns:
        pattern = bounded_pattern(source)
        compiled.append(pattern)
        size += pattern.size
        if size > _MAX_PROGRAMS:
            raise ValueError(f"the regular expressions up to {source!r} are too large together: repeat less")
    return compiled


@lru_cache(maxsize=MAX_PATTERNS)
def bounded_pattern(pattern: str, *, ignore_case: bool = True) -> BoundedPattern:
    """Compile a pattern for use on model text.

    Raises:
        ValueError: the pattern is not valid, uses what a linear-time engine can't express, is longer than
            1,000 characters, or repeats so much that it is too large.
    """
    if len(pattern) > _MAX_PATTERN:
        raise ValueError(f"regex has {len(pattern)} characters: use at most {_MAX_PATTERN}")
    tokens = list(_TOKEN.finditer(pattern))
    for token in tokens:
        if token.lastgroup in _REFUSED:
            raise ValueError(
                f"regex {pattern!r} is not valid here: {token.group()!r}: {_REFUSED[token.lastgroup]}"
            )
    plain = "".join(_translate(token, {}) for token in tokens)
    full = "".join(_translate(token, _CLASSES) for token in tokens)
    narrow = _compile(pattern, plain, ignore_case)
    return BoundedPattern(pattern, narrow, narrow if full == plain else _compile(pattern, full, ignore_case))


_RE2: Any = re2
"""Untyped: the package has no stubs."""
_MAX_PATTERN = 1_000
_MAX_PROGRAM = 50_000
_MAX_PROGRAMS = 100_000
"""Instructions of one compiled pattern, and of all for one answer."""
_MAX_MEMORY = 2 << 20
"""Bytes of a compiled pattern with its caches."""

_LINEAR = "the engine that runs patterns of data sets in linear time can't express"
_REFUSED = {
    "look": rf"{_LINEAR} look-around; use \b, or a group around what you want, such as [^a-z]([a-z])",
    "back": f"{_LINEAR} back-references",
    "condition": f"{_LINEAR} conditions",
    "atomic": f"{_LINEAR} atomic groups and possessive quantifiers; ordinary ones are as fast here",
    "comment": "comments and verbose mode are not supported",
    "literal": "this escape is not supported",
    "huge": "its repeat count is too large",
}

_TOKEN = re.compile(
    r"""
      (?P<look>      \(\?<?[=!] )
    | (?P<back>      \\[1-9] | \(\?P= )
    | (?P<condition> \(\?\( )
    | (?P<atomic>    \(\?> | (?: [*+?] | \{\d{0,9}(?:,\d{0,9})?\} ) \+ )
    | (?P<comment>   \(\?\# | \(\?[aiLmsu]*x )
    | (?P<literal>   \\[QCEN] )
    | (?P<huge>      \{ (?: \d{10} | \d{1,9},\d{10} ) )
    | (?P<open>      \{,\d )
    | (?P<class>     \[ \^? \]? (?: \\. | [^\]\\] )* \] )
    | (?P<dollar>    \$ )
    | (?P<escape>    \\u[0-9a-fA-F]{4} | \\U[0-9a-fA-F]{8} | \\. )
    | (?P<other>     . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\.|\[", re.DOTALL)

_SPACES = r"\t-\r\x1c-\x20\x85\p{Z}"
_NO_SPACES = (
    r"\x00-\x08\x0e-\x1b\x21-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"
    r"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}"
)
_NO_WORDS = (
    r"\p{M}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}\p{S}\p{Z}\p{C}"
    r"\x{203f}\x{2040}\x{2054}\x{fe33}\x{fe34}\x{fe4d}-\x{fe4f}\x{ff3f}"
)
_CLASSES = {
    r"\d": r"\p{Nd}",
    r"\D": r"\P{Nd}",
    r"\w": r"\p{L}\p{N}_",
    r"\W": _NO_WORDS,
    r"\s": _SPACES,
    r"\S": _NO_SPACES,
}
"""The characters of Python's classes, as the inside of a class of RE2."""


def _translate(token: re.Match[str], classes: dict[str, str]) -> str:
    text = token.group()
    match token.lastgroup:
        case "open":
            return "{0," + text[-1]
        case "dollar":
            return r"(?:$|\n\z)"
        case "class":
            return "[" + _ESCAPE.sub(lambda inner: _inside(inner.group(), classes), text[1:])
        case "escape" if text in classes:
            return f"[{classes[text]}]"
        case "escape":
            return r"\z" if text == r"\Z" else _escape(text)
        case _:
            return text


def _inside(text: str, classes: dict[str, str]) -> str:
    r"""An escape, or a bracket that Python takes for itself where RE2 would read `[:alpha:]`."""
    return r"\[" if text == "[" else classes.get(text) or _escape(text)


def _escape(text: str) -> str:
    return rf"\x{{{text[2:]}}}" if text[1] in "uU" and len(text) > 2 else text


def _compile(pattern: str, translation: str, ignore_case: bool) -> Any:
    options: Any = _RE2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        compiled: Any = _RE2.compile(translation, options)
    except (_RE2.error, UnicodeError) as error:
        raise ValueError(f"regex {pattern!r} is not valid: {_reason(error)}") from None
    if compiled.programsize > _MAX_PROGRAM:
        raise ValueError(f"regex {pattern!r} is too large: repeat less, or use * instead of a large number")
    return compiled


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    if "too large" in text or "repetition size" in text:
        return f"{text}; it repeats too much"
    return text


def _encodable(text: str) -> str:
    """The text with a replacement character for each lone surrogate, which no pattern can match."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
