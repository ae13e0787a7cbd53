"""Instructions about the layout of a text: nesting, indents, lists, templates."""

from __future__ import annotations

import re
from itertools import pairwise

from nemo_gym.verifiers.instructions.registry import instruction
from nemo_gym.verifiers.instructions.units import EDGES, PUNCTUATION, filled_lines, sentences


@instruction("format:parentheses")
def parentheses(text: str) -> bool:
    """Brackets of the kinds `([{` are nested five levels deep, and the innermost is closed."""
    open_brackets: list[str] = []
    depth = 0
    for character in text:
        if character in "([{":
            open_brackets.append(character)
            depth = max(depth, len(open_brackets))
        elif character in ")]}":
            if open_brackets and open_brackets.pop() + character in ("()", "[]", "{}"):
                if depth >= 5:
                    return True
            else:
                open_brackets, depth = [], 0
    return False


@instruction("format:quotes")
def quotes(text: str) -> bool:
    """Double and single quotation marks are nested three levels deep, and all three are closed."""
    marks: list[str] = []
    depth = 0
    for character in text:
        if marks and character == marks[-1]:
            marks.pop()
            if depth - len(marks) >= 3:
                return True
        elif character in "\"'":
            marks.append(character)
            depth = max(depth, len(marks))
    return False


@instruction("format:options")
def options(text: str, *, options: str) -> bool:
    """The text is one of the options, with `/`, `or` or commas between them. Lettered options are exact."""
    separator = "/" if "/" in options else "or" if "or" in options else ","
    choices = [choice.strip() for choice in options.split(separator)]
    if _LETTERED.match(options):
        return text in choices
    return text.strip(EDGES).lower() in {choice.strip(EDGES).lower() for choice in choices}


@instruction("format:line_indent")
def line_indent(text: str) -> bool:
    """Each line is indented more than the one before; there are at least two."""
    indents = [len(line) - len(line.lstrip(" ")) for line in filled_lines(text)]
    return len(indents) > 1 and all(first < second for first, second in pairwise(indents))


@instruction("format:quote_unquote")
def quote_unquote(text: str) -> bool:
    """After each quotation there is text without quotation marks."""
    text = text.replace("“", '"').replace("”", '"').replace("'\"'", "")
    text = "".join(text.split())
    return '""' not in text and text.strip(_NO_QUOTE)[-1] != '"'


@instruction("format:list")
def list_items(text: str, *, sep: str) -> bool:
    """The mark of list items occurs at least twice."""
    return text.count(sep) >= 2


@instruction("format:thesis")
def thesis(text: str) -> bool:
    """A part in `<i>` or `<em>` that is not empty, with text after it."""
    start = text.find("<i>") if "<i>" in text else text.find("<em>")
    if start < 0:
        return False
    text = text[start:]
    end = text.find("</i>") if "</i>" in text else text.find("</em>")
    return (
        end > 3
        and bool(text[text.find(">") + 1 : end].strip())
        and bool(text[text.find(">", end) + 1 :].strip())
    )


@instruction("format:sub-bullets")
def sub_bullets(text: str) -> bool:
    """There are bullets `*`, and each has a sub-bullet `-`."""
    bullets = text.split("*")[1:]
    return bool(bullets) and all("-" in bullet for bullet in bullets)


@instruction("format:no_bullets_bullets")
def no_bullets_bullets(text: str) -> bool:
    """At least two sentences, then only bullets `*`, of which there are at least two."""
    lines = [line.strip() for line in filled_lines(text)]
    first = next((n for n, line in enumerate(lines) if line.startswith("*")), len(lines))
    count = sum(len(sentences(line)) for line in lines[:first])
    bullets = lines[first:]
    return count >= 2 and len(bullets) >= 2 and all(line.startswith("*") for line in bullets)


@instruction("format:output_template")
def output_template(text: str) -> bool:
    return all(part in text for part in ("My Answer:", "My Conclusion:", "Future Outlook:"))


@instruction("format:no_whitespace")
def no_whitespace(text: str) -> bool:
    return not any(character.isspace() for character in text)


_LETTERED = re.compile(r"\W{0,20}[aA]\W{0,20}[bB]\W{0,20}[cC]")
_NO_QUOTE = "0123456789" + PUNCTUATION.replace('"', "")
