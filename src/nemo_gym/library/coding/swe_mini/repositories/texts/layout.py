"""Lines of a limited width."""


def wrap_words(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; a longer word has a line of its own."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if not line:
            line = word
        elif len(line) + 1 + len(word) <= width:
            line += " " + word
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    return lines


def shorten(text: str, width: int) -> str:
    """The text, or its beginning and three dots, in at most `width` characters."""
    if len(text) <= width:
        return text
    return text[: width - 3] + "..."


def indent_lines(lines: list[str], depth: int) -> list[str]:
    """Lines with spaces before them; an empty line stays empty."""
    return [" " * depth + line if line else line for line in lines]
