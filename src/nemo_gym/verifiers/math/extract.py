"""Find the final answer in a model's text."""

from __future__ import annotations

import re

from nemo_gym.verifiers.math.parse import read
from nemo_gym.verifiers.text import last_boxed, last_nonempty_line, strip_reasoning

MAX_TAIL = 4_000
MARKED_LINES = 3
MAX_BOXES = 8


def extract(text: str) -> str | None:
    """Return the final answer of a text, or None.

    The last box outside reasoning wins; boxes with nothing but `or`, `and` or a comma between them are one
    list. Without a box: what follows the last `Final answer:`, `Answer:` or `answer is` on the last three
    lines, on the same line or the next; else the last line if it is an answer, its last formula between
    dollar signs, or the only number behind its last equals sign.
    """
    visible = strip_reasoning(text)
    if _BOX.search(visible):
        return _boxed(visible)
    tail = visible[-MAX_TAIL:]
    lines = [line for line in tail.splitlines() if line.strip(_FRAME)]
    for position in range(len(lines) - 1, max(-1, len(lines) - 1 - MARKED_LINES), -1):
        ends = [match.end() for match in _MARKER.finditer(lines[position])]
        if ends:
            return _marked(lines[position][ends[-1] :], lines[position + 1 :])
    return _answer_in(last_nonempty_line(tail), whole=False)


_FRAME = " \t\r\n$*_`[]()\\"
_BOX = re.compile(r"\\(?:boxed|fbox)\b")
_MARKER = re.compile(r"\banswer\b[*_ ]{0,4}(?:\bis\b[*_ ]{0,4}:?|:|=)|^####", re.IGNORECASE)
_NUMBER = re.compile(r"-?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?|-?\.\d+")
_SECOND_THOUGHT = re.compile(
    r"\W*(?:or|but|no|not|wait|actually|alternatively|otherwise|unless|if|maybe|perhaps)\b", re.IGNORECASE
)
_JOINT = re.compile(
    r"[\s$*_.,;~\\()\[\]]{0,40}(?:\\(?:text|mathrm|textrm)\s?\{)?[\s~]{0,10}"
    r"(?P<word>or(?: else| maybe| possibly| perhaps)?|and|,|;|&|)[\s~]{0,10}\}?"
    r"(?:\\q?quad|[\s$*_.,;~\\()\[\]]){0,40}",
    re.IGNORECASE,
)
_AFTER_BOX = re.compile(
    r"[\s$*_,;\\)\]]{0,20}(?:\\text\s?\{)?\s?(?:or|or maybe|maybe|perhaps|unless|if not"
    r"|(?:is|was|would be) (?:wrong|incorrect|not|false|impossible))\b"
    r"(?!\s*(?:equivalently|simply|in other))",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"(?:\bnot|n't|\bnever|\\neq?|\\lnot|≠)(?:\s+(?:equal\s+to|be|simply|just))?[\s$*_\\(\[:]{0,20}$",
    re.IGNORECASE,
)


def _boxed(text: str) -> str | None:
    """Return the content of the last box, or of several boxes joined as one list.

    A box behind a denial, or before an `or`, comes with those words, which make it no single answer.
    """
    answer = last_boxed(text)
    if answer is None:
        return None
    start = [match.start() for match in _BOX.finditer(text)][-1]
    end = _end_of_box(text, start, answer)
    answers = [answer]
    joints: list[str] = []
    for _ in range(MAX_BOXES):
        before = text[:start].rfind("\\boxed")
        previous = last_boxed(text[before:start]) if before >= 0 else None
        if previous is None:
            break
        joint = _JOINT.fullmatch(text[_end_of_box(text, before, previous) : start][:200])
        if joint is None:
            break
        start = before
        if previous != answers[-1]:
            answers.append(previous)
            joints.append("or" if joint["word"].lower().startswith("or") else ",")
    if len(answers) > 1:
        return (" or " if "or" in joints else ", ").join(reversed(answers))
    if _DENIAL.search(text[max(0, start - 60) : start]):
        return f"not {answer}"
    if second := _AFTER_BOX.match(text, end, end + 60):
        rest = text[second.end() : second.end() + 80].splitlines() or [""]
        return f"{answer} or {rest[0].strip()}".rstrip()
    return answer


def _end_of_box(text: str, start: int, content: str) -> int:
    """Return the position behind a box whose command stands at `start`."""
    inside = text.find(content, start) if content else text.find("{", start) + 1
    closing = text.find("}", inside + len(content))
    return closing + 1


def _marked(text: str, following: list[str]) -> str | None:
    """Return the answer behind a marker: on its line, else alone on the next."""
    if text.strip(_FRAME + "."):
        if following and _SECOND_THOUGHT.match(following[0]):
            return None
        return _answer_in(text)
    if not following or any(map(_SECOND_THOUGHT.match, following[1:])):
        return None
    return _answer_in(following[0])


def _answer_in(text: str, whole: bool = True) -> str | None:
    """Return the answer that a line holds; `whole` falls back to all of it."""
    text = text.strip(" \t*_`").rstrip(".").strip(" \t*_`")
    if not text:
        return None
    if len(_WORD.findall(text)) <= 2 and read(text):
        return text
    if _HEDGE.search(text):
        return text if whole else None
    opening, formula, after = text.rpartition("$")[0].rpartition("$")
    if formula and opening.count("$") % 2 == 0 and after.strip():
        return after.strip()
    numbers = list(dict.fromkeys(_NUMBER.findall(text.rpartition("=")[2])))
    if len(numbers) == 1:
        return numbers[0].replace("$", "")
    return text if whole else None


_HEDGE = re.compile(
    r"\b(?:not|never|isn't|n't|cannot|or|either|neither|maybe|perhaps|probably|possibly|likely|unless|guess|wrong|incorrect"
    r"|unsure|between|except)\b|n't\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
