"""Splits cleaned answer text into tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from nemo_gym.verifiers.denials import word_set
from nemo_gym.verifiers.math.clean import GREEK, closing_brace
from nemo_gym.verifiers.math.tree import Unreadable
from nemo_gym.verifiers.math.units import is_unit
from nemo_gym.verifiers.math.wording import NUMBERS

MAX_DIGITS = 200
MAX_EXPONENT = 300
MAX_TEXT_DEPTH = 4


FUNCTIONS = word_set(
    "sin cos tan cot sec csc arcsin arccos arctan arccot asin acos atan sinh cosh tanh arsinh arcosh "
    "artanh arcsinh arccosh arctanh exp ln log lg abs max min gcd lcm floor ceil sqrt cbrt det cis"
)


class Token(NamedTuple):
    """`kind` is number, based, symbol, word, command, operator or end."""

    kind: str
    text: str
    spaced: bool = False


END = Token("end", "")


def tokenize(
    text: str, *, thousands: bool, worded: bool = False, depth: int = 0, before: Sequence[Token] = ()
) -> list[Token]:
    """Split cleaned text into tokens; raises Unreadable.

    `thousands` reads 1,234 as one number. `worded` text is inside a text command: its letters are
    words, not products of variables. The tokens `before` it come first in the result.
    """
    if depth > MAX_TEXT_DEPTH:
        raise Unreadable("text commands too deep")
    tokens: list[Token] = list(before)
    position = 0
    letters = _HYPHENED if worded else _LETTERS
    number = _GROUPED if thousands else _PLAIN
    while position < len(text):
        start = position
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            break
        spaced = position > start
        if match := _based(text, position):
            tokens.append(Token("based", f"{match['digits'].casefold()}:{_base(match)}", spaced))
            position = match.end()
        elif match := number.match(text, position) or _PLAIN.match(text, position):
            tokens.append(Token("number", match[0].replace(",", ""), spaced))
            position = match.end()
        elif match := _COMMAND.match(text, position):
            position = _command(text, match, tokens, spaced, depth, thousands)
        elif match := letters.match(text, position):
            _letters(match[0], tokens, spaced, worded)
            position = match.end()
            if tokens[-1].kind == "word" and text.startswith("(s)", position):
                tokens[-1] = tokens[-1]._replace(text=f"{tokens[-1].text}s")
                position += 3
        else:
            sign = next((sign for sign in _LONG_SIGNS if text.startswith(sign, position)), text[position])
            position += len(sign)
            if sign != "." or not tokens or tokens[-1].kind != "word":
                tokens.append(Token("operator", _SPELLED_SIGNS.get(sign, sign), spaced))
    return tokens


def is_prose(text: str) -> bool:
    """Whether text is plain words, so that it isn't read as a product of letters."""
    if not _PROSE.fullmatch(text):
        return False
    words: list[str] = re.findall(r"[^\W\d_]+", text)
    return any(len(word) > 3 and word.lower() not in _NAMES for word in words)


_NAMES = FUNCTIONS | frozenset(GREEK) | {"infinity"}
_PROSE = re.compile(r"(?=.*[^\W\d_])[^\W\d_](?:[^\W\d_]|[\s'.,-])*")
_LETTERS = re.compile(r"[^\W\d_]+")
_HYPHENED = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]{3,})+|[^\W\d_]+")
_COMMAND = re.compile(r"\\(?:[A-Za-z]+\*?|.)", re.DOTALL)
_SIMPLE_ARGUMENT = re.compile(r"\s*\{([^{}]*)\}")
_ONE_LETTER = re.compile(r"\s*(?:\{\s*([A-Z])\s*\}|([A-Z])(?![A-Za-z]))")
_TAIL = r"(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(r"(?:\d+(?:\.(?:\d+|(?=\s*\\(?:overline|bar|dot)\b)))?|\.\d+)" + _TAIL)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?")
_BASES = {name: number for number, name in enumerate(NUMBERS.split()) if 2 <= number <= 16} | {
    "binary": 2,
    "octal": 8,
    "decimal": 10,
    "hexadecimal": 16,
    "hex": 16,
}
_BASED = re.compile(
    r"(?:(?P<open>\()\s*)?(?P<digits>\d[0-9A-Fa-f]{0,199}|[A-F][0-9A-F]{1,199}(?=\)?_\{?16))(?(open)\s*\))\s*_\s*"
    r"(?:\{\s*(?:(?P<base>\d{1,2})|(?:\\(?:text|textrm|mathrm|mbox)\s*\{\s*)?(?P<name>[a-z]{2,12})\s*\}?)\s*\}"
    r"|(?P<bare>\d{1,2})(?!\d)|\\(?:text|textrm|mathrm)\s*\{\s*(?P<word>[a-z]{2,12})\s*\})"
)
_LONG_SIGNS = ("<=>", "<->", "<=", ">=", "!=", "=>", "->")
_SPELLED_SIGNS = {"<=>": "⇔", "<->": "⇔", "=>": "⇒", "->": "⇒"}
_COMMAND_SIGNS = {
    "cdot": "*", "times": "*", "ast": "*", "div": "/", "le": "<=", "leq": "<=", "leqslant": "<=",
    "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=",
    "approx": "~", "simeq": "~", "pm": "±", "mp": "∓", "cup": "∪", "in": "∈", "lbrace": "\\{",
    "rbrace": "\\}", "{": "\\{", "}": "\\}", "lbrack": "[", "rbrack": "]", "langle": "(", "rangle": ")",
    "lvert": "|", "rvert": "|", "vert": "|", "mid": "mid", "colon": ":", "%": "%", "\\": "\\\\",
    "sim": "¬", "lor": "∨", "vee": "∨", "land": "∧", "wedge": "∧", "lnot": "¬", "neg": "¬", "to": "⇒",
    "rightarrow": "⇒", "Rightarrow": "⇒", "implies": "⇒", "leftrightarrow": "⇔", "Leftrightarrow": "⇔",
    "iff": "⇔", "cap": "∩", "setminus": "∖", "smallsetminus": "∖", "backslash": "∖",
    "forall": "where", "lparen": "(", "rparen": ")", "&": ",", "cdotp": "*", "centerdot": "*",
}  # fmt: skip
_ALIASES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "nicefrac": "frac", "sfrac": "frac",
    "dbinom": "binom", "tbinom": "binom",
    "varnothing": "emptyset", "degree": "circ", "infinity": "infty", "inf": "infty", "arg": "argument",
    "bar": "overline", "tg": "tan", "textdollar": "dollar", "ctg": "cot", "arctg": "arctan", "sgn": "sign",
}  # fmt: skip
_ALWAYS_WORDS = word_set("not no nor non but is")
_CONDITIONAL = word_set("where for when whenever if with provided given assuming")
_WORD_COMMANDS = word_set("text textrm textsf textnormal mbox hbox mathrm operatorname operatorname*")
_STYLE_COMMANDS = word_set(
    "textbf textit texttt textsl emph mathit mathbf mathsf mathtt mathcal mathfrak mathscr mathnormal "
    "boldsymbol mathsl fbox boxed vec overrightarrow"
)
_UPRIGHT_UNITS = frozenset("mgshLNJWVAKCFΩ")


def _letters(word: str, tokens: list[Token], spaced: bool, worded: bool) -> None:
    after_value = bool(tokens) and _ends_value(tokens[-1])
    apart = spaced or worded
    if word.lower() in ("and", "or"):
        tokens.append(Token("operator", word.lower(), spaced))
    elif word.lower() in _ALWAYS_WORDS:
        tokens.append(Token("word", word, spaced))
    elif word.lower() == "to" and apart and after_value:
        tokens.append(Token("operator", ":", spaced))
    elif word.lower() in _CONDITIONAL and apart and tokens and (after_value or tokens[-1].text == ","):
        tokens.append(Token("operator", "where", spaced))
    elif word == "min" and after_value and apart:
        tokens.append(Token("word", word, spaced))
    elif word in ("infinity", "inf") or word in FUNCTIONS or (word in GREEK and len(word) > 1):
        _named(word, tokens, spaced)
    elif len(word) == 1:
        kind = "word" if worded and after_value and is_unit(word) else "symbol"
        tokens.append(Token(kind, word, spaced))
    elif (
        not worded
        and (
            (len(word) <= 3 and word.islower() and word.isascii())
            or (after_value and word.isupper() and len(word) <= 3 and word.isascii())
        )
        and not (after_value and is_unit(word))
    ):
        tokens.extend(Token("symbol", letter, spaced and not index) for index, letter in enumerate(word))
    else:
        tokens.append(Token("word", word, spaced))


def _ends_value(token: Token) -> bool:
    return (
        token.kind in ("number", "based", "symbol", "word")
        or token.text in (")", "]", "}", "\\}", "|", "!", "%", "pi", "circ", "infty")
        or token.text.startswith(("repeat:", "end:"))
    )


def _base(match: re.Match[str]) -> int:
    return int(match["base"] or match["bare"] or 0) or _BASES.get(match["name"] or match["word"], 0)


def _based(text: str, position: int) -> re.Match[str] | None:
    """Match digits with their base, where the digits exist in that base."""
    match = _BASED.match(text, position)
    if match is None:
        return None
    base, digits = _base(match), match["digits"].casefold()
    if not 2 <= base <= 36 or (not digits.isdigit() and match["bare"]):
        return None
    return match if all(int(digit, 36) < base for digit in digits) else None


def _named(name: str, tokens: list[Token], spaced: bool) -> None:
    name = _ALIASES.get(name, name)
    if name.lower() in GREEK and name != "pi":
        tokens.append(Token("symbol", f"\\{name}", spaced))
    elif name in _COMMAND_SIGNS:
        tokens.append(Token("operator", _COMMAND_SIGNS[name], spaced))
    else:
        tokens.append(Token("command", name, spaced))


def _command(
    text: str, match: re.Match[str], tokens: list[Token], spaced: bool, depth: int, thousands: bool
) -> int:
    """Append the tokens of one LaTeX command and return the position behind it."""
    name = match[0][1:]
    position = match.end()
    if name.startswith("var") and name[3:] in GREEK:
        name = name[3:]
    braced = _SIMPLE_ARGUMENT.match(text, position)
    argument = braced[1] if braced else ""
    if braced and name in ("begin", "end"):
        tokens.append(Token("operator", f"{name}:{argument.rstrip('*')}", spaced))
        return braced.end()
    if name in ("mathbb", "Bbb") and (letter := _ONE_LETTER.match(text, position)):
        tokens.append(Token("symbol", f"\\mathbb{letter[1] or letter[2]}", spaced))
        return letter.end()
    if (
        braced
        and name in ("overline", "bar", "dot")
        and argument.isdecimal()
        and tokens
        and "." in tokens[-1].text
    ):
        tokens.append(Token("operator", f"repeat:{argument}", spaced))
        return braced.end()
    if name in _WORD_COMMANDS or (name in _STYLE_COMMANDS and text[position:].lstrip().startswith("{")):
        start = text.find("{", position)
        close = closing_brace(text, start) if start >= 0 and not text[position:start].strip() else -1
        if close < 0:
            raise Unreadable("a text command without its braces")
        _text(text[start + 1 : close], name, tokens, spaced, depth, thousands)
        return close + 1
    if name in ("angle", "triangle"):
        tokens.append(Token("word", name, spaced))
    elif name not in _STYLE_COMMANDS:
        _named(name, tokens, spaced)
    return position


def _text(
    argument: str, command: str, tokens: list[Token], spaced: bool, depth: int, thousands: bool
) -> None:
    """Append the tokens of text set inside mathematics, or of mathematics in another style."""
    after_value = bool(tokens) and _ends_value(tokens[-1])
    words = argument.strip().rstrip(".").rstrip()
    if len(words) == 1 and words.isalpha():
        unit = (
            after_value
            and is_unit(words)
            and (words in _UPRIGHT_UNITS or command in ("text", "textrm", "mbox"))
        )
        tokens.append(Token("word" if unit else "symbol", words, spaced))
    elif command in _STYLE_COMMANDS and not _TEXT.fullmatch(words):
        tokens.append(Token("operator", "{", spaced))
        tokens.extend(tokenize(words, thousands=thousands, depth=depth + 1))
        tokens.append(Token("operator", "}"))
    elif words.isalpha() and words in FUNCTIONS and not (after_value and is_unit(words)):
        _named(words, tokens, spaced)
    else:
        start = len(tokens)
        context = tokens[-1:]
        inner = tokenize(words, thousands=thousands, worded=True, depth=depth + 1, before=context)
        tokens.extend(inner[len(context) :])
        if len(tokens) > start:
            tokens[start] = tokens[start]._replace(spaced=True)


_TEXT = re.compile(r"[^\W\d_]{2,}(?:[\s'-]+[^\W\d_]+)*")
