"""Run regular expressions that came with a data set on text that a model wrote, without ever hanging."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

__all__ = ["MAX_TEXT", "BoundedPattern", "bounded_pattern"]

MAX_TEXT = 10_000
"""The most characters, counted from the end of a text, that a data set's pattern ever sees."""


@dataclass(frozen=True, slots=True)
class BoundedPattern:
    """A compiled pattern and how much text it may see, in characters from the end."""

    pattern: re.Pattern[str]
    window: int

    def last_match(self, text: str) -> str | None:
        """Return the first group that took part in the last match, else the whole match; None without one."""
        found: re.Match[str] | None = None
        for match in self.pattern.finditer(text[-self.window :]):
            found = match
        if found is None:
            return None
        return next((group for group in found.groups() if group is not None), found.group())


@lru_cache(maxsize=512)
def bounded_pattern(pattern: str) -> BoundedPattern:
    """Compile a case-insensitive pattern, or refuse one that could take exponential time.

    Python's `re` backtracks and can't be interrupted, so the worst case is bounded before it runs. A
    quantifier is *open* when something it can repeat can also begin what follows: only those multiply the
    number of ways to try. From the open quantifiers, overlapping alternatives and possible starting points
    follows the number of steps for n characters, and from that the window, at most `MAX_TEXT`. Patterns that
    would have to make do with less than 250 characters are refused.

    Raises:
        ValueError: the pattern is not valid, is longer than 1,000 characters, repeats a group that itself
            contains a quantifier or an alternative, refers back to a group, or has too many open quantifiers.
    """
    if len(pattern) > _MAX_PATTERN:
        raise ValueError(f"regex has {len(pattern)} characters: use at most {_MAX_PATTERN}")
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"regex {pattern!r} is not valid: {error}") from error
    window = _window(pattern, _survey(pattern))
    return BoundedPattern(compiled, window)


_MAX_PATTERN = 1_000
_MIN_WINDOW = 250
_MAX_STEPS = 1e7
_FEW_REPEATS = 64
_SAMPLE = "".join(map(chr, range(0x300))) + "١২中…–”：\u200b"

_TOKEN = re.compile(
    r"""
      (?P<refused> \\[1-9] | \(\?P= | \(\?\( | \(\?\# | \(\?[aiLmsu]*x )
    | (?P<flags>   \(\?[aiLmsu]+\) )
    | (?P<look>    \(\?<?[=!] )
    | (?P<open>    \( (?: \?P<\w+> | \?> | \?[aiLmsu-]*: )? )
    | (?P<close>   \) )
    | (?P<either>  \| )
    | (?P<repeat>  (?: [*+?] | \{ (?: \d+ (?: ,\d* )? | ,\d* ) \} ) [?+]? )
    | (?P<zero>    [\^$] | \\[AbBZ] )
    | (?P<atom>    \[ \^? \]? (?: \\. | [^\]\\] )* \]
                 | \\x[0-9a-fA-F]{2} | \\u[0-9a-fA-F]{4} | \\U[0-9a-fA-F]{8} | \\N\{[^}]*\} | \\0[0-7]{0,2}
                 | \\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(slots=True)
class _Atom:
    chars: frozenset[str]
    optional: bool = False


@dataclass(slots=True)
class _Group:
    start: int
    looks: bool = False
    branches: int = 1
    repeats: bool = False
    alternates: bool = False


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    width: float
    """How many different repeat counts there are; infinite for `*`."""


@dataclass(slots=True)
class _Survey:
    atoms: list[_Atom] = field(default_factory=list[_Atom])
    spans: list[_Span] = field(default_factory=list[_Span])
    alternatives: int = 1
    last_assertion: int = -1
    """How many atoms stand before the last zero-width assertion."""


def _survey(pattern: str) -> _Survey:
    survey = _Survey()
    stack = [_Group(0)]
    last: _Group | None = None
    for token in _TOKEN.finditer(pattern):
        match token.lastgroup:
            case "refused":
                raise ValueError(
                    f"regex {pattern!r} uses {token.group()!r}: back-references, conditions, comments and "
                    "verbose mode are not supported"
                )
            case "open" | "look":
                stack.append(_Group(len(survey.atoms), looks=token.lastgroup == "look"))
            case "either":
                stack[-1].branches += 1
                stack[-1].alternates = True
            case "close":
                last = stack.pop()
                _close(survey, last)
                stack[-1].repeats |= last.repeats
                stack[-1].alternates |= last.alternates
            case "repeat":
                _repeat(pattern, token.group(), survey, last)
                stack[-1].repeats = True
                last = None
            case "atom":
                survey.atoms.append(_Atom(_chars(token.group())))
                last = None
            case "zero":
                survey.last_assertion = len(survey.atoms)
            case _:
                pass
    _close(survey, stack[0])
    return survey


def _close(survey: _Survey, group: _Group) -> None:
    survey.alternatives *= group.branches
    if group.looks:
        survey.last_assertion = len(survey.atoms)
    if group.branches > 1 or group.looks:
        for atom in survey.atoms[group.start :]:
            atom.optional = True


def _repeat(pattern: str, quantifier: str, survey: _Survey, group: _Group | None) -> None:
    low, high = _bounds(quantifier)
    end = len(survey.atoms)
    start = end - 1 if group is None else group.start
    if group is not None and high > 1 and (group.repeats or group.alternates):
        raise ValueError(
            f"regex {pattern!r} repeats a group that contains a quantifier or an alternative, which can take "
            "exponential time: repeat a single character or class such as [ab] instead"
        )
    if low == 0:
        for atom in survey.atoms[start:end]:
            atom.optional = True
    if start < end and high > low:
        survey.spans.append(_Span(start, end, math.inf if high - low > _FEW_REPEATS else high - low + 1))


def _bounds(quantifier: str) -> tuple[int, float]:
    match quantifier[0]:
        case "*":
            return 0, math.inf
        case "+":
            return 1, math.inf
        case "?":
            return 0, 1
        case _:
            low, comma, high = quantifier.rstrip("?+")[1:-1].partition(",")
            if not comma:
                return int(low), int(low)
            return int(low or 0), int(high) if high else math.inf


@lru_cache(maxsize=4096)
def _chars(atom: str) -> frozenset[str]:
    return frozenset(re.findall(atom, _SAMPLE, re.IGNORECASE | re.DOTALL))


def _window(pattern: str, survey: _Survey) -> int:
    ways: float = survey.alternatives
    opened = 0
    settled = False
    unbounded: set[str] = set()
    for span in survey.spans:
        if span.end == len(survey.atoms) > survey.last_assertion:
            continue  # nothing after it can fail, so it is tried once
        own = _union(survey.atoms[span.start : span.end])
        is_open = not own.isdisjoint(_following(survey.atoms, span.end))
        if span.width == math.inf:
            unbounded |= own
            opened += is_open
            settled |= not is_open
        elif is_open:
            ways *= span.width
    first = survey.atoms[0] if survey.atoms else None
    anywhere = first is None or first.optional or not first.chars.isdisjoint(unbounded)
    degree = max(1, opened + settled + anywhere)
    window = (_MAX_STEPS * math.factorial(degree) / ways) ** (1 / degree)
    if window < _MIN_WINDOW:
        raise ValueError(
            f"regex {pattern!r} has too many overlapping quantifiers or alternatives to run safely on model "
            "text: drop some, bound them such as {0,3}, or put a distinct character between them"
        )
    return min(MAX_TEXT, int(window))


def _following(atoms: Sequence[_Atom], start: int) -> set[str]:
    chars: set[str] = set()
    for atom in atoms[start:]:
        chars |= atom.chars
        if not atom.optional:
            break
    return chars


def _union(atoms: Sequence[_Atom]) -> set[str]:
    return set[str]().union(*(atom.chars for atom in atoms))
