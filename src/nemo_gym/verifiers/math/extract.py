"""Find the final answer in a model's text."""

from __future__ import annotations

import re

from nemo_gym.verifiers.answer_context import (
    BEFORE,
    denied_before,
    depends_between,
    joint_of,
    taken_back_after,
)
from nemo_gym.verifiers.math.adjoining import has_rival, repeats, with_adjoining_signs
from nemo_gym.verifiers.math.parse import read
from nemo_gym.verifiers.text import Place, is_reordered, last_boxes, last_nonempty_line, strip_reasoning

MAX_TAIL = 4_000
MARKED_LINES = 3


def extract(text: str) -> str | None:
    """Return the final answer of a text, or None.

    The last box outside reasoning wins; boxes with nothing but `or`, `and` or a comma between them are one
    list. Without a box: what follows the last `Final answer:`, `Answer:` or `answer is` on the last three
    lines, on the same line or the next; else the last line if it is an answer, its last formula between
    dollar signs, or the only number behind its last equals sign.
    """
    visible = strip_reasoning(text)
    if is_reordered(visible):
        return None
    if _BOX.search(visible):
        return _boxed(visible)
    tail = visible[-MAX_TAIL:]
    lines = [line for line in tail.splitlines() if line.strip(_FRAME)]
    for position in range(len(lines) - 1, max(-1, len(lines) - 1 - MARKED_LINES), -1):
        markers = list(_MARKER.finditer(lines[position]))
        if markers:
            before, rest = lines[position][: markers[-1].start()], lines[position][markers[-1].end() :]
            if denied_before(before) or (
                len(markers) > 1 and depends_between(lines[position][markers[-2].end() : markers[-1].start()])
            ):
                return None
            return _marked(rest, lines[position + 1 :])
    return _answer_in(last_nonempty_line(tail), whole=False)


_FRAME = " \t\r\n$*_`[]()\\"
_BOX = re.compile(r"\\(?:boxed|fbox)\b")
_MARKER = re.compile(r"\banswer\b[*_ ]{0,4}(?:\bis\b[*_ ]{0,4}:?|:|=)|^####", re.IGNORECASE)
_NUMBER = re.compile(r"-?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?|-?\.\d+")
_SECOND_THOUGHT = re.compile(
    r"\W*(?:or|but|no|not|wait|actually|alternatively|otherwise|unless|if|maybe|perhaps)\b", re.IGNORECASE
)
_AFTER_BOX = re.compile(
    r"[\s$*_,;\\)(\]]{0,20}(?:\\text\s?\{)?\s?(?:(?P<or>or)|maybe|perhaps|possibly|unless|if not"
    r"|(?:is|was|would be) (?:wrong|incorrect|not|false|impossible))\b"
    r"(?!,?\s*(?:equivalently|simply|in (?:other|words|decimal|percent|fractions?)\b))",
    re.IGNORECASE,
)


def _boxed(text: str) -> str | None:
    """Return the content of the last box, or of several boxes joined as one list.

    Of nested boxes the outermost counts. A box that words around it deny, doubt or take back, or that an `or`
    follows, comes with those words, which make it no single answer. Signs, powers and units beside a box come
    with it too.
    """
    boxes = last_boxes(text)
    if not boxes:
        return None
    first = last = boxes.pop()
    answers, joints = [last.content], list[str]()
    while boxes:
        previous = boxes.pop()
        joint = joint_of(_before(text, previous), text[previous.end : first.start])
        if joint is None:
            break
        first = previous
        if previous.content != answers[-1]:
            answers.append(previous.content)
            joints.append(joint)
    if denied_before(_before(text, first)):
        return f"not {last.content}"
    if len(answers) > 1:
        return (" or " if "or" in joints else ", ").join(reversed(answers))
    before = _before(text, first)
    if second := _AFTER_BOX.match(text, last.end, last.end + 60):
        rest = (text[second.end() : second.end() + 80].splitlines() or [""])[0].strip()
        if not (second["or"] and repeats(last.content, rest)):
            return f"{last.content} or {rest}".rstrip()
    elif has_rival(last.content, before) or taken_back_after(text, last.end):
        return f"{last.content} or not"
    return with_adjoining_signs(last.content, before, text, last.end)


def _before(text: str, box: Place) -> str:
    return text[max(0, box.start - BEFORE) : box.start]


def _marked(text: str, following: list[str]) -> str | None:
    """Return the answer behind a marker: on its line, else alone on the next."""
    if text.strip(_FRAME + "."):
        if following and (
            _SECOND_THOUGHT.match(following[0]) or taken_back_after("\n".join(["", *following]), 0)
        ):
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
    head = _REASON.split(text, maxsplit=1)[0].strip()
    if _HEDGE.search(head) or text.endswith("?"):
        return text if whole else None
    if head != text and read(head):
        return head
    opening, formula, after = text.rpartition("$")[0].rpartition("$")
    if formula and opening.count("$") % 2 == 0 and after.strip():
        return after.strip()
    numbers = list(dict.fromkeys(_NUMBER.findall(text.rpartition("=")[2])))
    if len(numbers) == 1:
        return numbers[0].replace("$", "")
    return text if whole else None


_HEDGE = re.compile(
    r"\b(?:not|never|isn't|n't|cannot|or|either|neither|maybe|perhaps|probably|possibly|likely|unless|guess|wrong|incorrect|impossible|untrue"
    r"|unsure|between|except)\b|n't\b",
    re.IGNORECASE,
)
_REASON = re.compile(r",?\s+\(?(?:since|because)\b", re.IGNORECASE)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
