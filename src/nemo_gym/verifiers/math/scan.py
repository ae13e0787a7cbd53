"""From answer text to tokens: LaTeX and plain notation, any Unicode digits, bounded length."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from nemo_gym.verifiers.math.tree import Unreadable

MAX_CHARS = 2_000
MAX_DIGITS = 200
MAX_EXPONENT = 300


def _split(names: str) -> list[str]:
    return names.split()


FUNCTIONS = frozenset(
    _split(
        "sin cos tan cot sec csc arcsin arccos arctan arccot asin acos atan sinh cosh tanh arsinh arcosh "
        "artanh arcsinh arccosh arctanh exp ln log lg abs max min gcd lcm floor ceil sqrt cbrt det"
    )
)
GREEK = _split(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
    "upsilon phi chi psi omega"
)
UNITS = {
    alias: group.split()[0]
    for group in (
        "mm millimeter millimeters millimetre millimetres",
        "cm centimeter centimeters centimetre centimetres",
        "m meter meters metre metres",
        "km kilometer kilometers kilometre kilometres",
        "in inch inches",
        "ft foot feet",
        "yd yard yards",
        "mi mile miles",
        "mg milligram milligrams",
        "g gram grams",
        "kg kilogram kilograms",
        "lb lbs pound pounds",
        "oz ounce ounces",
        "ml mL milliliter milliliters",
        "L liter liters litre litres",
        "s sec second seconds",
        "min mins minute minutes",
        "h hr hrs hour hours",
        "day days",
        "week weeks",
        "month months",
        "year years yr yrs",
        "cent cents",
        "dollar dollars USD usd",
        "euro euros EUR",
        "mph",
        "kph",
        "rad radian radians",
        "deg degree degrees",
        "am",
        "pm",
    )
    for alias in group.split()
}
"""Spelling of a unit of measure -> the name it is compared by."""


class Token(NamedTuple):
    """`kind` is number, symbol, words, unit, command, operator or end."""

    kind: str
    text: str
    spaced: bool = False


END = Token("end", "")


def clean(text: str) -> str:
    """Return bounded text in one spelling of digits, signs, wrappers and blanks; raises Unreadable."""
    if len(text) > MAX_CHARS:
        raise Unreadable("longer than the bound")
    text = _SUPERSCRIPTS.sub(lambda run: "^{" + run[0].translate(_SUPER_TO_PLAIN) + "}", text)
    text = _peel("".join(map(_fold, text)))
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    if len(text) > 2 * MAX_CHARS:
        raise Unreadable("longer than the bound")
    return _LEADING_SIGN.sub("", text).strip()


def tokenize(text: str, *, thousands: bool) -> list[Token]:
    """Split cleaned text into tokens; `thousands` reads 1,234 as one number. Raises Unreadable."""
    tokens: list[Token] = []
    position = 0
    number = _GROUPED if thousands else _PLAIN
    while position < len(text):
        start = position
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            break
        spaced = position > start
        if match := number.match(text, position) or _PLAIN.match(text, position):
            tokens.append(Token("number", match[0].replace(",", ""), spaced))
            position = match.end()
        elif match := _COMMAND.match(text, position):
            position = _command(text, match, tokens, spaced)
        elif match := _LETTERS.match(text, position):
            _letters(match[0], tokens, spaced)
            position = match.end()
        else:
            sign = next((sign for sign in _LONG_SIGNS if text.startswith(sign, position)), text[position])
            tokens.append(Token("operator", _SIGNS.get(sign, sign), spaced))
            position += len(sign)
    return tokens


def is_prose(text: str) -> bool:
    """Whether text is plain words, so that it isn't read as a product of letters."""
    if not _PROSE.fullmatch(text):
        return False
    words: list[str] = re.findall(r"[^\W\d_]+", text)
    return any(len(word) > 3 and word.lower() not in _NAMES for word in words)


def plain_words(text: str) -> str:
    """Return the case-folded words and digits of text, for comparing text with text."""
    text = re.sub(r"\\[A-Za-z]+|\\.|[{}$~]", " ", text)
    return " ".join(text.casefold().strip(" .,;:!()\"'`*").split())


_NAMES = FUNCTIONS | frozenset(GREEK) | {"infinity"}
_PROSE = re.compile(r"(?=.*[^\W\d_])[^\W\d_](?:[^\W\d_]|[\s'.,-])*")
_LETTERS = re.compile(r"[^\W\d_]+")
_COMMAND = re.compile(r"\\(?:[A-Za-z]+\*?|.)", re.DOTALL)
_LEADING_SIGN = re.compile(r"\A\s*(?:=|\\approx(?![A-Za-z]))")
_SIMPLE_ARGUMENT = re.compile(r"\s*\{([^{}]*)\}")
_TAIL = r"(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(r"(?:\d+(?:\.(?:\d+|(?=\s*\\(?:overline|bar|dot)\b)))?|\.\d+)" + _TAIL)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUPER_TO_PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_REWRITES = (
    (
        re.compile(r"\\[!]|\\(?:left|right|displaystyle|textstyle|limits|bigl?|bigr|Bigl?|Bigr)(?![A-Za-z])"),
        "",
    ),
    (re.compile(r"(?<=\d)(?:\{,\}|\\,)(?=\d{3}(?!\d))"), ""),
    (re.compile(r"(?<![\d.,])(\d{1,3}) (\d{3})(?: (\d{3}))?(?: (\d{3}))?(?![\d.]|\s*/| \d)"), r"\1\2\3\4"),
    (re.compile(r"(\\\\)|\\[,;: ]|\\q?quad(?![A-Za-z])|~"), r"\1 "),
    (re.compile(r"\\?\$|[€£]"), ""),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\)\s*U\s*(?=[(\[])"), r")\\cup "),
    (re.compile(r"\]\s*U\s*(?=[(\[])"), r"]\\cup "),
)
_CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ",
    "÷": "/", "⁄": "/", "∕": "/", "√": r"\sqrt ", "∛": r"\sqrt[3] ", "∞": r"\infty ", "°": r"^\circ ",
    "º": r"^\circ ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ",
    "±": r"\pm ", "∓": r"\mp ", "∅": r"\emptyset ", "∈": r"\in ", "ℝ": r"\mathbb{R}", "′": "'",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "⟨": r"\langle ",
    "⟩": r"\rangle ", "“": '"', "”": '"', "’": "'", "\u2062": "", "，": ", ",
}  # fmt: skip
_GREEK_LETTERS = {unicodedata.lookup(f"GREEK SMALL LETTER {_spell}"): name for name, _spell in
                  ((name, "LAMDA" if name == "lambda" else name.upper()) for name in GREEK)}  # fmt: skip
_SIGNS = {"<=": "<=", ">=": ">=", "!=": "!=", "\\\\": "\\\\"}
_LONG_SIGNS = tuple(_SIGNS)
_COMMAND_SIGNS = {
    "cdot": "*", "times": "*", "ast": "*", "div": "/", "le": "<=", "leq": "<=", "leqslant": "<=",
    "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=",
    "approx": "~", "simeq": "~", "pm": "±", "mp": "∓", "cup": "∪", "in": "∈", "lbrace": "\\{",
    "rbrace": "\\}", "{": "\\{", "}": "\\}", "lbrack": "[", "rbrack": "]", "langle": "(", "rangle": ")",
    "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "colon": ":", "%": "%", "\\": "\\\\",
    "lor": "or", "vee": "or", "land": ",", "wedge": ",", "cap": "∩", "setminus": "∖",
}  # fmt: skip
_ALIASES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom",
    "varnothing": "emptyset", "degree": "circ", "infinity": "infty", "inf": "infty", "arg": "argument",
}  # fmt: skip
_TEXT_COMMANDS = frozenset(
    _split(
        "text textrm textbf textit texttt textsf textnormal mbox hbox mathrm mathit mathbf mathsf mathtt "
        "mathcal boldsymbol operatorname operatorname* rm"
    )
)


def _fold(character: str) -> str:
    if character < "\x80":
        return character
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category == "Zs":
        return " "
    if character in _GREEK_LETTERS:
        return f"\\{_GREEK_LETTERS[character]} "
    folded = unicodedata.normalize("NFKC", character)
    if "⁄" in folded:
        return " " + folded.replace("⁄", "/")
    if category == "No":
        return character
    return folded if len(folded) <= 4 else character


def _peel(text: str) -> str:
    """Take off dollar signs, brackets of display mathematics, boxes and sentence punctuation."""
    for _ in range(6):
        before = text
        text = text.strip().strip("*`").strip()
        if text.endswith((".", ";", ",")) and not text.endswith("\\,"):
            text = text[:-1].rstrip()
        for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
            inner = text[len(opening) : -len(closing)]
            if (
                len(text) >= len(opening) + len(closing)
                and text.startswith(opening)
                and text.endswith(closing)
                and opening not in inner
            ):
                text = inner
                break
        for box in (r"\boxed", r"\fbox"):
            rest = text[len(box) :].lstrip() if text.startswith(box) else ""
            if rest.startswith("{") and _closing_brace(rest, 0) == len(rest) - 1:
                text = rest[1:-1]
        if text == before:
            break
    return text


def _closing_brace(text: str, start: int) -> int:
    """Return the position of the brace that closes the one at `start`, or -1."""
    depth = 0
    position = start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 2
            continue
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return position
        position += 1
    return -1


def _letters(word: str, tokens: list[Token], spaced: bool) -> None:
    after_value = bool(tokens) and _ends_value(tokens[-1])
    if word.lower() in ("and", "or"):
        tokens.append(Token("operator", "or" if word.lower() == "or" else ",", spaced))
    elif word in ("infinity", "inf") or word in FUNCTIONS or (word in GREEK and len(word) > 1):
        _named(word, tokens, spaced)
    elif len(word) == 1:
        tokens.append(Token("symbol", word, spaced))
    elif after_value and word in UNITS:
        tokens.append(Token("unit", word, spaced))
    elif len(word) <= 3 and word.islower() and word.isascii():
        tokens.extend(Token("symbol", letter, spaced and not index) for index, letter in enumerate(word))
    else:
        tokens.append(Token("unit" if after_value else "words", word, spaced))


def _ends_value(token: Token) -> bool:
    return token.kind in ("number", "symbol", "unit") or token.text in (")", "]", "}", "|", "!", "pi")


def _named(name: str, tokens: list[Token], spaced: bool) -> None:
    name = _ALIASES.get(name, name)
    if name.lower() in GREEK and name != "pi":
        tokens.append(Token("symbol", f"\\{name}", spaced))
    elif name in _COMMAND_SIGNS:
        tokens.append(Token("operator", _COMMAND_SIGNS[name], spaced))
    else:
        tokens.append(Token("command", name, spaced))


def _command(text: str, match: re.Match[str], tokens: list[Token], spaced: bool) -> int:
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
    if braced and name == "mathbb":
        tokens.append(Token("symbol", f"\\mathbb{argument}", spaced))
        return braced.end()
    if braced and name in ("overline", "bar", "dot") and argument.isdecimal():
        tokens.append(Token("operator", f"repeat:{argument}", spaced))
        return braced.end()
    if name in _TEXT_COMMANDS:
        start = text.find("{", position)
        close = _closing_brace(text, start) if start >= 0 and not text[position:start].strip() else -1
        if close < 0:
            raise Unreadable("a text command without its braces")
        _text(text[start + 1 : close], name, tokens, spaced)
        return close + 1
    if name in ("angle", "triangle"):
        tokens.append(Token("words", name, spaced))
    elif name not in ("vec", "hat", "overline", "bar", "mathbb"):
        _named(name, tokens, spaced)
    return position


def _names_unit(letter: str, command: str) -> bool:
    return command in ("text", "textrm", "mbox", "hbox") or (
        command == "mathrm" and letter in "mgshLNJWVAKCF"
    )


def _text(argument: str, command: str, tokens: list[Token], spaced: bool) -> None:
    """Append the tokens of text set inside mathematics: a word, a unit, a name or a number."""
    words = argument.strip().strip("().").strip()
    after_value = bool(tokens) and _ends_value(tokens[-1])
    if not words:
        return
    if words.lower() in ("and", "or"):
        tokens.append(Token("operator", "or" if words.lower() == "or" else ",", spaced))
    elif words in FUNCTIONS:
        _named(words, tokens, spaced)
    elif len(words) == 1 and words.isalpha() and not (after_value and _names_unit(words, command)):
        tokens.append(Token("symbol", words, spaced))
    elif not any(character.isalpha() for character in words):
        if "\\" in words or "{" in words:
            raise Unreadable("a command inside text")
        tokens.extend(tokenize(argument, thousands=True))
    else:
        tokens.append(Token("unit" if after_value else "words", words, spaced))
