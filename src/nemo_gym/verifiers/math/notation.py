"""Converts rare notation to its common form: recurring decimals, primes, bases in words and others."""

from __future__ import annotations

import re
from collections.abc import Callable

_Rewrite = tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]]


def common(text: str) -> str:
    """Return text with rarer notation in its common form."""
    for sign, pattern, replacement in _REWRITES:
        if sign in text:
            text = pattern.sub(replacement, text)
    return text


def _recurring(match: re.Match[str]) -> str:
    """Return `0.1666...` with its period marked: digits shown twice, or a single one three times."""
    whole, decimals = match["whole"], match["decimals"]
    for start in range(len(decimals)):
        tail = decimals[start:]
        for size in range(1, len(tail) // 2 + 1):
            enough = size > 1 or len(tail) > 2 or not start
            if enough and (tail[:size] * len(tail))[: len(tail)] == tail:
                return rf"{whole}.{decimals[:start]}\overline{{{tail[:size]}}}"
    return match[0]


def _primes(match: re.Match[str]) -> str:
    return "'" * match[0].count("prime")


def _degrees(match: re.Match[str]) -> str:
    seconds = rf"+\frac{{{match['seconds']}}}{{3600}}" if match["seconds"] else ""
    return rf"({match['degrees']}+\frac{{{match['minutes']}}}{{60}}{seconds})^\circ "


_TEXT = r"(?:\\(?:text|textrm|mathrm|mbox)\s*\{\s*)?"
_DOTS = r"\s*(?:\\(?:ldots|dots|cdots|dotsc)(?![A-Za-z])|\.\.\.)(?!\s*[\d,;+*/-])"
_RECURRING = re.compile(r"(?<![\d.])(?P<whole>\d{0,20})\.(?P<decimals>\d{2,40})" + _DOTS)
_REWRITES: tuple[_Rewrite, ...] = (
    ("dots", _RECURRING, _recurring),
    ("...", _RECURRING, _recurring),
    ("prime", re.compile(r"\^\s*(?:\{\s*(?:\\prime\s*){1,4}\}|\\prime(?![A-Za-z]))"), _primes),
    (
        "'",
        re.compile(
            r"(?P<degrees>\d{1,3})\s*\^\s*\{?\s*\\circ\s*\}?\s*(?P<minutes>\d{1,2})\s*'(?!')"
            r"(?:\s*(?P<seconds>\d{1,2})\s*(?:''|\"))?"
        ),
        _degrees,
    ),
    (
        "base",
        re.compile(
            rf"(?<![\w}}])(?P<digits>\d[\dA-F]{{0,39}}|[A-F][\dA-F]{{1,39}})\s*{_TEXT}\(?\s*(?:in\s+)?base[\s-]*"
            r"(?:\}\s*)?(?P<base>\d{1,2}|[a-z]{3,8})(?![\w])\s*\)?\s*\}?"
        ),
        r"\g<digits>_{\g<base>}",
    ),
    ("only", re.compile(r"\s*\\text\s*\{\s*\(?only\)?\s*\}\Z|\s+\(?only\)?(?=\s*\}?\Z)"), ""),
    (
        "frac{d",
        re.compile(r"\A\\[dt]?frac\s*\{d\s?[A-Za-z]?\}\s*\{d\s?[A-Za-z]\}\s*(?:[A-Za-z](?:\([a-z]\))?)?\s*="),
        "y' =",
    ),
    ("const", re.compile(rf"\+\s*{_TEXT}const(?:ant|\.)?\s*\}}?(?=\s*\Z)"), "+C"),
    (
        "out of",
        re.compile(rf"(?<![\d.,])(\d{{1,9}})\s*{_TEXT}out of\s*\}}?\s*(\d{{1,9}})(?![\d.,]\d)\s*\}}?"),
        r"\\frac{\1}{\2}",
    ),
    ("cent", re.compile(r"\bper\s+cent\b"), "percent"),
    ("C_", re.compile(r"(?:\{\})?\s?[\^_]\s*\{?(\d{1,4})\}?\s*C_\s*\{?(\d{1,4})\}?"), r"\\binom{\1}{\2}"),
)
