"""Matches brackets in tokens before they are parsed."""

from __future__ import annotations

from collections.abc import Sequence

from nemo_gym.verifiers.math.scan import Token

_CLOSINGS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_COMPARISONS = frozenset(("<", ">", "<=", ">=", "!=", "∈", "="))


def closing_position(tokens: Sequence[Token], start: int) -> int:
    """Return the position of the bracket that closes the one before `start`, or -1."""
    depth = 1
    for position in range(start, len(tokens)):
        if tokens[position].kind != "operator":
            continue
        depth += tokens[position].text in _CLOSINGS
        depth -= tokens[position].text in _CLOSINGS.values()
        if depth == 0:
            return position
    return -1


def is_builder(tokens: Sequence[Token], start: int, opening: str) -> bool:
    """Whether the braces opened before `start` hold a head, a bar or colon, and conditions."""
    end = closing_position(tokens, start)
    inside = tokens[start:end] if end >= 0 else ()
    signs = [token.text for token in inside if token.kind == "operator"]
    barred = "mid" in signs or signs.count("|") % 2 == 1 or (":" in signs and opening == "\\{")
    return barred and not _COMPARISONS.isdisjoint(signs)


def without_comma_before_note(tokens: list[Token]) -> list[Token]:
    """Return the tokens without a comma before a word such as `where`."""
    return [
        token
        for position, token in enumerate(tokens)
        if not (_is_sign(tokens, position, ",", ";") and _is_sign(tokens, position + 1, "where"))
    ]


def _is_sign(tokens: Sequence[Token], position: int, *texts: str) -> bool:
    if position >= len(tokens):
        return False
    return tokens[position].kind == "operator" and tokens[position].text in texts


def with_note_apart(tokens: list[Token]) -> list[Token]:
    """Return the tokens with a trailing bracket around a condition, as in `x + 1 (x != 1)`, set apart."""
    if len(tokens) < 5 or tokens[-1].text != ")" or tokens[-1].kind != "operator":
        return tokens
    depth = 0
    for position in range(len(tokens) - 1, 0, -1):
        token = tokens[position]
        if token.kind == "operator":
            depth += (token.text in _CLOSINGS.values()) - (token.text in _CLOSINGS)
        if depth == 0:
            inside = tokens[position + 1 : -1]
            signs = {token.text for token in inside if token.kind == "operator"}
            before = tokens[position - 1]
            if token.text != "(" or _COMPARISONS.isdisjoint(signs - {"="}) or not token.spaced:
                return tokens
            has_joint = before.kind == "operator" and before.text in (",", ";", "where")
            head = tokens[: position - 1] if has_joint else tokens[:position]
            first = inside[1:] if inside[0].text == "where" else inside
            return [*head, Token("operator", "where", spaced=True), *first]
    return tokens
