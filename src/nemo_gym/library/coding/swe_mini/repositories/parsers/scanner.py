"""Tokens of an expression."""

SYMBOLS = "+-*/()"


def scan(text: str) -> list[str]:
    """The numbers, names and symbols of a text."""
    tokens: list[str] = []
    word = ""
    for character in text + " ":
        if character.isalnum() or character in "_.":
            word += character
            continue
        if word:
            tokens.append(word)
            word = ""
        if character in SYMBOLS:
            tokens.append(character)
        elif not character.isspace():
            raise ValueError(f"unknown character {character!r}")
    return tokens


def balanced(text: str) -> bool:
    """Whether every bracket has its partner, in the right order."""
    partners = {")": "(", "]": "[", "}": "{"}
    waiting: list[str] = []
    for character in text:
        if character in "([{":
            waiting.append(character)
        elif character in partners and (not waiting or waiting.pop() != partners[character]):
            return False
    return not waiting
