"""Converts digits, signs, styles, wrappers and blanks of answer text to one spelling."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from nemo_gym.verifiers.math import notation
from nemo_gym.verifiers.math.tree import Unreadable

MAX_CHARS = 2_000
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
    "upsilon phi chi psi omega"
)
GREEK = tuple(_GREEK.split())


def clean(text: str) -> str:
    """Return bounded text in one spelling of digits, signs, wrappers and blanks; raises Unreadable."""
    if len(text) > MAX_CHARS:
        raise Unreadable("longer than the bound")
    return _clean(text)


@lru_cache(maxsize=256)
def _clean(text: str) -> str:
    text = _MICRO.sub(" u", text)
    text = _SUPERSCRIPTS.sub(lambda run: "^{" + run[0].translate(_SUPER_TO_PLAIN) + "}", text)
    text = _SUBSCRIPTS.sub(lambda run: "_{" + run[0].translate(_SUB_TO_PLAIN) + "}", text)
    text = _BLANKS.sub(" ", "".join(map(_fold, text)))
    text = notation.common(text)
    if "\\" in text or "~" in text:
        for pattern, replacement in _STYLES:
            text = pattern.sub(replacement, text)
    text = _peel(text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    if len(text) > 2 * MAX_CHARS:
        raise Unreadable("longer than the bound")
    return _LEADING_SIGN.sub("", text).strip()


def plain_words(text: str) -> str:
    """Return the case-folded words and digits of text, for comparing text with text."""
    text = re.sub(r"\\[A-Za-z]+|\\.|[{}$~]", " ", text)
    return " ".join(text.casefold().strip(" .,;:!()\"'`*").split())


def closing_brace(text: str, start: int) -> int:
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


def _blank(run: re.Match[str]) -> str:
    """Keep a line break between rows; any other spacing command is a blank."""
    return run[1] or " "


def _without_marks(run: re.Match[str]) -> str:
    """Return the digits of a number without what groups them."""
    return "".join(filter(str.isdecimal, run[0]))


_Rewrite = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

_LEADING_SIGN = re.compile(r"\A\s*(?:=|\\approx(?![A-Za-z]))")
_BLANKS = re.compile(r"\s\s+")
_MICRO = re.compile(r"(?<=\d)\s?[µμ](?=(?:[mgsAFCLlVWJN]|Pa|Hz)(?![A-Za-z]))")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUPER_TO_PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUBSCRIPTS = re.compile("[₀-₉]+")
_SUB_TO_PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_STYLES: tuple[_Rewrite, ...] = (
    (re.compile(r"(?<=\d),\\!\s+(?=\d{3}(?!\d))"), ","),
    (re.compile(r"\\text\s*\{([,:])\}"), r"{\1}"),
    (re.compile(r"\\cr(?![A-Za-z])"), r"\\\\"),
    (re.compile(r"\\(?:left|right)\s*\."), ""),
    (
        re.compile(
            r"\\(?:!|/|(?:left|right|middle|displaystyle|textstyle|scriptstyle|scriptscriptstyle|limits|nolimits"
            r"|[bB]ig{1,2}[lrm]?|[lL]arge|LARGE|[hH]uge|normalsize|small|tiny|hfill|noindent|centering|mathstrut"
            r"|strut|bfseries|itshape|rmfamily|ensuremath|underline|mathop|mathbin|mathrel|mathord|textup"
            r"|allowbreak|nobreak|relax|bm|pmb|smash|framebox)(?![A-Za-z]))"
        ),
        "",
    ),
    (re.compile(r"\\(?:text)?color(?:box)?\s*(?:\[[^\[\]]{0,20}\])?\s*\{[^{}]{0,60}\}"), ""),
    (re.compile(r"\\[hv]?phantom\s*\{[^{}]{0,60}\}"), ""),
    (re.compile(r"\\(?:hspace|vspace|mspace|tag|label)\*?\s*\{[^{}]{0,60}\}"), " "),
    (re.compile(r"\{\s*\\(rm|bf|it|sf|tt)(?![A-Za-z])\s*([^{}\\]{0,200})\}"), r"\\math\1{\2}"),
    (re.compile(r"\\(?:rm|bf|it|sf|tt)(?![A-Za-z])"), ""),
    (
        re.compile(r"(\\\\)|\\(?:[,;:> \n]|(?:q?quad|enspace|thinspace|medspace|thickspace)(?![A-Za-z]))|~"),
        _blank,
    ),
    (re.compile(r"(?:\s?\\\\)+\s?\Z|(?<!\\)\\\s?\Z"), ""),
    (re.compile(r"\A\s?\\(?:therefore|implies|Rightarrow|Longrightarrow|to|rightarrow)(?![A-Za-z])"), ""),
    (re.compile(r"\\(?:blacksquare|checkmark|square|qed|Box)(?![A-Za-z])\s?\Z"), ""),
    (re.compile(r"\\begin\{(equation\*?|align\*?|aligned|gathered)\}([^&]{0,400}?)\\end\{\1\}"), r"\2"),
    (re.compile(r"\\text\s*\{\s*x\s*\}(?=\s*10\s*\^)"), r"\\times "),
    (re.compile(r"\^\s*\{\s*\\(?:text|mathrm)\s*\{\s*o\s*\}\s*\}"), r"^\\circ "),
)
_REWRITES: tuple[_Rewrite, ...] = (
    (re.compile(r"\A(?:USD|US\\?\$)\s*(?=\d)"), r"\\dollar "),
    (re.compile(r"\A(?:\\text\s*\{\s*)?(?:Rs\.?|INR)\s*\}?\s*(?=\d)"), r"\\rupee "),
    (re.compile(r"&\s*="), "="),
    (
        re.compile(
            r"\A(?:\\text\s*\{\s*)?[aA]ll real (?:numbers|values|x)(?: x)?,? "
            r"(?:except|excluding|other than)(?: for)?"
            r"\s*\}?\s*(?:[a-z]\s*=\s*)?([-+\d\\][^a-z]{0,40}(?:\\[a-z]+[^a-z]{1,40}){0,4})\Z"
        ),
        r"\\mathbb{R}\\setminus\\{\1\\}",
    ),
    (
        re.compile(
            r"(?:\\text\s*\{)?\s*(?<![a-z])(?:for|where) (?:(?:any|every|all|some|an) )?"
            r"integers?\s*\}?\s*([a-z])(?![a-z])"
        ),
        r"\\text{ where } \1\\in\\mathbb{Z} ",
    ),
    (
        re.compile(r"(?:\\text\s*\{)?\s*(?<![a-z])is (?:an |any |some |an arbitrary )integer\s*\}?\s*\Z"),
        r"\\in\\mathbb{Z}",
    ),
    (re.compile(r"\\\$"), r"\\dollar "),
    (re.compile(r"\A([^$]*)\$([^$]*)\Z"), r"\1\\dollar \2"),
    (re.compile(r"\$"), ""),
    (re.compile(r"\\mu\s*(\\(?:text|mathrm|textrm)\s*\{)\s*(?=[A-Za-z])"), r"\1u"),
    (re.compile(r"(\\(?:text|mathrm|textrm)\s*\{\s*[kMm]?)\s*\}\s*\\Omega(?![A-Za-z])"), r"\1Ω}"),
    (re.compile(r"(?<=[\d}])\s*([kMm]?)\s*(?:\\Omega(?![A-Za-z]|\s*\()|Ω)(?!\})"), r"\\text{ \1Ω}"),
    (re.compile(r"(?<![\d.,])([1-9]\d{0,2}(?:\{,\}\d{3})+)(?!\d)"), _without_marks),
    (re.compile(r"(?<=\d)\{,\}(?=\d)"), "."),
    (re.compile(r"\{([:=])\}"), r"\1"),
    (
        re.compile(r"\A\s*\\text\s*\{\s*(?:The\s|the\s)?(?:final\s|Final\s)?[aA]nswer\s?(?:is|:)?\s*:?\s*\}"),
        "",
    ),
    (
        re.compile(
            r"\A(?:\\text\s*\{\s*)?(?:[eE]xactly|[pP]recisely|[oO]nly|[tT]here (?:are|is)|[iI]t is"
            r"|[eE]quals|equal to|(?:[aA] )?[tT]otal of|(?:[iI]n )?(?:[tT]he )?[yY]ear"
            r"|[iI]n(?=\s*\}?\s*[12]\d{3}\s*\}?\s*\Z))"
            r"(?=[\s}])\s*(?:\}\s*)?(?=[-\d$\\])"
        ),
        "",
    ),
    (re.compile(r"\\text\s*\{([0-9A-Fa-f]{1,40})\}(?=\s*_)"), r"\1"),
    (
        re.compile(r"(?<![\d.,])(\d{1,3}(?:[ ']\d{3})+)(?![\d']|\s*/| \d)"),
        _without_marks,
    ),
    (re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)"), r"\\times "),
    (re.compile(r"(?<=\d)\^\s*(?:\{\s*o\s*\}|o(?![A-Za-z]))"), r"^\\circ "),
    (re.compile(r"\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?"), r"\\overline{\1\2\3}"),
    (re.compile(r"(?<![\d.])(\d+\.)\((\d+)\)"), r"\1\\overline{\2}"),
    (re.compile(r"\bm\s*\\angle(?![A-Za-z])"), r"\\angle"),
    (re.compile(r"\^\{\}|(?<!\\)\{\}"), ""),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"([)\]])\s*U\s*(?=[(\[])"), r"\1\\cup "),
    (
        re.compile(
            r"(?:(?<![\w)}\]])|(?<=\\cup)|(?<=\\cap)|(?<=\\in)|(?<=minus))\]([^\[\]()]{1,200},[^\[\]()]{1,200})(?=[\[\]])"
        ),
        r"(\1",
    ),
    (re.compile(r"([(\[][^\[\]()]{1,200},[^\[\]()]{1,200})\[(?=\s*(?:\Z|[,)]|\\cup|\\cap))"), r"\1)"),
)
_CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ",
    "÷": "/", "⁄": "/", "∕": "/", "√": r"\sqrt ", "∛": r"\sqrt[3] ", "∞": r"\infty ", "°": r"^\circ ",
    "º": r"^\circ ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ",
    "±": r"\pm ", "∓": r"\mp ", "∅": r"\emptyset ", "∈": r"\in ", "ℝ": r"\mathbb{R}", "′": "'",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "⟨": r"\langle ",
    "⟩": r"\rangle ", "“": '"', "”": '"', "’": "'", "\u2062": "", "，": ", ",
    "€": r"\euro ", "£": r"\sterling ", "¥": r"\yen ", "₹": r"\rupee ", "¢": r"\text{ cents}",
    "∧": r"\land ", "∨": r"\lor ", "¬": r"\lnot ", "∩": r"\cap ", "∖": r"\setminus ", "→": r"\to ",
    "⇒": r"\Rightarrow ", "↔": r"\leftrightarrow ", "⇔": r"\Leftrightarrow ", "∣": r"\mid ",
    "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
    "∑": r"\sum ", "∏": r"\prod ", "≡": r"\equiv ",
}  # fmt: skip
_GREEK_LETTERS = {unicodedata.lookup(f"GREEK SMALL LETTER {_spell}"): name for name, _spell in
                  ((name, "LAMDA" if name == "lambda" else name.upper()) for name in GREEK)}  # fmt: skip


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
    if folded in _GREEK_LETTERS:
        return f"\\{_GREEK_LETTERS[folded]} "
    if "⁄" in folded:
        return " " + folded.replace("⁄", "/")
    if category == "No":
        return character
    return folded if len(folded) <= 4 else character


def _peel(text: str) -> str:
    """Take off dollar signs, brackets of display mathematics, boxes and sentence punctuation."""
    for _ in range(6):
        before = text
        text = text.strip().strip('*`✓✔"').strip()
        if text.endswith((".", ";", ",")) and not text.endswith(("\\,", "..")):
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
            if rest.startswith("{") and closing_brace(rest, 0) == len(rest) - 1:
                text = rest[1:-1]
        if text == before:
            break
    return text
