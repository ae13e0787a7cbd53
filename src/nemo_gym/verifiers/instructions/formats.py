"""Instructions about visible parts of a text: bullets, titles, sections, placeholders, JSON."""

from __future__ import annotations

import re
from collections import Counter

import msgspec

from nemo_gym.verifiers.instructions.registry import instruction
from nemo_gym.verifiers.instructions.units import word_runs


@instruction("detectable_content:number_placeholders")
def number_placeholders(text: str, *, num_placeholders: int) -> bool:
    """At least this many `[...]`, each on one line."""
    return sum(_closed_brackets(line) for line in text.split("\n")) >= num_placeholders


@instruction("detectable_content:postscript")
def postscript(text: str, *, postscript_marker: str) -> bool:
    text = text.lower()
    match postscript_marker:
        case "P.P.S":
            return _PPS.search(text) is not None
        case "P.S.":
            return _PS.search(text) is not None
        case _:
            return postscript_marker.lower() in text


@instruction("detectable_format:number_bullet_lists")
def number_bullet_lists(text: str, *, num_bullets: int) -> bool:
    """Exactly this many lines that begin with one `*` or with `-`."""
    lines = [line.lstrip() for line in text.split("\n")]
    return (
        sum(line.startswith("-") or (line[:1] == "*" and line[1:2] not in "*") for line in lines)
        == num_bullets
    )


@instruction("detectable_format:constrained_response")
def constrained_response(text: str) -> bool:
    return any(f"My answer is {word}." in text for word in ("yes", "no", "maybe"))


@instruction("detectable_format:number_highlighted_sections")
def number_highlighted_sections(text: str, *, num_highlights: int) -> bool:
    """At least this many `*parts*` on one line. A `**part**` counts for itself too."""
    single = sum(bool(part.strip("*").strip()) for part in _HIGHLIGHT.findall(text))
    return single + sum(bool(part.strip()) for part in _BOLD.findall(text)) >= num_highlights


@instruction("detectable_format:multiple_sections")
def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    """At least this many headings of the word and a number, such as `Section 1`."""
    at, count = text.find(section_spliter), 0
    while at >= 0:
        at += len(section_spliter)
        count += _HEADING_NUMBER.match(text, at) is not None
        at = text.find(section_spliter, at)
    return count >= num_sections


@instruction("detectable_format:json_format")
def json_format(text: str) -> bool:
    """The whole text is JSON, with or without a code fence around it."""
    text = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(fence)
    try:
        msgspec.json.decode(text.removesuffix("```").strip())
    except msgspec.DecodeError:
        return False
    return True


@instruction("detectable_format:title")
def title(text: str) -> bool:
    """A title in `<<...>>` on one line."""
    return any(_has_title(line) for line in text.split("\n"))


@instruction("detectable_format:sentence_hyphens")
def sentence_hyphens(text: str) -> bool:
    """Sentences that are connected with hyphens and no blanks."""
    parts = text.strip().split("-")
    return len(parts) > 1 and all(part and part == part.strip() for part in parts) and parts[0][-1] in ".!?"


@instruction("detectable_format:square_brackets")
def square_brackets(text: str) -> bool:
    """Every word is in square brackets."""
    return all(len(word) > 2 and word[0] == "[" and word[-1] == "]" for word in text.split())


@instruction("detectable_format:bigram_wrapping")
def bigram_wrapping(text: str) -> bool:
    """Each two words are in double angular brackets, such as `«two words»`."""
    parts = text.split()
    return len(parts) > 1 and all(
        first.startswith("«") and second.endswith("»")
        for first, second in zip(parts[::2], parts[1::2], strict=False)
    )


@instruction("combination:two_responses")
def two_responses(text: str) -> bool:
    """Two different answers between `******`."""
    parts = [part.strip() for part in text.split("******")]
    if not all(parts[1:-1]):
        return False
    answers = [part for part in parts if part]
    return len(answers) == 2 and answers[0] != answers[1]


@instruction("detectable_content:rephrase_paragraph")
def rephrase_paragraph(text: str, *, original_paragraph: str, low: int, high: int) -> bool:
    """The number of words in common with a paragraph lies between two numbers."""
    common = Counter(word_runs(text.lower())) & Counter(word_runs(original_paragraph.lower()))
    return low <= common.total() <= high


_PPS = re.compile(r"p\.\s?p\.\s?s")
_PS = re.compile(r"p\.\s?s\.")
_HIGHLIGHT = re.compile(r"\*[^\n*]*\*")
_BOLD = re.compile(r"\*\*([^\n*]*)\*\*")
_HEADING_NUMBER = re.compile(r"\s?\d")


def _closed_brackets(line: str) -> int:
    """The number of `[...]` in a line, from each opening bracket to the next closing one."""
    count = 0
    at = line.find("[")
    while at >= 0:
        end = line.find("]", at)
        if end < 0:
            break
        count += 1
        at = line.find("[", end)
    return count


def _has_title(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    return 0 <= start < end - 2 and bool(line[start : end + 2].lstrip("<").rstrip(">").strip())
