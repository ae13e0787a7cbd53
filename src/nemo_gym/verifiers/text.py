"""Find the answer inside model text: boxes, tags, code fences and last lines, all in linear time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

__all__ = [
    "Place",
    "answer_places",
    "box_beside",
    "is_reordered",
    "last_box",
    "last_boxed",
    "last_boxes",
    "last_code_block",
    "last_nonempty_line",
    "last_tagged",
    "marked_answers",
    "peel_text",
    "strip_reasoning",
]


@dataclass(frozen=True, slots=True)
class Place:
    """An answer in a text: its content, and its start and end in the text with its box."""

    content: str
    start: int
    end: int


def last_boxed(text: str) -> str | None:
    r"""Return the stripped content of the last `\boxed{...}` or `\fbox{...}`.

    Braces balance; `\{` and `\}` are characters, not braces. Of nested boxes the innermost last one
    counts. None when there is no box or the last one is never closed, or only after 10,000 characters: an
    earlier box is not consulted, because a cut-off answer is no answer.
    """
    box = last_box(text)
    return None if box is None else box.content


def last_box(text: str) -> Place | None:
    """Return what `last_boxed` returns, with its place."""
    opening = _last_opening(text, len(text))
    if opening is None:
        return None
    start, inside = opening.span()
    end = _closing(text, inside)
    return None if end < 0 else Place(text[inside:end].strip(), start, end + 1)


def last_boxes(text: str, limit: int = 8) -> list[Place]:
    r"""Return the boxes among the last `limit` `\boxed{` and `\fbox{` that are not inside others, in order.

    None of them when the very last is never closed, or only after 10,000 characters.
    """
    openings: list[tuple[int, int]] = []
    while len(openings) < limit and (
        opening := _last_opening(text, openings[0][0] if openings else len(text))
    ):
        openings.insert(0, opening.span())
    boxes: list[Place] = []
    for start, inside in openings:
        if boxes and start < boxes[-1].end:
            continue
        end = _closing(text, inside)
        if end >= 0:
            boxes.append(Place(text[inside:end].strip(), start, end + 1))
    return boxes if boxes and openings[-1][0] < boxes[-1].end else []


def box_beside(text: str, box: Place) -> Place | None:
    """Return the box right before another one, with only blanks and separators between them."""
    before = text[: box.start].rstrip(_BETWEEN_BOXES)
    beside = last_box(before) if before.endswith("}") else None
    return beside if beside is not None and beside.end == len(before) else None


def peel_text(s: str) -> str:
    r"""Unwrap `\text{..}`, `\mathrm{..}`, `\textbf{..}` and similar commands everywhere, then delimiters.

    The delimiters `$..$`, `$$..$$`, `\(..\)` and `\[..\]` go only where they enclose the whole string.
    Text with unbalanced braces keeps its wrappers.
    """
    peeled = _unwrap_commands(s).strip()
    for _ in range(_MAX_DELIMITER_DEPTH):
        inner = _without_delimiters(peeled)
        if inner == peeled:
            break
        peeled = inner
    return peeled


def last_tagged(text: str, tag: str) -> str | None:
    """Return the stripped content of the last complete `<tag>...</tag>`, or None; case counts."""
    end = text.rfind(f"</{tag}>")
    if end < 0:
        return None
    opening = f"<{tag}>"
    start = text.rfind(opening, 0, end)
    return None if start < 0 else text[start + len(opening) : end].strip()


def strip_reasoning(text: str) -> str:
    """Return the text after the last `</think>`, up to an unclosed `<think>`.

    `<thinking>` is treated alike and case is ignored. Text without either tag comes back unchanged.
    """
    if "<" not in text:
        return text
    lowered = _lowered(text)
    start, end = 0, len(text)
    for tag in ("</think>", "</thinking>"):
        place = lowered.rfind(tag)
        if place >= 0:
            start = max(start, place + len(tag))
    for tag in ("<think>", "<thinking>"):
        place = lowered.find(tag, start, end)
        if place >= 0:
            end = place
    return text[start:end]


def is_reordered(text: str) -> bool:
    """Whether a text has a direction override, with which it reads otherwise than it is spelled."""
    return "\u202d" in text or "\u202e" in text


def last_code_block(text: str, language: str | None = None) -> str | None:
    """Return the body of the last closed Markdown fence, without its final newline.

    Args:
        text: Markdown, with fences of three or more backticks or tildes that start their line.
        language: only blocks whose info string begins with this word count (case is ignored;
            `python` also takes `py` and `python3`).

    A fence that is never closed is not a block. None when no block fits, or the text has more than 20,000
    lines.
    """
    if text.count("\n") > _MAX_LINES:
        return None
    block: str | None = None
    fence = ""
    indent = 0
    is_match = False
    body: list[str] = []
    for line in text.split("\n"):
        stripped = line.strip()
        if fence:
            if len(stripped) >= len(fence) and not stripped.strip(fence[0]):
                if is_match:
                    block = "\n".join(body)
                fence = ""
            elif is_match:
                body.append(_dedent(line, indent))
        elif stripped.startswith(("```", "~~~")):
            info = stripped.lstrip(stripped[0])
            if "`" in info:
                continue
            fence = stripped[: len(stripped) - len(info)]
            indent = len(line) - len(line.lstrip(" "))
            is_match = _speaks(info, language)
            body = []
    return block


def marked_answers(text: str, limit: int = 16) -> list[str]:
    """Return what follows each of the last `limit` markers `Answer:` or `Final Answer:`, oldest first.

    An answer reaches to the end of its line, or of the next line that is not blank, or to the next marker.
    The case of the marker, Markdown emphasis around it and `*`, `_` or backticks around the answer are
    ignored. An answer longer than 10,000 characters is cut there.
    """
    return [place.content for place in answer_places(text, limit)]


def answer_places(text: str, limit: int = 16) -> list[Place]:
    """Return what `marked_answers` returns, each with its place, which is without the marker."""
    places: list[Place] = []
    end = len(text)
    for start, begin in islice(_answer_markers(text), limit):
        answer = text[begin : min(end, begin + _MAX_ANSWER)]
        stripped = answer.lstrip(_EMPHASIS)
        begin += len(answer) - len(stripped)
        line = stripped.splitlines()[0] if stripped else ""
        places.append(Place(line.rstrip(_EMPHASIS), begin, begin + len(line)))
        end = start
    return places[::-1]


def last_nonempty_line(text: str) -> str:
    """Return the last line that is not blank, stripped; the empty string when there is none."""
    text = text.rstrip()
    return text[max(text.rfind("\n"), text.rfind("\r")) + 1 :].strip()


_BOX_OPENING = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BETWEEN_BOXES = " \t\r\n$*,;/&|+"
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_STEPS = {"{": 1, "}": -1}
_COMMANDS = (
    "text|textbf|textit|textrm|textsf|texttt|textup|textnormal|mbox|emph|"
    "mathrm|mathbf|mathit|mathsf|mathtt|mathnormal|bm|boldsymbol"
)
_WRAPPER_OR_BRACE = re.compile(rf"\\(?:{_COMMANDS})\{{|\\[A-Za-z]+|\\.|[{{}}]", re.DOTALL)
_DELIMITERS = (("\\(", "\\)"), ("\\[", "\\]"))
_MAX_DELIMITER_DEPTH = 4
_COLON = re.compile(r"[\s*_]*[:：]")
_FINAL = re.compile(r"\bfinal\s{1,8}\Z", re.IGNORECASE)
_EMPHASIS = " \t\r\n*_`"
_MAX_ANSWER = 10_000
_MAX_WORDS = 1_000
"""So many of the last words `answer` may be markers, and of the last words `box` boxes."""
_MAX_LINES = 20_000
_ALIASES = {"python": ("py", "python3")}


def _lowered(text: str) -> str:
    """The text in small letters, each at its place: only one character has another length as a small one."""
    return text.replace("\u0130", "I").lower()


def _last_opening(text: str, end: int) -> re.Match[str] | None:
    """The last opening of a box before a place. A pattern for it would be far slower in a long text."""
    for _ in range(_MAX_WORDS):
        end = text.rfind("box", 0, end)
        if end < 0:
            return None
        slash = text.rfind("\\", max(0, end - 2), end)
        if slash >= 0 and (opening := _BOX_OPENING.match(text, slash)):
            return opening
    return None


def _closing(text: str, inside: int) -> int:
    """Return the position of the brace that closes the one before `inside`, or -1 if it is far or missing."""
    first = text.find("}", inside, inside + _MAX_ANSWER)
    if first < 0:
        return -1
    content = text[inside:first]
    if "{" not in content and "\\" not in content:
        return first
    depth = 1
    for match in _BRACE.finditer(text, inside, inside + _MAX_ANSWER):
        depth += _STEPS.get(match[0], 0)
        if depth == 0:
            return match.start()
    return -1


def _answer_markers(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every marker, the last first. A pattern would be far slower than this search."""
    lowered = _lowered(text)
    start = len(lowered)
    for _ in range(_MAX_WORDS):
        start = lowered.rfind("answer", 0, start)
        if start < 0:
            return
        if colon := _COLON.match(text, start + len("answer")):
            final = _FINAL.search(text, max(0, start - 16), start)
            if final:
                yield final.start(), colon.end()
            elif not (start and (text[start - 1].isalnum() or text[start - 1] == "_")):
                yield start, colon.end()


def _unwrap_commands(s: str) -> str:
    parts: list[str] = []
    drops: list[bool] = []
    position = command_end = 0
    for match in _WRAPPER_OR_BRACE.finditer(s):
        token = match.group()
        drop = len(token) > 2 and token[-1] == "{"
        if token == "}":
            if not drops:
                return s
            drop = drops.pop()
        elif drop or token == "{":
            drops.append(drop)
        else:
            command_end = match.end()
        if drop:
            parts.append(s[position : match.start()])
            position = match.end()
            if command_end == match.start() > 0:
                parts.append(" ")
    return s if drops else "".join(parts) + s[position:]


def _without_delimiters(s: str) -> str:
    for opening, closing in _DELIMITERS:
        inner = s[len(opening) : -len(closing)]
        if s.startswith(opening) and s.endswith(closing) and opening not in inner and closing not in inner:
            return inner.strip()
    inner = s.strip("$")
    leading = len(s) - len(s.lstrip("$"))
    if leading and len(s) - len(inner) == 2 * leading and "$" not in inner and not inner.endswith("\\"):
        return inner.strip()
    return s


def _speaks(info: str, language: str | None) -> bool:
    if language is None:
        return True
    words = info.split(None, 1)
    word = words[0].strip("{.,}").lower() if words else ""
    language = language.lower()
    return word == language or word in _ALIASES.get(language, ())


def _dedent(line: str, indent: int) -> str:
    line = line.removesuffix("\r")
    return line[min(indent, len(line) - len(line.lstrip(" "))) :]
