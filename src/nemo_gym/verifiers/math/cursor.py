"""A position in a list of tokens, with a reader for units of measure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

from nemo_gym.verifiers.math import scan
from nemo_gym.verifiers.math.literals import literal
from nemo_gym.verifiers.math.tree import ONE, Marked, Node, Number, Product, Sum, Unreadable
from nemo_gym.verifiers.math.units import (
    Unit,
    currency,
    is_unit,
    measure,
    phrase,
    quotient,
    temperature,
    with_direction,
)

MAX_DEPTH = 64
MAX_NODES = 1_000
MAX_UNIT_TOKENS = 16


@dataclass
class Cursor:
    """Tokens, the position in them, and the unit of the item that is being read."""

    tokens: list[scan.Token]
    position: int = 0
    depth: int = 0
    bars: int = 0
    nodes: int = 0
    unit: Unit | None = field(default=None)

    @property
    def token(self) -> scan.Token:
        return self.tokens[self.position] if self.position < len(self.tokens) else scan.END

    def advance(self) -> scan.Token:
        token = self.token
        self.position += 1
        return token

    def at(self, *texts: str) -> bool:
        return self.token.kind in ("operator", "command") and self.token.text in texts

    def expect(self, text: str) -> None:
        if not self.at(text):
            raise Unreadable(f"expected {text}")
        self.position += 1

    def number_apart(self, left: Node) -> bool:
        """Whether the number here is no factor of the value before it, as in `5 6`."""
        before = self.tokens[self.position - 1]
        power = before.kind == "symbol" and [token.text for token in self.ahead(2)][1:] == ["^"]
        if self.token.kind != "number" or before.text == "!" or power:
            return False
        return self.token.spaced or isinstance(left, Number)

    def ahead(self, count: int) -> list[scan.Token]:
        """Return up to `count` tokens from here on."""
        return self.tokens[self.position : self.position + count]

    def at_unit(self, after_number: bool) -> bool:
        """Whether a unit starts here: a word, a currency sign, or (after a number) letters such as m/s."""
        token = self.token
        if token.kind == "word" or (token.kind == "command" and token.text in _CURRENCY_COMMANDS):
            return True
        if self.at("frac") and self.fraction_of_words():
            return True
        if self.at("/") and self.unit is not None:
            return [token.kind for token in self.ahead(2)] == ["operator", "word"]
        if self.at("(") and after_number:
            return self.unit_in_brackets() is not None
        return after_number and token.kind == "symbol" and token.spaced and self.letters_are_units()

    def letters_are_units(self) -> bool:
        """Whether only letters that name units follow up to the end of the item."""
        letters: list[str] = []
        divided = False
        for token in self.ahead(MAX_UNIT_TOKENS):
            if token.kind == "operator" and token.text in _ENDS_ITEM - {"}"}:
                break
            if token.kind == "symbol" and not is_unit(token.text):
                return False
            if token.kind not in ("symbol", "operator", "number", "word"):
                return False
            if token.kind == "operator" and token.text not in ("/", "*", "^", "{", "}", "-"):
                return False
            divided = divided or token.text == "/"
            letters += [token.text] if token.kind in ("symbol", "word") else []
        return divided or (len(letters) == 1 and letters[0] in _LONE_LETTERS)

    def fraction_of_words(self) -> bool:
        """Whether a fraction of two unit names starts here."""
        tokens = self.ahead(7)
        names = [token for token in tokens if token.kind in ("word", "symbol")]
        signs = [token.text for token in tokens if token not in names]
        return (
            signs == ["frac", "{", "}", "{", "}"]
            and any(token.kind == "word" for token in names)
            and all(token.kind == "word" or is_unit(token.text) for token in names)
        )

    def unit_in_brackets(self) -> Unit | None:
        """Return the unit that is alone in the brackets that open here, as in `5 (cm)`."""
        texts = [token.text for token in self.ahead(MAX_UNIT_TOKENS)]
        if ")" not in texts or self.ahead(2)[-1].kind != "word":
            return None
        return measure(texts[1 : texts.index(")")])

    def read_measure(self, node: Node) -> Node:
        """Read scale words and the unit behind a value; the unit waits in `unit` for the end of the item."""
        for _ in range(2):
            size = _SCALES.get(self.token.text.casefold()) if self.token.kind == "word" else None
            if size is None:
                break
            self.advance()
            node = Product((node, Number(Fraction(size))))
        if not self.at_unit(after_number=self.at("(")) and not (
            self.token.kind == "symbol" and self.token.spaced
        ):
            return node
        following = self.ahead(2)[1:]
        compounded = bool(following) and following[0].text in ("/", "*", "^", "per")
        if self.token.kind == "word" and self.token.text.casefold() in _MARKS and not compounded:
            mark = _MARKS[self.advance().text.casefold()]
            return self.after_degree(Marked(node, mark))
        if self.token.text == "per" and [t.text for t in self.ahead(2)] == ["per", "cent"]:
            self.position += 2
            return Marked(node, "%")
        if self.token.kind == "command" and self.token.text in _CURRENCY_COMMANDS:
            self.currency()
        elif self.at("(") and (unit := self.unit_in_brackets()):
            while not self.at(")"):
                self.advance()
            self.advance()
            self.set_unit(unit)
        elif self.token.kind in ("word", "symbol", "command") or self.at("/"):
            unit = self.unit_phrase()
            if node == ONE and self.unit == unit and unit.odd:
                self.unit = replace(unit, odd=False)
            node = self.compound(node, unit)
        if self.token.kind != "end" and not (self.token.kind == "operator" and self.ends_item()):
            raise Unreadable("words inside a formula")
        return node

    def after_degree(self, node: Marked) -> Node:
        """Read the temperature scale behind a degree sign, if one is there."""
        unit = temperature(self.token.text) if self.token.kind in ("word", "symbol") else None
        if node.mark != "°" or unit is None:
            return node
        following = self.ahead(2)[1:]
        if following and not (following[0].kind == "operator" and following[0].text in _ENDS_ITEM):
            return node
        self.advance()
        self.set_unit(unit)
        return node.node

    def currency(self) -> None:
        """Read a currency sign."""
        self.set_unit(currency(_CURRENCY_COMMANDS[self.advance().text]))

    def ends_item(self) -> bool:
        return self.token.text in _ENDS_ITEM or self.token.text.startswith("end:")

    def set_unit(self, unit: Unit) -> None:
        """Remember the unit of this item; behind a currency sign only a direction adds to it."""
        if self.unit is None:
            self.unit = unit
        elif len(unit.nouns) == 1 and not unit.letters:
            self.unit = with_direction(self.unit, unit.nouns[0]) or self.unit
        elif self.unit.powers != unit.powers and not unit.nouns:
            raise Unreadable("two units")

    def unit_phrase(self) -> Unit:
        """Read the words, powers and quotients of a unit."""
        parts: list[str] = []
        if self.at("frac"):
            parts += [self.tokens[self.position + 2].text, "/", self.tokens[self.position + 5].text]
            self.position += 7
        else:
            if self.at("/"):
                parts.append(self.advance().text)
            while self.token.kind in ("word", "symbol") or (parts and self.at("/", "^", "*", "-")):
                token = self.advance()
                parts.append(token.text)
                if token.text == "/" and self.at("("):
                    parts += self.divisors()
                if token.text == "^":
                    parts.append(self.unit_power())
                if len(parts) > MAX_UNIT_TOKENS:
                    raise Unreadable("a unit too long")
        unit = phrase(parts)
        if unit is None:
            raise Unreadable("words that are no unit")
        if parts[0] in ("/", "per") and self.unit is not None and unit.letters:
            self.unit = quotient(self.unit, unit)
        else:
            self.set_unit(unit)
        return unit

    def divisors(self) -> list[str]:
        """Read the bracket of `J/(kg K)` as the parts of `kg/K` do."""
        self.advance()
        parts: list[str] = []
        while not self.at(")"):
            token = self.advance()
            if token.kind == "end" or len(parts) > MAX_UNIT_TOKENS:
                raise Unreadable("a bracket is not closed")
            if token.text == "*":
                continue
            if token.text == "^":
                parts += ["^", self.unit_power()]
            else:
                parts += [*(["/"] if parts else []), token.text]
        self.advance()
        return parts

    def unit_power(self) -> str:
        braced = self.at("{")
        if braced:
            self.advance()
        sign = self.advance().text if self.at("-") else ""
        if self.token.kind != "number":
            raise Unreadable("a unit's power must be a number")
        power = sign + self.advance().text
        if braced:
            self.expect("}")
        return power

    def compound(self, node: Node, unit: Unit) -> Node:
        """Read the smaller parts of a quantity such as 2 hours 30 minutes, in the first unit."""
        terms = [node]
        while unit.powers and (self.token.kind == "number" or self.at("and")) and len(terms) < 4:
            start = self.position
            self.position += self.at("and")
            number, words = self.token, self.ahead(2)[1:]
            part = measure([words[0].text]) if words and words[0].kind == "word" else None
            if (
                number.kind != "number"
                or part is None
                or part.powers != unit.powers
                or part.scale >= unit.scale
            ):
                self.position = start
                break
            self.position += 2
            terms.append(Number(literal(number.text).value * part.scale / unit.scale))
        return terms[0] if len(terms) == 1 else Sum(tuple(terms))


_CURRENCY_COMMANDS = {"dollar": "$", "euro": "€", "sterling": "£", "yen": "¥", "rupee": "₹"}
_LONE_LETTERS = frozenset("mgshLJWNVA")
_MARKS = {
    "percent": "%", "pct": "%", "degree": "°", "degrees": "°", "deg": "°", "degs": "°",
    "radian": "rad", "radians": "rad", "rad": "rad", "rads": "rad",
}  # fmt: skip
_SCALES = {
    "dozen": 12, "dozens": 12, "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9,
    "trillion": 10**12, "quadrillion": 10**15, "lakh": 10**5, "crore": 10**7, "gross": 144,
    "hundreds": 100, "thousands": 1_000, "trillions": 10**12, "quadrillions": 10**15, "lakhs": 10**5,
    "crores": 10**7,
    "millions": 10**6, "billions": 10**9, "mil": 10**6, "mln": 10**6, "bn": 10**9,
}  # fmt: skip
_ENDS_ITEM = frozenset(
    (",", ";", "or", "and", "where", ":", ")", "]", "}", "\\}", "&", "\\\\", "=", "~", "<", ">", "<=", ">=")
)
