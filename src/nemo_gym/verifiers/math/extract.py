"""Find the final answer in a model's text."""

from __future__ import annotations

import re

from nemo_gym.verifiers.math.parse import read
from nemo_gym.verifiers.text import last_boxed, last_nonempty_line, strip_reasoning

MAX_TAIL = 4_000
MARKED_LINES = 3


def extract(text: str) -> str | None:
    """Return the final answer of a text, or None.

    The last box outside reasoning wins. Without a box: what follows the last `Final answer:`, `Answer:` or
    `answer is` on the last three lines; else the last line if it is an answer, its last formula between
    dollar signs, or the only number behind its last equals sign.
    """
    visible = strip_reasoning(text)
    if _BOX.search(visible):
        return last_boxed(visible)
    tail = visible[-MAX_TAIL:]
    lines = [line for line in tail.splitlines() if line.strip()][-MARKED_LINES:]
    for line in reversed(lines):
        ends = [match.end() for match in _MARKER.finditer(line)]
        if ends:
            return _answer_in(line[ends[-1] :])
    return _answer_in(last_nonempty_line(tail), whole=False)


_BOX = re.compile(r"\\(?:boxed|fbox)\b")
_MARKER = re.compile(r"\banswer\b[*_ ]{0,4}(?:\bis\b[*_ ]{0,4}:?|:|=)|^####", re.IGNORECASE)
_NUMBER = re.compile(r"-?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?|-?\.\d+")


def _answer_in(text: str, whole: bool = True) -> str | None:
    """Return the answer that a line holds; `whole` falls back to all of it."""
    text = text.strip(" \t*_`").rstrip(".").strip(" \t*_`")
    if not text:
        return None
    if len(_WORD.findall(text)) <= 2 and read(text):
        return text
    opening, formula, after = text.rpartition("$")[0].rpartition("$")
    if formula and opening.count("$") % 2 == 0 and after.strip():
        return after.strip()
    numbers = list(dict.fromkeys(_NUMBER.findall(text.rpartition("=")[2])))
    if len(numbers) == 1:
        return numbers[0].replace("$", "")
    return text if whole else None


_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
